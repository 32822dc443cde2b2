"""Assembles the results of a run from its finished stages."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch

from clearbench.evaluation.verdict import Verdict, judge
from clearbench.methods.base import method
from clearbench.runs import work
from clearbench.runs.compare import combined, null_gaps, ranks
from clearbench.runs.execute import Outcome, Runtime
from clearbench.runs.plan import Job
from clearbench.runs.recipe import EvaluationPart, Recipe
from clearbench.runs.rows import Status
from clearbench.runs.schema import (
    Cost,
    Environment,
    NullBand,
    Plugin,
    RecordedRecipe,
    Results,
    Row,
    Scored,
    Variant,
)
from clearbench.storage import read_json
from clearbench.training.reference import reference_forms
from clearbench.training.settings import TrainSettings

PACKAGES = ("clearbench", "torch", "transformers", "peft", "accelerate", "datasets", "rouge-score")


def environment(runtime: Runtime) -> Environment:
    """Describes the software and the machine, without host name and paths."""
    return Environment(
        python=platform.python_version(),
        machine=platform.machine(),
        system=platform.system(),
        packages={name: version(name) for name in PACKAGES},
        accelerator=torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
        workers=runtime.workers,
        threads_per_worker=runtime.threads,
    )


def result_row(
    root: Path,
    job: Job,
    gold: Job,
    scored: Scored | None,
    outcome: Outcome,
    evaluation: EvaluationPart,
    bands: Sequence[NullBand],
) -> Row:
    """Makes the row of a job, judged against `gold`.

    Args:
        root: Folder of the stages.
        job: The job.
        gold: The job that it is compared with.
        scored: Its scores; None where it did not end well.
        outcome: How the jobs of the run ended.
        evaluation: The recipe's evaluation.
        bands: The null bands of the run.
    """
    status = outcome.status[job.id]
    made = read_json(root / job.stage / work.OUTCOME) if status != "failed" else {}
    settings = TrainSettings.model_validate(job.settings)
    row = Row(
        id=job.id,
        method=job.method,
        model=job.model,
        modality=job.modality,
        share=round(job.share, 6),
        seed=job.seed,
        variant=Variant(parts=settings.parts, rank=settings.lora_rank, penalty=settings.penalty),
        hyperparameters=job.hyperparameters,
        training=settings,
        reference=_reference(job, settings),
        gold=gold.id,
        protocol=evaluation.protocol,
        status=cast(Status, status),
        reason=outcome.reason.get(job.id, ""),
        scores=scored.scores if scored else {},
        curve=made.get("curve", ()),
        cost=_cost(made.get("cost", {}), root / job.records(evaluation) / work.COST),
    )
    if job.role == "original" or not row.scores:
        return row
    return row.model_copy(update={"verdict": _verdict(row, bands)})


def _verdict(row: Row, bands: Sequence[NullBand]) -> Verdict:
    values, gold, original = row.values(), row.values("gold"), row.values("original")
    return judge(values, gold, original, row.modality, row.model, null_gaps(bands, row.gold))


def _reference(job: Job, settings: TrainSettings) -> str | None:
    if job.role != "unlearn":
        return None
    chosen = method(job.method, **job.hyperparameters)
    return ", ".join(reference_forms(chosen, settings.lora_rank)) or None


def _cost(training: dict[str, Any], measuring: Path) -> Cost:
    """The cost of training, joined by that of measuring where the model was measured."""
    measured = read_json(measuring) if measuring.is_file() else {}
    return Cost(**training, **{f"measuring_{key}": value for key, value in measured.items()})


def assemble(
    recipe: Recipe, runtime: Runtime, rows: Sequence[Row], bands: Sequence[NullBand]
) -> Results:
    """Puts the rows together with all that is computed from several of them."""
    over_seeds = combined(rows)
    content = recipe.model_dump(mode="json") | {"identity": recipe.identity}
    return Results(
        recipe=RecordedRecipe.model_validate(content),
        environment=environment(runtime),
        plugins=tuple(_plugin(Path(path)) for path in runtime.plugins),
        rows=tuple(rows),
        combined=over_seeds,
        null_bands=tuple(bands),
        rank_correlations=ranks(over_seeds or rows),
    )


def _plugin(path: Path) -> Plugin:
    return Plugin(name=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
