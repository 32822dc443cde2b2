"""Writes docs/trust.md from the ratings of metrics on a run (`clearbench trust RUN`).

python docs/write_trust.py RUN
"""

from __future__ import annotations

import sys
from pathlib import Path

from clearbench.audit.zoo import TrustFile, TrustTable
from clearbench.evaluation.trust import Trust

FILE = Path(__file__).parent / "trust.md"
HEAD = """# Do the metrics deserve trust?

Written by `docs/write_trust.py` from `clearbench trust RUN` on `recipes/metrics-trust.yaml`.

A number about forgetting is worth something if it tells a model that knows the people from one that
does not, and if it does not change its mind once somebody trains the model a little or rounds its
weights. OpenUnlearning (arXiv 2506.12618) calls that faithfulness and robustness:

- **faithful**: chance that an original (taught the people) has a higher value than a gold (never
  taught them), ties as half: the area under the ROC curve.
- **relearning**: mean over unlearned models of min(rise of gold / rise of the model, 1) in one
  epoch on the forgotten rows. A metric by which the model "learns" the people faster than gold
  does had not seen what was still there.
- **rounding**: mean of min(before / after, 1) when the weights are rounded to 4 bits (NF4), and of
  min(after / before, 1) for a metric that falls with knowledge: what comes back counts.
- **overall**: harmonic mean of faithfulness with the harmonic mean of the other two.

Metrics that fall with knowledge are read upside down. *Models* counts originals, golds and
unlearned models.
*Believe it?* needs an area from .75 (from .9 for an unqualified yes) that a metric without any
knowledge would reach in at most one of twenty draws, and says what a low robustness means.
"""
#: Said below a table in which the first column does not rank the metrics.
ALL_FAITHFUL = (
    "Every metric tells all originals from all golds here, so *faithful* ranks none of them: "
    "people who were taught until the model knows them are easy to tell from people never met."
)


def page(found: TrustFile) -> str:
    """Writes the page."""
    about = (
        f"Recipe `{found.recipe}` ({found.identity[:12]}), learning rate of relearning "
        f"{found.learning_rate:g}."
    )
    return "\n".join([HEAD, about, *(_table(table) for table in found.tables), ""])


def _table(table: TrustTable) -> str:
    lines = [
        f"\n## {table.model.capitalize()} models, {table.modality} forgotten\n",
        "| metric | faithful | relearning | rounding | overall | models | believe it? |",
        "|---|---|---|---|---|---|---|",
        *(_line(each) for each in table.metrics),
    ]
    if {each.faithfulness for each in table.metrics} == {1.0}:
        lines.append(f"\n{ALL_FAITHFUL}")
    lines += [f"\nNot attacked: `{id}` ({why})." for id, why in table.failed.items()]
    return "\n".join(lines)


def _line(each: Trust) -> str:
    numbers = (each.faithfulness, each.relearning, each.quantisation, each.overall)
    shown = " | ".join("" if number is None else f"{number:.2f}" for number in numbers)
    models = f"{each.knowing} + {each.ignorant} + {each.attacked}"
    return f"| `{each.metric}` | {shown} | {models} | {each.believe} |"


def main() -> None:
    """Writes the file."""
    FILE.write_text(page(TrustFile.read(Path(sys.argv[1]))), encoding="utf-8")


if __name__ == "__main__":
    main()
