"""What is scored are the answer's tokens, and nothing else about a batch moves them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from clearbench.batches.collate import collate
from clearbench.batches.items import Encoded, Item, cut, item
from clearbench.batches.trees import merge
from clearbench.data.dataset import SPLITS, Dataset
from clearbench.errors import ModelError
from clearbench.evaluation import engine
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.methods.base import method
from clearbench.models.base import Model
from clearbench.models.decoding import decode
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

KINDS = ("language", "vision-language", "classifier")


def data(kind: str) -> Dataset:
    return tiny_dataset() if kind != "classifier" else tiny_dataset().naming()


def items(model: Model) -> list[Item]:
    rows = [row for split in data(model.kind).evaluation.values() for row in split]
    return [each for each in map(item, rows) if model.accepts(each)]


def scores(model: Model, chosen: list[Item]) -> dict[str, Tensor]:
    """By item, the log-probabilities of its answer."""
    return {
        each.key: log_probs
        for batch in model.batch(chosen)
        for each, log_probs in zip(batch.items, model.score(batch), strict=True)
    }


def apart(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    assert first.keys() == second.keys() and first
    return max(float((first[key] - second[key]).abs().max()) for key in first)


@pytest.mark.parametrize("question", ["Where was he born?", "Who?"])
@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("answer", ["In Oslo.", "Oslo", "?", " spaced  out ", "Ünïcödé 雪"])
def test_the_answer_span_is_the_answer(question: str, seen: bool, answer: str) -> None:
    model: Any = tiny_model("vision-language")
    image = next(row.image for row in tiny_dataset().train_rows("forget", ("image",)))
    each = Item("1", "answer", question, answer, image if seen else None)
    found = model.encoder.encode(each)
    asked = model.encoder.prompt(question, each.media)
    prompt, tensors = asked.ids, asked.tensors
    assert found.ids[: found.answer_start] == prompt, "the prompt is seen whole"
    said = model.tokenizer.decode(found.ids[found.answer_start :], skip_special_tokens=True)
    assert said.strip() == answer.strip()
    assert found.ids[-1] == model.tokenizer.eos_token_id, "the end belongs to the answer"
    assert found.ids.count(model.tokenizer.eos_token_id) == 1
    image = model.tokenizer.convert_tokens_to_ids("<image>")
    assert found.ids.count(image) == (9 if seen else 0)
    assert ("pixel_values" in tensors) is seen


def test_the_answer_span_without_a_template() -> None:
    """The answer starts where the two texts part, even if a token runs over the border."""
    model: Any = tiny_model()
    model.tokenizer.chat_template = None
    found = model.encoder.encode(Item("1", "answer", "Who?", "Nobody."))
    said = model.tokenizer.decode(found.ids[found.answer_start :], skip_special_tokens=True)
    assert said.strip() == "Nobody."
    assert found.ids[-1] == model.tokenizer.eos_token_id


def test_the_span_ends_where_the_prompts_part() -> None:
    class Merging:
        """A tokenizer that merges the last letter of the prompt with the first of the answer."""

        pad_token_id, eos_token_id, unk_token_id, chat_template = 0, 1, None, None

        def __len__(self) -> int:
            return 256

        def decode(self, ids: list[int], **_: Any) -> str:
            return "".join(map(chr, ids))

        def __call__(self, text: str, add_special_tokens: bool = True) -> Any:
            pairs = text.replace("Answer: N", "Answer§N")
            return type("Out", (), {"input_ids": [ord(letter) for letter in pairs]})

    from clearbench.models.encoding import Encoder

    encoder = Encoder(Merging())
    found = encoder.encode(Item("1", "answer", "Who?", "N."))
    prompt = encoder.prompt("Who?", None).ids
    assert found.answer_start == len(prompt) - 1
    assert [chr(k) for k in found.ids[found.answer_start : -1]] == ["§", "N", "."]


def test_only_the_answer_is_scored() -> None:
    model = tiny_model()
    chosen = items(model)
    (batch,) = model.batch(chosen)
    answers = model.answers([batch])
    for row, each in enumerate(batch.items):
        encoded = model.encoder.encode(each)  # type: ignore[attr-defined]
        targets = answers.targets[answers.rows == row].tolist()
        assert targets == list(encoded.ids[encoded.answer_start :])


@pytest.mark.parametrize("kind", ["language", "vision-language"])
def test_the_fast_path_equals_the_plain_one(kind: str) -> None:
    model: Any = tiny_model(kind)
    chosen = items(model)
    model.shortcuts.head_only = {"text": True, "image": True}
    fast = scores(model, chosen)
    model.shortcuts.head_only = {"text": False, "image": False}
    assert apart(fast, scores(model, chosen)) < 1e-5
    model.shortcuts.head_only = {}
    scores(model, chosen)
    assert all(model.shortcuts.head_only.values()) and model.shortcuts.head_only, (
        "the self-test finds the fast path exact"
    )


def test_the_fast_path_is_left_where_it_is_not_exact() -> None:
    model: Any = tiny_model()
    honest = scores(model, items(model))
    exact = model._states
    model.shortcuts.head_only, model._states = {}, lambda batch: exact(batch) + 1e-2
    assert apart(honest, scores(model, items(model))) < 1e-5
    assert not any(model.shortcuts.head_only.values())


@pytest.mark.parametrize("kind", KINDS)
def test_batches_change_no_log_probability(kind: str) -> None:
    """Order, batch size (so padding) and token budget: under 1e-5 each."""
    model = tiny_model(kind)
    chosen = items(model)
    together = scores(model, chosen)
    assert apart(together, scores(model, chosen[::-1])) < 1e-5
    alone = {key: value for each in chosen for key, value in scores(model, [each]).items()}
    assert apart(together, alone) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_the_budget_changes_no_record(kind: str) -> None:
    model, found = tiny_model(kind), []
    settings = EvaluationSettings(limit=None, splits=SPLITS, max_new_tokens=1)
    for budget in (1, 300, 100_000):
        model.token_budget = budget
        found.append(engine.evaluate(model, data(kind), settings).answers)
    for other in found[1:]:
        assert list(other["row"]) == list(found[0]["row"])
        for ours, theirs in zip(found[0]["log_probs"], other["log_probs"], strict=True):
            assert ours == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("kind", ["language", "vision-language"])
def test_the_padding_side_changes_no_log_probability(kind: str) -> None:
    model: Any = tiny_model(kind)
    model.shortcuts.head_only = {"text": False, "image": False}
    sighted = kind == "vision-language"
    chosen = [each for each in items(model) if (each.image is not None) is sighted]
    encoded = [model.encoder.encode(each) for each in chosen]
    sides = []
    for side in ("right", "left"):
        chains = [merge([each], [code]) for each, code in zip(chosen, encoded, strict=True)]
        batch = collate(chains, model.tokenizer.pad_token_id, side)
        mask = batch.inputs["attention_mask"]
        batch.inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp_min(0)
        keys = [each.key for each in chosen]
        sides.append(dict(zip(keys, model.score(batch), strict=True)))
    assert apart(*sides) < 1e-5


def test_generation_does_not_depend_on_the_batch() -> None:
    model: Any = tiny_model("vision-language")
    chosen = items(model)[:8]
    together = model.generate(chosen, 6)
    assert together == [model.generate([each], 6)[0] for each in chosen]


def test_padding_is_outside_the_answer() -> None:
    chains = [
        merge([Item("1", "answer", "q", "a")], [Encoded((5, 6, 7), 1)]),
        merge([Item("2", "answer", "q", "a")], [Encoded((5, 6, 7, 8, 9), 4)]),
    ]
    batch = collate(chains, pad=0)
    assert batch.inputs["input_ids"].tolist() == [[5, 6, 7, 0, 0], [5, 6, 7, 8, 9]]
    assert batch.inputs["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.places.tolist() == [0, 1, 8], "the token before predicts"
    assert batch.targets.tolist() == [6, 7, 9]
    assert batch.owners.tolist() == [0, 0, 1]


def test_batches_are_cut_by_padded_tokens() -> None:
    lengths = [3, 9, 1, 9, 4, 2]
    groups = cut(lengths, 18)
    assert sorted(index for group in groups for index in group) == list(range(6))
    assert groups == [[1, 3], [4, 0, 5, 2]]
    assert all(len(group) * max(lengths[i] for i in group) <= 18 for group in groups)
    assert cut([50], 18) == [[0]], "a sequence over the budget goes alone"
    assert cut([], 18) == []


def test_an_image_needs_a_model_that_takes_media() -> None:
    image = next(row for row in tiny_dataset().train_rows("forget", ("image",)))
    model = tiny_model()
    assert not model.accepts(item(image))
    with pytest.raises(ModelError, match="the model reads only text"):
        model.batch([item(image)])


def test_stored_features_are_not_used_after_the_tower_has_learned() -> None:
    """A frozen reference leaves the old tower's features in no one's way."""
    model: Any = tiny_model("vision-language")
    chosen = [each for each in items(model) if each.image is not None]
    model.train_only(("language",))
    before = scores(model, chosen)
    kept = [key for key in model.cache._entries if key[0] == "features"]
    assert kept, "a frozen tower's features are kept"
    settings = {"steps": 2, "batch_size": 4, "learning_rate": 1e-2, "parts": ("vision",)}
    unlearn(
        model, tiny_dataset(), method("npo"), ("image",), TrainSettings.model_validate(settings)
    )
    model.train_only(("vision",))
    plain = scores(model, chosen)
    model.train_only(("language",))
    assert apart(plain, scores(model, chosen)) < 1e-5
    assert apart(before, plain) > 1e-3


def test_a_classifier_answers_with_one_token() -> None:
    model = tiny_model("classifier")
    chosen = items(model)
    for each, log_probs in zip(chosen, model.score(model.batch(chosen)[0]), strict=True):
        assert log_probs.shape == (1,)
        logits = model.module(**model.media(each)).logits[0]  # type: ignore[attr-defined]
        expected = torch.log_softmax(logits.detach(), 0)[int(each.answer.split()[-1])]
        assert float(log_probs[0]) == pytest.approx(float(expected), abs=1e-5)


def test_our_decoding_is_used_and_says_what_the_library_says() -> None:
    model: Any = tiny_model("vision-language")
    chosen = items(model)[:8]
    ours = model.generate(chosen, 12)
    assert model.shortcuts.own_decoding == {"text": True, "image": True}
    model.shortcuts.own_decoding = {"text": False, "image": False}
    assert ours == model.generate(chosen, 12)


def test_a_row_that_has_ended_leaves_the_batch() -> None:
    """Three rows that end after 1, 3 and never; the forward pass sees only those alive."""
    script = {0: [7, 1], 1: [7, 8, 9, 1], 2: [5, 5, 5, 5, 5]}
    cache, sizes, alive = DynamicCache(), [], [0, 1, 2]

    def say(step: int) -> Tensor:
        logits = torch.zeros(len(alive), 10)
        for place, row in enumerate(alive):
            logits[place, script[row][step]] = 1.0
        return logits

    def forward(inputs: dict[str, Any]) -> Tensor:
        sizes.append(len(inputs["input_ids"]))
        alive[:] = [row for row in alive if script[row][len(sizes) - 1] != 1]
        return say(len(sizes))

    inputs = {"input_ids": torch.ones(3, 2).long(), "attention_mask": torch.ones(3, 2).long()}
    found = decode(lambda _: say(0), forward, inputs, cache, [1], [5, 5, 5])
    assert found == [[7], [7, 8, 9], [5] * 5]
    assert sizes == [3, 2, 2, 1]
