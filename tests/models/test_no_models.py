"""What is no model that can be loaded, and what a loaded one is like."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertLMHeadModel,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

from clearbench.batches.items import Item
from clearbench.errors import ModelError
from clearbench.models.load import load_model
from clearbench.testing import tiny_model

Tensors = dict[str, torch.Tensor]
ITEM = Item("a", "answer", "Who is this?", "A person.")
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of a saved language model with tied embeddings."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def rewrite(folder: Path, change: Callable[[Tensors], Tensors], name: str = WEIGHTS) -> None:
    changed = {key: value.clone() for key, value in change(load_file(folder / name)).items()}
    save_file(changed, folder / name, {"format": "pt"})


def configure(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def log_probs(folder: Path, **how: Any) -> list[float]:
    (reading,) = load_model(folder, **how).score_items([ITEM]).values()
    return [float(value) for value in reading.log_probs]


def as_pickle(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


@pytest.mark.parametrize("beside", [(), ("adapter_model.safetensors",), ("other.safetensors",)])
def test_a_pickle_is_never_read(folder: Path, beside: tuple[str, ...]) -> None:
    as_pickle(folder)
    for name in beside:
        save_file({"x": torch.ones(1)}, folder / name)
    with pytest.raises(ModelError, match=r"pickles.*pytorch_model\.bin"):
        load_model(folder)


def test_a_pickle_in_a_snapshot_of_the_hub_s_cache_is_not_read(
    folder: Path, tmp_path: Path
) -> None:
    """Files of a snapshot are links to blobs."""
    as_pickle(folder)
    snapshot = tmp_path / "models--someone--model" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    for path in folder.iterdir():
        (snapshot / path.name).symlink_to(path)
    with pytest.raises(ModelError, match=r"pickles.*pytorch_model\.bin"):
        load_model(snapshot)


OWN_CODE = {
    "config.json": {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M"},
    },
    "tokenizer_config.json": {
        "tokenizer_class": "T",
        "auto_map": {"AutoTokenizer": ["mine.T", None]},
    },
}


@pytest.mark.parametrize("name", OWN_CODE)
def test_a_model_s_own_code_is_neither_run_nor_asked_about(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("the user was asked"))
    content = json.loads((folder / name).read_text()) | OWN_CODE[name]
    (folder / name).write_text(json.dumps(content))
    (folder / "mine.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n")
    with pytest.raises(ModelError, match="code of its own"):
        load_model(folder)
    assert not (folder / "ran").exists()


SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


def others(words: int, llama: Any) -> dict[str, Callable[[], Any]]:
    """Models that a language model's class takes, and that read no answer from left to right."""
    bart = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16}
    heads = {"decoder_ffn_dim": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    return {
        "masked": lambda: RobertaForMaskedLM(RobertaConfig(vocab_size=words, **SIZES)),
        "both directions": lambda: BertLMHeadModel(BertConfig(vocab_size=words, **SIZES)),
        "encoder-decoder": lambda: BartForConditionalGeneration(
            BartConfig(vocab_size=words, **bart, **heads)
        ),
        "classification": lambda: LlamaForSequenceClassification(llama),
        "embeddings": lambda: LlamaModel(llama),
    }


@pytest.mark.parametrize("name", ["masked", "both directions", "encoder-decoder",
                                  "classification", "embeddings"])  # fmt: skip
def test_what_is_no_causal_language_model_is_refused(folder: Path, name: str) -> None:
    tiny = load_model(folder)
    shutil.rmtree(folder)
    torch.manual_seed(0)
    others(len(tiny.tokenizer), tiny.core.config)[name]().save_pretrained(folder)  # type: ignore[attr-defined]
    tiny.processor.save_pretrained(folder)
    with pytest.raises(ModelError, match="no causal language model"):
        load_model(folder)


def test_a_model_object_that_reads_ahead_is_refused(folder: Path) -> None:
    tokenizer = load_model(folder).processor
    module = BertLMHeadModel(BertConfig(vocab_size=len(tokenizer), **SIZES))
    with pytest.raises(ModelError, match="depend on tokens that follow"):
        load_model(module, tokenizer)


def test_logits_that_overflow_are_refused_with_the_type_to_give(folder: Path) -> None:
    def large(weights: Tensors) -> Tensors:
        return {n: v * 1e5 if "down" in n or "up" in n else v for n, v in weights.items()}

    rewrite(folder, large)
    assert load_model(folder).core.dtype == torch.float32
    with pytest.raises(ModelError, match=r"logits are not finite in float16\n.*\n.*float32"):
        load_model(folder, dtype="float16")


@pytest.mark.parametrize("stored", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("asked", ["auto", "bfloat16"])
def test_the_type_of_weights_is_the_one_asked_for(
    folder: Path, stored: torch.dtype, asked: str
) -> None:
    rewrite(folder, lambda w: {name: values.to(stored) for name, values in w.items()})
    configure(folder, dtype=str(stored).removeprefix("torch."))
    wanted = torch.float32 if asked == "auto" else torch.bfloat16
    assert {p.dtype for p in load_model(folder, dtype=asked).module.parameters()} == {wanted}


@pytest.mark.parametrize("dtype", ["fp8", "int8", torch.int8])
def test_an_unknown_type_is_refused(folder: Path, dtype: Any) -> None:
    with pytest.raises(ModelError, match="no type of weights"):
        load_model(folder, dtype=dtype)


def test_loading_draws_nothing(folder: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    load_model(folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_tokenizer_without_padding_and_end_is_read(folder: Path) -> None:
    model: Any = load_model(folder)
    bare = PreTrainedTokenizerFast(tokenizer_object=model.tokenizer.backend_tokenizer)
    plain: Any = load_model(model.module, bare)
    items = [ITEM, Item("b", "answer", "Where?", "In a town, born there.")]
    together = plain.score_items(items)
    alone = [plain.score_items([item])[item] for item in items]
    for item, reading in zip(items, alone, strict=True):
        assert together[item].log_probs == pytest.approx(reading.log_probs, abs=1e-5)
    assert len(plain.generate(items, 4)) == 2


def test_a_model_object_brings_its_tokenizer_from_where_it_was_loaded(folder: Path) -> None:
    found: Any = load_model(LlamaForCausalLM.from_pretrained(folder))
    assert found.tokenizer.get_vocab() == load_model(folder).tokenizer.get_vocab()  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="needs its processor"):
        load_model(tiny_model("language").module)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("/nowhere/at/all", "no such folder"),
        (None, "a NoneType is no model"),
        (torch.nn.Linear(1, 1), "a Linear is no model"),
    ],
)
def test_what_is_no_model_is_refused(source: Any, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        load_model(source)


@pytest.mark.parametrize("kind", ["path", "tokenizers", "number"])
def test_what_is_no_processor_is_refused(folder: Path, kind: str) -> None:
    model: Any = load_model(folder)
    given = {"path": str(folder), "tokenizers": model.tokenizer.backend_tokenizer, "number": 1}
    for source in (folder, model.module):
        with pytest.raises(ModelError, match="is no processor"):
            load_model(source, given[kind])


def test_a_folder_may_be_called_like_a_file(folder: Path) -> None:
    whole = log_probs(folder)
    assert log_probs(folder.rename(folder.with_name("m.gguf"))) == whole


@pytest.mark.parametrize("template", ["{% for m in %}", "{{ raise_exception('system first') }}"])
def test_a_template_that_cannot_ask_is_refused(folder: Path, template: str) -> None:
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(ModelError, match="chat template"):
        load_model(folder)
