"""From a recipe to jobs: what is made from what, each with a content hash."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any, Literal

from clearbench.batches.items import Kind
from clearbench.data.dataset import Dataset
from clearbench.data.modality import spell_modalities
from clearbench.errors import RecipeError
from clearbench.evaluation.controls import Control
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.methods.base import methods
from clearbench.models.heads import Head
from clearbench.runs.recipe import (
    GOLD_SEED_STEP,
    MethodPart,
    Recipe,
)
from clearbench.storage import content_hash, safe_name

#: Raised when a stage's result would change for the same inputs.
STAGE_VERSION = 1
#: The same for records.
RECORDS_VERSION = 3
Role = Literal["original", "gold", "unlearn"]


@dataclass(frozen=True)
class Job:
    """One model to make and measure.

    Attributes:
        id: The row's id in the results.
        role: `original`, `gold` or `unlearn`.
        source: The base it was, or would be, taught from.
        settings: Of its training, as JSON.
        forget: People forgotten by this job.
        gone: People forgotten by earlier requests.
        start: The job whose model it starts from; None for the base.
        curve: What is measured on the way, as JSON.
        head: Of a classifier; None for its base's own kind.
    """

    id: str
    role: Role
    model: Kind
    source: str
    data: str
    method: str
    modality: str
    settings: dict[str, Any]
    seed: int
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    forget: tuple[int, ...] = ()
    gone: tuple[int, ...] = ()
    start: Job | None = None
    head: Head | None = None
    share: float = 0.0
    request: int = 1
    curve: dict[str, Any] | None = None

    @cached_property
    def stage(self) -> str:
        """The name of its folder: what decides the weights, hashed."""
        about: dict[str, Any] = {
            "version": STAGE_VERSION,
            "model": self.model,
            "source": self.source,
            "data": self.data,
            "settings": self.settings,
            "seed": self.seed,
        } | ({"head": self.head} if self.head else {})
        if self.role == "gold":
            about["without"] = sorted({*self.forget, *self.gone})
        elif self.role == "unlearn":
            about |= {
                "method": self.method,
                "hyperparameters": self.hyperparameters,
                "modality": self.modality,
                "forget": self.forget,
                "gone": self.gone,
                "start": self.start.stage if self.start else None,
            }
        if self.curve is not None:
            about["curve"] = self.curve
        kind = "gold" if self.role == "gold" else self.method
        return safe_name(f"model-{self.model}-{kind}-{content_hash(about)}")

    def controls(self, evaluation: EvaluationSettings) -> tuple[Control, ...]:
        """The controls that it is measured under."""
        gate = self.role == "original" and evaluation.eligible == "known_by_sight"
        if self.model == "language":
            return ()
        return tuple(dict.fromkeys((*evaluation.controls, *(("blank",) if gate else ()))))

    def all_records(self, evaluation: EvaluationSettings) -> tuple[str, ...]:
        """The names of the folders of its records, under controls too."""
        names = (None, *self.controls(evaluation))
        return tuple(self.records(evaluation, name) for name in names)

    def records(self, evaluation: EvaluationSettings, control: Control | None = None) -> str:
        """The name of the folder of its records, as it is or under a control."""
        about: dict[str, Any] = {
            "stage": self.stage,
            "version": RECORDS_VERSION,
            "measured": sorted({*self.forget, *self.gone}),
            "evaluation": evaluation.measured,
        } | ({"control": control} if control else {})
        return safe_name(f"records-{self.stage.removeprefix('model-')}-{content_hash(about)}")

    @property
    def about(self) -> dict[str, Any]:
        """For a manifest."""
        return {k: v for k, v in asdict(self).items() if k != "start"} | {
            "start": self.start.stage if self.start else None
        }


@dataclass(frozen=True)
class Family:
    """All jobs on one model after one forget request: they share original and gold."""

    original: Job
    golds: tuple[Job, ...]
    unlearned: tuple[Job, ...]

    @property
    def jobs(self) -> tuple[Job, ...]:
        """In the order of the results."""
        return (self.original, *self.golds, *self.unlearned)


def forget_requests(recipe: Recipe, dataset: Dataset) -> list[tuple[int, ...]]:
    """The people of each request, in order of arrival."""
    reported = sorted(dataset.people("forget"))
    if recipe.data.fold == "validation":
        others = sorted(dataset.people("retain"))
        with_rows = {r.person for r in dataset.evaluation.get("retain", ())}
        reported = [person for person in others if person in with_rows][-len(reported) :]
    sizes = recipe.data.requests or (len(reported),)
    if sum(sizes) != len(reported):
        raise RecipeError(
            f"requests of {'+'.join(map(str, sizes))} people for {len(reported)} to forget",
            "data.requests",
            "they must sum to data.forget",
        )
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    return [tuple(reported[s : s + size]) for s, size in zip(starts, sizes, strict=True)]


def plan(recipe: Recipe, dataset: Dataset, data: str) -> list[Family]:
    """Every job of a recipe, by family."""
    families: list[Family] = []
    requests = forget_requests(recipe, dataset)
    people = len(dataset.people("forget") | dataset.people("retain"))
    first, *_ = recipe.training_seeds
    for kind, seed in product(recipe.models, recipe.training_seeds):
        last: dict[tuple[int, str], Job] = {}
        taught = spell_modalities(dataset.modalities(kind))
        for number, forget in enumerate(requests):
            gone = tuple(person for earlier in requests[:number] for person in earlier)
            share = (len(gone) + len(forget)) / people
            label = f"-request{number + 1}" if len(requests) > 1 else ""
            label += f"-seed{seed}" if seed != first else ""
            family = _family(recipe, kind, data, seed, forget, gone, share, label, taught, last)
            families.append(family)
    return families


def _family(
    recipe: Recipe,
    kind: Kind,
    data: str,
    seed: int,
    forget: tuple[int, ...],
    gone: tuple[int, ...],
    share: float,
    label: str,
    taught_modality: str,
    last: dict[tuple[int, str], Job],
) -> Family:
    part = recipe.models[kind]
    teach = part.teach.model_dump(mode="json")

    def taught(role: Role, number: int) -> Job:
        own = seed + GOLD_SEED_STEP * number
        suffix = f"-seed{own}" if number else ""
        return Job(
            id=f"{kind}-{role}{suffix}{label}",
            role=role,
            model=kind,
            source=part.source,
            head=part.head,
            data=data,
            method=role,
            modality=taught_modality,
            settings=teach,
            seed=own,
            forget=forget,
            gone=gone,
            share=share,
        )

    original = taught("original", 0)
    golds = tuple(taught("gold", number) for number in range(part.golds))
    unlearned: list[Job] = []
    for place, each in enumerate(recipe.runs):
        if each.model == kind:
            for modality in each.modalities:
                start = last.get((place, modality), original)
                job = _unlearn(each, modality, original, start, label)
                if job.role == "unlearn":
                    job = replace(job, curve=recipe.evaluation.curve_settings)
                last[place, modality] = job
                unlearned.append(_numbered(job, unlearned))
    return Family(original, golds, tuple(unlearned))


def _numbered(job: Job, before: list[Job]) -> Job:
    """The same job with an id of its own, where a search tries one method several times."""
    taken = {other.id for other in before}
    names = [job.id, *(f"{job.id}-{number}" for number in range(2, len(before) + 3))]
    return replace(job, id=next(name for name in names if name not in taken))


def _unlearn(part: MethodPart, modality: str, original: Job, start: Job, label: str) -> Job:
    settings = part.train.model_dump(mode="json")
    parts = settings["parts"]
    variant = "" if "vision" not in parts or part.model == "classifier" else "-vision"
    if settings["lora_rank"]:
        variant += f"-lora{settings['lora_rank']}"
    id = f"{part.model}-{modality}-{part.method}{variant}{label}"
    if methods()[part.method].from_base:
        return replace(original, id=id, role="gold", method=part.method, modality=modality)
    return replace(
        original,
        id=id,
        role="unlearn",
        method=part.method,
        modality=modality,
        settings=settings,
        hyperparameters=dict(part.hyperparameters),
        start=start,
    )
