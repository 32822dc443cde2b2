"""Defines a recipe: one YAML file with every setting of an experiment, and no paths of its run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from clearbench.batches.kind import Kind
from clearbench.data.modality import parse_modalities, readable_by, spellings
from clearbench.errors import RecipeError, explain
from clearbench.evaluation.settings import CurveSettings, EvaluationSettings
from clearbench.methods.base import methods
from clearbench.models.head import Head
from clearbench.runs.attack_part import AttackPart, ShadowPart
from clearbench.runs.data_part import DataPart
from clearbench.runs.gold import GoldSchedule
from clearbench.runs.grid import expand
from clearbench.runs.recipe_file import read_recipe, recipe_path
from clearbench.runs.stored import is_empty
from clearbench.storage import content_hash
from clearbench.training.method_checks import check_method, check_teaching, named_method
from clearbench.training.settings import LARGEST_SEED, TrainSettings

#: Distance between the seeds of further golds.
GOLD_SEED_STEP = 1000
#: Fields that decide no number.
WORDS = ("title", "description")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelPart(_Part):
    """One model to start from and how it is taught.

    Attributes:
        source: Source `builtin`, a folder, or a hub id.
        teach: Training settings of the original and the golds.
        golds: Number of golds (models taught without the forgotten people), of different seeds; the
            first is the reference, the others show how far two exact unlearnings differ.
        gold_schedule: What a gold's training has in common with the original's: its `steps`, or its
            `epochs`, so that every row that is left is read as often as the original read it, as
            TOFU's retain models do (arXiv 2401.06121). It holds for golds of shadow models too.
        head: Head of a classifier: `linear`, or `additive_margin` as in CLEAR's vision track;
            None for the source's own kind. A new one is made unless the source has these people.
        dtype: Type of the weights, whatever type they are stored in. What is trained keeps a copy
            in float32.
        base: Base of an adapter at the source; None for the one that the adapter names.
    """

    source: str = "builtin"
    teach: TrainSettings
    golds: int = Field(default=1, ge=1)
    gold_schedule: GoldSchedule = Field(
        default="steps", exclude_if=lambda schedule: schedule == "steps"
    )
    head: Head | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    base: str | None = None

    @field_validator("teach")
    @classmethod
    def _teaches(cls, settings: TrainSettings) -> TrainSettings:
        try:
            check_teaching(settings)
        except RecipeError as error:
            raise ValueError(f"{error.what}; {error.fix}") from error
        return settings


class MethodPart(_Part):
    """One entry of `runs`: a method on one kind of model.

    Attributes:
        method: Name of the method (`clearbench list methods`).
        model: Kind of model, a key of `models`.
        modality: What is forgotten: `text`, `image`, `both`, or names joined by `+`; a list stands
            for one run per entry.
        hyperparameters: The method's own settings.
        train: The schedule.
    """

    method: str
    model: Kind = "vision-language"
    modality: str | tuple[str, ...] = "both"
    hyperparameters: dict[str, float | int | str | bool] = Field(default_factory=dict)
    train: TrainSettings = TrainSettings(steps=30)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Spellings of what is forgotten, one per run."""
        return (self.modality,) if isinstance(self.modality, str) else self.modality

    @model_validator(mode="after")
    def _known(self) -> MethodPart:
        try:
            known = named_method(self.method, self.hyperparameters, "it under `train`: {}: {}")
            for modality in self.modalities:
                check_method(known, self.model, parse_modalities(modality), self.train)
        except RecipeError as error:
            raise ValueError(f"{error.what}; {error.fix}") from error
        able = readable_by(self.model)
        for modality in self.modalities:
            if not {*parse_modalities(modality)} <= {*able}:
                hint = f"it can: {', '.join(spellings(able))}"
                raise ValueError(f"a {self.model} model cannot forget '{modality}'; {hint}")
        return self


class Recipe(_Part):
    """An experiment. Unknown keys are refused; the resolved recipe is itself a recipe.

    Attributes:
        seed: Seed for the built-in people, and for training where `seeds` is empty.
        seeds: Seeds of repeated training on the same people, combined in the results.
        runs: Methods; an entry with a `grid` becomes a run per combination of its values, one with
            a `draw` a run per setting drawn.
        attacks: Attacks on the models of all runs, their originals and golds.
        shadows: Shadow models by kind, for attacks that learn from them.
    """

    name: str
    title: str = ""
    description: str = ""
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    seeds: tuple[Annotated[int, Field(ge=0, le=LARGEST_SEED)], ...] = ()
    data: DataPart = DataPart()
    models: dict[Kind, ModelPart]
    runs: tuple[MethodPart, ...] = ()
    evaluation: EvaluationSettings = EvaluationSettings()
    attacks: tuple[AttackPart, ...] = Field(default=(), exclude_if=is_empty)
    shadows: dict[Kind, ShadowPart] = Field(default_factory=dict, exclude_if=is_empty)

    @field_validator("runs", mode="before")
    @classmethod
    def _expanded(cls, entries: Any) -> Any:
        if not isinstance(entries, list | tuple):
            return entries
        return [run for entry in entries for run in expand(entry)]

    @model_validator(mode="after")
    def _heads_are_classifiers(self) -> Recipe:
        for kind, model in self.models.items():
            if model.head and kind != "classifier":
                raise ValueError(f"models.{kind}.head: only a classifier has one; leave it out")
        return self

    @model_validator(mode="after")
    def _models_are_there(self) -> Recipe:
        for run in self.runs:
            if run.model not in self.models:
                hint = f"it has: {', '.join(self.models)}"
                raise ValueError(f"{run.method}: no model '{run.model}' in this recipe; {hint}")
        return self

    @model_validator(mode="after")
    def _shadows_are_possible(self) -> Recipe:
        for kind, shadows in self.shadows.items():
            if kind not in self.models:
                hint = f"it has: {', '.join(self.models)}"
                raise ValueError(f"shadows.{kind}: no such model in this recipe; {hint}")
            if shadows.heads and kind != "classifier":
                raise ValueError(f"shadows.{kind}.heads: only a classifier has one; leave it out")
            if not shadows.heads and self.data.half is None:
                what = "shadow models must be taught as the attacked model was"
                raise ValueError(f"shadows.{kind}: {what}; set data.half to first")
        for run in self.runs:
            stacked = run.model in self.shadows and self.shadows[run.model].heads
            if stacked and "pixels" in methods()[run.method].needs:
                what = f"{run.method} changes pictures, and heads read stored features"
                raise ValueError(f"shadows.{run.model}.heads: {what}; leave it or the run out")
        for part in self.attacks:
            kinds = [kind for kind in self.models if not part.models or kind in part.models]
            if part.learns and not {*kinds} & {*self.shadows}:
                raise ValueError(f"attacks: {part.attack} needs shadow models; give shadows")
        return self

    @model_validator(mode="after")
    def _shadows_forget_whom_it_forgets(self) -> Recipe:
        """Refuses shadow models of people who are not forgotten at once: no model is like them."""
        for kind in self.shadows:
            if len(self.data.requests) > 1:
                what = "shadow models forget all people at once, and these requests do not"
                fix = "leave data.requests out, or shadows and the attacks that learn from them"
                raise ValueError(f"shadows.{kind}: {what}; {fix}")
            if self.data.fold == "validation":
                what = "shadow models forget the reported people, and this fold forgets others"
                raise ValueError(f"shadows.{kind}: {what}; leave data.fold or shadows out")
        return self

    @field_validator("seeds")
    @classmethod
    def _apart(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed stands twice")
        if seeds and max(seeds) - min(seeds) >= GOLD_SEED_STEP:
            raise ValueError(f"they lie {GOLD_SEED_STEP} or more apart, as those of golds do")
        return seeds

    @property
    def training_seeds(self) -> tuple[int, ...]:
        """Seeds of training, at least one."""
        return self.seeds or (self.seed,)

    @property
    def identity(self) -> str:
        """Hash of the recipe without title and description."""
        return content_hash(self.model_dump(mode="json", exclude=set(WORDS)))


def load_recipe(source: str | Path, changes: list[str] | None = None) -> Recipe:
    """Reads a recipe file or a built-in recipe by name, with `key.sub=value` changes.

    Raises:
        RecipeError: The recipe has problems; all are listed at once.
    """
    return parse_recipe(read_recipe(source, changes), str(recipe_path(source)))


def parse_recipe(content: dict[str, Any], where: str) -> Recipe:
    """Checks a recipe's content; all problems are named together."""
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        parts = (
            Recipe,
            DataPart,
            ModelPart,
            MethodPart,
            AttackPart,
            ShadowPart,
            CurveSettings,
            EvaluationSettings,
            TrainSettings,
        )
        known = {name for part in parts for name in part.model_fields}
        raise RecipeError(explain(error, known), where, "correct these keys") from error


def dump_recipe(recipe: Recipe) -> str:
    """Writes the resolved recipe as YAML that runs again."""
    text: str = yaml.safe_dump(
        recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100
    )
    return text
