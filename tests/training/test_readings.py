"""A device is never waited for within a step, and what is not finite changes nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from clearbench.batches.items import item
from clearbench.methods.base import Step, Train, method
from clearbench.methods.losses import Term, cross_entropy
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset
from clearbench.testing.bench import Bench
from clearbench.testing.pretended_device import DEVICE, pretended_device
from clearbench.testing.world import copied, few_steps, taught
from clearbench.training.loop import train
from clearbench.training.readings import Readings
from clearbench.training.watch import Diverged

#: A method with stored log-probabilities, one with logits of a reference, a classifier's.
RUNS: Any = [("npo", "language"), ("kl_minimization", "language"), ("neggrad", "classifier")]


def weights(model: Model) -> list[Tensor]:
    return [weight.detach().cpu().clone() for weight in model.module.state_dict().values()]


@pytest.mark.parametrize(("name", "kind"), RUNS)
def test_no_step_waits_and_each_is_that_of_the_cpu(name: str, kind: Any) -> None:
    bench = Bench(type(method(name)), kind)
    wanted = bench.run(bench.model())
    waits: list[int] = []
    with pretended_device() as device:
        model = bench.model()
        model.module.to(DEVICE)
        found = bench.run(model, on_step=lambda *_: waits.append(sum(device.waits.values())))
    assert len(waits) == 3 and waits[0] == waits[2], device.waits
    for ours, theirs in zip(wanted, found, strict=True):
        assert theirs == pytest.approx(ours, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_nothing_is_changed_from_the_step_that_is_not_finite(bad: float) -> None:
    rows = [item(row) for row in tiny_dataset().train_rows("retain", ("text",))][:2]
    seen: dict[int, list[Tensor]] = {}

    def loss(step: Step) -> dict[str, Term]:
        seen[step.number] = weights(step.model)
        factor = bad if step.number == 1 else 1.0
        return {"retain": factor * cross_entropy(step.model.answers(step.retain))}

    def broken(model: Model) -> tuple[Diverged, list[Tensor]]:
        seen.clear()
        model.train_only(("language",))
        settings = few_steps("language", weight_decay=0.1)
        with pytest.raises(Diverged, match="not finite at step 1") as caught:
            train(model, Train(loss), lambda *_: {"retain": rows}, settings, 0)
        return caught.value, weights(model)

    with pretended_device():
        model = copied(taught("language"))
        model.module.to(DEVICE)
        for each, steps in ((copied(taught("language")), 2), (model, 3)):
            error, left = broken(each)
            assert len(seen) == steps  # the device is read after the last
            assert (error.step, len(error.history)) == (1, 1)
            assert all(map(torch.equal, left, seen[1]))
            assert not all(map(torch.equal, left, seen[0]))


def test_values_are_read_when_they_are_looked_at() -> None:
    with pretended_device() as device:
        history: list[dict[str, float]] = []
        readings = Readings(history, DEVICE)
        one, two = (torch.tensor(value, device=DEVICE) for value in (1.5, 2.5))
        device.clear()
        first = readings.add({"forget": [one, two], "retain": [two]}, one)
        second = readings.add({"forget": [two]}, two)
        assert not device.waits
        assert dict(first) == {"forget": 4.0, "retain": 2.5, "loss": 6.5, "gradient_norm": 1.5}
        assert device.waits == {"_to_copy.default": 1}
        assert second["loss"] == 2.5 and len(second) == 3
        assert device.waits == {"_to_copy.default": 1}
