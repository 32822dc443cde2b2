"""Rows that a model cannot read are refused with their names, all at once, before any work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BloomConfig,
    FalconConfig,
    GPT2Config,
    GPTNeoConfig,
    LlamaConfig,
    MistralConfig,
    MptConfig,
    OPTConfig,
    Phi3Config,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

from clearbench.batches.items import Item
from clearbench.data.dataset import Dataset
from clearbench.errors import DataError
from clearbench.evaluation import engine
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.methods.base import method
from clearbench.models.legible import Legible
from clearbench.models.positions import attention_window, position_limit
from clearbench.models.token_model import LanguageModel
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training.finetune import finetune
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

MARKS = {"pad_token": "<pad>", "eos_token": "</s>"}
UNKNOWN = {"unk_token": "<unk>"}
LETTERS = "abcdefghijklmnopqrstuvwxyz .,?"


def one_letter_each(letters: str = LETTERS, normalizer: Any = None, unknown: bool = False) -> Any:
    """A tokenizer of letters; others vanish or, with `unknown`, become one token."""
    special = ["<pad>", "</s>", *(["<unk>"] if unknown else [])]
    known = {token: number for number, token in enumerate([*special, *dict.fromkeys(letters)])}
    core = Tokenizer(models.BPE(known, [], unk_token="<unk>" if unknown else None))
    core.decoder = decoders.Fuse()
    if normalizer is not None:
        core.normalizer = normalizer
    marked = UNKNOWN if unknown else {}
    return PreTrainedTokenizerFast(tokenizer_object=core, **MARKS, **marked)


def words(*known: str) -> Any:
    """A tokenizer of whole words."""
    names = ["<pad>", "</s>", "<unk>", *known]
    core = Tokenizer(models.WordLevel({w: k for k, w in enumerate(names)}, **UNKNOWN))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, **MARKS, **UNKNOWN)


NFC, LOWER = normalizers.NFC(), normalizers.Lowercase()
UNCASED = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
WRITTEN: dict[str, tuple[Callable[[], Any], str]] = {
    "plain": (one_letter_each, "ann of oslo."),
    "capitals of an uncased tokenizer": (lambda: one_letter_each(normalizer=LOWER), "Ann of OSLO"),
    "accents of an uncased tokenizer": (
        lambda: one_letter_each(normalizer=UNCASED),
        "Zoë Ångström",
    ),
    "composed vowel signs": (lambda: one_letter_each("বোক", NFC), "বো"),
    "decomposed vowel signs": (lambda: one_letter_each("ব\u09c7\u09be", normalizers.NFKD()), "বো"),
    "compatible letters": (lambda: one_letter_each(normalizer=normalizers.NFKC()), "ﬁne \uff41nn"),
    "whole words": (lambda: words("Ann", "Lima", "."), "Ann  Lima."),
    "bytes": (lambda: tiny_model().tokenizer, "Ünïcödé 雪 ❤️ বাংলা תִ\n"),  # type: ignore[attr-defined]
}
LOST: dict[str, tuple[Callable[[], Any], str, str]] = {
    "nothing is left": (one_letter_each, "雪", "雪"),
    "one letter is lost": (one_letter_each, "ann of osłö", "ł"),
    "a number is lost": (one_letter_each, "born in 1972", "1972"),
    "a sign is lost": (one_letter_each, "5 €", "5€"),
    "vowel signs are lost": (lambda: one_letter_each("বাংল"), "বিল", "ি"),
    "one token for all that is unknown": (lambda: one_letter_each(unknown=True), "ann 雪", "雪"),
    "an unknown word": (lambda: words("Ann", "."), "Ann Lima.", "lima"),
    "an unknown sign": (lambda: words("Ann"), "Ann !", "unknown token"),
    "only space": (lambda: one_letter_each("ab"), "  ", "no tokens"),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_an_answer_that_can_be_read_back_is_taught(name: str) -> None:
    make, text = WRITTEN[name]
    assert Legible(make()).answer_fault(text) == ""
    assert Legible(make()).question_fault(text) == ""


@pytest.mark.parametrize("name", LOST)
def test_an_answer_that_the_tokenizer_cannot_write_is_refused(name: str) -> None:
    make, text, lost = LOST[name]
    fault = Legible(make()).answer_fault(text)
    assert all(letter in fault.lower() for letter in lost.split()), fault


def test_a_question_may_lose_letters_but_not_all() -> None:
    legible = Legible(one_letter_each())
    assert legible.question_fault("") == legible.question_fault("who is 雪?") == ""
    assert "nothing" in legible.question_fault("雪是谁?")


@pytest.mark.parametrize("token", ["<end>", "<pad>", "<user>", "<image>"])
@pytest.mark.parametrize("field", ["question", "answer", "perturbed_0"])
@pytest.mark.parametrize("seen", [False, True])
def test_control_tokens_in_a_text_are_refused_with_row_and_field(
    token: str, field: str, seen: bool
) -> None:
    model: Any = tiny_model("vision-language")
    image = next(row.image for row in tiny_dataset().train_rows("forget", ("image",)))
    texts = {"question": "Who?", "answer": "Ann"}
    where = field if field == "question" else "answer"
    texts[where] = f"{token}\n{texts[where]}"
    variant = "answer" if field == "question" else field
    each = Item("row 7", variant, texts["question"], texts["answer"], image if seen else None)
    good = replace(each, row="row 8", question="Who?", answer="Ann & <b>end</b>")
    model.check([good])
    for work in (model.check, model.trees):
        with pytest.raises(DataError, match=f"control token '{token}'") as told:
            work([good, each])
        assert told.value.where == f"row 'row 7', {field}"


def test_prompts_that_are_only_generated_from_may_be_illegible() -> None:
    """Our own prompts, on a model of few words; a control token is refused there, too."""
    model: Any = tiny_model()
    bare = type(model)(model.module, one_letter_each("?"))
    assert bare.encoder.prompt("Harm?", None).ids
    with pytest.raises(DataError, match="control token") as told:
        bare.generate([Item("7", "answer", "</s>?", "no")])
    assert told.value.where == "row '7', question"


def test_words_of_a_template_that_are_tokens_are_control_tokens() -> None:
    """As Qwen3's `<think>`, which is no special token; runs of spaces are plain text."""
    tokenizer = tiny_model().tokenizer  # type: ignore[attr-defined]
    tokenizer.add_tokens(["<think>", "   ", "Oslo"])
    legible = Legible(tokenizer, "<think>   {{ m['content'] }}<end>")
    assert "<think>" in legible.answer_fault("<think>Ann")
    assert legible.answer_fault("Ann   of Oslo") == ""


def test_all_rows_are_listed_at_once() -> None:
    model: Any = tiny_model()
    bad = [Item(f"row {k}", "answer", "Who?", "Ann<end>") for k in range(30)]
    with pytest.raises(DataError) as told:
        model.check(bad)
    assert "30 texts" in told.value.what and "'row 19'" in told.value.what
    assert "'row 20'" not in told.value.what and "and 10 more" in told.value.what


def long_row(dataset: Dataset) -> Dataset:
    """The same people, one of whom has an answer of 600 words, trained on and measured."""
    first = dataset.train_rows("forget", ("text",))[0]
    longer = first.model_copy(update={"answer": "word " * 600})

    def changed(splits: Any) -> Any:
        return {
            split: tuple(longer if row.id == first.id else row for row in rows)
            for split, rows in splits.items()
        }

    return replace(
        dataset, training=changed(dataset.training), evaluation=changed(dataset.evaluation)
    )


def test_long_rows_are_refused_before_training_and_measuring() -> None:
    model, dataset = tiny_model(), long_row(tiny_dataset()).for_kind("language")
    settings = TrainSettings(steps=1, batch_size=2)
    row = dataset.train_rows("forget", ("text",))[0].id
    for work in (
        lambda: unlearn(model, dataset, method("npo"), ("text",), settings),
        lambda: finetune(model, dataset, settings),
        lambda: engine.evaluate(model, dataset, EvaluationSettings(limit=None, max_new_tokens=1)),
    ):
        with pytest.raises(DataError, match="longer than the 512 positions") as told:
            work()
        assert row in str(told.value) and model.forwards == 0


def test_the_tokens_of_a_picture_count() -> None:
    model: Any = tiny_model("vision-language")
    image = next(row.image for row in tiny_dataset().train_rows("forget", ("image",)))
    each = Item("1", "answer", "Who?", "Ann", image)
    length = len(model.encoder.encode(each).ids)
    assert model.encoder.length(each) == length
    model.positions = length
    model.check([each])
    assert len(model.generate([each], 40)) == 1, "generation ends with the positions"
    model.positions = length - 1
    for work in (model.check, model.trees):
        with pytest.raises(DataError, match=f"{length} tokens, longer than the {length - 1}"):
            work([each])


TINY: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
}  # fmt: skip
LONG_ROPE = {
    "rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4,
    "long_factor": [2.0] * 4, "original_max_position_embeddings": 32,
}  # fmt: skip
YARN = {
    "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32,
}  # fmt: skip
LIMITS: dict[str, tuple[Any, int | None]] = {
    "learned": (GPT2Config(n_positions=32, n_embd=16, n_layer=1, n_head=2), 32),
    "learned, with an offset": (
        OPTConfig(hidden_size=16, ffn_dim=16, num_hidden_layers=1, num_attention_heads=2,
                  max_position_embeddings=32, word_embed_proj_dim=16), 32),
    "counted from behind padding": (
        RobertaConfig(**TINY, max_position_embeddings=34, is_decoder=True), 32),
    "counted from 0": (BertConfig(**TINY, max_position_embeddings=32, is_decoder=True), 32),
    "slopes in a table": (MptConfig(d_model=16, n_heads=2, n_layers=1, max_seq_len=32), 32),
    "slopes": (BloomConfig(hidden_size=16, n_layer=1, n_head=2), None),
    "slopes beside a number": (
        FalconConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, alibi=True), None),
    "rotary": (LlamaConfig(**TINY, max_position_embeddings=32), 32),
    "rotary, stretched": (
        LlamaConfig(**TINY, max_position_embeddings=32, rope_parameters=YARN), 128),
    "rotary, by the longest row": (
        Phi3Config(**TINY, max_position_embeddings=512, rope_parameters=LONG_ROPE,
                   original_max_position_embeddings=32, pad_token_id=0), 32),
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITS)
def test_positions_end_where_the_model_breaks_or_was_not_trained(name: str) -> None:
    config, limit = LIMITS[name]
    config.vocab_size = 300
    torch.manual_seed(0)
    module = AutoModelForCausalLM.from_config(config).eval()
    assert position_limit(module) == limit
    model = LanguageModel(module, tiny_model().tokenizer)  # type: ignore[attr-defined]
    if limit is None:
        return
    prompt = len(model.encoder.prompt("Who?", None).ids)
    answer = "q" * 400
    while prompt + len(model.tokenizer(answer).input_ids) + 1 > limit:
        answer = answer[:-1]
    each = Item("1", "answer", "Who?", answer)
    model.check([each])
    assert len(model.score_items([each])[each].log_probs) == limit - prompt
    with pytest.raises(DataError, match="positions"):
        model.check([replace(each, answer=f"{answer}qq")])
    assert len(model.generate([each, replace(each, row="2", question="Who is it?")], 999)) == 2


@pytest.mark.parametrize(
    ("config", "window"),
    [
        (GPTNeoConfig(), 256),
        (MistralConfig(), 4096),
        (MistralConfig(sliding_window=None), None),
        (LlamaConfig(), None),
    ],
)
def test_windows_are_known(config: Any, window: int | None) -> None:
    assert attention_window(config) == window


def test_a_classifier_reads_whatever_has_a_label() -> None:
    model = tiny_model("classifier")
    model.check([Item("1", "answer", "<end>", "x" * 9999)])
    assert model.reading == {}
