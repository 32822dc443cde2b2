"""CMJU against the steps of its published code in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from clearbench.errors import RecipeError
from clearbench.methods.base import Step, Train, method
from clearbench.methods.losses import cross_entropy
from clearbench.methods.statistics import MASK
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.by_hand import Array, gradients
from clearbench.testing.world import few_steps, learning
from clearbench.training.loop import StageContext, train
from clearbench.training.unlearn import unlearn

NAMES = ("forget_text", "forget_image", "retain_text", "retain_image")


def mixed_by_hand(
    parts: dict[str, list[Array]], groups: list[int], shared: float, specific: float, gamma: float
) -> list[Array]:
    """The steps of the published code, tensor by tensor; 0 is frozen, 1 text, 2 image, 3 both."""

    def size(tensors: list[Array], wanted: tuple[int, ...]) -> float:
        chosen = [each for each, group in zip(tensors, groups, strict=True) if group in wanted]
        return float(np.sqrt(sum((each**2).sum() for each in chosen)))

    text, image = parts["forget_text"], parts["forget_image"]
    scale = (size(text, (1, 2, 3)) + 1e-8) / (size(image, (1, 2, 3)) + 1e-8)
    forget = [t + scale * i for t, i in zip(text, image, strict=True)]
    forget = [
        f * (shared if group == 3 else specific) for f, group in zip(forget, groups, strict=True)
    ]
    sizes = {group: size(forget, (group,)) for group in (1, 2)}
    if min(groups.count(1), groups.count(2)) >= 5:
        middle = (sizes[1] + sizes[2]) / 2
        factors = {g: max(0.1, 1 + gamma * (middle / n - 1)) for g, n in sizes.items()}
        forget = [f * factors.get(g, 1.0) for f, g in zip(forget, groups, strict=True)]
    retain = [a + b for a, b in zip(parts["retain_text"], parts["retain_image"], strict=True)]
    return [(f + r) * (group > 0) for f, r, group in zip(forget, retain, groups, strict=True)]


def mix(
    groups: list[int], seed: int = 0, **about: Any
) -> tuple[list[Array], dict[str, list[Array]]]:
    rng = np.random.default_rng(seed)
    shapes = [(1 + k % 3, 2) for k in range(len(groups))]
    sizes = {"forget_text": 3.0, "forget_image": 0.2, "retain_text": 1.0, "retain_image": 1.0}
    parts = {n: [size * rng.normal(size=shape) for shape in shapes] for n, size in sizes.items()}
    stacked = [np.stack([parts[name][k].ravel() for name in NAMES]) for k in range(len(groups))]
    grams = torch.from_numpy(np.stack([each @ each.T for each in stacked]))
    chosen: Any = method("cmju", **about)
    coefficients = chosen.mix(grams, NAMES, {"groups": torch.tensor(groups)}).numpy()
    found = [c @ each for c, each in zip(coefficients, stacked, strict=True)]
    return [f.reshape(s) for f, s in zip(found, shapes, strict=True)], parts


@pytest.mark.parametrize(
    "groups",
    [[1] * 5 + [2] * 6 + [3, 3, 0, 0], [1] * 4 + [2] * 6 + [3, 0], [3, 3, 0], [1, 1, 1, 0, 0]],
)
def test_gradients_are_mixed_as_published(groups: list[int]) -> None:
    about = {"shared_scale": 0.5, "specific_scale": 2.0, "symmetry": 0.7}
    found, parts = mix(groups, **about)
    for mine, theirs in zip(found, mixed_by_hand(parts, groups, *about.values()), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-12)


def test_full_symmetry_gives_both_groups_one_size() -> None:
    groups = [1] * 5 + [2] * 7
    about = {"shared_scale": 1.0, "specific_scale": 1.0}
    found, parts = mix(groups, symmetry=1.0, **about)
    retain = [a + b for a, b in zip(parts["retain_text"], parts["retain_image"], strict=True)]
    squares = np.array([((f - r) ** 2).sum() for f, r in zip(found, retain, strict=True)])
    assert squares[:5].sum() == pytest.approx(squares[5:].sum())


def test_every_track_has_its_terms() -> None:
    model, rows = learning(tiny_model("vision-language"))
    batches = {role: next(rows.batches(role)) for role in ("forget", "retain")}
    whole = rows.items("forget")
    batches["forget"] = model.batch(whole)
    found = method("cmju", forget_text_weight=3).loss(Step(model, None, batches))  # type: ignore[arg-type]
    for name, sees, factor in (("forget_text", False, -3), ("forget_image", True, -1)):
        alone = model.answers(model.batch([i for i in whole if (i.image is not None) is sees]))
        expected = factor * nn.functional.cross_entropy(alone.logits, alone.targets)
        torch.testing.assert_close(found[name].mean, expected)
    assert set(found) == set(NAMES)


def test_tensors_belong_to_the_track_they_lean_to() -> None:
    """By squared gradients under refusals, each path in shares of its largest tensor."""
    model, rows = learning(tiny_model("vision-language"))
    lean = []
    for sees in (False, True):
        found = []
        for batches in rows.batches("idk"):
            chosen = [batch for batch in batches if bool(batch.media) is sees]
            if chosen:
                grads = gradients(model, cross_entropy(model.answers(chosen)).mean)
                found.append([float((g**2).mean()) for g in grads.values()])
        means = np.mean(found, axis=0)
        lean.append(means / means.max())
    ratio = lean[0] / (lean[0] + lean[1])
    state = method("cmju", active_share=0.5, margin=0.1).prepare(model, rows, 0)
    names = list(model.trainable())
    groups = state["groups"].tolist()
    active = set(np.argsort(lean[0] + lean[1])[-(len(names) // 2) :].tolist())
    for k, name in enumerate(names):
        group = 1 if ratio[k] > 0.6 else 2 if ratio[k] < 0.4 else 3
        assert groups[k] == (group if k in active else 0)
        assert bool(state[MASK + name].all()) is bool(state[MASK + name].any()) is (k in active)
    assert {0, 2} <= set(groups), "the projector sees nothing without a picture"


def test_frozen_tensors_stay_where_they_were() -> None:
    model, rows = learning(tiny_model("vision-language"))
    groups = method("cmju").prepare(model, rows, 0)["groups"]
    before = [weight.detach().clone() for weight in model.trainable().values()]
    settings = few_steps("vision-language", weight_decay=0.3)
    unlearn(model, tiny_dataset(), method("cmju"), ("text", "image"), settings)
    for group, old, new in zip(groups, before, model.trainable().values(), strict=True):
        assert torch.equal(old, new.detach()) is (int(group) == 0)


def test_a_recipe_has_no_other_rule_for_cmju() -> None:
    model, settings = tiny_model("vision-language"), few_steps("vision-language", rule="pcgrad")
    with pytest.raises(RecipeError, match="cmju takes no other gradient rule: it brings its own"):
        unlearn(model, tiny_dataset(), method("cmju"), ("text", "image"), settings)


def test_a_tensor_rule_sees_every_tensor_and_the_state() -> None:
    """A tensor whose gradients all get 0 stays; with ones it is the plain sum of the terms."""
    moved = []
    for kept in (0.0, 1.0):
        model, rows = learning(tiny_model("vision-language"))
        items = {role: rows.items(role)[:4] for role in ("forget", "retain")}

        def mix(grams: Tensor, names: Any, state: Any, kept: float = kept) -> Tensor:
            assert names == ["forget", "retain"] and torch.equal(grams, grams.mT)
            found = torch.ones(grams.shape[:2], dtype=grams.dtype)
            found[state["which"]] = kept
            return found

        stage = Train(method("gradient_difference").loss, ("forget", "retain"), tensor_rule=mix)
        memory = StageContext(prepare=lambda: {"which": torch.tensor(3)})
        start = [weight.detach().clone() for weight in model.trainable().values()]
        settings = few_steps("vision-language", steps=1)
        train(model, stage, lambda *_, found=items: found, settings, 0, memory)
        now = [weight.detach() for weight in model.trainable().values()]
        moved.append([not torch.equal(a, b) for a, b in zip(start, now, strict=True)])
    assert not moved[0][3] and moved[1][3]
    assert moved[0][:3] == moved[1][:3] and moved[0][4:] == moved[1][4:]
