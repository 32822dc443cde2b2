"""What is refused of a model's files and weights, by name, and what is read as it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken
from transformers import (
    LlamaForCausalLM,
)

from clearbench.batches.items import Item
from clearbench.doctor import examine
from clearbench.errors import DataError, ModelError
from clearbench.models.load import load_model

Tensors = dict[str, torch.Tensor]
ITEM = Item("a", "answer", "Who is this?", "A person.")
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of a saved language model with tied embeddings."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


@pytest.fixture
def shards(tiny_folder: Path, tmp_path: Path) -> Path:
    """The same model in several files of weights."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "shards"))
    module = LlamaForCausalLM.from_pretrained(folder)
    (folder / WEIGHTS).unlink()
    module.save_pretrained(folder, max_shard_size="20KB")
    return folder


def rewrite(folder: Path, change: Callable[[Tensors], Tensors], name: str = WEIGHTS) -> None:
    changed = {key: value.clone() for key, value in change(load_file(folder / name)).items()}
    save_file(changed, folder / name, {"format": "pt"})


def configure(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def log_probs(folder: Path, **how: Any) -> list[float]:
    (reading,) = load_model(folder, **how).score_items([ITEM]).values()
    return [float(value) for value in reading.log_probs]


def untied(folder: Path) -> None:
    """Gives the model a head of its own in its files."""
    configure(folder, tie_word_embeddings=False)
    rewrite(folder, lambda w: {**w, "lm_head.weight": w["model.embed_tokens.weight"].clone()})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda w: {n: v for n, v in w.items() if "lm_head" not in n}, "missing.*lm_head.weight"),
        (lambda w: {n: v for n, v in w.items() if "layers.1" not in n}, r"missing.*layers\.1\."),
        (lambda w: {"module." + n: v for n, v in w.items()}, "missing.*lm_head"),
        (lambda w: {"other." + n: v for n, v in w.items()}, "missing.*lm_head.*other.lm_head"),
        (
            lambda w: {n: v.to(torch.int8) if "down" in n else v for n, v in w.items()},
            "whole numbers.*down_proj",
        ),
        (lambda w: {n: v > 0 if "norm" in n else v for n, v in w.items()}, "whole numbers.*norm"),
        (
            lambda w: {**w, "model.layers.0.self_attn.q_proj.bias": torch.ones(32)},
            "would not be used: model.layers.0.self_attn.q_proj.bias",
        ),
        (
            lambda w: {**w, **{n.replace("rs.1", "rs.2"): v for n, v in w.items() if "rs.1" in n}},
            r"would not be used: model\.layers\.2",
        ),
        (lambda w: {n: v[:-1] if "down" in n else v for n, v in w.items()}, "shape.*down_proj"),
        (lambda w: {n: v / 0 if "mlp" in n else v for n, v in w.items()}, "NaN or inf.*down_proj"),
        (lambda w: {n: v * torch.nan if "norm" in n else v for n, v in w.items()}, "NaN.*norm"),
    ],
    ids=[
        "head",
        "layer",
        "prefix",
        "other prefix",
        "int8",
        "bool",
        "bias",
        "one more layer",
        "shape",
        "inf",
        "nan",
    ],
)
def test_weights_that_do_not_fit_are_named(
    folder: Path, change: Callable[[Tensors], Tensors], told: str
) -> None:
    untied(folder)
    rewrite(folder, change)
    with pytest.raises(ModelError, match=told):
        load_model(folder)


def test_what_follows_from_other_weights_or_the_configuration_may_be_missing_or_extra(
    folder: Path,
) -> None:
    before = log_probs(folder)
    rewrite(
        folder,
        lambda w: (
            {n: v for n, v in w.items() if n != "lm_head.weight"}
            | {
                "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
                "v_head.w": torch.ones(1),
            }
        ),
    )
    assert log_probs(folder) == before
    told = dict(examine(load_model(folder)))
    assert told["left out"] == "1 tensors of its files: v_head.w"


@pytest.mark.parametrize(
    "fields", [{"return_dict": False}, {"dtype": "bfloat16"}, {"output_hidden_states": True}]
)
def test_what_a_configuration_asks_of_outputs_changes_nothing(
    folder: Path, fields: dict[str, Any]
) -> None:
    before = log_probs(folder)
    configure(folder, **fields)
    assert log_probs(folder) == before


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "web page": lambda content: b"<!DOCTYPE html><html>404</html>",
    "pointer": lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "list": lambda content: b"[1]",
}
FILES = (
    WEIGHTS,
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(ModelError, match=name) as caught:
        load_model(folder)
    assert str(folder) in caught.value.where and len(str(caught.value).splitlines()) == 3


def zero_values(path: Path) -> None:
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    path.write_bytes(content[:header] + bytes(len(content) - header))


def edit_index(shard: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = shard.parent / INDEX
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def map_to(index: dict[str, Any], file: str) -> None:
    index["weight_map"]["model.norm.weight"] = file


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (Path.unlink, "1 of [0-9]+ files of weights are missing: model-00002"),
        (zero_values, "model-00002.*zeros alone"),
        (lambda path: path.write_bytes(path.read_bytes()[:500]), "model-00002.*not whole"),
        (lambda path: (path.parent / INDEX).write_text("{}"), INDEX),
        (lambda path: edit_index(path, lambda i: i.pop("metadata")), f"{INDEX}: .*metadata"),
        (lambda path: edit_index(path, lambda i: map_to(i, "../m.safetensors")), "outside.*m.safe"),
        (lambda path: edit_index(path, lambda i: map_to(i, "/m.safetensors")), "outside.*m.safe"),
    ],
    ids=["missing", "zeroed", "truncated", "index", "no metadata", "above", "absolute"],
)
def test_a_shard_that_is_not_whole_is_named(
    shards: Path, damage: Callable[[Path], object], told: str
) -> None:
    whole = load_model(shards)
    assert whole.score_items([ITEM])
    damage(min(shards.glob("model-00002-of-*")))
    with pytest.raises(ModelError, match=told):
        load_model(shards)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja"])
def test_a_folder_in_a_file_s_place_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(ModelError, match=rf"{name}: it cannot be read"):
        load_model(folder)


@pytest.mark.parametrize("content", ["", "version https://git-lfs.github.com/spec/v1\n", "<html>"])
def test_a_template_that_was_not_downloaded_is_named(folder: Path, content: str) -> None:
    (folder / "chat_template.jinja").write_text(content)
    with pytest.raises(ModelError, match=r"damaged.*chat_template\.jinja"):
        load_model(folder)


def test_a_missing_configuration_is_named(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json: it is missing"):
        load_model(folder)


def test_a_template_in_the_file_of_processors_is_read(folder: Path) -> None:
    """`transformers` reads `chat_template.json` for processors alone."""
    whole, path = log_probs(folder), folder / "chat_template.jinja"
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": path.read_text()}))
    path.unlink()
    assert log_probs(folder) == whole
    (folder / "chat_template.json").write_text("{}")
    assert log_probs(folder) != whole


@pytest.mark.parametrize("ends", ["<end>", ["1"], [[1]], 1.0, True])
def test_end_tokens_that_are_no_numbers_are_refused(folder: Path, ends: Any) -> None:
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
    with pytest.raises(ModelError, match="end tokens are whole numbers") as caught:
        load_model(folder)
    assert "generation_config.json" in caught.value.where


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"hidden_act": "nope"}, "config.json: hidden_act = 'nope'"),
        ({"rope_parameters": {"rope_type": "nope"}}, "config.json: rope_parameters = .*nope"),
    ],
)
def test_a_field_that_is_not_known_is_named(
    folder: Path, fields: dict[str, Any], told: str
) -> None:
    configure(folder, **fields)
    with pytest.raises(ModelError, match=told):
        load_model(folder)


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("special", [False, True])
def test_a_control_token_may_lack_an_embedding_where_nothing_writes_it(
    folder: Path, special: bool, written: bool
) -> None:
    """As the token for pictures in the models of text of Gemma 3."""
    whole: Any = load_model(folder)
    tokenizer, before = whole.tokenizer, log_probs(folder)
    tokenizer.add_tokens([AddedToken("<soft>", special=special)])
    tokenizer.chat_template += "<soft>" if written else ""
    tokenizer.save_pretrained(folder)
    if written or not special:
        with pytest.raises(ModelError, match="embeddings"):
            load_model(folder)
        return
    assert log_probs(folder) == before
    with pytest.raises(DataError, match="control token '<soft>'"):
        load_model(folder).score_items([Item("a", "answer", "Who?", "A <soft> person.")])


@pytest.mark.parametrize("number", [300, 5000])
def test_a_word_without_an_embedding_is_refused(folder: Path, number: int) -> None:
    """However few words the tokenizer counts."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["zzz"] = number
    path.write_text(json.dumps(content))
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    assert rows <= number
    with pytest.raises(ModelError, match=f"tokenizer has {number + 1} tokens, the model {rows} "):
        load_model(folder)


def test_several_damages_are_named_together(folder: Path) -> None:
    for name in ("config.json", WEIGHTS):
        (folder / name).write_bytes(b"")
    with pytest.raises(ModelError, match=rf"config.json: .*{WEIGHTS}: "):
        load_model(folder)
