"""A recipe: one YAML file that says all that an experiment is, and nothing of where it runs."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from clearbench.data.batches import Kind
from clearbench.errors import RecipeError, did_you_mean
from clearbench.methods.base import method
from clearbench.storage import content_hash
from clearbench.training.settings import TrainSettings

Modality = Literal["text", "image", "both"]
TRACKS_OF: dict[Modality, tuple[Literal["text", "image"], ...]] = {
    "text": ("text",),
    "image": ("image",),
    "both": ("text", "image"),
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataPart(_Part):
    """Which people.

    Attributes:
        source: `builtin`, a folder in the layout of CLEAR or TOFU, or a hub id.
        people: How many the built-in factory teaches; for a folder, how many are used (None: all).
        strangers: How many are kept for the holdout.
        forget: How many are forgotten (built-in, or with `people`), or a split name (`forget10`).
        fold: `reported`, or `validation`: other people of the same world, on whom settings are
            chosen. The original is the same.
        requests: Sizes of forget requests that arrive one after another; they sum to `forget`.
    """

    source: str = "builtin"
    people: int | None = Field(default=40, ge=2)
    strangers: int = Field(default=8, ge=0)
    forget: int | str = 8
    fold: Literal["reported", "validation"] = "reported"
    requests: tuple[int, ...] = ()


class ModelPart(_Part):
    """One model to start from and how it is taught.

    Attributes:
        source: `builtin`, a folder, or a hub id.
        teach: Makes the original and the golds from it.
        golds: How many golds, of different seeds; the first is the reference, the others show how
            far two exact unlearnings differ.
    """

    source: str = "builtin"
    teach: TrainSettings
    golds: int = Field(default=1, ge=1)


class MethodPart(_Part):
    """One method on one model for some modalities."""

    method: str
    model: Kind = "vision-language"
    modality: Modality | tuple[Modality, ...] = "both"
    hyperparameters: dict[str, float | int | str | bool] = Field(default_factory=dict)
    train: TrainSettings = TrainSettings(steps=30)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Always a tuple."""
        return (self.modality,) if isinstance(self.modality, str) else self.modality


class EvaluationPart(_Part):
    """What is measured.

    Attributes:
        protocol: The set of metrics and aggregates.
        limit: Rows per split and task, always whole people; None for all.
        max_new_tokens: Longest generated answer.
    """

    protocol: str = "clear"
    limit: int | None = Field(default=120, ge=1)
    max_new_tokens: int = Field(default=32, ge=1)


class Recipe(_Part):
    """An experiment. Unknown keys are refused; the resolved recipe is itself a recipe."""

    name: str
    title: str = ""
    description: str = ""
    seed: int = Field(default=0, ge=0)
    data: DataPart = DataPart()
    models: dict[Kind, ModelPart]
    runs: tuple[MethodPart, ...] = ()
    evaluation: EvaluationPart = EvaluationPart()

    @field_validator("runs")
    @classmethod
    def _known(cls, runs: tuple[MethodPart, ...]) -> tuple[MethodPart, ...]:
        for each in runs:
            known = method(each.method, **each.hyperparameters)
            for what, asked, allowed in (
                ("model", (each.model,), known.kinds),
                ("modality", each.modalities, known.modalities),
            ):
                wrong = [value for value in asked if value not in allowed]
                if wrong:
                    raise RecipeError(
                        f"{each.method} does not work on {what} '{wrong[0]}'",
                        f"runs: {each.method}",
                        f"it claims: {', '.join(allowed)}",
                    )
        return runs

    @property
    def identity(self) -> str:
        """A hash of all that decides the numbers."""
        return content_hash(self.model_dump(mode="json", exclude={"title", "description"}))


def builtin_recipes() -> dict[str, Path]:
    """The recipes that ship, by name."""
    packaged = Path(str(files("clearbench"))) / "recipes"
    folder = packaged if packaged.is_dir() else Path(__file__).parents[3] / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_recipe(source: str | Path, changes: list[str] | None = None) -> Recipe:
    """Reads a recipe file or a built-in recipe by name, with `key.sub=value` changes.

    Raises:
        RecipeError: With every problem at once.
    """
    known = builtin_recipes()
    path = known.get(str(source), Path(source))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(
            "no such recipe", str(source), did_you_mean(str(source), known)
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"not valid YAML: {error}", str(path), "correct the file") from error
    if not isinstance(content, dict):
        raise RecipeError("a recipe is a mapping of keys", str(path), "see recipes/demo.yaml")
    for change in changes or []:
        _apply(content, change)
    return parse_recipe(content, str(path))


def parse_recipe(content: dict[str, Any], where: str) -> Recipe:
    """Checks a recipe's content; all problems are named together."""
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        lines = [_explain(problem, content) for problem in error.errors()]
        raise RecipeError("\n".join(lines), where, "correct these keys") from error


def _explain(problem: Any, content: Any) -> str:
    path = [str(part) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{'.'.join(path)}'; {did_you_mean(path[-1], _siblings(problem))}"
    return f"'{'.'.join(path)}' = {problem['input']!r}: {problem['msg']}"


def _siblings(problem: Any) -> list[str]:
    parts = (Recipe, DataPart, ModelPart, MethodPart, EvaluationPart, TrainSettings)
    return sorted({name for part in parts for name in part.model_fields})


def _apply(content: dict[str, Any], change: str) -> None:
    """Sets one `key.sub=value`; numbers in a key index lists."""
    key, separator, text = change.partition("=")
    if not separator:
        raise RecipeError(f"'{change}' is not key=value", "command line", "write data.people=20")
    place: Any = content
    *path, last = key.split(".")
    for part in path:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    value = yaml.safe_load(text)
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as YAML that runs again."""
    text: str = yaml.safe_dump(
        recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100
    )
    return text
