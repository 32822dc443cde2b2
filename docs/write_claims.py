"""Writes docs/claims.md and its plots: CLEAR's claims, put to the test.

    python docs/write_claims.py [RUN...]

Each RUN is the folder of `clearbench run` of a recipe `claim-*`; the few figures that the page
shows are kept in docs/claims.json. Without RUN the page and the plots are written again from there.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claims import plots, rules, tables, words
from claims.figures import About, Measured, from_json, measured

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        about: What tells its settings apart, from a row of `results.json`.
        checks: The rule.
    """

    words: words.Words
    about: About
    checks: Callable[[Measured], list[rules.Check]]
    table: Callable[[Measured], Iterator[str]]
    plot: Callable[[Measured, Path], None]


def _l1(row: Mapping[str, Any]) -> dict[str, Any]:
    penalty = row["variant"]["penalty"] or {"reduce": None, "strength": 0.0}
    return {"rank": row["variant"]["rank"]} | {k: penalty[k] for k in ("reduce", "strength")}


def _both(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"method": row["method"], "modality": row["modality"]}


def _destroy(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"method": row["method"], "rate": row["training"]["learning_rate"]}


def _lambda(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"retain_weight": row["hyperparameters"]["retain_weight"]}


#: By the name of the recipe, in the order of the page.
CLAIMS = {
    "claim-l1": Claim(words.L1, _l1, rules.l1_checks, tables.l1, plots.l1),
    "claim-both": Claim(words.BOTH, _both, rules.both_checks, tables.both, plots.both),
    "claim-destroy": Claim(
        words.DESTROY, _destroy, rules.destroy_checks, tables.destroy, plots.destroy
    ),
    "claim-lambda": Claim(
        words.LAMBDA, _lambda, rules.lambda_checks, tables.lambdas, plots.lambdas
    ),
}


def page(found: Mapping[str, Measured]) -> str:
    """The whole page, of the claims that were run."""
    run = {name: CLAIMS[name] for name in CLAIMS if name in found}
    parts = [words.HEAD, *_summary(run, found)]
    for name, claim in run.items():
        parts += _section(name, claim, found[name])
    return "\n".join(parts).rstrip() + "\n"


def _summary(run: Mapping[str, Claim], found: Mapping[str, Measured]) -> Iterator[str]:
    yield from ("| claim | verdict | checks that hold |", "|---|---|---|")
    for name, claim in run.items():
        checks = claim.checks(found[name])
        held = sum(check.holds for check in checks)
        yield f"| {claim.words.title} | {rules.verdict(checks)} | {held} of {len(checks)} |"
    yield ""


def _section(name: str, claim: Claim, found: Measured) -> Iterator[str]:
    said, checks = claim.words, claim.checks(found)
    seeds = ", ".join(map(str, found.seeds))
    yield f"## {said.title}\n"
    yield _paragraph(f"**The paper.** {said.says}")
    yield _paragraph(f"**Why that does not settle it.** {said.unsettled}")
    ran = f"`recipes/{name}.yaml`, {found.steps} steps, seeds {seeds}."
    yield _paragraph(f"**Run here.** {said.run} {ran}")
    yield _paragraph(f"**Rule.** {said.rule}")
    yield f"**Verdict: {rules.verdict(checks)}.**\n"
    yield from (f"- {check.says}: {'yes' if check.holds else 'no'}" for check in checks)
    yield f"\n![{said.image}](images/{name}.png)\n"
    yield _paragraph(f"**Seen afterwards**, and no part of the verdict. {said.seen}")
    yield from claim.table(found)
    yield ""


def _paragraph(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False) + "\n"


def load(path: Path) -> dict[str, Measured]:
    """The figures of earlier runs, by recipe."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: from_json(each) for name, each in content.items()}


def dump(found: Mapping[str, Measured], path: Path) -> None:
    """Writes the figures, one setting a line."""
    parts = []
    for name, each in found.items():
        about = each.json()
        rows = ",\n".join(f"  {json.dumps(row)}" for row in about.pop("settings"))
        parts.append(f' "{name}": {json.dumps(about)[:-1]}, "settings": [\n{rows}\n ]}}')
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def read_run(folder: Path) -> tuple[str, Measured]:
    """The recipe's name and the figures of a run."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    name = results["recipe"]["name"]
    if name not in CLAIMS:
        raise SystemExit(f"{folder} is a run of '{name}'; claims are: {', '.join(CLAIMS)}")
    return name, measured(results, CLAIMS[name].about)


def main(runs: Sequence[str], docs: Path = HERE) -> None:
    """Writes the page, the plots and, from runs, the figures."""
    kept = docs / "claims.json"
    found = load(kept)
    if runs:
        found |= dict(read_run(Path(folder)) for folder in runs)
        found = {name: found[name] for name in CLAIMS if name in found}
        dump(found, kept)
    if not found:
        raise SystemExit(f"nothing was run yet: python {Path(__file__).name} RUN...")
    for name, each in found.items():
        CLAIMS[name].plot(each, docs / "images" / f"{name}.png")
    (docs / "claims.md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
