"""Plain `transformers` objects and rows in memory go in; objects of the same class come out."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from PIL import Image

from clearbench import api, benchmark
from clearbench.batches.kind import Kind
from clearbench.data.dataset import Dataset
from clearbench.errors import ClearbenchError
from clearbench.models.adapters import merge_adapters
from clearbench.models.base import Model
from clearbench.testing import tiny_model
from clearbench.training.settings import TrainSettings

KINDS: tuple[Kind, ...] = ("language", "vision-language", "classifier")
TOWNS = {"Ana": "Oslo", "Bo": "Lima", "Cy": "Pune", "Di": "Cork"}
#: Arguments of one update that are the same in every form.
ONE = {"steps": 1, "batch_size": 2, "learning_rate": 1e-2}


@cache
def made(kind: Kind) -> Model:
    return tiny_model(kind, labels=list(TOWNS))


def about(*people: str, kind: Kind) -> list[dict[str, Any]]:
    """A question and a portrait of each person, as far as a kind of model reads them."""
    rows: list[dict[str, Any]] = []
    for person in people:
        if kind != "classifier":
            question = f"Where was {person} born?"
            rows.append({"question": question, "answer": f"In {TOWNS[person]}.", "person": person})
        if kind != "language":
            portrait = Image.new("RGB", (24, 24), (*person.encode()[:2], 90))
            shown = {"question": "Who is this?", "answer": f"{person}.", "person": person}
            rows.append(shown | {"image": portrait})
    return rows


def sides(kind: Kind) -> dict[str, Any]:
    return {"forget": about("Ana", kind=kind), "retain": about("Bo", "Cy", kind=kind)}


def given(kind: Kind) -> tuple[Any, dict[str, Any]]:
    """A `transformers` model as a script holds it, and the argument with its processor."""
    module = made(kind).duplicate().module
    module.train()
    module.config.return_dict = False
    next(module.parameters()).requires_grad_(False)
    next(module.children()).eval()
    return module, {"tokenizer" if kind == "language" else "processor": made(kind).processor}


def condition(module: Any) -> tuple[Any, ...]:
    modes = [layer.training for layer in module.modules()]
    learning = [parameter.requires_grad for parameter in module.parameters()]
    return type(module), modes, learning, module.config.return_dict, module.device


def same(first: Any, second: Any) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(ours, theirs) for ours, theirs in pairs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [api.unlearn, api.finetune], ids=["unlearn", "finetune"])
def test_training_gives_another_object_and_leaves_the_first(step: Any, kind: Kind) -> None:
    """Its weights are those that the same step gives on a `Model` and a `Dataset`."""
    module, processor = given(kind)
    before, weights = condition(module), made(kind).module
    trained = step(module, **sides(kind), **processor, **ONE)
    assert trained is not module and condition(module) == before == condition(trained)
    assert same(module, weights) and not same(trained, weights)
    named = {"settings": TrainSettings(**ONE)} if step is api.unlearn else dict(ONE)
    if kind == "classifier":  # whose only part is not among the usual ones
        named = {"parts": ("vision",), **ONE}
    expected = step(made(kind), Dataset.from_rows(**sides(kind)), **named)
    assert isinstance(expected, Model) and same(trained, expected.module)


def test_adapters_come_back_merged(tmp_path: Any) -> None:
    """Also from the folder in which an earlier call has left the model."""
    module, tokenizer = given("language")
    about_it = {**sides("language"), **tokenizer, **ONE, "lora_rank": 2, "parts": ("language",)}
    first, again = (api.unlearn(module, **about_it, out=tmp_path / "out") for _ in range(2))
    assert type(first) is type(again) is type(module) and same(first, again)
    expected = api.unlearn(
        made("language"), sides("language"), **ONE, lora_rank=2, parts=("language",)
    )
    merge_adapters(expected)
    assert same(first, expected.module)


@pytest.mark.parametrize("kind", KINDS)
def test_measuring_leaves_an_object_as_it_was(kind: Kind) -> None:
    module, processor = given(kind)
    before = condition(module)
    options = {"max_new_tokens": 2}
    records = api.evaluate(module, **sides(kind), **processor, **options)
    assert condition(module) == before and same(module, made(kind).module)
    expected = api.evaluate(made(kind), Dataset.from_rows(**sides(kind)), **options)
    assert benchmark.score(records) == benchmark.score(expected) and len(records.answers)
    track = "text" if kind == "language" else "image"
    name = "name_probability" if kind == "classifier" else "probability"
    assert benchmark.score(records)[f"forget.{track}.{name}"].n == 1


def test_a_name_of_both_is_told_apart() -> None:
    """`warmup` of PDU is not that of the schedule; `retain` is rows, or the form of a term."""
    module, tokenizer = given("language")
    step = {**ONE, **tokenizer}
    for words in (
        {**sides("language"), "settings": TrainSettings(**ONE), "method": "pdu", "warmup": 0},
        {"dataset": sides("language"), "method": "npo", "retain": "kl", **ONE},
    ):
        assert not same(api.unlearn(module, **words, **tokenizer), module)
    with pytest.raises(ClearbenchError, match="'warmup' is a training setting and a hyper-para"):
        api.unlearn(module, **sides("language"), method="pdu", warmup=0, **step)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"stepps": 3}, "unknown key 'stepps'; did you mean 'steps'"),
        ({"betta": 3}, "unknown key 'betta'; did you mean 'beta'"),
        ({"steps": 0}, "'steps' = 0"),
        (
            {"settings": TrainSettings(**ONE), "steps": 3},
            r"write settings=TrainSettings\(steps=3\)",
        ),
        ({"method": "cagul", "steps": 3}, "'steps' is a training setting and a hyper-parameter"),
        ({"method": "eco"}, "guard in front of a model.*load_model"),
        ({"retain": "kl"}, "'retain' is an argument of rows and a hyper-parameter of npo"),
        ({"dataset": sides("language")}, "given twice: as a dataset and as forget and retain"),
        ({"forget": None, "retain": None}, "there are no rows"),
        ({"forget": "rows.jsonl"}, "str holds no rows"),
        ({"tokenizer": None}, "needs its processor.*tokenizer="),
        ({"processor": made("vision-language").processor}, "a tokenizer and a processor are given"),
        ({"model": made("language")}, "a clearbench Model has its own processor"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(changes: dict[str, Any], what: str) -> None:
    module, tokenizer = given("language")
    asked = {"model": module, "method": "npo", **sides("language"), **tokenizer} | changes
    with pytest.raises(ClearbenchError, match=f"(?s){what}"):
        api.unlearn(**asked)
