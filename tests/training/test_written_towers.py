"""Stored features of a tower are never those of weights that code of a method has replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch

from clearbench.batches.items import item
from clearbench.methods.base import METHODS, Method, methods
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.stages import Edit, Stage, Train
from clearbench.methods.step import Data, Model, State, Step
from clearbench.models.load import load_model
from clearbench.testing.world import base, copied, few_steps, tiny_dataset
from clearbench.training.unlearn import unlearn

Write = Callable[[torch.Tensor], None]
SETTINGS = few_steps("vision-language", steps=1, parts=("projector", "language"))


def copy_into(weight: torch.Tensor) -> None:
    weight.data.copy_(-weight.data)


def replace(weight: torch.Tensor) -> None:
    weight.data = -weight.data


def negate(weight: torch.Tensor) -> None:
    with torch.no_grad():
        weight.neg_()


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Methods defined in a test are forgotten after it."""
    monkeypatch.setattr(METHODS, "classes", methods())
    yield


def fresh() -> Any:
    """A model with a family and a cache of its own."""
    old = copied(base("vision-language"))
    model = load_model(old.module, old.processor, kind="vision-language")
    model.train_only(())
    return model


def scored(model: Any) -> dict[str, list[float]]:
    rows = [item(row) for row in tiny_dataset().evaluation["retain"]]
    found = model.score_items([row for row in rows if row.media is not None])
    return {row.row: statistics.log_probs.tolist() for row, statistics in found.items()}


def scored_anew(model: Any) -> dict[str, list[float]]:
    """Scores of a model of the same weights that has read nothing before."""
    twin = fresh()
    twin.module.load_state_dict(model.module.state_dict())
    return scored(twin)


def write_tower(model: Any, write: Write) -> None:
    """Writes the tower's convolutions, after its features were read."""
    scored(model)
    for weight in model.core.model.vision_tower.parameters():
        if weight.dim() == 4:
            write(weight)


@pytest.mark.parametrize("write", [copy_into, replace, negate])
def test_a_measurement_reads_the_tower_as_it_is(write: Write) -> None:
    model = fresh()
    before = scored(model)
    write_tower(model, write)
    with model.frozen():
        after = scored(model)
    assert after == scored_anew(model) and after != before


@pytest.mark.parametrize("write", [copy_into, replace])
def test_an_edit_that_writes_data_leaves_no_stored_features(write: Write) -> None:
    class Writes(Method, name="writes", paper="none", needs=("forget", "retain")):
        """Made in a test."""

        def stages(self) -> Sequence[Stage]:
            return (Edit(lambda model, _: write_tower(model, write)),)

    model = fresh()
    before = scored(model)
    unlearn(model, tiny_dataset(), Writes(), ("image",), SETTINGS)
    after = scored(model)
    assert after == scored_anew(model) and after != before


def test_what_prepare_writes_is_read_by_the_first_step() -> None:
    seen: list[dict[str, list[float]]] = []

    class Prepares(Method, name="prepares", paper="none", needs=("forget", "retain")):
        """Made in a test."""

        def prepare(self, model: Model, data: Data, seed: int) -> State:
            write_tower(model, copy_into)
            return {}

        def loss(self, step: Step) -> dict[str, Term]:
            seen.extend((scored(step.model), scored_anew(step.model)))
            return {"retain": cross_entropy(step.model.answers(step.retain))}

        def stages(self) -> Sequence[Stage]:
            return (Train(self.loss),)

    model = fresh()
    before = scored(model)
    unlearn(model, tiny_dataset(), Prepares(), ("image",), SETTINGS)
    assert seen[0] == seen[1] != before
