"""The vision pack's losses and edits against plain derivations, and their limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from clearbench.batches.answers import Answers
from clearbench.batches.items import Item
from clearbench.errors import ModelError, RecipeError
from clearbench.methods.base import Method, method
from clearbench.methods.boundary_shrink import NEAREST
from clearbench.methods.fisher import fisher_information
from clearbench.methods.step import Step
from clearbench.methods.unsir import NOISE
from clearbench.models.shadow import shadow_label
from clearbench.testing.bench import Bench
from clearbench.testing.by_hand import (
    Array,
    changed,
    log_softmax,
    negative_log_likelihoods,
    snapshot,
)
from clearbench.testing.world import copied, learning, taught
from clearbench.training.rows import TrainingRows

FORGOTTEN = [0, 1]


def losses(logits: Tensor, targets: Tensor) -> Array:
    return negative_log_likelihoods(logits.detach().numpy(), targets.tolist())


def classifier(size: int = 2) -> tuple[Any, TrainingRows]:
    return learning(copied(taught("classifier")), size=size)


def batch(model: Any, rows: TrainingRows, role: str) -> Any:
    return model.batch(rows.items(role))


def run(model: Any, chosen: Method, **changes: Any) -> list[dict[str, float]]:
    bench = Bench(type(chosen), "classifier")
    return bench.run(model, chosen, **({"steps": 4, "learning_rate": 3e-3} | changes))


def step(model: Any, state: dict[str, Tensor] | None = None, **batches: Any) -> Step:
    return Step(model, None, batches, state or {})  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_neggrad_plus(share: float) -> None:
    model, rows = classifier()
    forget, retain = batch(model, rows, "forget"), batch(model, rows, "retain")
    found = method("neggrad_plus", retain_share=share).loss(
        step(model, forget=forget, retain=retain)
    )
    ours, theirs = model.answers(forget), model.answers(retain)
    expected = share * losses(theirs.logits, theirs.targets).mean()
    expected -= (1 - share) * losses(ours.logits, ours.targets).mean()
    total = float(found["forget"].mean.detach()) + float(found["retain"].mean.detach())
    assert total == pytest.approx(expected, rel=1e-5)


def test_neggrad_plus_at_one_half_is_half_of_gradient_difference() -> None:
    model, rows = classifier()
    view = step(model, forget=batch(model, rows, "forget"), retain=batch(model, rows, "retain"))
    ours = method("neggrad_plus", retain_share=0.5).loss(view)
    theirs = method("gradient_difference").loss(view)
    for name in ("forget", "retain"):
        torch.testing.assert_close(2 * ours[name].values, theirs[name].values)


def test_munba_follows_the_sum_of_unit_gradients() -> None:
    """g_1 / |g_1| + g_2 / |g_2|, up to length: the step of one update without momentum."""
    model, rows = classifier()
    view = step(model, random=batch(model, rows, "random"), retain=batch(model, rows, "retain"))
    stage = method("munba").stages()[0]
    found, units, gradients = stage.loss(view), [], []  # type: ignore[union-attr]
    for name in ("forget", "retain"):
        parts = torch.autograd.grad(found[name].mean, list(model.trainable().values()))
        gradients.append(torch.cat([part.flatten() for part in parts]).double())
        units.append(gradients[-1] / gradients[-1].norm())
    stacked = torch.stack(gradients)
    ours = stage.rule(stacked @ stacked.T, ("forget", "retain")) @ stacked  # type: ignore
    plain = units[0] + units[1]
    torch.testing.assert_close(ours / ours.norm(), plain / plain.norm())
    assert float(ours @ ours) == pytest.approx(2.0), "Nash: alpha^T G^T G alpha is the players' 2"


def test_munba_takes_no_other_rule() -> None:
    with pytest.raises(RecipeError, match="munba takes no other gradient rule: it brings its own"):
        run(copied(taught("classifier")), method("munba"), rule="pcgrad")


def test_lfssd_is_the_mean_size_of_the_output_gradient() -> None:
    model, rows = classifier()
    before, found = snapshot(model), {}
    for roles in (("forget",), ("forget", "retain")):
        sizes: list[dict[str, Tensor]] = []
        for each in rows.batches(*roles):
            model.module.zero_grad()
            logits = model.module(pixel_values=each[0].inputs["pixel_values"]).logits
            (logits.norm(dim=1) ** 2).mean().backward()
            sizes.append({n: w.grad.abs().clone() for n, w in model.trainable().items()})
        found[roles[-1]] = sizes
    model.module.zero_grad()
    method("ssd", selection=1.2, dampening=0.7, loss_free=True).edit(model, rows)
    changed = 0
    for name, weight in model.trainable().items():
        mine = torch.stack([each[name] for each in found["forget"]]).mean(0)
        both = torch.stack([each[name] for each in found["retain"]]).mean(0)
        scale = torch.where(mine > 1.2 * both, (0.7 * both / mine).clamp_max(1.0), 1.0)
        torch.testing.assert_close(weight.detach(), before[name] * scale, atol=1e-6, rtol=1e-4)
        changed += int((weight.detach() != before[name]).sum())
    assert changed > 20


def test_lfssd_reads_no_labels() -> None:
    model, rows = classifier()
    twin, _ = classifier()
    method("ssd", selection=1.2, loss_free=True).edit(model, rows)

    class Mislabelled:
        def batches(self, *roles: str) -> Any:
            for each in rows.batches(*roles):
                for one in each:
                    one.targets.fill_(7)
                yield each

    method("ssd", selection=1.2, loss_free=True).edit(twin, Mislabelled())  # type: ignore[arg-type]
    assert not changed(snapshot(model), snapshot(twin))


class Regression:
    """Softmax regression of three labels on two features: its Fisher information is known."""

    def __init__(self) -> None:
        self.weight = nn.Parameter(torch.tensor([[0.5, -1.0], [0.2, 0.3], [-0.4, 0.8]]))
        self.backwards = 0

    def trainable(self) -> dict[str, nn.Parameter]:
        return {"weight": self.weight}

    def answers(self, rows: Tensor) -> Answers:
        count = len(rows)
        items = tuple(Item(str(row), "answer", "q", "a") for row in range(count))
        targets = torch.zeros(count, dtype=torch.long)
        return Answers(rows @ self.weight.T, targets, torch.arange(count), items)


class Repeated:
    """The same two rows again and again."""

    def batches(self, role: str) -> Any:
        return [torch.tensor([[1.0, 2.0], [-0.5, 0.3]]).repeat(100, 1)] * 2


def test_fisher_information_is_that_of_the_models_own_answers() -> None:
    """E_y (d log p(y) / d w_kj)^2 = p_k (1 - p_k) x_j^2 for softmax regression."""
    torch.manual_seed(0)
    model = Regression()
    found = fisher_information(model, Repeated().batches("retain"))["weight"]  # type: ignore
    rows = np.array([[1.0, 2.0], [-0.5, 0.3]])
    p = np.exp(log_softmax(rows @ model.weight.detach().double().numpy().T))
    each = (p * (1 - p))[:, :, None] * rows[:, None, :] ** 2
    # the square is a coin of p_k and 1 - p_k with the values (1 - p_k)^2 x^2 and p_k^2 x^2
    fourth = (p * (1 - p) ** 4 + (1 - p) * p**4)[:, :, None] * rows[:, None, :] ** 4
    error = np.sqrt((fourth - each**2).mean(0) / 400)
    assert (np.abs(found.numpy() - each.mean(0)) < 5 * error).all()
    assert model.backwards == 400


@pytest.mark.parametrize(("noise", "floor"), [(1e-7, 1e-3), (1e-7, 10.0)])
def test_fisher_noise_has_the_papers_covariance(noise: float, floor: float) -> None:
    """The change divided by (noise / F)^(1/4) is standard normal; a high floor replaces F."""
    model, rows = classifier()
    before = snapshot(model)
    torch.manual_seed(3)
    information = fisher_information(model, rows.batches("retain"))
    torch.manual_seed(3)
    method("fisher", noise=noise, floor=floor).edit(model, rows)
    standard = []
    for name, weight in model.trainable().items():
        lowest = np.maximum(information[name].double().numpy(), floor)
        change = (weight.detach() - before[name]).double().numpy()
        standard.append((change / np.sqrt(np.sqrt(noise) * lowest**-0.5)).flatten())
    values = np.concatenate(standard)
    assert len(values) > 5000
    assert stats.kstest(values, "norm").pvalue > 1e-3


def test_fisher_without_noise_is_the_original() -> None:
    model, rows = classifier()
    before = snapshot(model)
    method("fisher", noise=0).edit(model, rows)
    assert not changed(before, snapshot(model))


def test_the_nearest_label_is_where_one_step_of_fgsm_leads() -> None:
    model, rows = classifier()
    state = method("boundary_shrink", bound=0.2).prepare(model, rows, 0)
    items = rows.items("forget")
    assert set(state) == {NEAREST + each.row for each in items}
    for each in items:
        (one,) = model.batch([each])
        pixels = one.inputs["pixel_values"].clone().requires_grad_()
        nn.functional.cross_entropy(
            model.module(pixel_values=pixels).logits, one.targets
        ).backward()
        assert pixels.grad is not None
        moved = pixels.detach() + 0.4 * pixels.grad.sign()  # black is -1 and white is 1
        seen = model.module(pixel_values=moved.clamp(-1, 1)).logits[0].detach().numpy()
        seen[FORGOTTEN] = -np.inf
        assert int(state[NEAREST + each.row]) == seen.argmax()


def test_black_and_white_follow_the_processor() -> None:
    model, _ = classifier()
    model.processor.image_mean, model.processor.image_std = [0.5, 0.4, 0.3], [0.25, 0.2, 0.1]
    try:
        black, white = model.pixel_range
    finally:
        model.processor.image_mean, model.processor.image_std = [0.5] * 3, [0.5] * 3
    torch.testing.assert_close(black.flatten(), torch.tensor([-2.0, -2.0, -3.0]))
    torch.testing.assert_close(white.flatten(), torch.tensor([2.0, 3.0, 7.0]))


def test_boundary_shrink_learns_the_nearest_labels() -> None:
    model, rows = classifier()
    forget = batch(model, rows, "forget")
    state = {NEAREST + each.row: torch.tensor(3 + k) for k, each in enumerate(forget[0].items)}
    term = method("boundary_shrink").loss(step(model, state, forget=forget))["forget"]
    targets = torch.tensor([3 + k for k in range(len(forget[0].items))])
    np.testing.assert_allclose(
        term.values.detach().numpy(), losses(model.answers(forget).logits, targets), rtol=1e-4
    )


def test_boundary_expand_learns_the_last_label() -> None:
    model, rows = classifier()
    forget = batch(model, rows, "forget")
    with shadow_label(model, 0):
        answers = model.answers(forget)
        assert answers.logits.shape[-1] == 9
        term = method("boundary_expand").loss(step(model, forget=forget))["forget"]
        targets = torch.full_like(answers.targets, 8)
        np.testing.assert_allclose(
            term.values.detach().numpy(), losses(answers.logits, targets), rtol=1e-4
        )


@pytest.mark.parametrize("rank", [None, 8])
def test_the_shadow_label_comes_and_goes(rank: int | None) -> None:
    """Rank 8 is also the number of labels; the other rows learn, the shadow's is cut off."""
    model, rows = classifier()
    before = snapshot(model)
    history = run(model, method("boundary_expand"), lora_rank=rank, steps=8)
    assert history[-1]["forget"] < history[0]["forget"]
    after = {
        name.replace("base_model.model.", "").replace(".base_layer", ""): value
        for name, value in model.module.state_dict().items()
    }
    assert all(after[name].shape == value.shape for name, value in before.items())
    assert model.answers(batch(model, rows, "retain")).logits.shape[-1] == 8
    sizes = [getattr(each, "out_features", None) for each in model.module.modules()]
    assert 9 not in sizes
    changed = [n for n, value in before.items() if not torch.equal(value, after[n])]
    assert bool(changed) is (rank is None)


def test_a_shadow_needs_a_head() -> None:
    model, _ = classifier()
    model.module.classifier = nn.Identity()
    with pytest.raises(ModelError, match="no head with a row"), shadow_label(model, 0):
        pass


def test_unsir_noise_climbs_the_loss_and_stays_small() -> None:
    """40 steps of plain Adam on 0.1 |n|^2 - L(n, label), written out."""
    model, rows = classifier()
    chosen = method("unsir", noise_steps=5)
    state = chosen.prepare(model, rows, 7)
    (one,) = next(rows.batches("forget"))
    noise = torch.randn(
        one.inputs["pixel_values"].shape, generator=torch.Generator().manual_seed(7)
    )
    first = second = torch.zeros_like(noise)
    for k in range(1, 6):
        leaf = noise.clone().requires_grad_()
        loss = -nn.functional.cross_entropy(model.module(pixel_values=leaf).logits, one.targets)
        (loss + 0.1 * (leaf**2).sum((1, 2, 3)).mean()).backward()
        assert leaf.grad is not None
        first = 0.9 * first + 0.1 * leaf.grad
        second = 0.999 * second + 0.001 * leaf.grad**2
        change = (first / (1 - 0.9**k)) / ((second / (1 - 0.999**k)).sqrt() + 1e-8)
        noise = noise - 0.1 * change
    for each, image in zip(one.items, noise, strict=True):
        torch.testing.assert_close(state[NOISE + each.row], image, atol=1e-4, rtol=1e-4)


def test_unsir_impairs_on_noise_and_repairs_on_retain() -> None:
    model, rows = classifier()
    chosen = method("unsir", noise_steps=1, impair_share=0.75)
    state = chosen.prepare(model, rows, 0)
    forget, retain = batch(model, rows, "forget"), batch(model, rows, "retain")
    impair, repair = chosen.stages()
    assert (impair.share, impair.rate, repair.share, repair.rate) == (0.75, 2.0, 0.25, 1.0)  # type: ignore
    found = impair.loss(step(model, state, forget=forget, retain=retain))  # type: ignore[union-attr]
    images = torch.stack([state[NOISE + each.row] for each in forget[0].items])
    logits = model.module(pixel_values=images).logits
    expected = losses(logits, forget[0].targets)
    np.testing.assert_allclose(found["forget"].values.detach().numpy(), expected, rtol=1e-4)
    after = repair.loss(step(model, state, retain=retain))  # type: ignore[union-attr]
    assert set(after) == {"retain"}
    torch.testing.assert_close(after["retain"].values, found["retain"].values)
