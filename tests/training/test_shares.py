"""Each modality's rows have a weight of their own, whatever the length of their answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from clearbench.batches.items import Item, item
from clearbench.methods.base import method
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset
from clearbench.testing.world import copied, taught
from clearbench.training.feed import unlearning_feed
from clearbench.training.roles import Roles
from clearbench.training.settings import TrainSettings
from clearbench.training.shares import split_by_modality
from clearbench.training.unlearn import unlearn

BOTH = ("text", "image")
SETTINGS = {"steps": 1, "batch_size": 4, "learning_rate": 1e-3, "clip": 1e9}


def drawn(model: Model, tracks: Sequence[str] = BOTH) -> dict[str, list[Item]]:
    """The rows of the first step of seed 0."""
    data = tiny_dataset().for_kind(model.kind)
    rows = TrainSettings.of(**SETTINGS).rows
    return dict(unlearning_feed(data, tracks, rows, 0, Roles(model, data), ())(0, 0))


def mean_loss(model: Model, items: Sequence[Item], track: str) -> Tensor:
    """The mean negative log-likelihood of answer tokens, read row by row with plain torch."""
    total, tokens = torch.zeros(()), 0
    for row in items:
        if row.track == track:
            answers = model.answers(model.batch([row]))
            chosen = answers.logits.log_softmax(-1).gather(1, answers.targets[:, None])
            total, tokens = total - chosen.sum(), tokens + len(chosen)
    return total / tokens


def expected(model: Model, weights: dict[str, float]) -> tuple[float, float, float]:
    """Gradient difference's terms and the norm of its gradient, from means of each modality."""
    rows = drawn(model)
    means = {
        role: sum(weights[t] * mean_loss(model, rows[role], t) for t in BOTH)
        / sum(weights.values())
        for role in ("forget", "retain")
    }
    loss = means["retain"] - means["forget"]
    found = torch.autograd.grad(loss, list(model.trainable().values()), allow_unused=True)
    norm = math.sqrt(sum(float(part.square().sum()) for part in found if part is not None))
    return -means["forget"].item(), means["retain"].item(), norm


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("about", [{}, {"text": 3.0}, {"text": 1.0, "image": 0.5}])
def test_a_term_is_the_weighted_mean_of_each_modalitys_mean(
    about: dict[str, float], accumulate: int
) -> None:
    model = copied(taught("vision-language"))
    for name, weight in model.module.named_parameters():
        weight.requires_grad_(model.part_of(name) in ("projector", "language"))
    forget, retain, norm = expected(model, {"text": 1.0, "image": 1.0} | about)
    data = tiny_dataset().for_kind("vision-language")
    settings = TrainSettings.of(**SETTINGS, accumulate=accumulate, modality_weights=about)
    (values,) = unlearn(model, data, method("gradient_difference"), BOTH, settings)
    assert values["forget"] == pytest.approx(forget, rel=1e-4)
    assert values["retain"] == pytest.approx(retain, rel=1e-4)
    assert values["gradient_norm"] == pytest.approx(norm, rel=1e-3)


def test_a_rule_sees_the_weighted_gradients() -> None:
    """With a bargain of two: both terms count as unit vectors, whatever their number of parts."""
    model = copied(taught("vision-language"))
    data = tiny_dataset().for_kind("vision-language")
    settings = TrainSettings.of(**SETTINGS, rule="bargaining")
    (values,) = unlearn(model, data, method("gradient_difference"), BOTH, settings)
    # (a g + b h)^2 with a |g| = b |h| = 1 / sqrt(1 + cos) is (2 + 2 cos) / (1 + cos) = 2
    assert values["gradient_norm"] == pytest.approx(math.sqrt(2), rel=1e-4)


def test_one_modality_is_one_part_with_all_retain_rows() -> None:
    rows = drawn(taught("vision-language"), ("text",))
    (part,) = split_by_modality(rows, ("forget", "retain"), {"text": 5.0})
    assert part.share == 1 and part.drawn == rows


def test_rows_made_from_forget_rows_stay_with_them() -> None:
    rows = drawn(taught("vision-language"))
    rows["idk"] = [replace(row, answer="?") for row in rows["forget"]]
    parts = split_by_modality(rows, ("idk", "retain"), {})
    assert [part.share for part in parts] == [0.5, 0.5]
    for part, track in zip(parts, BOTH, strict=True):
        assert {row.track for rows in part.drawn.values() for row in rows} == {track}
        assert [row.row for row in part.drawn["idk"]] == [row.row for row in part.drawn["forget"]]
    for role in ("forget", "retain", "idk"):
        assert sum(len(part.drawn[role]) for part in parts) == len(rows[role])


@pytest.mark.parametrize("roles", [("retain",), ("forget", "retain")])
def test_rows_are_one_part_where_nothing_else_would_be_whole(roles: tuple[str, ...]) -> None:
    """Where no forget rows are read, or where retain rows are of one modality alone."""
    rows = drawn(taught("vision-language"))
    if "forget" in roles:
        rows["retain"] = [row for row in rows["retain"] if row.track == "text"]
    (part,) = split_by_modality(rows, roles, {})
    assert part.share == 1 and part.drawn == rows


def test_a_third_modalitys_retain_rows_go_with_the_last() -> None:
    rows = drawn(taught("vision-language"))
    other = replace(item(tiny_dataset().train_rows("retain", ("text",))[0]), track="voice")
    rows["retain"].append(other)
    first, last = split_by_modality(rows, ("forget", "retain"), {})
    assert other in last.drawn["retain"] and other not in first.drawn["retain"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"imagee": 1.0}, "unknown key 'imagee'.*image"),
        ({"text": 0.0}, "greater than 0"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainSettings.model_validate(SETTINGS | {"modality_weights": weights})
