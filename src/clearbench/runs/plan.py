"""Plans the stages of a recipe: models to make, their measurements and their scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from clearbench.batches.kind import Kind
from clearbench.data.dataset import Dataset
from clearbench.data.modality import modalities, spell_modalities
from clearbench.errors import RecipeError
from clearbench.evaluation.controls import Control
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.methods.base import methods
from clearbench.runs.attack_part import AttackPart
from clearbench.runs.gold import gold_settings
from clearbench.runs.recipe import GOLD_SEED_STEP, MethodPart, Recipe
from clearbench.runs.stages.attack import AttackScoreStage, AttackStage
from clearbench.runs.stages.data import StoredData
from clearbench.runs.stages.measure import MeasureStage
from clearbench.runs.stages.model import ModelSource, ModelStage
from clearbench.runs.stages.score import MeasuredModel, NullBandStage, ScoreStage
from clearbench.runs.stages.teach import TeachStage
from clearbench.runs.stages.unlearn import UnlearnStage
from clearbench.runs.stages.unlearn_curve import UnlearnWithCurveStage

if TYPE_CHECKING:  # heads of shadow models need the engine to be planned
    from clearbench.runs.plan_shadows import ShadowPeople, ShadowPlanner
    from clearbench.runs.stages.heads_attack import HeadsScoreStage

    ScoredAttack = AttackScoreStage | HeadsScoreStage

Role = Literal["original", "gold", "unlearn"]


@dataclass(frozen=True)
class PlannedRow:
    """One row of the results: a model, its measurements and its scores.

    Attributes:
        id: Id of the row.
        role: `original`, `gold` or `unlearn`.
        method: Name of the method; the role for models that were only taught.
        modality: Modalities that are forgotten, as the recipe spells them.
        model: Stage that leaves the model.
        measured: Measurements of the model.
        score: Stage that scores it.
        forget: People forgotten by this request.
        gone: People forgotten by earlier requests.
        share: Share of all people who are forgotten by now.
        hyperparameters: Settings of the method itself.
        attacks: Scores of attacks on the model, by the attack's key.
    """

    id: str
    role: Role
    method: str
    modality: str
    model: ModelStage
    measured: MeasuredModel
    score: ScoreStage
    forget: tuple[int, ...]
    gone: tuple[int, ...]
    share: float
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    attacks: dict[str, ScoredAttack] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """Kind of the model."""
        return self.model.base.kind

    @property
    def stage_keys(self) -> dict[str, str]:
        """Keys of the row's stages, by role."""
        records = {f"records {s.control or 'plain'}": s.key for s in self.measured.stages}
        attacks = {f"attack {name}": stage.key for name, stage in self.attacks.items()}
        return {"model": self.model.key, **records, "scores": self.score.key, **attacks}


@dataclass(frozen=True)
class Family:
    """All rows on one kind of model after one forget request: they share original and gold."""

    original: PlannedRow
    golds: tuple[PlannedRow, ...]
    unlearned: tuple[PlannedRow, ...]

    @property
    def rows(self) -> tuple[PlannedRow, ...]:
        """Rows in the order of the results."""
        return (self.original, *self.golds, *self.unlearned)


@dataclass(frozen=True)
class PlannedBand:
    """A null band from golds of different seeds without the same people."""

    golds: tuple[PlannedRow, ...]
    stage: NullBandStage


def forget_requests(recipe: Recipe, dataset: Dataset) -> list[tuple[int, ...]]:
    """Returns the people of each request, in order of arrival."""
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


def plan(
    recipe: Recipe, dataset: Dataset, data: StoredData, shadows: ShadowPeople | None = None
) -> list[Family]:
    """Plans every row of a recipe.

    Args:
        recipe: Checked recipe.
        dataset: Dataset with all its people.
        data: Finished data stage.
        shadows: People of the shadow models, where the recipe has any.
    """
    families: list[Family] = []
    requests = forget_requests(recipe, dataset)
    people = len(dataset.people("forget") | dataset.people("retain"))
    first, *_ = recipe.training_seeds
    for kind, seed in product(recipe.models, recipe.training_seeds):
        last: dict[tuple[int, str], ModelStage] = {}
        for number, forget in enumerate(requests):
            gone = tuple(person for earlier in requests[:number] for person in earlier)
            label = f"-request{number + 1}" if len(requests) > 1 else ""
            label += f"-seed{seed}" if seed != first else ""
            share = (len(gone) + len(forget)) / people
            planner = _FamilyPlanner(
                recipe, kind, dataset, data, seed, forget, gone, share, label, shadows
            )
            families.append(planner.plan(last))
    return families


def null_bands(families: Sequence[Family], evaluation: EvaluationSettings) -> Iterator[PlannedBand]:
    """Plans a null band wherever there are golds of several seeds without the same people."""
    pools: dict[tuple[Any, ...], tuple[PlannedRow, dict[str, PlannedRow]]] = {}
    for family in families:
        for gold in family.golds:
            same = (gold.kind, gold.model.base.source, gold.forget, gold.gone)
            _, pool = pools.setdefault(same, (family.original, {}))
            pool.setdefault(gold.model.key, gold)
    for original, pool in pools.values():
        golds = tuple(pool.values())
        if len(golds) > 1:
            measured = tuple(gold.measured for gold in golds)
            yield PlannedBand(golds, NullBandStage(original.measured, evaluation, measured))


@dataclass(frozen=True)
class _FamilyPlanner:
    """Plans the rows on one kind of model, with one seed, after one request."""

    recipe: Recipe
    kind: Kind
    dataset: Dataset
    data: StoredData
    seed: int
    forget: tuple[int, ...]
    gone: tuple[int, ...]
    share: float
    label: str
    shadows: ShadowPeople | None = None

    def plan(self, last: dict[tuple[int, str], ModelStage]) -> Family:
        """Plans original, golds and methods.

        Args:
            last: Stage from which a method starts, by its place in the recipe: the one that it
                left after the request before. Added to.
        """
        part = self.recipe.models[self.kind]
        base = ModelSource(self.kind, part.source, part.head, part.dtype, part.base)
        first = TeachStage(base, self.data, part.teach, self.seed)
        seeds = [self.seed + GOLD_SEED_STEP * number for number in range(part.golds)]
        without = tuple(sorted({*self.forget, *self.gone}))
        teach = gold_settings(part.teach, part.gold_schedule, self.dataset, self.kind, without)
        taught = [TeachStage(base, self.data, teach, seed, without) for seed in seeds]
        measured = self._measured(first), self._measured(taught[0])
        whole = spell_modalities(self.dataset.modalities(self.kind))
        original = self._row(
            f"{self.kind}-original", "original", "original", whole, first, measured
        )
        golds = tuple(
            self._row(
                f"{self.kind}-gold" + (f"-seed{stage.seed}" if number else ""),
                *("gold", "gold", whole, stage, measured),
            )
            for number, stage in enumerate(taught)
        )
        unlearned: list[PlannedRow] = []
        for place, entry in enumerate(self.recipe.runs):
            for modality in entry.modalities if entry.model == self.kind else ():
                start = last.get((place, modality), first)
                row = self._unlearned(entry, modality, start, taught[0], measured)
                last[place, modality] = row.model
                unlearned.append(_numbered(row, unlearned))
        return Family(original, golds, tuple(unlearned))

    def _unlearned(
        self,
        entry: MethodPart,
        modality: str,
        start: ModelStage,
        gold: TeachStage,
        measured: tuple[MeasuredModel, MeasuredModel],
    ) -> PlannedRow:
        name = f"{self.kind}-{modality}-{entry.method}{_variant(entry)}"
        if methods()[entry.method].from_base:
            return self._row(name, "gold", entry.method, modality, gold, measured, entry)
        fields: dict[str, Any] = {
            "base": gold.base,
            "data": self.data,
            "train": entry.train,
            "seed": self.seed,
            "start": start,
            "method": entry.method,
            "hyperparameters": dict(entry.hyperparameters),
            "modality": modality,
            "forget": self.forget,
            "gone": self.gone,
        }
        curve = self.recipe.evaluation.curve_settings
        stage: ModelStage = (
            UnlearnWithCurveStage(**fields, curve=curve) if curve else UnlearnStage(**fields)
        )
        row = self._row(name, "unlearn", entry.method, modality, stage, measured, entry)
        return replace(row, hyperparameters=dict(entry.hyperparameters))

    def _row(
        self,
        name: str,
        role: Role,
        method: str,
        modality: str,
        model: ModelStage,
        compared: tuple[MeasuredModel, MeasuredModel],
        entry: MethodPart | None = None,
    ) -> PlannedRow:
        original, gold = compared
        measured = original if role == "original" else self._measured(model)
        score = ScoreStage(original, self.recipe.evaluation, measured, gold)
        attacker = _AttackPlanner(self._shadow_planner, compared, role, entry, modality)
        attacks = {
            part.configured.score_key: scored
            for part in self.recipe.attacks
            if part.meets(self.kind, method if role == "unlearn" else None)
            and (scored := attacker.scored(part, measured)) is not None
        }
        return PlannedRow(
            f"{name}{self.label}", role, method, modality, model, measured, score,
            self.forget, self.gone, self.share, attacks=attacks,
        )  # fmt: skip

    @cached_property
    def _shadow_planner(self) -> ShadowPlanner | None:
        part, model = self.recipe.shadows.get(self.kind), self.recipe.models[self.kind]
        if part is None or self.shadows is None:
            return None
        from clearbench.runs.plan_shadows import ShadowPlanner

        base = ModelSource(self.kind, model.source, model.head, model.dtype, model.base)
        return ShadowPlanner(part, base, model, self.shadows, self.seed)

    def _measured(self, model: ModelStage) -> MeasuredModel:
        evaluation = self.recipe.evaluation
        gone = tuple(sorted({*self.forget, *self.gone}))
        wanted: tuple[Control, ...] = ()
        if any(modalities()[name].media for name in self.dataset.modalities(self.kind)):
            original = isinstance(model, TeachStage) and not model.without
            gate = original and evaluation.eligible == "known_by_sight"
            wanted = tuple(dict.fromkeys((*evaluation.controls, *(("blank",) if gate else ()))))
        return MeasuredModel(
            MeasureStage(model, gone, evaluation),
            {name: MeasureStage(model, gone, evaluation, name) for name in wanted},
        )


@dataclass(frozen=True)
class _AttackPlanner:
    """Plans attacks on one model, its gold and its original."""

    shadows: ShadowPlanner | None
    compared: tuple[MeasuredModel, MeasuredModel]
    role: Role
    entry: MethodPart | None
    modality: str

    def scored(self, part: AttackPart, ours: MeasuredModel) -> ScoredAttack | None:
        """Plans an attack; None on further golds, or without the shadow models that it needs."""
        planner = self.shadows if part.learns else None
        further = self.role == "gold" and ours.plain.key != self.compared[1].plain.key
        if further or (part.learns and planner is None):
            return None
        if planner is not None and planner.part.heads:
            return planner.heads_attack(part, self.role, self.entry)
        original, gold = (model.plain for model in self.compared)
        who: dict[str, tuple[MeasureStage, str, MethodPart | None]] = {
            "own": (ours.plain, self.role, self.entry),
            "gold": (gold, "gold", None),
            "original": (original, "original", None),
        }
        stages = {}
        for name, (measured, role, entry) in who.items():
            golds, originals = (
                None if measured.key == other.key else other for other in (gold, original)
            )
            stage = AttackStage(measured, golds, originals, part.attack, part.parameters)
            if planner is not None:
                shadows = planner.measured(role, entry, self.modality)
                stage = replace(stage, shadows=tuple(shadows))
            stages[name] = stage
        return AttackScoreStage(stages["own"], stages["gold"], stages["original"])


def _variant(entry: MethodPart) -> str:
    """Spells the trained parts for a row's id."""
    settings = entry.train
    tower = "vision" in settings.parts and entry.model != "classifier"
    return ("-vision" if tower else "") + (
        f"-lora{settings.lora_rank}" if settings.lora_rank else ""
    )


def _numbered(row: PlannedRow, before: Sequence[PlannedRow]) -> PlannedRow:
    """Gives the row an id of its own, where a search tries one method several times."""
    taken = {other.id for other in before}
    names = [row.id, *(f"{row.id}-{number}" for number in range(2, len(before) + 3))]
    return replace(row, id=next(name for name in names if name not in taken))
