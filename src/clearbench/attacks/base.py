"""Base of attacks: frozen configurations that compute a table of records and scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from clearbench.attacks.point import Point
from clearbench.data.dataset import Dataset
from clearbench.errors import RecipeError
from clearbench.evaluation.description import Description
from clearbench.evaluation.measure import Measure, configured
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.score import Direction, Score
from clearbench.evaluation.tables import ROW_COLUMNS, Table
from clearbench.libraries import pd
from clearbench.plugins import Registry

if TYPE_CHECKING:
    from clearbench.models.base import Model

#: Inputs that an attack may need besides its parameters.
Need = Literal["records", "model", "original", "gradients", "shadow_models", "media", "training"]
#: One line per attack and attacked row; `value` is higher for what is less likely training data.
ATTACKED = Table("attacked", (*ROW_COLUMNS, "attack", "value"))
#: Function called with (what is being done, parts done, parts in all).
OnProgress = Callable[[str, int, int], None]


def unreported(doing: str, done: int, total: int) -> None:
    """Reports no progress."""


@dataclass(frozen=True)
class Target:
    """Models, records and rows that an attack is made on.

    Attributes:
        collections: Records of the attacked model and of those it is compared with.
        model: Attacked model; None where there are only records.
        dataset: Dataset with the measured rows; None where there are only records.
        original: Model before unlearning, for attacks that need its weights.
        gold: Model never taught the forgotten people, for attacks that need its weights.
        seed: Seed of everything that an attack draws.
        on_progress: Function called after each part of a long attack.
    """

    collections: Collections
    model: Model | None = None
    dataset: Dataset | None = None
    original: Model | None = None
    gold: Model | None = None
    seed: int = 0
    on_progress: OnProgress = unreported


class Attack(Measure, ABC):
    """Base of attacks. Fields are parameters; a named subclass registers itself.

    `class LossAttack(Attack, name="mia_loss", needs=("records",), reads=("answer",), ...)` in a
    file of this folder, a plugin file or an installed entry point is all it takes.

    Attributes:
        needs: Inputs that it must be given: `records`, `model` (which it reads), `original` (the
            model before unlearning), `gradients`, `shadow_models`, `media` (images that it may
            change), `training` (further training of a copy of the model).
        reads: Inputs that it is computed from, in words.
        tries: What it tries, in the words of `evaluation.verdict.rests_on.NOT_RUN`; empty for
            attacks that are not among them.
        least_shadows: Number of shadow models that each person needs on each side, of those taught
            the person and of those never taught; of attacks that need shadow models.
        written: Table that it writes.
    """

    directions: ClassVar[Mapping[str, Direction]] = {"*": "gold"}
    needs: ClassVar[tuple[str, ...]] = ("records",)
    reads: ClassVar[tuple[str, ...]] = ()
    tries: ClassVar[str] = ""
    least_shadows: ClassVar[int] = 3
    written: ClassVar[Table] = ATTACKED

    @classmethod
    def __pydantic_init_subclass__(cls, name: str = "", **about: Any) -> None:
        unknown = set(about.get("needs", ())) - set(get_args(Need))
        if unknown:
            raise RecipeError(
                f"{name} needs {', '.join(sorted(unknown))}",
                cls.__module__,
                f"known: {', '.join(get_args(Need))}",
            )
        super().__pydantic_init_subclass__(name=name, **about)

    @abstractmethod
    def table(self, target: Target) -> pd.DataFrame:
        """Computes the lines of `written` for this configuration.

        Raises:
            RecipeError: The target lacks what the attack needs.
        """

    @abstractmethod
    def scores(self, collections: Collections, track: str) -> dict[str, Score]:
        """Computes scores by key; none where the records lack what it needs."""

    def materials(self) -> dict[str, str]:
        """Computes digests of what it reads from files, by role; they belong to a stage's key."""
        return {}

    def unsuited(self, model: Model) -> str:
        """Says why it cannot be made on a model, whose table is then empty; empty where it can."""
        return ""

    def curves(self, collections: Collections, track: str) -> dict[str, list[Point]]:
        """Computes curves over the attack's levels by key; none where it has no levels."""
        return {}

    def numbers(self) -> dict[str, Description]:
        """Describes its scores, by the last part of their keys."""
        return {self.score_key: self.description}


ATTACKS: Registry[Attack] = Registry("attack", "clearbench.attacks", "clearbench.attacks")
Attack.registry = ATTACKS


def attacks() -> dict[str, type[Attack]]:
    """Returns every attack class by name: shipped, of entry points and of loaded plugins."""
    return dict(ATTACKS)


def attack(name: str, **parameters: Any) -> Attack:
    """Builds an attack by name with checked parameters.

    Raises:
        RecipeError: A name or parameter is unknown, or a value is out of range.
    """
    made: Attack = configured(ATTACKS, name, parameters)
    return made
