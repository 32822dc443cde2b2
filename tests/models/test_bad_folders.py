"""Twenty kinds of bad model folder and more: each is refused in words of its own, with a fix."""

from __future__ import annotations

import itertools
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, LlamaModel

from clearbench.errors import ModelError
from clearbench.models.load import load_model
from clearbench.testing import tiny_model

WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
ADAPTER, ABOUT = "adapter_model.safetensors", "adapter_config.json"
Tensors = dict[str, torch.Tensor]


class Sources(NamedTuple):
    """Good folders, to be copied and damaged: a language model, in one file and in several, a
    vision-language model, and an adapter of the first."""

    language: Path
    shards: Path
    pictures: Path
    adapter: Path


class Bad(NamedTuple):
    """A bad folder.

    Attributes:
        kind: Name of the good folder of `Sources`.
        damage: What is done to a copy of it.
        told: Parts of the message.
    """

    kind: str
    damage: Callable[[Path], object]
    told: tuple[str, ...]


@pytest.fixture(scope="module")
def sources(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Sources:
    place = tmp_path_factory.mktemp("sources")
    module = LlamaForCausalLM.from_pretrained(tiny_folder)
    shards = Path(shutil.copytree(tiny_folder, place / "shards"))
    (shards / WEIGHTS).unlink()
    module.save_pretrained(shards, max_shard_size="20KB")
    tiny_model("vision-language").save(place / "pictures")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PEFT about tied embeddings
        lora = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
        get_peft_model(module, lora).save_pretrained(place / "adapter")
    edit(ABOUT, base_model_name_or_path=str(tiny_folder))(place / "adapter")
    return Sources(tiny_folder, shards, place / "pictures", place / "adapter")


def edit(name: str, drop: tuple[str, ...] = (), **fields: Any) -> Callable[[Path], object]:
    """Changes fields of a JSON file."""

    def damage(folder: Path) -> object:
        kept = {k: v for k, v in json.loads((folder / name).read_text()).items() if k not in drop}
        return (folder / name).write_text(json.dumps(kept | fields))

    return damage


def put(name: str, content: bytes | None) -> Callable[[Path], object]:
    """Writes a file, or removes it."""

    def damage(folder: Path) -> object:
        path = folder / name
        return path.unlink() if content is None else path.write_bytes(content)

    return damage


def cut(name: str, length: int) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:length])


def weigh(change: Callable[[Tensors], Tensors], name: str = WEIGHTS) -> Callable[[Path], object]:
    def damage(folder: Path) -> object:
        changed = {key: value.clone() for key, value in change(load_file(folder / name)).items()}
        return save_file(changed, folder / name, {"format": "pt"})

    return damage


def as_pickle(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def lose_a_shard(folder: Path) -> None:
    min(folder.glob("model-00002-of-*")).unlink()


def map_outside(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"]["model.norm.weight"] = "../other.safetensors"
    (folder / INDEX).write_text(json.dumps(index))


def own_code(folder: Path) -> None:
    edit(CONFIG, model_type="mine", auto_map={"AutoConfig": "mine.C"})(folder)
    (folder / "mine.py").write_text("raise SystemExit('this code was run')\n")


def without_tokenizer(folder: Path) -> None:
    for path in folder.glob("*token*"):
        path.unlink()


def more_words(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"]["zzz"] = 9999
    (folder / "tokenizer.json").write_text(json.dumps(content))


def only_headless(folder: Path) -> None:
    module = LlamaForCausalLM.from_pretrained(folder)
    (folder / WEIGHTS).unlink()
    LlamaModel(module.config).save_pretrained(folder)


def only_sorting(folder: Path) -> None:
    config = LlamaConfig.from_pretrained(folder)
    config.pad_token_id = 0
    LlamaForSequenceClassification(config).save_pretrained(folder)


def subfolders(folder: Path) -> None:
    (folder / "checkpoint-9").mkdir()
    for path in [path for path in folder.iterdir() if path.is_file()]:
        path.rename(folder / "checkpoint-9" / path.name)


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def without_processor(folder: Path) -> None:
    for name in ("processor_config.json", "preprocessor_config.json"):
        (folder / name).unlink(missing_ok=True)


def prompts_alone(folder: Path) -> None:
    base = json.loads((folder / ABOUT).read_text())["base_model_name_or_path"]
    empty(folder)
    about = PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")
    get_peft_model(LlamaForCausalLM.from_pretrained(base), about).save_pretrained(folder)
    edit(ABOUT, base_model_name_or_path=base)(folder)


def of_another_base(folder: Path) -> None:
    """Its base has the same names and other sizes."""
    base = Path(json.loads((folder / ABOUT).read_text())["base_model_name_or_path"])
    other = Path(shutil.copytree(base, folder.parent / "wider"))
    config = LlamaConfig.from_pretrained(base)
    config.hidden_size, config.intermediate_size = 2 * config.hidden_size, 32
    config.head_dim = 2 * config.head_dim
    (other / WEIGHTS).unlink()
    LlamaForCausalLM(config).save_pretrained(other)
    edit(ABOUT, base_model_name_or_path=str(other))(folder)


def beside_a_model(folder: Path) -> None:
    base = Path(json.loads((folder / ABOUT).read_text())["base_model_name_or_path"])
    for name in (CONFIG, WEIGHTS):
        shutil.copy(base / name, folder)


def adapter_as_pickle(folder: Path) -> None:
    torch.save(load_file(folder / ADAPTER), folder / "adapter_model.bin")
    (folder / ADAPTER).unlink()


HALF, LFS = 300, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
BAD: dict[str, Bad] = {
    "empty": Bad("language", empty, ("this folder holds no model", CONFIG, WEIGHTS)),
    "models in subfolders": Bad("language", subfolders, ("in its subfolders: checkpoint-9",)),
    "no configuration": Bad("language", put(CONFIG, None), (f"{CONFIG}: it is missing",)),
    "configuration is no JSON": Bad(
        "language", put(CONFIG, b"{'a': 1}"), (f"{CONFIG}: not valid JSON",)
    ),
    "configuration is a list": Bad("language", put(CONFIG, b"[1]"), (f"{CONFIG}: a JSON object",)),
    "configuration is empty": Bad("language", put(CONFIG, b"{}"), (f"{CONFIG}: it is empty",)),
    "unknown architecture": Bad(
        "language", edit(CONFIG, model_type="nosuchmodel"),
        ("config.json: model_type = 'nosuchmodel' is not known",),
    ),
    "no type of architecture": Bad("language", edit(CONFIG, drop=("model_type",)), ("model_type",)),
    "unknown activation": Bad(
        "language", edit(CONFIG, hidden_act="nope"), ("config.json: hidden_act = 'nope'",)
    ),
    "sizes that do not divide": Bad(
        "language", edit(CONFIG, drop=("head_dim",), hidden_size=30, num_attention_heads=7),
        ("hidden size", "attention heads"),
    ),
    "code of its own": Bad("language", own_code, ("code of its own, which is never run",)),
    "no weights": Bad("language", put(WEIGHTS, None), (f"no weights: neither {WEIGHTS}",)),
    "pickles": Bad("language", as_pickle, ("pickles, which can run code: pytorch_model.bin",)),
    "pointer of Git LFS": Bad("language", put(WEIGHTS, LFS), (f"{WEIGHTS}: a pointer of Git LFS",)),
    "web page": Bad("language", put(WEIGHTS, b"<html>404"), (f"{WEIGHTS}: a web page",)),
    "truncated header": Bad("language", cut(WEIGHTS, HALF), (f"{WEIGHTS}: not whole", "header")),
    "truncated weights": Bad("language", cut(WEIGHTS, -99), (f"{WEIGHTS}: not whole", "incompl")),
    "weights of zeros": Bad(
        "language", weigh(lambda w: {n: torch.zeros_like(v) for n, v in w.items()}),
        ("it holds zeros alone",),
    ),
    "NaN": Bad(
        "language", weigh(lambda w: {n: v * torch.nan if "norm" in n else v for n, v in w.items()}),
        ("NaN or infinite values in float32", "norm"),
    ),
    "a layer is missing": Bad(
        "language", weigh(lambda w: {n: v for n, v in w.items() if "layers.1" not in n}),
        ("are missing, and would be random: model.layers.1",),
    ),
    "a layer too many": Bad("language", edit(CONFIG, num_hidden_layers=1), ("would not be used",)),
    "weights of another shape": Bad(
        "language", edit(CONFIG, intermediate_size=24), ("have another shape", "down_proj")
    ),
    "whole numbers": Bad(
        "language",
        weigh(lambda w: {n: v.to(torch.int8) + 1 if "down" in n else v for n, v in w.items()}),
        ("whole numbers without 'quantization_config'",),
    ),
    "head of another task": Bad("language", only_sorting, ("LlamaForSequenceClassification",)),
    "no head": Bad("language", only_headless, ("saved as LlamaModel",)),
    "missing shard": Bad("shards", lose_a_shard, ("files of weights are missing: model-00002",)),
    "index outside the folder": Bad("shards", map_outside, ("outside this folder: ../other",)),
    "index without its map": Bad("shards", edit(INDEX, drop=("weight_map",)), ("'weight_map'",)),
    "no tokenizer": Bad("language", without_tokenizer, ("holds no file of a tokenizer",)),
    "tokenizer is no JSON": Bad(
        "language", put("tokenizer.json", b"{"), ("tokenizer.json: not valid JSON",)
    ),
    "tokenizer of another vocabulary": Bad("language", more_words, ("10000 tokens", "embeddings")),
    "template that cannot be read": Bad(
        "language", put("chat_template.jinja", b"{% for m in %}"), ("chat template",)
    ),
    "end tokens of another kind": Bad(
        "language", put("generation_config.json", b'{"eos_token_id": "<end>"}'), ("end tokens are",)
    ),
    "no processor": Bad("pictures", without_processor, ("none of processor_config.json, prep",)),
    "no picture tower": Bad(
        "pictures", weigh(lambda w: {n: v for n, v in w.items() if "vision" not in n}),
        ("would be random", "vision"),
    ),
    "adapter without weights": Bad("adapter", put(ADAPTER, None), (f"{ADAPTER}: it is missing",)),
    "adapter as a pickle": Bad("adapter", adapter_as_pickle, ("adapter_model.bin", "PeftModel")),
    "adapter without a base": Bad(
        "adapter", edit(ABOUT, base_model_name_or_path=None), ("does not say its base",)
    ),
    "adapter whose base has moved": Bad(
        "adapter", edit(ABOUT, base_model_name_or_path="/no/such/base"),
        ("base is not there: /no/such/base",),
    ),
    "adapter of another base": Bad("adapter", of_another_base, ("does not fit its base", "size")),
    "adapter of other layers": Bad(
        "adapter", edit(ABOUT, target_modules=["qkv"]), ("does not fit its base", "qkv")
    ),
    "adapter of no known type": Bad(
        "adapter", edit(ABOUT, peft_type="MINE"), (f"{ABOUT}: peft_type = 'MINE'",)
    ),
    "adapter beside a model": Bad("adapter", beside_a_model, ("a whole model", "and an adapter")),
    "prompts for an adapter": Bad("adapter", prompts_alone, ("PROMPT_TUNING cannot be merged",)),
}  # fmt: skip


def refused(name: str, sources: Sources, place: Path) -> ModelError:
    """What is said of a copy of a good folder that was damaged."""
    bad = BAD[name]
    folder = Path(shutil.copytree(getattr(sources, bad.kind), place / "model"))
    bad.damage(folder)
    with pytest.raises(ModelError) as caught:
        load_model(folder)
    return caught.value


@pytest.fixture(scope="module")
def messages(
    sources: Sources, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[ModelError, Path]]:
    """The error about each bad folder, which is loaded once, and the folder above it."""
    made: dict[str, tuple[ModelError, Path]] = {}

    def message(name: str) -> tuple[ModelError, Path]:
        if name not in made:
            place = tmp_path_factory.mktemp("bad")
            made[name] = refused(name, sources, place), place
        return made[name]

    return message


@pytest.mark.parametrize("name", BAD)
def test_a_bad_folder_is_refused_with_where_what_and_a_fix(
    name: str, messages: Callable[[str], tuple[ModelError, Path]]
) -> None:
    error, _ = messages(name)
    said = str(error)
    assert all(part in said for part in BAD[name].told), said
    assert error.where and error.fix and "Traceback" not in said


def test_no_two_say_the_same(messages: Callable[[str], tuple[ModelError, Path]]) -> None:
    found = {name: messages(name) for name in BAD}
    said = {name: error.what.replace(str(place), "") for name, (error, place) in found.items()}
    twins = [(one, two) for one, two in itertools.combinations(said, 2) if said[one] == said[two]]
    assert not twins and len(said) >= 40, twins


@pytest.mark.parametrize("kind", Sources._fields)
def test_the_good_folders_are_read(kind: str, sources: Sources) -> None:
    assert load_model(getattr(sources, kind)).kind in ("language", "vision-language")
