"""Writes docs/errata.md from the defects in `clearbench.evaluation.errata`.

    python docs/write_errata.py [FOLDER]

FOLDER holds TOFU's public logs, by default $CLEARBENCH_ORACLES/oracles or ../shared/data/oracles.
Every value in a table is computed here; nothing in the page is written by hand.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from clearbench.attacks.scoring import score
from clearbench.evaluation.errata import SUBJECTS
from clearbench.evaluation.errata.erratum import Erratum, Shown
from clearbench.evaluation.logs.read import read_log
from clearbench.evaluation.records import Records

HERE = Path(__file__).parent
PAGE = HERE / "errata.md"
LOG = "tofu_llama2-7b_{}.eval_log_aggregated.json"
HEAD = """# Errata of published numbers

What published code computes, what is right, and what it does to a real log. A protocol that
reproduces published numbers carries its defects under these ids (`clearbench list protocols`);
`clear` carries none.

This page is written by `python docs/write_errata.py FOLDER` from
`src/clearbench/evaluation/errata/`; do not edit it. FOLDER holds two of TOFU's public logs,
`full` and `retain90` of Llama-2-7B (github.com/locuslab/tofu, folder `data/`, weight decay 0.01,
five epochs), as `tofu_llama2-7b_full.eval_log_aggregated.json` and so on. The values are those of
`full` with `retain90` as gold.
"""


def page(records: Records, gold: Records) -> str:
    """The whole page."""
    parts = [HEAD]
    for subject, errata in SUBJECTS.items():
        parts += [f"## {subject}\n", *(_section(erratum, records, gold) for erratum in errata)]
    return "\n".join(parts)


def _section(erratum: Erratum, records: Records, gold: Records) -> str:
    carried = ", ".join(f"`{name}`" for name in erratum.carried_by) or "no protocol"
    lines = [
        f"### {erratum.id}: {erratum.where}\n",
        f"- **Published**: {erratum.does}",
        f"- **Right**: {erratum.right}",
        f"- **Carried by**: {carried}",
    ]
    if erratum.effect:
        lines.append(f"- **Effect**: {erratum.effect}")
    if erratum.shown:
        lines += ["", "| published | value | right | value |", "|---|---|---|---|"]
        lines += [_row(*pair, records, gold) for pair in erratum.shown]
    return "\n".join(lines) + "\n"


def _row(published: Shown, right: Shown, records: Records, gold: Records) -> str:
    cells = []
    for protocol, key in (published, right):
        value = score(records, gold, None, protocol)[key].value
        cells += [f"`{protocol}` {key}", f"{value:.12g}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Writes the page."""
    shared = os.environ.get("CLEARBENCH_ORACLES", HERE.parents[1] / "shared" / "data")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(shared) / "oracles"
    records, gold = (read_log(folder / LOG.format(name)) for name in ("full", "retain90"))
    PAGE.write_text(page(records, gold), encoding="utf-8")


if __name__ == "__main__":
    main()
