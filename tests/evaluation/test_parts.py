"""Measuring in parts: a kill, damage, other models and stops leave the records as they should."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from transformers import DynamicCache

from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.evaluation import side_effects
from clearbench.evaluation.batchwise import Parts
from clearbench.evaluation.engine import evaluate
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.methods.guard import FittedGuard, as_tensor
from clearbench.methods.guardrail import Guardrail
from clearbench.models.base import Model
from clearbench.models.decoding import decode
from clearbench.testing import tiny_dataset, tiny_model

SETTINGS = EvaluationSettings(limit=2, max_new_tokens=3)
KINDS = ["language", "vision-language", "classifier"]


class KilledError(Exception):
    """Stands for a kill."""


@pytest.fixture(autouse=True)
def _saved_after_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clearbench.evaluation.batchwise.SAVE_SECONDS", 0.0)


def small(kind: str, seed: int = 0) -> tuple[Model, Dataset]:
    """A model that needs many batches, and its rows."""
    model = tiny_model(kind, seed)
    model.token_budget = 200 if kind != "classifier" else 4
    return model, tiny_dataset().for_kind(model.kind)


def content(
    folder: Path,
    kind: str,
    seed: int = 0,
    parts: Path | None = None,
    stop_after: float | None = None,
) -> dict[str, bytes]:
    """The bytes of a model's records."""
    model, data = small(kind, seed)
    folder.mkdir()
    settings = SETTINGS.model_copy(update={"stop_after": stop_after})
    evaluate(model, data, settings, parts=parts).save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def killed(kind: str, parts: Path, after: int, seed: int = 0) -> None:
    """A measurement that ends after some batches."""

    def on_batch(done: int, _: int) -> None:
        if done == after:
            raise KilledError

    model, data = small(kind, seed)
    with pytest.raises(KilledError):
        evaluate(model, data, SETTINGS, parts=parts, on_batch=on_batch)


def count(monkeypatch: pytest.MonkeyPatch, kind: str) -> list[str]:
    """Notes every batch that is really measured."""
    cls, seen = type(tiny_model(kind)), list[str]()
    for name in ("score_group", "generate"):
        monkeypatch.setattr(cls, name, counting(getattr(cls, name), name, seen))
    real = side_effects.neutral_distributions
    monkeypatch.setattr(side_effects, "neutral_distributions", counting(real, "neutral", seen))
    return seen


def counting(real: Any, name: str, seen: list[str]) -> Any:
    def counted(*given: Any) -> Any:
        seen.append(name)
        return real(*given)

    return counted


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_measurement_goes_on(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = content(tmp_path / "whole", kind)
    parts, seen = tmp_path / "parts", count(monkeypatch, kind)
    killed(kind, parts, 2)
    killed(kind, parts, 3)
    assert len(seen) == 3, "what was done before the first kill was not done again"
    assert content(tmp_path / "resumed", kind, parts=parts) == whole
    assert len(seen) == len(list(parts.iterdir())), "every batch was measured once"
    again = len(seen)
    assert content(tmp_path / "again", kind, parts=parts) == whole
    assert len(seen) == again


def test_parts_of_other_weights_rows_and_settings_are_not_used(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    killed("language", parts, 2)
    other = content(tmp_path / "other", "language", seed=1)
    assert content(tmp_path / "resumed", "language", seed=1, parts=parts) == other
    plain = content(tmp_path / "plain", "language", stop_after=1.0)
    assert content(tmp_path / "stopped", "language", parts=parts, stop_after=1.0) == plain


@pytest.mark.parametrize("file", ["*.parquet", "manifest.json"])
def test_a_damaged_part_is_measured_again(file: str, tmp_path: Path) -> None:
    whole, parts = content(tmp_path / "whole", "language"), tmp_path / "parts"
    killed("language", parts, 2)
    (damaged,) = min(parts.iterdir()).glob(file)
    broken = bytearray(damaged.read_bytes())
    broken[len(broken) // 2] ^= 1
    damaged.write_bytes(broken)
    assert content(tmp_path / "resumed", "language", parts=parts) == whole


def test_a_whole_file_of_another_part_is_not_used(tmp_path: Path) -> None:
    """It can be read, and has the size that the manifest says."""
    ours, other = (Parts(tmp_path / name, "a") for name in ("ours", "other"))
    for parts, number in ((ours, 1), (other, 2)):
        parts.save({0: pd.DataFrame({"item": [number]}), 3: pd.DataFrame({"item": [number]})})
    mine, theirs = (parts.folder / "a-0000000" / "0000003.parquet" for parts in (ours, other))
    assert mine.stat().st_size == theirs.stat().st_size
    mine.write_bytes(theirs.read_bytes())
    assert ours.load() == {}, "nor is the batch beside it"
    assert [path.name for path in ours.folder.iterdir()] == ["a-0000000.corrupt-1"]
    assert {k: frame["item"].tolist() for k, frame in other.load().items()} == {0: [2], 3: [2]}


def test_parts_of_answers_of_another_length_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all rows alike, or of each by its own truth; what was measured so is found again."""
    seen, (model, data) = count(monkeypatch, "language"), small("language")
    truths = [item(row) for row in data.evaluation["forget"] if row.track == "text"]
    lengths = [model.answer_length(truth) for truth in truths]
    assert min(lengths) < max(lengths), "as long as the longest truth, some are cut by their own"
    plain = EvaluationSettings(splits=("forget",), limit=None, max_new_tokens=max(lengths))
    changes: tuple[dict[str, Any], ...] = (
        {}, {"max_new_tokens": 1}, {"stop_after": 1.0}, {"stop_after": 1.5},
    )  # fmt: skip
    measured: list[int] = []
    for change in (*changes, *changes):
        seen.clear()
        evaluate(model, data, plain.model_copy(update=change), parts=tmp_path)
        measured.append(len(seen))
    (batches,) = {*measured[:4]}
    assert batches >= 2 and measured[4:] == [0] * 4


@pytest.mark.parametrize("kind", KINDS)
def test_measuring_leaves_the_model_as_it_was(kind: str) -> None:
    model, data = small(kind)
    model.train_only(model.parts[:1])
    model.train(True)
    before, learning = model.fingerprint, set(model.trainable())
    evaluate(model, data, EvaluationSettings(limit=1, max_new_tokens=2))
    assert set(model.trainable()) == learning != set()
    assert model.module.training and model.fingerprint == before


def test_answers_end_at_their_own_limits() -> None:
    model: Any = tiny_model("vision-language")
    rows = [row for split in tiny_dataset().evaluation.values() for row in split[:2]]
    chosen = [item(row) for row in rows]
    limits = [min(8, math.ceil(0.4 * model.answer_length(each))) for each in chosen]
    assert set(limits) == {4, 8}, "one length of their own, one cut by the longest allowed"
    alone = [model.generate([each], limit)[0] for each, limit in zip(chosen, limits, strict=True)]
    assert model.generate(chosen, limits) == alone
    model.shortcuts.own_decoding = {"text": False, "image": False}
    assert model.generate(chosen, limits) == alone, "the library's decoding, too"


def test_a_guard_hears_every_question_and_limits_hold() -> None:
    model: Any = tiny_model("language")
    chosen = [item(row) for row in tiny_dataset().evaluation["forget"] if row.image is None][:3]
    asked = [replace(each, question=f"Be silent. {each.question}") for each in chosen]
    expected, before = model.generate(asked, [1, 5, 3]), model.fingerprint
    model.guards = (FittedGuard(Guardrail(), {"text": as_tensor("Be silent.")}),)
    assert model.generate(chosen, [1, 5, 3]) == expected
    assert model.fingerprint != before, "parts measured without it are of another model"


def test_a_stop_is_for_answers_as_long_as_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = tiny_model("language")
    limits: dict[Item, int] = {}

    def generate(_: Model, items: list[Item], most: list[int]) -> list[str]:
        limits.update(zip(items, most, strict=True))
        return [""] * len(items)

    monkeypatch.setattr(type(model), "generate", generate)
    data = tiny_dataset().for_kind("language")
    settings = EvaluationSettings(limit=None, asks=("cloze",), max_new_tokens=200, stop_after=1.5)
    evaluate(model, data, settings)
    own = {each: most for each, most in limits.items() if each.variant == "answer" and most < 200}
    assert own and all(most == math.ceil(1.5 * model.answer_length(e)) for e, most in own.items())
    assert {most for each, most in limits.items() if each.variant == "cloze"} == {200}
    assert {most for each, most in limits.items() if each.row.startswith("harmful")} == {200}


def test_a_row_at_its_limit_leaves_the_batch() -> None:
    sizes = []

    def forward(inputs: dict[str, Any]) -> torch.Tensor:
        sizes.append(len(inputs["input_ids"]))
        return torch.eye(4)[inputs["input_ids"][:, 0]]

    inputs = {"input_ids": torch.ones(3, 2).long(), "attention_mask": torch.ones(3, 2).long()}
    first = torch.eye(4)[[2, 3, 2]]
    found = decode(lambda _: first, forward, inputs, DynamicCache(), [1], [3, 1, 2])
    assert found == [[2, 2, 2], [3], [2, 2]]
    assert sizes == [2, 1]
