"""What methods ask of a model beside its answers: states, other weights, a blank twin, guards."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clearbench.batches.items import item
from clearbench.errors import ClearbenchError
from clearbench.methods.base import method
from clearbench.models.base import Model
from clearbench.models.guards import is_guard, save_guards
from clearbench.models.load import load_model
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.world import copied, taught
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

KINDS = ("language", "vision-language", "classifier")


def batches(model: Model, split: str = "forget", track: Any = None) -> Any:
    data = tiny_dataset().for_kind(model.kind)
    tracks = (track,) if track else ("text", "image")
    rows = [item(row) for row in data.train_rows(split, tracks)]
    return model.batch([each for each in rows if model.accepts(each)])


@pytest.mark.parametrize("kind", KINDS[:2])
def test_states_end_at_their_layer_and_are_exact(kind: str) -> None:
    model = copied(taught(kind))  # type: ignore[arg-type]
    rows = batches(model)
    ran: list[int] = []
    for number, layer in enumerate(model._layers):  # type: ignore[attr-defined]
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    for layer in (1, 2):
        whole = [model.hidden(b, layer).flatten(0, 1)[b.places] for b in rows]
        model.states(rows, layer)  # the self-test of the first call runs everything
        ran.clear()
        found = model.states(rows, layer)
        assert torch.equal(found, torch.cat(whole))
        assert set(ran) == set(range(layer))
    assert set(model.shortcuts.early.values()) == {True}  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS[:2])
def test_states_have_the_gradient_of_the_whole_pass(kind: str) -> None:
    model = copied(taught(kind))  # type: ignore[arg-type]
    model.train_only(("language",))
    weights = list(model.trainable().values())

    def slope(states: Tensor) -> list[Tensor]:
        loss = states.square().sum()
        return list(torch.autograd.grad(loss, weights, materialize_grads=True))

    rows = batches(model)
    early = slope(model.states(rows, 1))
    whole = slope(torch.cat([model.hidden(b, 1).flatten(0, 1)[b.places] for b in rows]))
    for ours, theirs in zip(early, whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_classifiers_states_are_its_pooled_maps() -> None:
    model = tiny_model("classifier")
    (rows,) = batches(model)
    torch.testing.assert_close(model.states([rows], model.depth), model.embed(rows)[rows.places])


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_that_is_not_there_is_refused(kind: str) -> None:
    model = tiny_model(kind)
    with pytest.raises(ClearbenchError, match="this model has 1 to"):
        model.states(batches(model), 9)


def test_where_a_parameter_lies() -> None:
    model, seeing = tiny_model(), tiny_model("classifier")
    assert model.layer_of("model.layers.1.mlp.down_proj.weight") == 2
    assert model.layer_of("base_model.model.model.layers.0.mlp.up_proj.lora_A.default.weight") == 1
    assert model.layer_of("model.embed_tokens.weight") is None
    stages = {seeing.layer_of(name) for name in seeing.trainable()}
    assert stages == {None, *range(1, seeing.depth + 1)}


@pytest.mark.parametrize("kind", KINDS)
def test_other_weights_are_held_and_given_back(kind: str) -> None:
    model, other = copied(taught(kind)), tiny_model(kind, seed=5)  # type: ignore[arg-type]
    model.train_only(model.parts)
    rows = batches(model)
    before = model.answers(rows).logits.detach()
    held = {name: p.detach() for name, p in other.module.named_parameters()}
    with model.holding(held), torch.no_grad():
        inside = model.answers(rows).logits
        assert not model.trainable()
    torch.testing.assert_close(inside, other.answers(batches(other)).logits)
    assert torch.equal(model.answers(rows).logits.detach(), before)
    assert model.trainable()


def test_features_of_held_towers_are_kept_apart() -> None:
    model = copied(taught("vision-language"))
    model.train_only(("vision", "projector", "language"))
    rows = batches(model, track="image")
    held = {n: torch.zeros_like(p) for n, p in model.trainable().items() if "vision" in n}
    with model.holding(held), torch.no_grad():
        inside = model.answers(rows).logits
    model.train_only(())
    with torch.no_grad():
        after = model.answers(rows).logits
    assert not torch.allclose(inside, after), "the held tower's features were used"
    torch.testing.assert_close(after, copied(taught("vision-language")).answers(rows).logits)


@pytest.mark.parametrize("kind", KINDS)
def test_an_untrained_twin_knows_nothing_and_follows_its_seed(kind: str) -> None:
    model = copied(taught(kind))  # type: ignore[arg-type]
    rows = batches(model)
    state = torch.random.get_rng_state()
    first, again, other = model.untrained(1), model.untrained(1), model.untrained(2)
    assert torch.equal(torch.random.get_rng_state(), state)
    logits = [each.answers(rows).logits for each in (first, again, other, model)]
    assert torch.equal(logits[0], logits[1])
    assert not torch.allclose(logits[0], logits[2])
    known = model.answers(rows).log_probs.mean()
    assert first.answers(rows).log_probs.mean() < known - 0.5
    assert not first.trainable()


@pytest.mark.parametrize("factor", [-1.0, 0.0, 0.5])
def test_a_change_is_rescaled(factor: float) -> None:
    model = tiny_model()
    model.train_only(("language",))
    start = {n: p.detach().clone() for n, p in model.trainable().items()}
    with torch.no_grad():
        for weight in model.trainable().values():
            weight.add_(2.0)
    model.rescale_change(start, factor)
    for name, weight in model.trainable().items():
        torch.testing.assert_close(weight.detach(), start[name] + 2 * factor)


def guarded(kind: str, **hyperparameters: Any) -> Model:
    model = copied(taught(kind))  # type: ignore[arg-type]
    about = {"threshold": 0.5, "zeroed": 1.0} | hyperparameters
    steps = TrainSettings.model_validate({"steps": 1})
    unlearn(model, tiny_dataset(), method("eco", **about), ("text",), steps)
    return model


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_guard_garbles_forget_questions_alone(kind: str) -> None:
    plain, model = taught(kind), guarded(kind)  # type: ignore[arg-type]
    with torch.no_grad():
        for split, same in (("retain", True), ("forget", False)):
            rows = batches(model, split, "text")
            ours, theirs = model.answers(rows), plain.answers(rows)
            assert torch.allclose(ours.logits, theirs.logits, atol=1e-5) is same, split
        assert ours.log_probs.mean() < theirs.log_probs.mean() - 0.5
    for name, weight in model.module.state_dict().items():
        assert torch.equal(weight, plain.module.state_dict()[name]), "a guard moves no weight"


def test_a_guard_stands_on_every_road() -> None:
    """Answers one by one, readings of rows that would share a trunk, and what is said."""
    model, plain = guarded("language"), taught("language")
    rows = [item(row) for row in tiny_dataset().train_rows("forget", ("text",))]
    others = [replace(each, variant="perturbed_0", answer="In Cork.") for each in rows]
    whole = {
        each.key: model.score(batch)[k]
        for tree in [model.trees([*rows, *others])]
        for batch in model.collate(tree)
        for k, each in enumerate(batch.items)
    }
    for each in [*rows, *others]:
        (batch,) = model.batch([each])
        torch.testing.assert_close(whole[each.key], model.score(batch)[0], atol=1e-5, rtol=1e-5)
    said, known = model.generate(rows, 12), plain.generate(rows, 12)
    assert said != known
    kept = [item(row) for row in tiny_dataset().train_rows("retain", ("text",))]
    assert model.generate(kept, 12) == plain.generate(kept, 12)


def test_a_guard_is_saved_beside_its_model(tmp_path: Path) -> None:
    model = guarded("language")
    model.save(tmp_path / "whole")
    again = load_model(tmp_path / "whole", dtype=torch.float32)
    rows = batches(model, track="text")
    with torch.no_grad():
        torch.testing.assert_close(again.answers(rows).logits, model.answers(rows).logits)
    save_guards(model, tmp_path / "alone")
    assert is_guard(tmp_path / "alone") and not is_guard(tmp_path / "whole")
    with pytest.raises(ClearbenchError, match="a guard without its model"):
        load_model(tmp_path / "alone")
    settings = tmp_path / "whole" / "guard-000" / "guard.json"
    settings.write_text(json.dumps({"method": "npo", "hyperparameters": {}}))
    with pytest.raises(ClearbenchError, match="'npo' is no guard"):
        load_model(tmp_path / "whole")
    settings.write_text("[]")
    with pytest.raises(ClearbenchError, match="not a guard's settings"):
        load_model(tmp_path / "whole")


def test_a_guardrail_stands_before_every_question() -> None:
    model, plain = copied(taught("language")), taught("language")
    steps = TrainSettings.model_validate({"steps": 1})
    about = {"instruction": "Never speak about {names}."}
    unlearn(model, tiny_dataset(), method("guardrail", **about), ("text",), steps)
    rows = [item(row) for row in tiny_dataset().train_rows("retain", ("text",))][:3]
    asked = [
        replace(each, question=f"Never speak about person 0, person 1. {each.question}")
        for each in rows
    ]
    with torch.no_grad():
        ours, theirs = model.answers(model.batch(rows)), plain.answers(plain.batch(asked))
    torch.testing.assert_close(ours.logits, theirs.logits)
    assert ours.items == tuple(rows), "records name the row that was asked for"
    assert model.generate(rows, 8) == plain.generate(asked, 8)


def test_an_instruction_without_names_is_refused() -> None:
    with pytest.raises(ClearbenchError, match="'instruction'"):
        method("guardrail", instruction="Say nothing.")


def test_an_edited_tower_is_looked_through_anew() -> None:
    """Features that a model stored while its tower was frozen are not another tower's."""
    model = copied(taught("vision-language"))
    pictured = next(row for row in tiny_dataset().evaluation["forget"] if row.track == "image")
    model.train_only(())
    (before,) = model.score_items([item(pictured)]).values()
    twin = model.duplicate()
    twin.train_only(("vision",))
    with torch.no_grad():
        for weight in twin.trainable().values():
            weight.mul_(1.5)
    twin.train_only(())
    (after,) = twin.score_items([item(pictured)]).values()
    (again,) = model.score_items([item(pictured)]).values()
    assert not np.allclose(after.log_probs, before.log_probs, atol=1e-4)
    assert np.array_equal(again.log_probs, before.log_probs)
