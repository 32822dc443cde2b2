"""Matches every image with templates under the heads of both halves of the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from clearbench.attacks.matches import ROLES, Matches
from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.libraries import torch
from clearbench.runs.cost import metered
from clearbench.runs.stage import Stage, StageInputs, Status, write_outcome
from clearbench.runs.stages.data import StoredData
from clearbench.runs.stages.shadow_heads import HeadsStage

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MatchStage(Stage):
    """Matches every image with templates under the heads of both halves.

    Attributes:
        whole: Rows of all people.
        halves: Heads of the first and of the second half.
    """

    kind: ClassVar[str] = "match"

    whole: StoredData
    halves: tuple[HeadsStage, HeadsStage]

    @property
    def label(self) -> str:
        """Label of the heads."""
        return self.halves[0].label

    @property
    def settings(self) -> dict[str, Any]:
        """Nothing besides what its parents are."""
        return {}

    @property
    def parents(self) -> Mapping[str, Stage]:
        """Heads of both halves."""
        return {"first": self.halves[0], "second": self.halves[1]}

    @property
    def materials(self) -> Mapping[str, str]:
        """Digest of all people's rows."""
        return {"data": self.whole.fingerprint}

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Writes cosines of every model and image."""
        from clearbench.evaluation.templates import enrolled

        first, _ = self.halves
        whole = self.whole.dataset(inputs).for_kind("classifier")
        items, people = images(whole)
        known = first.data.dataset(inputs).for_kind("classifier")
        features = first.features(known, inputs)
        with metered(inputs.device) as cost, torch.no_grad():
            seen = features.read(items)
            parts = [self._half(half, seen, people, inputs) for half in self.halves]
        own, other, roles = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        Matches(own, other, people, enrolled(people), roles).save(folder)
        return write_outcome(folder, "ok", cost=cost)

    def _half(
        self, half: HeadsStage, seen: Tensor, people: np.ndarray, inputs: StageInputs
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from clearbench.evaluation.templates import template_cosines

        dataset = half.data.dataset(inputs)
        roles = np.full(len(people), -1)
        for number, role in enumerate(ROLES):
            roles[np.isin(people, sorted(dataset.people(role)))] = number
        projections = half.weights(inputs)["projection.weight"]
        embedded = ((seen @ weight.T).cpu().numpy() for weight in projections)
        found = [template_cosines(vectors, people) for vectors in embedded]
        own, other = (np.stack(arrays) for arrays in zip(*found, strict=True))
        return own, other, np.broadcast_to(roles, own.shape)

    def matches(self, inputs: StageInputs) -> Matches:
        """Reads the finished stage's cosines."""
        return Matches.load(inputs.store.finished(self.key))


def images(dataset: Dataset) -> tuple[list[Item], np.ndarray]:
    """Collects every image that models are taught, once, with its person, in the order of the rows.

    Somebody with a single image has no template and is left out.

    Args:
        dataset: Rows as a classifier learns them.
    """
    found: dict[str, tuple[Item, int]] = {}
    for split in ("forget", "retain"):
        for row in dataset.training.get(split, ()):
            if row.media is not None and row.person is not None and not row.held_out:
                found.setdefault(row.media.key, (item(row), row.person))
    counts = Counter(person for _, person in found.values())
    kept = [pair for pair in found.values() if counts[pair[1]] > 1]
    return [each for each, _ in kept], np.array([person for _, person in kept])
