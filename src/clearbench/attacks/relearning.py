"""Asks what is known after a few steps of training on a part of what was forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, field_validator

from clearbench.attacks.base import Target
from clearbench.attacks.recovery import Known, Row, SurvivalAttack, probabilities
from clearbench.batches.items import item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.errors import RecipeError
from clearbench.evaluation.measure import Case
from clearbench.training.settings import TrainSettings

if TYPE_CHECKING:
    from clearbench.models.base import Model

#: Rows that are trained on.
Taught = Literal["forget", "forget_text", "forget_image", "unrelated"]
#: Number that sets the choice of rows apart from other random choices of a run.
_CHOICE = 12


class Relearning(
    SurvivalAttack,
    name="relearning",
    title="Relearning",
    needs=("model", "training"),
    reads=("answer", "gold", "original"),
    tries="relearning",
    paper="Lynch et al. 2024, arXiv 2402.16835",
    ordered=True,
    baseline="0",
    shows=(
        "How much of the other answers about the forgotten people comes back when the model is "
        "trained on some of them for a few steps. Gold, which never knew them, is trained alike: "
        "what it learns is the floor. A model far above it had only hidden what it knows."
    ),
    cases={
        "forget_text": Case(
            title="on questions",
            shows=(
                "How much comes back when the model is trained on some questions about the "
                "forgotten people for a few steps: of the other questions, and of what it says of "
                "their pictures, none of which it is shown."
            ),
        ),
        "forget_image": Case(
            title="on pictures",
            shows=(
                "How much comes back when the model is trained on some pictures of the forgotten "
                "people for a few steps: of the other pictures, and of the questions about them, "
                "none of which it is asked."
            ),
        ),
        "unrelated": Case(
            title="on other people",
            shows=(
                "How much comes back when the model is trained on people whom it was to keep, and "
                "is told nothing of the forgotten ones: any later training may do this unasked."
            ),
        ),
    },
):
    """What is known after steps of training on some of the forgotten rows, on a copy of the model.

    Measured are the rows that it was not trained on; the rows that it was are in a second curve.
    All pictures of a person share the name: what some teach is known of the others, by gold as
    well, which `divide: people` avoids. The learning rate is constant, so that fewer steps are the
    beginning of more. Adapters are added to the weights before they are trained. A guard stays on:
    training goes on below it, and what it hides is hidden still (`guard_removed` takes it off).
    OpenUnlearning's protocol is one epoch on all forgotten rows at a learning rate of 2e-5 (Dorna
    et al. 2025, arXiv 2506.12618).

    Attributes:
        steps: Numbers of steps after which is measured; 0 is before any.
        rows: Rows that are trained on: `forget`, of all modalities; `forget_text` or
            `forget_image`, of one alone; `unrelated`, of the retained people.
        share: Share of the forgotten rows that are trained on.
        divide: `rows` trains on that share of each person's rows of a modality, or on people where
            nobody has two; `people` on all rows of that share of the people.
        learning_rate: Learning rate of every step.
        batch_size: Rows of each modality in a step.
    """

    steps: tuple[int, ...] = Field(default=(0, 5, 20), min_length=1)
    rows: Taught = "forget"
    share: float = Field(default=0.5, gt=0, le=1)
    divide: Literal["rows", "people"] = "rows"
    learning_rate: float = Field(default=3e-4, gt=0)
    batch_size: int = Field(default=8, ge=1)

    @field_validator("steps")
    @classmethod
    def _rising(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if list(steps) != sorted(set(steps)) or steps[0] < 0:
            raise ValueError(f"{steps} must rise from 0 or more")
        return steps

    def known(self, target: Target, rows: Sequence[Row]) -> Iterable[tuple[str, Known]]:
        """Yields what is known before training and after each number of steps."""
        model, dataset = self.given(target)
        taught = self.taught(model, dataset, target.seed)
        items = [item(row) for _, row in rows]
        found = {0: probabilities(model, items)} if 0 in self.steps else {}
        twin = model.duplicate() if self.steps[-1] else model

        def measure(done: int, total: int, _: Mapping[str, float]) -> None:
            if done in self.steps:
                found[done] = probabilities(twin, items)
            target.on_progress(self.score_key, done, total)

        if self.steps[-1]:
            from clearbench.training.finetune import finetune

            some = Dataset({"forget": tuple(taught)}, {}, dataset.names)
            finetune(twin, some, self._settings(twin), target.seed, on_step=measure)
        return [(str(steps), found[steps]) for steps in self.steps]

    def shown(self, target: Target) -> frozenset[str]:
        """Returns the measured rows that are trained on, in whatever file they stand."""
        model, dataset = self.given(target)
        taught = self.taught(model, dataset, target.seed)
        ids, contents = {row.id for row in taught}, {_content(row) for row in taught}
        measured = dataset.evaluation.get("forget", ())
        return frozenset(r.id for r in measured if r.id in ids or _content(r) in contents)

    def taught(self, model: Model, dataset: Dataset, seed: int) -> list[Example]:
        """Draws the rows that are trained on, the same for every model of a kind.

        Raises:
            RecipeError: There are none.
        """
        split = "retain" if self.rows == "unrelated" else "forget"
        rows = [
            row
            for row in dataset.train_rows(split)
            if not row.held_out and model.accepts(item(row)) and self._of_modality(row)
        ]
        if split == "forget":
            rows = self._drawn(rows, seed)
        if not rows:
            what = f"no rows to train on ({self.rows}, {self.share:g} of the {self.divide})"
            fix = "choose other rows, a larger share, or divide: people"
            raise RecipeError(what, f"attack '{self.name}'", fix)
        return rows

    def _of_modality(self, row: Example) -> bool:
        wanted = {"forget_text": False, "forget_image": True}
        return wanted.get(self.rows, row.media is not None) == (row.media is not None)

    def _drawn(self, rows: Sequence[Example], seed: int) -> list[Example]:
        """Draws a share of people, or of each one's rows of a modality, and leaves some of them."""
        by_track: dict[str, dict[int, list[int]]] = {}
        for place, row in enumerate(rows):
            who = -1 if row.person is None else row.person
            by_track.setdefault(row.track, {}).setdefault(who, []).append(place)
        some = _part(
            sorted({who for people in by_track.values() for who in people}),
            self.share,
            [seed, _CHOICE],
        )
        drawn: list[int] = []
        for track, people in by_track.items():
            whole = self.divide == "people" or max(map(len, people.values())) == 1
            for who, mine in people.items():
                if whole:
                    drawn += mine if who in some else []
                else:
                    drawn += _part(mine, self.share, [seed, _CHOICE, who + 1, *track.encode()])
        return [rows[place] for place in sorted(drawn)]

    def _settings(self, model: Model) -> TrainSettings:
        parts = tuple(part for part in model.parts if part != "vision") or model.parts
        return TrainSettings.of(
            steps=self.steps[-1],
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            warmup=0.0,
            decay="none",
            parts=parts,
        )


def _part(places: Sequence[int], share: float, seed: Sequence[int]) -> list[int]:
    """Draws a share of some numbers, rounded, but at least one and not all, if both can be."""
    count = len(places)
    size = int(np.floor(share * count + 0.5))
    size = count if share == 1 else min(max(size, 1), count - 1)
    return [places[k] for k in np.random.default_rng(seed).permutation(count)[:size]]


def _content(row: Example) -> tuple[str, str, str]:
    return row.question, row.answer, row.media.key if row.media else ""
