"""Defines the rows of `results.json`: one per run, and one per setting over several seeds."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from clearbench.attacks.point import Point
from clearbench.evaluation.score import Combined, Score
from clearbench.evaluation.verdict.verdict import ShownAnswer, Verdict, Word
from clearbench.runs.stored import Stored, is_empty, is_none
from clearbench.training.settings import Penalty, TrainSettings

#: Roles that methods are compared with.
ANCHORS = ("original", "gold")


def _finite(score: Score) -> Score:
    if not math.isfinite(score.value):
        raise ValueError(f"{score.value} is not a finite number")
    return score


def _none_unless_finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _none_without_word(verdict: Any) -> Any:
    return None if isinstance(verdict, Mapping) and "word" not in verdict else verdict


Status = Literal["ok", "diverged", "failed"]
FiniteScore = Annotated[Score, AfterValidator(_finite)]
#: Number of a drawing; infinities are stored as null, which JSON has.
Drawn = Annotated[float | None, BeforeValidator(_none_unless_finite)]


class Variant(Stored):
    """Parts that a run trained, and how.

    Attributes:
        parts: Parts of the model that were trained.
        rank: Rank of LoRA's adapters; None where the weights themselves were trained.
        penalty: Penalty on the trained parts, if any.
    """

    parts: tuple[str, ...] = ()
    rank: int | None = None
    penalty: Penalty | None = None


Amount = Annotated[int | float | None, Field(exclude_if=is_none)]
Words = Annotated[str | None, Field(exclude_if=is_none)]


class Cost(Stored):
    """Cost of making and measuring one model; a number that was not measured is absent.

    Attributes:
        device: Kind of device that it was made on: `cpu`, `cuda` or `mps`.
        dtype: Type of its weights.
        measuring_device: Kind of device that it was measured on.
    """

    seconds: Amount = None
    peak_memory_bytes: Amount = None
    trainable_parameters: Amount = None
    forwards: Amount = None
    backwards: Amount = None
    device: Words = None
    dtype: Words = None
    measuring_seconds: Amount = None
    measuring_peak_memory_bytes: Amount = None
    measuring_device: Words = None

    def items(self) -> dict[str, float]:
        """Returns the measured numbers by name."""
        return {key: value for key, value in self if isinstance(value, int | float)}


class CurvePoint(Stored):
    """One step of training: loss terms, the gradient's norm, and scores measured on the way.

    Attributes:
        step: Number of updates done; 0 is before the first.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, float]

    step: int

    def value(self, name: str) -> float | None:
        """Returns a term, norm or score of this step; None where it was not measured."""
        return self.__pydantic_extra__.get(name)


class Scored(Stored):
    """The scores of one run before they are part of a row.

    Attributes:
        truth_ratios: Ratios by `forget.<track>`, for the page's drawings.
        worst_answers: Answers that are worst beside gold's, by score key.
        failed_metrics: Reasons why metrics of plugins gave no score, by the last part of its key.
    """

    scores: dict[str, FiniteScore]
    truth_ratios: dict[str, tuple[Drawn, ...]] = Field(default_factory=dict)
    worst_answers: dict[str, tuple[ShownAnswer, ...]] = Field(default_factory=dict)
    failed_metrics: dict[str, str] = Field(default_factory=dict)


class AttackDrawing(Stored):
    """What is drawn of an attack on shadow models.

    Attributes:
        false_positives: Rates of false positives.
        true_positives: Rate of true positives at each.
        right_by_image: Share of right decisions about each image over the models.
    """

    false_positives: tuple[float, ...]
    true_positives: tuple[float, ...]
    right_by_image: tuple[float, ...] = ()


class AnyRow(Stored):
    """Fields that a row of one run and a row over several seeds have in common.

    Attributes:
        model: Kind of model.
        modality: Modality that it was to forget.
        share: Share of the taught people who were to be forgotten.
        gold: Id of the row that it is compared with.
        reason: Reason why it did not end well.
        scores: Scores by key, `<split>.<track>.<metric>`.
        verdict: Verdict; None for runs without scores, and in files of versions that said
            `passed` in place of a word.
    """

    id: str
    method: str
    model: str
    modality: str
    share: float
    variant: Variant
    hyperparameters: dict[str, float | int | str | bool]
    training: TrainSettings
    protocol: str
    gold: str
    status: Status
    reason: str
    scores: Mapping[str, FiniteScore]
    cost: Cost
    verdict: Annotated[Verdict | None, BeforeValidator(_none_without_word)] = Field(
        default=None, exclude_if=is_none
    )

    @property
    @abstractmethod
    def first_seed(self) -> int:
        """Seed of the run whose id the row has."""

    @property
    def ok(self) -> bool:
        """Whether the run ended as it should."""
        return self.status == "ok"

    @property
    def is_anchor(self) -> bool:
        """Whether it is an original or a gold, rather than a method's."""
        return self.method in ANCHORS

    def value(self, key: str) -> float | None:
        """Returns a score's value; None where it was not measured."""
        return self.scores[key].value if key in self.scores else None

    def values(self, field: Literal["value", "gold", "original"] = "value") -> dict[str, float]:
        """Returns the values of all scores, or gold's or the original's, as far as known."""
        numbers = ((key, getattr(score, field)) for key, score in self.scores.items())
        return {key: number for key, number in numbers if number is not None}


class Row(AnyRow):
    """One run: one model that was made, measured and scored.

    Attributes:
        reference: Placement of the reference model, where the method has one.
        attacks: Scores of attacks by key.
        attack_curves: Points over the levels of attacks, by key.
        attack_drawings: Drawings of attacks on shadow models, by key.
        stages: Keys of the stages that it was made of, by role.
        failed_metrics: Reasons why metrics of plugins gave no score; absent where all did.
        failed_attacks: Reasons why attacks gave no score; absent where all did.
    """

    seed: int
    reference: str | None = None
    attacks: dict[str, FiniteScore] = Field(default_factory=dict)
    attack_curves: dict[str, tuple[Point, ...]] = Field(default_factory=dict, exclude_if=is_empty)
    attack_drawings: dict[str, AttackDrawing] = Field(default_factory=dict, exclude_if=is_empty)
    curve: tuple[CurvePoint, ...] = ()
    stages: dict[str, str] = Field(default_factory=dict)
    failed_metrics: dict[str, str] = Field(default_factory=dict, exclude_if=is_empty)
    failed_attacks: dict[str, str] = Field(default_factory=dict, exclude_if=is_empty)

    @property
    def first_seed(self) -> int:
        """Seed of training."""
        return self.seed


class CombinedRow(AnyRow):
    """One setting over several seeds, under the id of the first.

    Attributes:
        seeds: Seeds of the runs.
        rows: Ids of the runs.
        words: Word of each seed's verdict; empty where there is none.
    """

    scores: Mapping[str, Combined]
    seeds: tuple[int, ...]
    rows: tuple[str, ...]
    words: tuple[Word, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _without_count_of_passes(cls, content: Any) -> Any:
        """Drops what versions wrote that said `passed` in place of a word."""
        if not isinstance(content, Mapping):
            return content
        return {key: value for key, value in content.items() if key != "seeds_passed"}

    @property
    def first_seed(self) -> int:
        """Seed of the run whose id the row has."""
        return self.seeds[0]
