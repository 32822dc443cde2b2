"""Steering of hidden states at questions, and methods that read contexts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from clearbench.batches.batch import Batch
from clearbench.batches.items import Item, item
from clearbench.errors import ModelError
from clearbench.methods.base import method
from clearbench.methods.guard import FittedGuard, as_text
from clearbench.methods.step import NoReference, Step
from clearbench.models.base import Model
from clearbench.models.guards import load_guards
from clearbench.models.token_model import TokenModel
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.world import learning
from clearbench.training.rows import TrainingRows


def rows_of(rows: TrainingRows, role: str) -> list[Item]:
    return [each for batches in rows.batches(role) for batch in batches for each in batch.items]


def stand(model: Model, rows: TrainingRows, name: str, **about: Any) -> dict[str, Tensor]:
    guard: Any = method(name, **about)
    state: dict[str, Tensor] = guard.prepare(model, rows, 0)
    model.guards = (FittedGuard(guard, state),)
    return state


def entering(model: TokenModel, batch: Batch, layer: int) -> Tensor:
    """(rows, length, width) what the block above `layer` reads."""
    seen: list[Tensor] = []
    block = model._layers[layer]
    handle = block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model.answers([batch.whole()])
    handle.remove()
    return seen[-1]


def question_states(model: TokenModel, each: Item, layer: int) -> Tensor:
    """(tokens, width) of the question alone."""
    (batch,) = model.batch([each])
    return entering(model, batch, layer)[0, : int(batch.places[0]) + 1]


@pytest.mark.parametrize("kind", ["language", "vision-language"])
def test_steering_reads_the_mean_states_of_questions(kind: str) -> None:
    model, rows = learning(tiny_model(kind), "text", size=3)
    state = stand(model, rows, "representation_steering")
    model.guards = ()
    for role in ("forget", "retain"):
        means = [question_states(model, each, 1).mean(0) for each in rows_of(rows, role)]
        torch.testing.assert_close(state[role], torch.stack(means).mean(0), atol=1e-5, rtol=1e-4)
    assert int(state["layer"]) == 1


def test_added_directions_arrive_at_the_question_and_nowhere_else() -> None:
    model, rows = learning(tiny_model(), size=3)
    (batch,) = model.batch(rows_of(rows, "forget")[:3])
    before = entering(model, batch, 1)
    state = stand(model, rows, "representation_steering", strength=3.0)
    moved = entering(model, batch, 1) - before
    asked = batch.inputs["attention_mask"].bool().flatten()
    asked[batch.places + 1] = False
    expected = 3 * (state["retain"] - state["forget"])
    flat = moved.flatten(0, 1)
    torch.testing.assert_close(
        flat[asked], expected.expand(int(asked.sum()), -1), atol=1e-5, rtol=1e-4
    )
    assert not flat[~asked].any()


def test_affine_steering_sets_one_component_to_the_retain_mean() -> None:
    model, rows = learning(tiny_model(), size=3)
    forget = rows_of(rows, "forget")[0]
    before = question_states(model, forget, 1)
    state = stand(model, rows, "representation_steering", form="affine")
    after = question_states(model, forget, 1)
    unit = state["retain"] - state["forget"]
    unit /= unit.norm()
    torch.testing.assert_close(
        after @ unit, (state["retain"] @ unit).expand(len(after)), atol=1e-5, rtol=1e-4
    )
    rest = torch.eye(len(unit)) - torch.outer(unit, unit)
    torch.testing.assert_close(after @ rest, before @ rest, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("form", ["add", "affine"])
def test_steering_of_no_strength_is_the_original(form: str) -> None:
    model, rows = learning(tiny_model(), size=3)
    batches = model.batch(rows_of(rows, "forget"))
    with torch.no_grad():
        before = model.answers(batches).logits
        stand(model, rows, "representation_steering", form=form, strength=0.0)
        torch.testing.assert_close(model.answers(batches).logits, before)


def test_what_is_generated_is_what_is_scored() -> None:
    """Greedy tokens of a steered model are the likeliest ones when it reads its own answer."""
    model, rows = learning(tiny_model(), size=3)
    asked = rows_of(rows, "forget")[:3]
    plain = model.generate(asked, 6)
    stand(model, rows, "representation_steering", strength=30.0)
    steered = model.generate(asked, 6)
    assert plain != steered
    (prompt,) = model.batch([asked[0]])
    first = model.tokenizer.decode(model.answers([prompt]).logits[0].argmax()).strip()
    assert steered[0].startswith(first)


def test_a_layer_with_nothing_above_is_refused() -> None:
    model, rows = learning(tiny_model(), size=3)
    with pytest.raises(ModelError, match="no layer above 2"):
        method("representation_steering", layer=2).prepare(model, rows, 0)  # type: ignore[attr-defined]


def test_a_steered_model_is_saved_with_its_direction(tmp_path: Path) -> None:
    model, rows = learning(tiny_model(), size=3)
    stand(model, rows, "representation_steering", strength=5.0)
    model.save(tmp_path)
    (guard,) = load_guards(tmp_path)
    assert guard.layer == 1
    batches = model.batch(rows_of(rows, "forget"))
    with torch.no_grad():
        steered = model.answers(batches).logits
        model.guards = (guard,)
        assert torch.equal(model.answers(batches).logits, steered)


def test_a_context_holds_flipped_and_true_rows() -> None:
    model, rows = learning(tiny_model(), size=3)
    asked = rows_of(rows, "forget")[0]
    plain = model.tree([asked])
    text = as_text(stand(model, rows, "in_context_unlearning", flipped=2, kept=3)["text"])
    lines = text.splitlines()
    answers = {"forget": {}, "retain": {}}  # type: ignore[var-annotated]
    for split, found in answers.items():
        for row in tiny_dataset().train_rows(split, ("text",)):
            found[row.question] = row.answer
    assert len(lines) == 5
    for line in lines[:2]:
        question = next(q for q in answers["forget"] if line.startswith(q))
        answer = line.removeprefix(question).strip()
        assert answer != answers["forget"][question] and answer in answers["retain"].values()
    for line in lines[2:]:
        question = next(q for q in answers["retain"] if line.startswith(q))
        assert line == f"{question} {answers['retain'][question]}"
    guarded = model.tree([asked])
    assert len(guarded) > len(plain) + 50
    assert guarded.ids[guarded.starts[0] :].tolist() == plain.ids[plain.starts[0] :].tolist()


def test_eco_finetuning_learns_what_the_garbled_model_says() -> None:
    model, rows = learning(tiny_model(), size=3)
    chosen: Any = method("eco_finetune", zeroed=1.0)
    state = chosen.prepare(model, rows, 0)
    assert model.guards == (), "no guard is left behind"
    guard: Any = method("eco", zeroed=1.0)
    always = {"weight": torch.zeros(32), "bias": torch.tensor(99.0)}
    model.guards = (FittedGuard(guard, always),)
    asked = [item(row) for row in tiny_dataset().train_rows("forget", ("text",))]
    said = model.generate(asked, 40)
    model.guards = ()
    batches = {role: model.batch(rows_of(rows, role)[:4]) for role in ("forget", "retain")}
    with torch.no_grad():
        terms = chosen.loss(Step(model, NoReference(), batches, state))
        garbled = [
            Item(each.row, "garbled", each.question, answer)
            for each, answer in zip(asked, said, strict=True)
        ]
        expected = -model.answers(model.batch(garbled)).log_probs
        kept = -model.answers(batches["retain"]).log_probs
    torch.testing.assert_close(terms["forget"].values.sum(), expected.sum(), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(terms["retain"].values, kept)
