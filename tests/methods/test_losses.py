"""The terms of losses against closed forms (facts/metrics.md 10.3) and sums done by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from clearbench.data.batches import Answers, Item
from clearbench.errors import RecipeError
from clearbench.methods.base import Step, method
from clearbench.methods.losses import (
    Term,
    cross_entropy,
    kl_divergence,
    negative_preference,
    preference,
)


def item(row: int) -> Item:
    return Item(str(row), "answer", "q", "a")


def answers(logits: Tensor, rows: tuple[int, ...], targets: tuple[int, ...]) -> Answers:
    return Answers(
        logits,
        torch.tensor(targets),
        torch.tensor(rows),
        tuple(item(row) for row in range(max(rows) + 1)),
    )


class Table:
    """A model that answers each role with logits given beforehand."""

    def __init__(self, **roles: Answers) -> None:
        self.roles = roles

    def answers(self, role: str) -> Answers:
        return self.roles[role]

    def sequence_log_probs(self, role: str) -> Tensor:
        found = self.roles[role]
        return found.per_row(found.log_probs).detach()


def logits(seed: int, tokens: int, words: int = 5) -> Tensor:
    return torch.randn(tokens, words, generator=torch.Generator().manual_seed(seed)).double()


def step(model: Table, reference: Table) -> Step:
    return Step(model, reference, {role: role for role in model.roles})


def tables(*, equal: bool) -> tuple[Table, Table, dict[str, Tensor]]:
    """A model and a reference over rows of two and of one token."""
    free = {
        role: logits(k, 3).requires_grad_() for k, role in enumerate(("forget", "retain", "idk"))
    }
    about = {"rows": (0, 0, 1), "targets": (1, 2, 0)}
    model = Table(**{role: answers(values, **about) for role, values in free.items()})
    held = {r: v.detach() if equal else logits(9, 3) for r, v in free.items()}
    reference = Table(**{role: answers(values, **about) for role, values in held.items()})
    return model, reference, free


def test_gradient_difference_by_hand() -> None:
    forget = torch.log(torch.tensor([[0.5, 0.5], [0.25, 0.75]]))
    retain = torch.log(torch.tensor([[0.2, 0.8]]))
    model = Table(forget=answers(forget, (0, 0), (0, 0)), retain=answers(retain, (0,), (1,)))
    terms = method("gradient_difference", retain_weight=3).loss(step(model, model))
    assert float(terms["forget"].total) == pytest.approx(-(math.log(2) + math.log(4)))
    assert float(terms["forget"].mean) == pytest.approx(-(math.log(2) + math.log(4)) / 2)
    assert float(terms["retain"].total) == pytest.approx(3 * -math.log(0.8))
    assert terms.keys() == {"forget", "retain"}


@pytest.mark.parametrize("equal", [True, False])
def test_npo_with_beta_to_zero_has_the_gradient_of_gradient_ascent(equal: bool) -> None:
    model, reference, free = tables(equal=equal)
    npo = method("npo", beta=1e-4, retain_weight=0).loss(step(model, reference))["forget"].total
    ascent = method("gradient_ascent").loss(step(model, reference))["forget"].total
    (ours,) = torch.autograd.grad(npo, free["forget"])
    (theirs,) = torch.autograd.grad(ascent, free["forget"])
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)


def test_npo_fades_where_an_answer_is_forgotten() -> None:
    ratio = torch.tensor([-200.0, 0.0, 200.0], dtype=torch.double, requires_grad=True)
    values = negative_preference(ratio, 0.1).values
    assert values.tolist() == pytest.approx([0.0, 20 * math.log(2), 20 * 20], abs=1e-6)
    (slope,) = torch.autograd.grad(values.sum(), ratio)
    assert slope.tolist() == pytest.approx([0.0, 1.0, 2.0], abs=1e-6)


def test_npo_reads_whole_answers() -> None:
    """The log-ratio is a sum over the answer, not a mean (E23, E125)."""
    model, reference, _ = tables(equal=False)
    ours, theirs = (m.roles["forget"].log_probs.detach() for m in (model, reference))
    ratio = torch.stack([ours[0] + ours[1] - theirs[0] - theirs[1], ours[2] - theirs[2]])
    expected = 2 / 0.1 * torch.log1p(torch.exp(0.1 * ratio))
    found = method("npo").loss(step(model, reference))["forget"].values
    torch.testing.assert_close(found.detach(), expected)


def test_dpo_of_equal_policies_is_log_two() -> None:
    model, reference, _ = tables(equal=True)
    term = method("dpo", beta=0.7).loss(step(model, reference))["forget"]
    assert term.values.tolist() == pytest.approx([math.log(2)] * 2)


def test_dpo_prefers_the_refusal() -> None:
    chosen = torch.tensor([0.0], requires_grad=True)
    rejected = torch.tensor([0.0], requires_grad=True)
    preference(chosen, rejected, 0.1).total.backward()
    assert chosen.grad is not None and rejected.grad is not None
    assert chosen.grad.item() == pytest.approx(-0.05)
    assert rejected.grad.item() == pytest.approx(0.05)


def test_kl_of_a_model_with_itself_is_zero() -> None:
    same = answers(logits(1, 4), (0, 0, 1, 1), (0, 1, 2, 3))
    assert kl_divergence(same, same).values.abs().max() < 1e-12


def test_kl_is_from_the_reference() -> None:
    """sum p log(p / q) with p the reference's (E26)."""
    p, q = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.5, 0.5]])
    first, second = answers(p.log(), (0,), (0,)), answers(q.log(), (0,), (0,))
    by_hand = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert float(kl_divergence(first, second).total) == pytest.approx(by_hand)
    model, reference, _ = tables(equal=False)
    term = method("kl_minimization", retain_weight=2).loss(step(model, reference))["retain"]
    expected = 2 * kl_divergence(reference.roles["retain"], model.roles["retain"]).values
    torch.testing.assert_close(term.values, expected)


def test_idk_trains_on_refusals_and_leaves_the_answers() -> None:
    model, reference, free = tables(equal=True)
    terms = method("idk").loss(step(model, reference))
    total = sum(term.mean for term in terms.values())
    grads = torch.autograd.grad(total, list(free.values()), materialize_grads=True)
    touched = {role: bool(grad.abs().sum() > 0) for role, grad in zip(free, grads, strict=True)}
    assert touched == {"forget": False, "retain": True, "idk": True}


def test_a_term_divides_by_its_weights() -> None:
    term = Term(torch.tensor([2.0, 4.0]), torch.tensor([1.0, 3.0]))
    assert (float(term.total), float(term.mean)) == (14.0, 3.5)
    assert float((-term).mean) == -3.5
    assert float((2.0 * term).mean) == 7.0
    assert float(Term(torch.ones(0), torch.ones(0)).mean) == 0.0


def test_cross_entropy_is_per_token() -> None:
    found = answers(torch.zeros(3, 4), (0, 0, 1), (0, 1, 2))
    assert cross_entropy(found).values.tolist() == pytest.approx([math.log(4)] * 3)


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(RecipeError, match="did you mean 'npo'"):
        method("npoo")
    with pytest.raises(RecipeError, match="'betta'; did you mean 'beta'"):
        method("npo", betta=1)


def test_all_bad_hyper_parameters_are_named_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        method("npo", beta=-1, retain_weight="much", gamma=2)
    assert all(f"'{name}'" in str(caught.value) for name in ("beta", "retain_weight", "gamma"))
