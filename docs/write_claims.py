"""Writes docs/claims.md and its plots: CLEAR's claims, put to the test.

    python docs/write_claims.py [RUN...]

Each RUN is the folder of `clearbench run` of a recipe `claim-*`; the few figures that the page
shows are kept in docs/claims.json, with the commit in which the rules and the recipe were fixed.
Without RUN the page and the plots are written again from there, and git is not needed.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from claims import plots, rules, seen, tables, words
from claims.figures import About, Measured, from_json, measured
from claims.fixed import fixed

from clearbench.runs.recipe import load_recipe
from clearbench.runs.schema import Row, read_results

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        about: Reads from a row the values that tell its settings apart.
        checks: The rule of the claim.
        seen: Says what one sees in the figures.
    """

    words: words.Words
    about: About
    checks: Callable[[Measured], list[rules.Check]]
    table: Callable[[Measured], Iterator[str]]
    plot: Callable[[Measured, Path], None]
    seen: Callable[[Measured], str]


def _l1(row: Row) -> dict[str, Any]:
    penalty = row.variant.penalty
    return {
        "rank": row.variant.rank,
        "rate": row.training.learning_rate,
        "reduce": penalty.reduce if penalty else None,
        "strength": penalty.strength if penalty else 0.0,
    }


def _both(row: Row) -> dict[str, Any]:
    return {"method": row.method, "modality": row.modality}


def _destroy(row: Row) -> dict[str, Any]:
    return {"method": row.method, "rate": row.training.learning_rate}


def _lambda(row: Row) -> dict[str, Any]:
    return {"retain_weight": row.hyperparameters["retain_weight"]}


#: By the name of the recipe, in the order of the page.
CLAIMS = {
    "claim-l1": Claim(words.L1, _l1, rules.l1_checks, tables.l1, plots.l1, seen.l1),
    "claim-both": Claim(words.BOTH, _both, rules.both_checks, tables.both, plots.both, seen.both),
    "claim-destroy": Claim(
        words.DESTROY, _destroy, rules.destroy_checks, tables.destroy, plots.destroy, seen.destroy
    ),
    "claim-lambda": Claim(
        words.LAMBDA, _lambda, rules.lambda_checks, tables.lambdas, plots.lambdas, seen.lambdas
    ),
}


def page(measured_runs: Mapping[str, Measured]) -> str:
    """The whole page, of the claims that were run."""
    claims = {name: CLAIMS[name] for name in CLAIMS if name in measured_runs}
    parts = [words.HEAD, *_summary(claims, measured_runs)]
    for name, claim in claims.items():
        parts += _section(name, claim, measured_runs[name])
    return "\n".join(parts).rstrip() + "\n"


def _summary(claims: Mapping[str, Claim], measured_runs: Mapping[str, Measured]) -> Iterator[str]:
    yield from ("| claim | verdict | checks that hold |", "|---|---|---|")
    for name, claim in claims.items():
        checks = claim.checks(measured_runs[name])
        found = rules.held(checks)
        count = f"{sum(found)} of {len(found)}" if rules.testable(checks) else "none counts"
        yield f"| {claim.words.title} | {rules.verdict(checks)} | {count} |"
    yield ""


def _section(name: str, claim: Claim, run: Measured) -> Iterator[str]:
    prose, checks = claim.words, claim.checks(run)
    seeds = ", ".join(map(str, run.seeds))
    yield f"## {prose.title}\n"
    yield _paragraph(f"**The paper.** {prose.says}")
    yield _paragraph(f"**Why that does not settle it.** {prose.unsettled}")
    ran = f"`recipes/{name}.yaml`, {run.steps} steps, seeds {seeds}."
    yield _paragraph(f"**Run here.** {prose.run} {ran} Rule and recipe: commit {run.fixed}.")
    yield _paragraph(f"**Rule.** {prose.rule}")
    yield f"**Verdict: {rules.verdict(checks)}.**\n"
    yield from (f"- {check.says}: {'yes' if check.holds else 'no'}" for check in checks)
    yield f"\n![{prose.image}](images/{name}.png)\n"
    yield _paragraph(f"**Seen afterwards**, and no part of the verdict. {claim.seen(run)}")
    yield from claim.table(run)
    yield ""


def _paragraph(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False) + "\n"


def load(path: Path) -> dict[str, Measured]:
    """The figures of earlier runs, by recipe; those that name no commit are of other rules."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: from_json(entry) for name, entry in content.items() if entry.get("fixed")}


def dump(measured_runs: Mapping[str, Measured], path: Path) -> None:
    """Writes the figures, one setting a line."""
    parts = []
    for name, run in measured_runs.items():
        about = run.json()
        rows = ",\n".join(f"  {json.dumps(row)}" for row in about.pop("settings"))
        parts.append(f' "{name}": {json.dumps(about)[:-1]}, "settings": [\n{rows}\n ]}}')
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def read_run(folder: Path, dated: Callable[[str], str]) -> tuple[str, Measured]:
    """The recipe's name and the figures of a run.

    Raises:
        SystemExit: It is a run of another recipe, or of this one before it was changed.
    """
    results = read_results(folder)
    name = results.recipe.name
    if name not in CLAIMS:
        raise SystemExit(f"{folder} is a run of '{name}'; claims are: {', '.join(CLAIMS)}")
    if results.recipe.identity != load_recipe(name).identity:
        raise SystemExit(f"{folder} is a run of another version of '{name}': run the recipe again")
    return name, replace(measured(results, CLAIMS[name].about), fixed=dated(name))


def main(runs: Sequence[str], docs: Path = HERE, dated: Callable[[str], str] = fixed) -> None:
    """Writes the page, the plots and, from runs, the figures.

    Args:
        runs: Folders of runs.
        docs: Folder of the page.
        dated: Names the commit in which the rules and a recipe were fixed.
    """
    kept = docs / "claims.json"
    measured_runs = load(kept)
    if runs:
        measured_runs |= dict(read_run(Path(folder), dated) for folder in runs)
        measured_runs = {name: measured_runs[name] for name in CLAIMS if name in measured_runs}
        dump(measured_runs, kept)
    if not measured_runs:
        raise SystemExit(f"nothing was run yet: python {Path(__file__).name} RUN...")
    for name, run in measured_runs.items():
        CLAIMS[name].plot(run, docs / "images" / f"{name}.png")
    (docs / "claims.md").write_text(page(measured_runs), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
