"""Every method keeps the contract on every kind it claims, and the contract can be broken."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pydantic import Field

from clearbench.methods.base import METHODS, Data, Method, Model, State, Step, methods
from clearbench.methods.losses import Term, cross_entropy
from clearbench.testing import check_method

CLAIMED = [(name, kind) for name, cls in methods().items() for kind in cls.kinds]
ABOUT: dict[str, Any] = {"paper": "none", "kinds": ("language",), "needs": ("forget",)}
CALLS = itertools.count(1)


@pytest.mark.parametrize(("name", "kind"), CLAIMED)
def test_contract(name: str, kind: Any) -> None:
    passed = check_method(methods()[name], kind)
    assert len(passed) == len(set(passed)) >= 9


def test_a_kind_that_is_not_claimed_is_no_pass() -> None:
    with pytest.raises(AssertionError, match="idk does not claim a classifier"):
        check_method(methods()["idk"], "classifier")


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Methods defined in a test are forgotten after it."""
    monkeypatch.setattr(METHODS, "classes", methods())
    yield


def ascend(step: Step) -> Term:
    return -cross_entropy(step.model.answers(step.forget))


def keep(step: Step) -> Term:
    return cross_entropy(step.model.answers(step.retain))


def endless() -> type[Method]:
    class Endless(Method, name="broken", **ABOUT):
        """Climbs for ever."""

        def loss(self, step: Step) -> dict[str, Term]:
            return {"forget": float("inf") * ascend(step)}

    return Endless


def silent() -> type[Method]:
    class Silent(Method, name="broken", **(ABOUT | {"paper": ""})):
        """Climbs and cites nobody."""

        def loss(self, step: Step) -> dict[str, Term]:
            return {"forget": ascend(step)}

    return Silent


def without_idea() -> type[Method]:
    class WithoutIdea(Method, name="broken", **ABOUT):
        def loss(self, step: Step) -> dict[str, Term]:
            return {"forget": ascend(step)}

    return WithoutIdea


def backwards() -> type[Method]:
    class Backwards(Method, name="broken", **ABOUT):
        """Says it climbs, and descends."""

        def loss(self, step: Step) -> dict[str, Term]:
            return {"forget": -ascend(step)}

    return Backwards


def averaged() -> type[Method]:
    class Averaged(Method, name="broken", **ABOUT):
        """Divides by the rows of its own micro-batch."""

        def loss(self, step: Step) -> dict[str, Term]:
            return {"forget": Term(ascend(step).mean.reshape(1), torch.ones(1))}

    return Averaged


def positional() -> type[Method]:
    class Positional(Method, name="broken", **ABOUT):
        """Weighs a row by its place in the batch."""

        def loss(self, step: Step) -> dict[str, Term]:
            answers = step.model.answers(step.forget)
            return {"forget": Term(answers.log_probs, 1.0 + answers.rows)}

    return Positional


def restless() -> type[Method]:
    class Restless(Method, name="broken", **ABOUT):
        """Depends on how often it was called before."""

        def loss(self, step: Step) -> dict[str, Term]:
            return {"forget": (1 + next(CALLS) % 7) * ascend(step)}

    return Restless


def meddling() -> type[Method]:
    class Meddling(Method, name="broken", **(ABOUT | {"needs": ("forget", "reference")})):
        """Drags the reference along."""

        def loss(self, step: Step) -> dict[str, Term]:
            ratio = step.log_ratio(step.forget, step.model.answers(step.forget))
            with torch.no_grad():
                for weight in (step.reference._weights or {}).values():
                    weight.mul_(1.01)
            return {"forget": Term(ratio, torch.ones_like(ratio.detach()))}

    return Meddling


def hungry() -> type[Method]:
    class Hungry(Method, name="broken", **ABOUT):
        """Divides by the number of answers."""

        def loss(self, step: Step) -> dict[str, Term]:
            return {"forget": Term(ascend(step).values.mean().reshape(1), torch.ones(1))}

    return Hungry


def forgetful() -> type[Method]:
    class Forgetful(Method, name="broken", **(ABOUT | {"needs": ("forget", "retain")})):
        """Draws its state anew at every call instead of preparing it from the seed."""

        def prepare(self, model: Model, data: Data, seed: int) -> State:
            return {"vector": torch.tensor(float(next(CALLS)))}

        def loss(self, step: Step) -> dict[str, Term]:
            factor = 1 + float(step.state["vector"]) % 7
            return {"forget": factor * ascend(step), "retain": keep(step)}

    return Forgetful


def leaking() -> type[Method]:
    class Leaking(Method, name="broken", **ABOUT):
        """Edits weights that do not learn."""

        def edit(self, model: Model, data: Data) -> None:
            with torch.no_grad():
                model.module.get_input_embeddings().weight.requires_grad_(False).mul_(0.9)

    return Leaking


def undeclared() -> type[Method]:
    class Undeclared(Method, name="broken", **ABOUT):
        """Reads the retain rows without asking for them."""

        def loss(self, step: Step) -> dict[str, Term]:
            return {"forget": ascend(step), "retain": keep(step)}

    return Undeclared


def unchecked() -> type[Method]:
    class Unchecked(Method, name="broken", **ABOUT):
        """Takes anything for a number."""

        beta: Any = 1.0

        def loss(self, step: Step) -> dict[str, Term]:
            return {"forget": ascend(step)}

    return Unchecked


def stubborn() -> type[Method]:
    class Stubborn(Method, name="broken", **(ABOUT | {"needs": ("forget", "retain")})):
        """Keeps its retain term at weight zero."""

        retain_weight: float = Field(default=1.0, ge=0)

        def loss(self, step: Step) -> dict[str, Term]:
            return {"forget": ascend(step), "retain": keep(step)}

    return Stubborn


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(
    ("make", "check"),
    [
        (endless, "finite loss"),
        (silent, "has an idea and a paper"),
        (without_idea, "has an idea and a paper"),
        (backwards, "moves as declared"),
        (averaged, "padding and order change nothing"),
        (positional, "padding and order change nothing"),
        (restless, "LoRA and full have one interface|deterministic|padding"),
        (meddling, "reference unchanged"),
        (hungry, "finite loss without answers"),
        (forgetful, "LoRA and full have one interface|deterministic"),
        (leaking, "frozen parameters unchanged"),
        (undeclared, "runs without|no 'retain' batch"),
        (unchecked, "refuses bad hyper-parameters by name"),
        (stubborn, "zero strength is no term"),
    ],
)
def test_a_broken_method_is_caught(make: Any, check: str) -> None:
    with pytest.raises(AssertionError, match=check) as caught:
        check_method(make(), "language")
    assert "broken on a language" in str(caught.value)
