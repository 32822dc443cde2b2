"""The result of a run: `results.json` for machines, `details.json` and the page for people."""

from __future__ import annotations

import base64
import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from clearbench.data.dataset import Dataset
from clearbench.evaluation.metric import MAIN_TASK
from clearbench.evaluation.records import Records
from clearbench.evaluation.verdict import judge
from clearbench.methods.base import method
from clearbench.runs.compare import combined, null_gaps, ranks
from clearbench.runs.execute import Runtime
from clearbench.runs.plan import PlannedRow
from clearbench.runs.recipe import EvaluationPart, Recipe
from clearbench.runs.stage import read_outcome
from clearbench.runs.stages.score import read_scores
from clearbench.training.reference import reference_forms

SCHEMA = 1
#: Questions shown in the report, per track, and people whose faces are shown.
SHOWN_QUESTIONS, SHOWN_PEOPLE = 6, 8
PACKAGES = ("clearbench", "torch", "transformers", "peft", "accelerate", "datasets", "rouge-score")


def environment(runtime: Runtime) -> dict[str, Any]:
    """What the numbers were made with. No host name, no paths."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "packages": {name: version(name) for name in PACKAGES},
        "accelerator": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
        "workers": runtime.workers,
        "threads_per_worker": runtime.threads,
    }


def result_row(
    planned: Any, job: PlannedRow, gold: PlannedRow, outcomes: Any, evaluation: EvaluationPart
) -> dict[str, Any]:
    """One row of `results.json`, of a job judged against `gold`."""
    from clearbench.runs.run import stage_keys

    outcome = outcomes[job.score.key]
    made = (
        read_outcome(planned.store.folder(job.model.key))
        if outcomes[job.model.key].status != "failed"
        else {}
    )
    if outcomes[job.model.key].status != "ok":
        outcome = outcomes[job.model.key]
    settings = job.model.train.model_dump(mode="json")
    scores = (
        read_scores(planned.store.folder(job.score.key))["scores"] if outcome.status == "ok" else {}
    )
    bands = band_rows(planned, outcomes)
    row = {
        "id": job.id,
        "method": job.method,
        "model": job.kind,
        "modality": job.modality,
        "share": round(job.share, 6),
        "seed": job.model.seed,
        "variant": {
            "parts": list(settings["parts"]),
            "rank": settings["lora_rank"],
            "penalty": settings["penalty"],
        },
        "hyperparameters": job.hyperparameters,
        "training": settings,
        "reference": _reference(job),
        "gold": gold.id,
        "protocol": evaluation.protocol,
        "status": outcome.status,
        "reason": outcome.reason,
        "scores": scores,
        "attacks": {},
        "stages": stage_keys(job),
        "curve": made.get("curve", []),
        "cost": made.get("cost", {}) | _measuring(planned.store.folder(job.measured.plain.key)),
    }
    if scores and job.role != "original":
        ours, best, first = (_numbers(scores, field) for field in ("value", "gold", "original"))
        verdict = judge(ours, best, first, job.modality, job.kind, null_gaps(bands, gold.id))
        row["verdict"] = verdict.model_dump(mode="json")
    return row


def band_rows(planned: Any, outcomes: Any) -> list[dict[str, Any]]:
    return [
        {
            "model": band.golds[0].kind,
            "share": round(band.golds[0].share, 6),
            "golds": [gold.id for gold in band.golds],
            "bands": read_scores(planned.store.folder(band.stage.key)),
        }
        for band in planned.bands
        if outcomes[band.stage.key].status == "ok"
    ]


def _numbers(scores: Mapping[str, Any], field: str) -> dict[str, float]:
    return {key: each[field] for key, each in scores.items() if each[field] is not None}


def _reference(job: PlannedRow) -> str | None:
    if job.role != "unlearn":
        return None
    chosen = method(job.method, **job.hyperparameters)
    return ", ".join(reference_forms(chosen, job.model.train.lora_rank)) or None


def _measuring(path: Path) -> dict[str, float]:
    """What measuring cost, beside what training did."""
    if not path.is_dir():
        return {}
    return {f"measuring_{key}": value for key, value in read_outcome(path)["cost"].items()}


def details(planned: Any, outcomes: Any) -> dict[str, Any]:
    """What the page shows beside the numbers: faces, curves, and answers before and after."""
    dataset = planned.dataset
    scored = {
        row.id: read_scores(planned.store.folder(row.score.key))
        for row in planned.rows
        if outcomes[row.score.key].status == "ok"
    }
    forgotten = sorted({person for f in planned.families for person in f.original.forget})
    kept = sorted(dataset.people("retain") - set(forgotten))
    return {
        "people": {
            "forget": [_person(dataset, person) for person in forgotten[:SHOWN_PEOPLE]],
            "retain": [_person(dataset, person) for person in kept[:SHOWN_PEOPLE]],
        },
        "truth_ratios": {name: each["truth_ratios"] for name, each in scored.items()},
        "questions": _questions(planned, set(scored)),
    }


def _person(dataset: Dataset, person: int) -> dict[str, Any]:
    rows = [r for split in dataset.training.values() for r in split if r.person == person]
    images = [r.image.encoded for r in rows if r.image is not None]
    return {
        "id": str(person),
        "name": dataset.names.get(person, str(person)),
        "portraits": [base64.b64encode(data).decode() for data in images[:2]],
    }


def _questions(planned: Any, scored: set[str]) -> list[dict[str, Any]]:
    dataset = planned.dataset
    spoken: dict[str, pd.DataFrame] = {}
    for family in planned.families:
        for job in family.rows:
            if job.id in scored:
                frame = Records.load(planned.store.folder(job.measured.plain.key)).generations
                frame = frame[frame["task"].isin(MAIN_TASK.values())]
                if len(frame):
                    spoken[job.id] = frame.set_index("row")
    if not spoken:
        return []
    rows = {r.id: r for split in dataset.evaluation.values() for r in split}
    shown = []
    for split, track, task, count in (
        ("forget", "text", "qa", SHOWN_QUESTIONS),
        ("forget", "image", "caption", SHOWN_QUESTIONS),
        ("retain", "text", "qa", 2),
        ("retain", "image", "caption", 2),
    ):
        asked = {
            row: line
            for frame in spoken.values()
            for row, line in frame[
                (frame["split"] == split) & (frame["track"] == track) & (frame["task"] == task)
            ].iterrows()
        }
        for row in _spread(list(asked), count):
            each = rows[str(row)]
            shown.append(
                {
                    "split": split,
                    "track": track,
                    "person": str(each.person),
                    "name": dataset.names.get(each.person or 0, ""),
                    "question": each.question,
                    "truth": each.answer,
                    "image": base64.b64encode(each.image.encoded).decode() if each.image else None,
                    "answers": {
                        name: str(frame.loc[row, "text"])
                        for name, frame in spoken.items()
                        if row in frame.index
                    },
                }
            )
    return shown


def _spread(rows: list[Any], count: int) -> list[Any]:
    """`count` rows spread evenly, so that several people and questions are seen."""
    places = {min(k * len(rows) // count + k % 3, len(rows) - 1) for k in range(count)}
    return [rows[place] for place in sorted(places) if rows]


def assemble(
    recipe: Recipe, runtime: Runtime, planned: Any, rows: list[dict[str, Any]], outcomes: Any
) -> dict[str, Any]:
    """The content of `results.json`."""
    over_seeds = combined(rows)
    bands = band_rows(planned, outcomes)
    return {
        "schema": SCHEMA,
        "recipe": recipe.model_dump(mode="json") | {"identity": recipe.identity},
        "environment": environment(runtime),
        "plugins": [
            {"name": Path(path).name, "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()}
            for path in runtime.plugins
        ],
        "rows": rows,
        "combined": over_seeds,
        "null_bands": bands,
        "rank_correlations": ranks(over_seeds or rows),
    }
