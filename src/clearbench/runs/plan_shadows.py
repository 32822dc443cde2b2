"""Plans the shadow models of a kind, and the attacks that learn from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from clearbench.attacks.membership import SIDES
from clearbench.data.dataset import Dataset
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.methods.base import methods
from clearbench.models.head import SHADOW_PARTS
from clearbench.runs.attack_part import AttackPart, ShadowPart
from clearbench.runs.gold import gold_settings
from clearbench.runs.recipe import MethodPart, ModelPart
from clearbench.runs.stages.attack import ShadowMeasurement
from clearbench.runs.stages.data import StoredData
from clearbench.runs.stages.heads_attack import HeadsAttackStage, HeadsScoreStage
from clearbench.runs.stages.match import MatchStage
from clearbench.runs.stages.measure import MeasureStage
from clearbench.runs.stages.model import ModelSource, ModelStage
from clearbench.runs.stages.shadow_heads import HeadsStage, TeachHeadsStage, UnlearnHeadsStage
from clearbench.runs.stages.teach import TeachStage
from clearbench.runs.stages.unlearn import UnlearnStage
from clearbench.training.settings import TrainSettings

#: Distance of the seeds of shadow models from the recipe's own.
SHADOW_SEED_STEP = 20_000


@dataclass(frozen=True)
class HalfData:
    """Rows of one half of the people.

    Attributes:
        data: Stored rows.
        dataset: The rows themselves.
    """

    data: StoredData
    dataset: Dataset

    @cached_property
    def forget(self) -> tuple[int, ...]:
        """People who are forgotten in this half, and are strangers in the other."""
        return tuple(sorted(self.dataset.people("forget")))


@dataclass(frozen=True)
class ShadowPeople:
    """People of the shadow models.

    Attributes:
        whole: Rows of all people.
        halves: First and second half.
    """

    whole: StoredData
    halves: tuple[HalfData, HalfData]


@dataclass(frozen=True)
class ShadowPlanner:
    """Plans the shadow models of one kind and one seed.

    Attributes:
        part: Number and tier of the models.
        base: Base of all of them.
        model: Model of the recipe that they are taught as.
        people: People of both halves.
        seed: Seed of the attacked models.
    """

    part: ShadowPart
    base: ModelSource
    model: ModelPart
    people: ShadowPeople
    seed: int

    def seeds(self, number: int) -> tuple[int, ...]:
        """Returns the seeds of the models of a half."""
        count = self.part.models // 2
        first = SHADOW_SEED_STEP + self.seed * self.part.models + number * count
        return tuple(range(first, first + count))

    @cached_property
    def _teach(self) -> TrainSettings:
        """Training settings of originals."""
        return self.part.teach or self.model.teach

    @cached_property
    def _gold_teach(self) -> tuple[TrainSettings, ...]:
        """Training settings of golds of both halves."""
        given, kind = (self._teach, self.model.gold_schedule), self.base.kind
        return tuple(
            gold_settings(*given, half.dataset, kind, half.forget) for half in self.people.halves
        )

    def measured(
        self, role: str, entry: MethodPart | None, modality: str
    ) -> list[ShadowMeasurement]:
        """Plans the measurements of shadow models that are taught, or made to forget.

        Args:
            role: `original` or `gold` without an entry.
            entry: Method that makes them forget; None for models that were only taught.
            modality: What is forgotten.
        """
        settings = EvaluationSettings.of(
            protocol="openunlearning", splits=SIDES, limit=None, max_new_tokens=1
        )
        return [
            ShadowMeasurement(MeasureStage(model, (), settings), half.forget, swapped=number == 1)
            for number, half in enumerate(self.people.halves)
            for model in self._models(number, half, role, entry, modality)
        ]

    def _models(
        self, number: int, half: HalfData, role: str, entry: MethodPart | None, modality: str
    ) -> Iterator[ModelStage]:
        retrained = entry is not None and methods()[entry.method].from_base
        gold = role == "gold" or retrained
        teach = self._gold_teach[number] if gold else self._teach
        without = half.forget if gold else ()
        for seed in self.seeds(number):
            taught = TeachStage(self.base, half.data, teach, seed, without)
            if entry is None or retrained:
                yield taught
            else:
                yield UnlearnStage(
                    self.base, half.data, entry.train, seed, taught, entry.method,
                    dict(entry.hyperparameters), modality, half.forget,
                )  # fmt: skip

    def heads(self, role: str, entry: MethodPart | None) -> MatchStage:
        """Plans heads of both halves and the matching of images under them."""
        first, second = (
            self._heads(number, half, role, entry) for number, half in enumerate(self.people.halves)
        )
        return MatchStage(self.people.whole, (first, second))

    def _heads(
        self, number: int, half: HalfData, role: str, entry: MethodPart | None
    ) -> HeadsStage:
        seeds, base = self.seeds(number), replace(self.base, head=None)
        retrained = entry is not None and methods()[entry.method].from_base
        gold = role == "gold" or retrained
        teach = _on_heads(self._gold_teach[number] if gold else self._teach)
        if entry is None or retrained:
            return TeachHeadsStage(base, half.data, teach, seeds, gold)
        start = TeachHeadsStage(base, half.data, teach, seeds)
        return UnlearnHeadsStage(
            base, half.data, _on_heads(entry.train), seeds, start, entry.method,
            dict(entry.hyperparameters),
        )  # fmt: skip

    def heads_attack(
        self, part: AttackPart, role: str, entry: MethodPart | None
    ) -> HeadsScoreStage:
        """Plans an attack on heads beside those on golds and originals."""
        ours, gold, original = (
            HeadsAttackStage(self.heads(*who), part.attack, part.parameters)
            for who in ((role, entry), ("gold", None), ("original", None))
        )
        return HeadsScoreStage(ours, gold, original)


def _on_heads(settings: TrainSettings) -> TrainSettings:
    """Returns the schedule of a network's training for its head alone."""
    return settings.model_copy(update={"parts": SHADOW_PARTS, "lora_rank": None, "replay": 0})
