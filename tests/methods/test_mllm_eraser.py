"""MLLMEraser's steering against the published matrix, computed here with pseudo-inverses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from clearbench.batches.items import Item
from clearbench.batches.kind import Kind
from clearbench.errors import ModelError
from clearbench.methods.base import method
from clearbench.methods.mllm_eraser import MLLMEraser
from clearbench.models.base import Model
from clearbench.testing import tiny_model
from clearbench.testing.world import learning
from clearbench.training.rows import TrainingRows


def all_states(model: Any, each: Item) -> tuple[Tensor, int, int]:
    """(length, width) after the first layer, the last prompt token, and the number of answers'."""
    (batch,) = model.batch([each])
    with torch.no_grad():
        return model.hidden(batch, 1)[0].double(), int(batch.places[0]), len(batch.places)


def by_role(model: Model, rows: TrainingRows, role: str) -> tuple[Tensor, Tensor]:
    """(rows, width) of last prompt tokens; (tokens, width) that answers are read from."""
    lasts, answers = [], []
    for each in rows.items(role):
        states, place, count = all_states(model, each)
        lasts.append(states[place])
        answers.append(states[place : place + count])
    return torch.stack(lasts), torch.cat(answers)


@pytest.mark.parametrize("kind", ["language", "vision-language"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_the_fit_is_the_published_matrix(kind: Kind, share: float) -> None:
    """P (X^T X + l P^T P)^+ X^T [d, ..., d], X = H_f P, as one (width, width) matrix."""
    model, rows = learning(tiny_model(kind), "text", size=3)
    chosen = MLLMEraser(null_share=share, ridge=0.02)
    state = chosen.fit(model, rows, 1)
    forget, answered = by_role(model, rows, "forget")
    retain, _ = by_role(model, rows, "retain")
    _, refused = by_role(model, rows, "idk")
    direction = refused.mean(0) - answered.mean(0)
    torch.testing.assert_close(state["direction"].double(), direction, atol=1e-5, rtol=1e-4)
    width = retain.shape[1]
    _, sizes, directions = torch.linalg.svd(retain, full_matrices=True)
    small = width - int((sizes > sizes[0] * 1e-6).sum())
    basis = directions[width - max(small, int(share * width)) :]
    project = basis.T @ basis
    seen = forget @ project
    inner = torch.linalg.pinv(seen.T @ seen + 0.02 * project.T @ project)
    matrix = project @ inner @ seen.T @ direction.expand(len(forget), -1)
    found = torch.outer(state["weight"].double(), state["direction"].double())
    assert matrix.norm() > 1e-4
    torch.testing.assert_close(found, matrix, atol=1e-5, rtol=1e-3)


def test_what_retained_questions_span_is_not_moved() -> None:
    """Of a null space without noise, <h, w> is 0 on every retained state, and 1 on a forget one."""
    rng = torch.Generator().manual_seed(0)
    retain = torch.randn(5, 12, generator=rng, dtype=torch.double)
    basis = MLLMEraser(null_share=0.01)._null_space(retain)
    assert basis.shape == (12, 7)
    torch.testing.assert_close(retain @ basis, torch.zeros(5, 7).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(basis.T @ basis, torch.eye(7).double())
    assert MLLMEraser(null_share=0.75)._null_space(retain).shape == (12, 9)


def test_the_question_is_moved_by_its_last_token_and_the_answer_is_not() -> None:
    rng = torch.Generator().manual_seed(1)
    states = torch.randn(2, 4, 3, generator=rng)
    prompts = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1]]).bool()
    weight, direction = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.0, 3.0, 1.0])
    state = {"weight": weight, "direction": direction, "layer": torch.tensor(1)}
    moved = MLLMEraser(strength=2.0).steer(states, prompts, state)
    expected = states.clone()
    for row, (last, asked) in enumerate(((1, (0, 1)), (3, (1, 2, 3)))):
        for place in asked:
            expected[row, place] += 2.0 * float(states[row, last] @ weight) * direction
    torch.testing.assert_close(moved, expected)


def put_on(model: Model, rows: TrainingRows, **about: Any) -> None:
    chosen: Any = method("mllm_eraser", **about)
    (stage,) = chosen.stages()
    stage.function(model, rows)


def test_of_no_strength_it_is_the_original_and_forget_questions_move_more() -> None:
    model, rows = learning(tiny_model(), "text", size=3)
    batches = {role: model.batch(rows.items(role)) for role in ("forget", "retain")}
    with torch.no_grad():
        before = {role: model.answers(given).logits for role, given in batches.items()}
        put_on(model, rows, strength=0.0)
        torch.testing.assert_close(model.answers(batches["forget"]).logits, before["forget"])
        model.guards = ()
        put_on(model, rows, strength=4.0)
        moved = {
            role: float((model.answers(given).logits - before[role]).norm(dim=-1).mean())
            for role, given in batches.items()
        }
    assert moved["forget"] > 2 * moved["retain"]


def test_a_layer_with_nothing_above_is_refused() -> None:
    model, rows = learning(tiny_model(), "text", size=3)
    with pytest.raises(ModelError, match="no layer above 2"):
        put_on(model, rows, last=2)
    put_on(model, rows)
    assert [guard.layer for guard in model.guards] == [1]
