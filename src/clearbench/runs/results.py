"""The result of a run: `results.json` for machines, `details.json` and the page for people."""

from __future__ import annotations

import base64
import hashlib
import platform
from collections.abc import Mapping, Sequence
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
from clearbench.runs import work
from clearbench.runs.compare import combined, null_gaps, ranks
from clearbench.runs.execute import Outcome, Runtime
from clearbench.runs.plan import Family, Job
from clearbench.runs.recipe import EvaluationPart, Recipe
from clearbench.storage import read_json
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
    root: Path,
    job: Job,
    gold: Job,
    scored: Any,
    outcome: Outcome,
    evaluation: EvaluationPart,
    bands: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """One row of `results.json`, of a job judged against `gold`."""
    status = outcome.status[job.id]
    made = read_json(root / job.stage / work.OUTCOME) if status != "failed" else {}
    settings = job.settings
    scores = scored["scores"] if scored else {}
    row = {
        "id": job.id,
        "method": job.method,
        "model": job.model,
        "modality": job.modality,
        "share": round(job.share, 6),
        "seed": job.seed,
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
        "status": status,
        "reason": outcome.reason.get(job.id, ""),
        "scores": scores,
        "attacks": {},
        "curve": made.get("curve", []),
        "cost": made.get("cost", {}) | _measuring(root / job.records(evaluation) / work.COST),
    }
    if scores and job.role != "original":
        ours, best, first = (_numbers(scores, field) for field in ("value", "gold", "original"))
        verdict = judge(ours, best, first, job.modality, job.model, null_gaps(bands, gold.id))
        row["verdict"] = verdict.model_dump(mode="json")
    return row


def _numbers(scores: Mapping[str, Any], field: str) -> dict[str, float]:
    return {key: each[field] for key, each in scores.items() if each[field] is not None}


def _reference(job: Job) -> str | None:
    if job.role != "unlearn":
        return None
    chosen = method(job.method, **job.hyperparameters)
    return ", ".join(reference_forms(chosen, job.settings["lora_rank"])) or None


def _measuring(path: Path) -> dict[str, float]:
    """What measuring cost, beside what training did."""
    if not path.is_file():
        return {}
    return {f"measuring_{key}": value for key, value in read_json(path).items()}


def details(
    root: Path,
    dataset: Dataset,
    families: list[Family],
    scored: Mapping[str, Any],
    evaluation: EvaluationPart,
) -> dict[str, Any]:
    """What the page shows beside the numbers: faces, curves, and answers before and after."""
    forgotten = sorted({person for f in families for person in f.original.forget})
    kept = sorted(dataset.people("retain") - set(forgotten))
    return {
        "people": {
            "forget": [_person(dataset, person) for person in forgotten[:SHOWN_PEOPLE]],
            "retain": [_person(dataset, person) for person in kept[:SHOWN_PEOPLE]],
        },
        "truth_ratios": {name: each["truth_ratios"] for name, each in scored.items()},
        "questions": _questions(root, dataset, families, set(scored), evaluation),
    }


def _person(dataset: Dataset, person: int) -> dict[str, Any]:
    rows = [r for split in dataset.training.values() for r in split if r.person == person]
    images = [r.image.encoded for r in rows if r.image is not None]
    return {
        "id": str(person),
        "name": dataset.names.get(person, str(person)),
        "portraits": [base64.b64encode(data).decode() for data in images[:2]],
    }


def _questions(
    root: Path,
    dataset: Dataset,
    families: list[Family],
    scored: set[str],
    evaluation: EvaluationPart,
) -> list[dict[str, Any]]:
    spoken: dict[str, pd.DataFrame] = {}
    for family in families:
        for job in family.jobs:
            if job.id in scored:
                frame = Records.load(root / job.records(evaluation)).generations
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
                    "image": base64.b64encode(each.image.encoded).decode()
                    if each.image
                    else None,
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
    recipe: Recipe, runtime: Runtime, rows: list[dict[str, Any]], bands: list[dict[str, Any]]
) -> dict[str, Any]:
    """The content of `results.json`."""
    over_seeds = combined(rows)
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
