"""Statistics, masks and edits against gradients taken row by row."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from clearbench.methods.base import method
from clearbench.methods.losses import cross_entropy
from clearbench.methods.stages import Edit, Train
from clearbench.methods.statistics import MASK, importance, largest, saliency_mask
from clearbench.models.base import Model
from clearbench.testing import tiny_model
from clearbench.testing.by_hand import batch_gradients, changed, gradients, snapshot
from clearbench.testing.world import learning
from clearbench.training.rows import TrainingRows


def stacked(found: list[dict[str, Tensor]], name: str) -> Tensor:
    return torch.stack([each[name] for each in found])


def test_a_method_with_an_edit_is_an_edit() -> None:
    for name, kind in (("ssd", Edit), ("npo", Train)):
        (stage,) = method(name).stages()
        assert isinstance(stage, kind)


def test_importance_is_the_mean_square_of_batch_gradients() -> None:
    model, rows = learning(tiny_model(), size=2)
    expected = batch_gradients(model, rows, "forget")
    found = importance(model, rows.batches("forget"))
    assert found.keys() == expected[0].keys() and model.backwards == 2
    for name, value in found.items():
        torch.testing.assert_close(value, stacked(expected, name).square().mean(0))


def test_the_largest_are_ranked_over_all_weights() -> None:
    """One ranking, not one a tensor (errata E63)."""
    values = {"small": torch.tensor([1.0, 2.0]), "large": torch.tensor([[3.0], [4.0]])}
    masks = largest(values, 0.5)
    assert masks[MASK + "small"].tolist() == [False, False]
    assert masks[MASK + "large"].tolist() == [[True], [True]]
    assert sum(int(mask.sum()) for mask in largest(values, 0.01).values()) == 1


def test_equal_entries_do_not_enlarge_the_share() -> None:
    """As where most gradients are 0: text has none in the vision part."""
    values = {"first": torch.zeros(6), "last": torch.tensor([[0.0, 5.0], [0.0, 0.0]])}
    masks = largest(values, 0.5)
    assert masks[MASK + "first"].tolist() == [True, True, True, True, False, False]
    assert masks[MASK + "last"].tolist() == [[False, True], [False, False]]


def test_the_mask_is_of_the_summed_gradient() -> None:
    model, rows = learning(tiny_model(), size=2)
    expected = batch_gradients(model, rows, "forget")
    sums = {name: stacked(expected, name).sum(0).abs() for name in expected[0]}
    threshold = torch.cat([value.flatten() for value in sums.values()]).quantile(0.7)
    masks = saliency_mask(model, rows.batches("forget"), 0.3)
    for name, value in sums.items():
        wrong = (masks[MASK + name] != (value > threshold)) & ((value - threshold).abs() > 1e-6)
        assert not wrong.any()


def mixed_gradients(model: Model, rows: TrainingRows) -> list[dict[str, Tensor]]:
    """Gradients of batches in which forget and retain rows are mixed."""
    groups = list(rows.batches("forget", "retain"))
    return [gradients(model, cross_entropy(model.answers(group)).mean) for group in groups]


def test_rows_of_several_roles_are_mixed_and_each_comes_once() -> None:
    _, rows = learning(tiny_model(), size=4)
    alone = {role: {i.row for i in rows.items(role)} for role in ("forget", "retain")}
    groups = [{i.row for b in group for i in b.items} for group in rows.batches("forget", "retain")]
    seen = [row for group in groups for row in group]
    assert sorted(seen) == sorted(alone["forget"] | alone["retain"])
    mixed = [group for group in groups if group & alone["forget"] and group & alone["retain"]]
    assert len(mixed) > 1
    again = [{i.row for b in group for i in b.items} for group in rows.batches("forget", "retain")]
    assert groups == again


def test_ssds_ratio_exceeds_what_separate_batches_allow() -> None:
    """Of separate batches I_all = s I_forget + (1 - s) I_retain, so no ratio exceeds 1 / s."""
    model, rows = learning(tiny_model(), size=8)
    share = len(rows.items("forget")) / len(rows.items("forget") + rows.items("retain"))
    forget = importance(model, rows.batches("forget"))
    everything = importance(model, rows.batches("forget", "retain"))
    ratios = torch.cat([(forget[n] / everything[n].clamp_min(1e-30)).flatten() for n in forget])
    assert float(ratios[ratios.isfinite()].max()) > 1.5 / share


def test_ssd_dampens_what_matters_to_forget_alone() -> None:
    model, rows = learning(tiny_model(), size=2)
    forget, mixed = batch_gradients(model, rows, "forget"), mixed_gradients(model, rows)
    before = snapshot(model)
    method("ssd", selection=1.5, dampening=0.5).edit(model, rows)
    changed = 0
    for name, weight in model.trainable().items():
        mine = stacked(forget, name).square().mean(0)
        everything = stacked(mixed, name).square().mean(0)
        scale = (0.5 * everything / mine).clamp_max(1.0)
        expected = torch.where(mine > 1.5 * everything, before[name] * scale, before[name])
        torch.testing.assert_close(weight.detach(), expected, atol=1e-6, rtol=1e-4)
        changed += int((weight.detach() != before[name]).sum())
    assert changed > 100


@pytest.mark.parametrize("about", [{"selection": 1e9}, {"selection": 1.0, "dampening": 1e9}])
def test_ssd_that_selects_nothing_or_dampens_by_nothing_is_the_original(about: dict) -> None:
    model, rows = learning(tiny_model(), size=2)
    before = snapshot(model)
    method("ssd", **about).edit(model, rows)
    assert not changed(before, snapshot(model))


def test_rmus_target_is_one_vector_for_the_run() -> None:
    """Of the steering's length, in the positive orthant, a function of the seed (E28, E29)."""
    model, rows = learning(tiny_model(), size=2)
    chosen = method("rmu", steering=6.5)
    first, again, other = (chosen.prepare(model, rows, seed)["target"] for seed in (0, 0, 1))
    assert first.shape == (32,) and bool((first >= 0).all())
    assert float(first.norm()) == pytest.approx(6.5)
    assert torch.equal(first, again) and not torch.equal(first, other)
