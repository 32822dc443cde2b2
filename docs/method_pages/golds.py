"""Judges the gold of one seed beside another's, as if it were a run, and keeps it in golds.json.

No method can do better than a model that was never taught the people: what a gold gets is the
floor of every number on the page, and says how often the verdict can be sure in this world.
"""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from clearbench.evaluation.records import Records
from clearbench.evaluation.verdict.evidence import evidence
from clearbench.evaluation.verdict.judge import judge
from clearbench.evaluation.verdict.settings import VerdictSettings
from clearbench.runs.choose import shortfall
from clearbench.runs.schema import Results, Row
from method_pages.measured import rounded

_RECORDS = "records plain"


class JudgedGold(BaseModel):
    """What a gold gets as a run.

    Attributes:
        seed: Seed of the gold that is judged.
        beside: Seed of the original and of the gold that it is compared with.
        shortfall: Its shortfall; None where no distance was measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    modality: str
    seed: int
    beside: int
    word: str
    shortfall: float | None


def judged_golds(results: Results, stages: Path) -> tuple[JudgedGold, ...]:
    """Judges every gold of a run beside the golds of its other seeds.

    Args:
        results: Results of the run.
        stages: Folder of its stages.
    """
    found = []
    for model in dict.fromkeys(row.model for row in results.rows):
        golds, originals = (
            {row.seed: row for row in results.rows if (row.model, row.method) == (model, role)}
            for role in ("gold", "original")
        )
        for seed, beside in permutations(golds, 2):
            rows = (golds[seed], golds[beside], originals[beside])
            found.append(_judged(rows, beside, results, stages))
    return tuple(found)


def _judged(rows: tuple[Row, Row, Row], beside: int, results: Results, stages: Path) -> JudgedGold:
    ours, gold, original = (Records.load(stages / row.stages[_RECORDS]) for row in rows)
    row = rows[0]
    table = evidence(ours, gold, original, row.model)
    settings = VerdictSettings.model_validate(results.recipe.evaluation.verdict)
    verdict = judge(table, row.modality, row.model, settings)
    return JudgedGold(
        model=row.model,
        modality=row.modality,
        seed=row.seed,
        beside=beside,
        word=verdict.word,
        shortfall=rounded(shortfall(verdict)),
    )


_KEPT = TypeAdapter(tuple[JudgedGold, ...])


def dump_golds(golds: tuple[JudgedGold, ...], path: Path) -> None:
    """Writes what golds got as JSON."""
    path.write_bytes(_KEPT.dump_json(golds, indent=1) + b"\n")


def load_golds(path: Path) -> tuple[JudgedGold, ...]:
    """Reads what golds got; nothing without a file."""
    return _KEPT.validate_json(path.read_bytes()) if path.exists() else ()
