"""One method on one kind of model, ready to be checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from clearbench.data.batches import Item, Kind, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Track
from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term
from clearbench.models.base import Model
from clearbench.testing.world import PARTS, base, copied, taught, tiny_dataset
from clearbench.training.loop import History
from clearbench.training.reference import FrozenReference
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

KIND_TRACKS: dict[Kind, tuple[Track, ...]] = {
    "language": ("text",),
    "vision-language": ("text", "image"),
    "classifier": ("image",),
}


@dataclass(frozen=True)
class Bench:
    """One method on one kind of model."""

    cls: type[Method]
    kind: Kind

    @property
    def chosen(self) -> Method:
        """The method with its defaults."""
        return self.cls()

    @property
    def data(self) -> Dataset:
        """The tiny people; for a classifier, their pictures and names."""
        return tiny_dataset() if self.kind != "classifier" else tiny_dataset().naming()

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Of the forget rows: what the method may forget and the model can read."""
        allowed = KIND_TRACKS[self.kind]
        if "both" in self.cls.modalities:
            return allowed
        return tuple(track for track in allowed if track in self.cls.modalities) or allowed

    def model(self) -> Model:
        """A fresh model to start from: the taught one, or the base where the method needs it."""
        return copied(base(self.kind) if self.cls.from_base else taught(self.kind))

    def settings(self, **changes: Any) -> TrainSettings:
        """A few steps, with changes."""
        about = {"steps": 3, "batch_size": 4, "learning_rate": 1e-3, "parts": PARTS[self.kind]}
        return TrainSettings.model_validate(about | {"warmup": 0.0, "decay": "none"} | changes)

    def run(self, model: Model, chosen: Method | None = None, **changes: Any) -> History:
        """Trains through the road every run takes."""
        checkpoints, on_step = changes.pop("checkpoints", None), changes.pop("on_step", None)
        return unlearn(
            model, self.data, chosen or self.chosen, self.tracks, self.settings(**changes),
            checkpoints=checkpoints, on_step=on_step,
        )  # fmt: skip

    def items(self, model: Model) -> dict[str, list[Item]]:
        """The same few rows of every role, of several lengths."""

        def some(split: str, tracks: Sequence[Track]) -> list[Item]:
            rows = [item(row) for row in self.data.train_rows(split, tracks)]
            return [each for each in rows if model.accepts(each)][:6]

        forget = some("forget", self.tracks)
        other = "person 7" if self.kind == "classifier" else "I do not know."
        refused = [replace(each, variant="refusal", answer=other) for each in forget]
        return {"forget": forget, "idk": refused, "retain": some("retain", ("text", "image"))}

    def terms(
        self, model: Model, items: Mapping[str, list[Item]], chosen: Method | None = None,
        reference: FrozenReference | None = None,
    ) -> dict[str, Term]:  # fmt: skip
        """The loss on given items, without the loop."""
        batches = {role: model.batch(items[role]) for role in self.cls.needs if role in items}
        step = Step(model, reference or FrozenReference(taught(self.kind)), batches, {})
        return (chosen or self.chosen).loss(step)

    def forget_loss(self, model: Model) -> float:
        """Mean negative log-likelihood of the answers on every forget row."""
        rows = [item(row) for row in self.data.train_rows("forget", self.tracks)]
        with torch.no_grad():
            answers = model.answers(model.batch([each for each in rows if model.accepts(each)]))
        return -float(answers.log_probs.mean().detach())
