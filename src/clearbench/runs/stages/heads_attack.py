"""Scores an attack on many heads, beside the same attack on golds' and originals' heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from clearbench.attacks.base import attack
from clearbench.attacks.roc import curve
from clearbench.attacks.shadow import ShadowAttack
from clearbench.attacks.signals import Signals
from clearbench.errors import RecipeError
from clearbench.runs.code import modules_of
from clearbench.runs.stage import Stage, StageInputs, Status, write_outcome
from clearbench.runs.stages.attack import SCORES, read_attack_scores
from clearbench.runs.stages.match import MatchStage
from clearbench.storage import write_json

#: Last part of the keys of accuracies, after the split of the people and the track.
ACCURACY = "heads_accuracy"


@dataclass(frozen=True)
class HeadsAttackStage(Stage):
    """Scores an attack on heads that were made as a model was.

    Attributes:
        matched: Matches of images under the attacked heads.
        name: Name of the attack.
        parameters: Parameters of the attack.
    """

    kind: ClassVar[str] = "headsattack"

    matched: MatchStage
    name: str
    parameters: Mapping[str, Any]

    @property
    def configured(self) -> ShadowAttack:
        """The attack with its parameters."""
        made = attack(self.name, **self.parameters)
        if not isinstance(made, ShadowAttack):
            fix = "choose an attack on shadow models"
            raise RecipeError(f"{self.name} reads no signals of shadow models", "attacks", fix)
        return made

    @property
    def label(self) -> str:
        """Label of the heads, and the attack."""
        return f"{self.matched.label}-{self.name}"

    @property
    def settings(self) -> dict[str, Any]:
        """Attack and parameters."""
        return {"attack": self.name, "parameters": dict(self.parameters)}

    @property
    def parents(self) -> Mapping[str, Stage]:
        """Matches."""
        return {"matches": self.matched}

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of the attack."""
        return modules_of(self.configured)

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Writes scores, rates of true and false positives, and shares of right decisions."""
        chosen, matches = self.configured, self.matched.matches(inputs)
        signals = matches.signals(chosen.signal)
        accuracies = {
            f"{role}.image.{ACCURACY}": score for role, score in matches.accuracies().items()
        }
        scores = chosen.method_scores(signals, "image") | accuracies
        content = {
            "scores": {key: score.model_dump(mode="json") for key, score in sorted(scores.items())},
            "drawings": {f"forget.image.{chosen.score_key}": _drawn(chosen, signals)},
        }
        write_json(folder / SCORES, content)
        return write_outcome(folder, "ok")

    def found(self, inputs: StageInputs) -> dict[str, Any]:
        """Reads what the finished stage wrote."""
        return read_attack_scores(inputs.store.finished(self.key))


@dataclass(frozen=True)
class HeadsScoreStage(Stage):
    """Puts the scores of an attack beside those of the same attack on golds and originals.

    Attributes:
        ours: Attack on the heads.
        gold: Attack on golds' heads.
        original: Attack on originals' heads.
    """

    kind: ClassVar[str] = "headsscore"

    ours: HeadsAttackStage
    gold: HeadsAttackStage
    original: HeadsAttackStage

    @property
    def label(self) -> str:
        """Label of the attack."""
        return self.ours.label

    @property
    def settings(self) -> dict[str, Any]:
        """Nothing besides what its parents are."""
        return {}

    @property
    def parents(self) -> Mapping[str, Stage]:
        """The three attacks."""
        return {"own": self.ours, "gold": self.gold, "original": self.original}

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Writes the scores with gold's and the original's values."""
        content = self.ours.found(inputs)
        for field, stage in (("gold", self.gold), ("original", self.original)):
            for key, score in stage.found(inputs)["scores"].items():
                content["scores"][key][field] = score["value"]
        write_json(folder / SCORES, content)
        return write_outcome(folder, "ok")


def _drawn(chosen: ShadowAttack, signals: Signals) -> dict[str, list[float]]:
    """Computes what is drawn: rates of true and false positives, and right decisions by image."""
    evidence, attacked = chosen.evidence(signals, chosen.design)
    false, true = curve(-evidence[attacked & signals.taught], -evidence[attacked & ~signals.taught])
    right = np.where(signals.taught, evidence > 0, evidence < 0) & attacked
    shares = right.sum(axis=0) / attacked.sum(axis=0)
    return {
        "false_positives": false,
        "true_positives": true,
        "right_by_image": shares.tolist() if chosen.decides else [],
    }
