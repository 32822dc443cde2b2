"""ULD: the assistant's loss, the difference of logits, and that every answer is made from it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clearbench.batches.items import item
from clearbench.errors import RecipeError
from clearbench.methods.base import method
from clearbench.methods.guard import ASSISTANT
from clearbench.methods.uld import ULD
from clearbench.models.adapters import add_lora
from clearbench.models.guards import save_guards
from clearbench.models.load import load_model
from clearbench.testing import tiny_dataset
from clearbench.testing.bench import Bench
from clearbench.testing.by_hand import changed, check_term, snapshot
from clearbench.testing.given import WORDS, GivenModel, given_step
from clearbench.testing.world import copied, taught

MODEL = GivenModel.drawn(0)
KINDS: Any = ("language", "vision-language")


def test_the_assistant_learns_forget_rows_and_loses_retain_rows() -> None:
    found = method("uld", retain_weight=5.0).loss(given_step(MODEL))
    check_term(found["forget"], MODEL.losses("forget"))
    p = MODEL.probabilities("retain")
    even = np.full(WORDS, 1 / WORDS)
    check_term(found["retain"], 5.0 * (even * np.log(even / p)).sum(-1))


def compose(own: Any, theirs: Any, **about: Any) -> Tensor:
    return ULD(**about).compose(torch.tensor([own]), torch.tensor([theirs]), {})[0]


def test_without_a_filter_it_is_the_difference_of_the_logits() -> None:
    draw = torch.Generator().manual_seed(0)
    own, theirs = 3 * torch.randn(2, 4, 9, generator=draw)
    found = ULD(alpha=0.7, filter=0).compose(own, theirs, {}).softmax(-1)
    torch.testing.assert_close(found, (own - 0.7 * theirs).softmax(-1))
    shifted = ULD(alpha=0.7, filter=0.1).compose(own + 5, theirs - 8, {})
    torch.testing.assert_close(shifted, ULD(alpha=0.7, filter=0.1).compose(own, theirs, {}))


def test_only_likely_tokens_lose_the_assistants_share() -> None:
    own, theirs = np.array([0.6, 0.3, 0.09, 0.01]), np.array([0.7, 0.1, 0.1, 0.1])
    found = compose(np.log(own).tolist(), np.log(theirs).tolist(), alpha=0.5, filter=0.2)
    kept = np.array([True, True, False, False])  # 0.09 is under a fifth of 0.6
    expected = np.where(kept, np.log(own) - 0.5 * np.log(theirs), np.log(own))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert int(found.argmax()) == 1, "the assistant knows the first"


def test_a_share_of_the_vocabulary_passes_in_any_case() -> None:
    """Half of four words: the second passes although it is under half of the first."""
    own, theirs = np.array([0.9, 0.06, 0.03, 0.01]), np.array([0.25, 0.25, 0.25, 0.25])
    found = compose(np.log(own).tolist(), np.log(theirs).tolist(), alpha=1.0, filter=0.5)
    expected = np.log(own) - np.array([1, 1, 0, 0]) * np.log(0.25)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@cache
def unlearned(kind: Any) -> Any:
    """A tiny model with an assistant that has learned for a few steps."""
    bench = Bench(ULD, kind)
    model = bench.model()
    bench.run(model, ULD(alpha=1.5, filter=0.05), steps=6, learning_rate=3e-3)
    return model


def two_models(kind: Any) -> tuple[Any, Any]:
    """The model without its guard, and one that has the assistant's weights."""
    guarded = unlearned(kind)
    plain, assistant = copied(taught(kind)), copied(taught(kind))
    (guard,) = guarded.guards
    weights = {n.removeprefix(ASSISTANT): w for n, w in guard.state.items()}
    assert weights.keys() == {
        n for n, _ in plain.module.named_parameters() if plain.part_of(n) == "language"
    }
    missing = assistant.module.load_state_dict(weights, strict=False)
    assert not missing.unexpected_keys
    for model in (plain, assistant):
        model.module.tie_weights()
    return plain, assistant


def by_hand(plain: Tensor, assistant: Tensor) -> Tensor:
    return ULD(alpha=1.5, filter=0.05).compose(plain, assistant, {})


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_keeps_its_weights(kind: Any) -> None:
    assert not changed(snapshot(taught(kind)), snapshot(unlearned(kind)))
    _, assistant = two_models(kind)
    assert changed(snapshot(taught(kind)), snapshot(assistant))


@pytest.mark.parametrize("kind", KINDS)
def test_answers_and_readings_are_composed(kind: Any) -> None:
    guarded, (plain, assistant) = unlearned(kind), two_models(kind)
    rows = [item(row) for row in tiny_dataset().train_rows("forget", Bench(ULD, kind).tracks)]
    rows = [row for row in rows if guarded.accepts(row)]
    with torch.no_grad():
        batches = guarded.batch(rows)
        found = guarded.answers(batches)
        expected = by_hand(plain.answers(batches).logits, assistant.answers(batches).logits)
        torch.testing.assert_close(found.logits, expected)
        read = torch.cat([torch.cat(list(guarded.logits(b, b.places))) for b in batches])
        torch.testing.assert_close(read, expected)
    readings = guarded.score_items(rows)
    for k, row in enumerate([row for batch in batches for row in batch.items]):
        mine = expected[found.rows == k].log_softmax(-1)
        wanted = mine.gather(1, found.targets[found.rows == k][:, None])[:, 0]
        np.testing.assert_allclose(readings[row].log_probs, wanted, rtol=1e-4, atol=1e-4)


def greedy(plain: Any, assistant: Any, asked: Any, longest: int) -> str:
    """The text of one answer, without any cache: both models read everything at every step."""
    batch = plain._left_padded([plain._prompt(asked)])
    ids, said = batch.inputs["input_ids"], list[int]()
    others = {n: v for n, v in batch.inputs.items() if n not in ("input_ids", "attention_mask")}
    with torch.no_grad():
        for _ in range(longest):
            both = (m.core(input_ids=ids, **others).logits[:, -1] for m in (plain, assistant))
            token = int(by_hand(*both).argmax())
            if token == plain.tokenizer.eos_token_id:
                break
            said.append(token)
            ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
    return str(plain.tokenizer.decode(said, skip_special_tokens=True)).strip()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_is_composed(kind: Any) -> None:
    guarded, (plain, assistant) = unlearned(kind), two_models(kind)
    splits = [row for name in ("forget", "retain") for row in tiny_dataset().evaluation[name]]
    rows = [item(row) for row in splits if row.task != "name"]
    rows = [row for row in rows if guarded.accepts(row)][:10]
    said = guarded.generate(rows, 8)
    assert said == [greedy(plain, assistant, row, 8) for row in rows]
    assert said != plain.generate(rows, 8)
    assert guarded.generate(rows[:1], 3) == [greedy(plain, assistant, rows[0], 3)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_folder_says_the_same(kind: Any, tmp_path: Path) -> None:
    guarded = unlearned(kind)
    guarded.save(tmp_path / "whole")
    save_guards(guarded, tmp_path / "alone")
    stored = {path.name for path in (tmp_path / "alone" / "guard-000").iterdir()}
    assert stored == {"guard.json", "guard.safetensors"}
    again: Any = load_model(tmp_path / "whole", kind=kind, dtype=torch.float32)
    rows = [item(row) for row in tiny_dataset().train_rows("forget", ("text",))]
    assert again.generate(rows, 8) == guarded.generate(rows, 8)
    assert again.fingerprint == guarded.fingerprint


def test_adapters_leave_the_assistant_in_its_place() -> None:
    model = copied(unlearned("language"))
    batches = model.batch([item(r) for r in tiny_dataset().train_rows("forget", ("text",))])
    with torch.no_grad():
        before = model.answers(batches).logits
        add_lora(model, ("language",), 2)
        model.train(False)
        torch.testing.assert_close(model.answers(batches).logits, before)


@pytest.mark.parametrize("setting", [{"lora_rank": 2}, {"max_retain_rise": 0.5}])
def test_settings_of_the_models_own_training_are_refused(setting: Any) -> None:
    bench = Bench(ULD, "language")
    with pytest.raises(RecipeError, match="weights of an assistant"):
        bench.run(bench.model(), **setting)


def test_a_second_assistant_learns_as_if_it_were_alone() -> None:
    """It is read without the first one, so it must not make up for it."""
    bench, chosen = Bench(ULD, "language"), ULD()
    alone, second = bench.model(), bench.model()
    bench.run(alone, chosen, steps=2)
    second.guards = unlearned("language").guards
    bench.run(second, chosen, steps=2)
    first, last = second.guards
    assert first is unlearned("language").guards[0]
    assert last.state.keys() == alone.guards[0].state.keys()
    for name, weight in alone.guards[0].state.items():
        assert torch.equal(last.state[name], weight)
    rows = second.batch([item(row) for row in tiny_dataset().train_rows("forget", ("text",))])
    with torch.no_grad():
        second.guards = (first,)
        once = second.answers(rows).logits
        second.guards = ()
        with second.holding(last.assistant):
            theirs = second.answers(rows).logits
        second.guards = (first, last)
        expected = chosen.compose(once, theirs, {})
        torch.testing.assert_close(second.answers(rows).logits, expected)
