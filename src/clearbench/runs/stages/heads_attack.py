"""Scores an attack on many heads beside the same attack on golds' and originals' heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from clearbench.attacks.base import attack
from clearbench.attacks.matches import Matches
from clearbench.attacks.roc import curve
from clearbench.attacks.shadow import ShadowAttack
from clearbench.attacks.signals import Signals
from clearbench.errors import RecipeError
from clearbench.evaluation.score import Score
from clearbench.runs.code import modules_of
from clearbench.runs.stage import Stage, StageInputs, Status, write_outcome
from clearbench.runs.stages.shadow_heads import MatchStage
from clearbench.storage import write_json

SCORES = "scores.json"
#: Last part of the keys of accuracies, after the split of the people and the track.
ACCURACY = "heads_accuracy"


@dataclass(frozen=True)
class HeadsAttackStage(Stage):
    """Scores an attack on heads that were made as a model was.

    Attributes:
        ours: Matches under the attacked heads.
        gold: Matches under golds' heads.
        original: Matches under originals' heads.
        name: Name of the attack.
        parameters: Parameters of the attack.
    """

    kind: ClassVar[str] = "headsattack"

    ours: MatchStage
    gold: MatchStage
    original: MatchStage
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
        return f"{self.ours.label}-{self.name}"

    @property
    def settings(self) -> dict[str, Any]:
        """Attack and parameters."""
        return {"attack": self.name, "parameters": dict(self.parameters)}

    @property
    def parents(self) -> Mapping[str, Stage]:
        """Matches of the three."""
        return {"own": self.ours, "gold": self.gold, "original": self.original}

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of the attack."""
        return modules_of(self.configured)

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Writes scores, curves of true and false positives, and shares of right decisions."""
        chosen = self.configured
        matches = {role: stage.matches(inputs) for role, stage in self._matched.items()}
        ours, gold, original = (_scores(chosen, matches[role]) for role in self._matched)
        scores = {
            key: score.model_copy(update={"gold": gold[key].value, "original": original[key].value})
            for key, score in ours.items()
        }
        drawn = _drawn(chosen, matches["own"].signals(chosen.signal))
        content = {
            "scores": {key: score.model_dump(mode="json") for key, score in sorted(scores.items())},
            "drawings": {f"forget.image.{chosen.score_key}": drawn},
        }
        write_json(folder / SCORES, content)
        return write_outcome(folder, "ok")

    @property
    def _matched(self) -> dict[str, MatchStage]:
        return {"own": self.ours, "gold": self.gold, "original": self.original}


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


def _scores(chosen: ShadowAttack, matches: Matches) -> dict[str, Score]:
    """Computes an attack's numbers and the accuracies of heads by key."""
    found = chosen.method_scores(matches.signals(chosen.signal), "image")
    accuracies = matches.accuracies()
    return found | {f"{role}.image.{ACCURACY}": score for role, score in accuracies.items()}
