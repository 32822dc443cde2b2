"""Assembles the results of a run from its finished stages."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from clearbench.attacks.scoring import protocol_attacks
from clearbench.data.dataset import Dataset
from clearbench.devices import compute_device
from clearbench.evaluation.protocols import protocol as named_protocol
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.evaluation.verdict.judge import judge
from clearbench.evaluation.verdict.rests_on import MEMBERSHIP, NOT_RUN, RestsOn
from clearbench.evaluation.verdict.verdict import Verdict
from clearbench.libraries import torch
from clearbench.methods.base import method
from clearbench.runs.compare import combined, ranks
from clearbench.runs.execute import Runtime
from clearbench.runs.made_of import plugin_digests
from clearbench.runs.plan import Family, PlannedBand, PlannedRow
from clearbench.runs.recipe import Recipe
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
from clearbench.runs.stage import Stage, StageOutcome, read_outcome
from clearbench.runs.stages.attack import read_attack_scores
from clearbench.runs.stages.score import read_evidence, read_scores
from clearbench.runs.store import Store

PACKAGES = ("clearbench", "torch", "transformers", "peft", "accelerate", "datasets", "rouge-score")


def environment(runtime: Runtime) -> Environment:
    """Describes the software and the machine, without host name and paths."""
    return Environment(
        python=platform.python_version(),
        machine=platform.machine(),
        system=platform.system(),
        packages={name: version(name) for name in PACKAGES},
        accelerator=torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
        device=compute_device(runtime.device).type,
        workers=runtime.processes,
        threads_per_worker=runtime.threads,
    )


@dataclass(frozen=True)
class EndedRun:
    """Stages of a run that has ended.

    Attributes:
        store: Store that holds them.
        outcomes: Outcome of each stage, by key.
    """

    store: Store
    outcomes: Mapping[str, StageOutcome]

    def ok(self, stage: Stage) -> bool:
        """Whether a stage ended well."""
        return self.outcomes[stage.key].status == "ok"

    def outcome(self, row: PlannedRow) -> StageOutcome:
        """Returns the outcome of a row's first stage that did not end well, or of its last."""
        stages = (row.model, *row.measured.stages, row.score)
        bad = (self.outcomes[s.key] for s in stages if not self.ok(s))
        return next(bad, self.outcomes[row.score.key])

    def made(self, stage: Stage) -> dict[str, Any]:
        """Reads the facts a stage recorded of its making; nothing where it failed."""
        failed = self.outcomes[stage.key].status == "failed"
        return {} if failed else read_outcome(self.store.folder(stage.key))

    def scored(self, row: PlannedRow) -> Scored | None:
        """Reads a row's scores; None where it did not end well."""
        if not self.ok(row.score):
            return None
        return Scored.model_validate(read_scores(self.store.finished(row.score.key)))

    def attacked(self, row: PlannedRow) -> dict[str, dict[str, Any]]:
        """Reads `scores`, `curves` and `drawings` of a row's attacks, and why others `failed`."""
        found: dict[str, dict[str, Any]] = {"scores": {}, "curves": {}, "drawings": {}}
        failed: dict[str, Any] = {}
        for name, stage in row.attacks.items():
            if self.ok(stage):
                content = read_attack_scores(self.store.finished(stage.key))
                found = {part: known | content.get(part, {}) for part, known in found.items()}
            else:
                failed[name] = self.outcomes[stage.key].reason
        return {**found, "failed": failed}


def result_row(
    row: PlannedRow,
    golds: Sequence[PlannedRow],
    ended: EndedRun,
    evaluation: EvaluationSettings,
    names: Mapping[int, str],
) -> Row:
    """Makes a row of the results, judged against the first gold.

    Args:
        row: Planned row.
        golds: Golds of its family; it is compared with the first.
        ended: Stages of the run.
        evaluation: Settings of the evaluation.
        names: Names of the people.
    """
    outcome, made, settings = ended.outcome(row), ended.made(row.model), row.model.train
    scored, found = ended.scored(row), ended.attacked(row)
    result = Row(
        id=row.id,
        method=row.method,
        model=row.kind,
        modality=row.modality,
        share=round(row.share, 6),
        seed=row.model.seed,
        variant=Variant(parts=settings.parts, rank=settings.lora_rank, penalty=settings.penalty),
        hyperparameters=row.hyperparameters,
        training=settings,
        reference=_reference(row),
        gold=golds[0].id,
        protocol=evaluation.protocol,
        status=outcome.status,
        reason=outcome.reason,
        scores=scored.scores if scored else {},
        curve=made.get("curve", ()),
        cost=_cost(made, ended.made(row.measured.plain)),
        stages=row.stage_keys,
        failed_metrics=scored.failed_metrics if scored else {},
        attacks=found["scores"],
        attack_curves=found["curves"],
        attack_drawings=found["drawings"],
        failed_attacks=found["failed"],
    )
    if scored is None or not scored.scores:
        return result
    return result.model_copy(
        update={"verdict": _verdict(row, golds, scored, ended, evaluation, names)}
    )


def _verdict(
    row: PlannedRow,
    golds: Sequence[PlannedRow],
    scored: Scored,
    ended: EndedRun,
    evaluation: EvaluationSettings,
    names: Mapping[int, str],
) -> Verdict:
    table = read_evidence(ended.store.finished(row.score.key))
    about = table[table["key"].str.startswith("forget.")]
    by_track = about.groupby(about["key"].str.split(".").str[1], sort=True)
    scoring = _attacks(evaluation, scored)
    made = [stage.ours.configured for stage in row.attacks.values() if ended.ok(stage)]
    tried = {each.tries for each in made} | ({MEMBERSHIP} if scoring else set())
    rests_on = RestsOn(
        people_forgotten=len({*row.forget, *row.gone}),
        people_asked={str(track): int(n) for track, n in by_track["person"].nunique().items()},
        rows={str(track): int(n) for track, n in by_track["row"].nunique().items()},
        golds=len(golds),
        attacks=tuple(sorted({*scoring, *(each.name for each in made)})),
        not_run=tuple(words for words in (MEMBERSHIP, *NOT_RUN) if words not in tried),
    )
    return judge(
        table, row.modality, row.kind, evaluation.verdict, scored.worst_answers, rests_on, names
    )


def _attacks(evaluation: EvaluationSettings, scored: Scored) -> tuple[str, ...]:
    """Names the protocol's attacks that gave a score: without holdout people none does."""
    names = {key.rpartition(".")[2] for key in scored.scores}
    listed = protocol_attacks(named_protocol(evaluation.protocol))
    return tuple(sorted(each.name for each in listed if names & each.numbers().keys()))


def _reference(row: PlannedRow) -> str | None:
    if row.role != "unlearn":
        return None
    from clearbench.training.reference import reference_forms  # the engine

    chosen = method(row.method, **row.hyperparameters)
    return ", ".join(reference_forms(chosen, row.model.train.lora_rank)) or None


def _cost(made: Mapping[str, Any], measured: Mapping[str, Any]) -> Cost:
    """Adds the cost of training and that of measuring, where the model was measured."""
    measuring = {f"measuring_{key}": value for key, value in measured.get("cost", {}).items()}
    return Cost(**made.get("cost", {}), **measuring)


def _null_band(planned: PlannedBand, ended: EndedRun) -> NullBand:
    first = planned.golds[0]
    return NullBand.model_validate(
        {
            "model": first.kind,
            "share": round(first.share, 6),
            "golds": [gold.id for gold in planned.golds],
            "bands": read_scores(ended.store.finished(planned.stage.key)),
        }
    )


def assemble(
    recipe: Recipe,
    dataset: Dataset,
    runtime: Runtime,
    families: Sequence[Family],
    planned_bands: Sequence[PlannedBand],
    ended: EndedRun,
) -> Results:
    """Collects the rows and everything computed from several of them."""
    bands = [_null_band(band, ended) for band in planned_bands if ended.ok(band.stage)]
    rows = [
        result_row(row, family.golds, ended, recipe.evaluation, dataset.names)
        for family in families
        for row in family.rows
    ]
    over_seeds = combined(rows)
    content = recipe.model_dump(mode="json") | {"identity": recipe.identity}
    return Results(
        recipe=RecordedRecipe.model_validate(content),
        environment=environment(runtime),
        plugins=tuple(
            Plugin(name=name, sha256=digest) for name, digest in plugin_digests(runtime).items()
        ),
        rows=tuple(rows),
        combined=over_seeds,
        null_bands=tuple(bands),
        rank_correlations=ranks(over_seeds or rows),
    )
