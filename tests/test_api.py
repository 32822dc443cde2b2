"""Every argument of the public functions arrives where it acts; what is given is left as it is."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from clearbench import api, benchmark
from clearbench.attacks.run import Attacked
from clearbench.cli import scores, steps
from clearbench.data.dataset import Dataset
from clearbench.errors import RecipeError, StorageError
from clearbench.evaluation.records import Records
from clearbench.methods.base import METHODS, methods
from clearbench.models.base import Model
from clearbench.plugins import load_plugin
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.records import records
from clearbench.training.settings import TrainSettings

SETTINGS = TrainSettings(steps=1, batch_size=2, parts=("language",))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What `finetune` and `unlearn` are called with; in their place one weight is moved."""
    seen: list[dict[str, Any]] = []

    def move(model: Model) -> None:
        with torch.no_grad():
            next(model.module.parameters()).add_(1.0)

    def finetune(model: Model, data: Dataset, settings: Any, seed: int, **about: Any) -> None:
        seen.append({"data": data, "settings": settings, "seed": seed, **about})
        move(model)

    def unlearn(
        model: Model,
        data: Dataset,
        chosen: Any,
        tracks: Any,
        settings: Any,
        seed: int,
        **about: Any,
    ) -> None:
        seen.append({"data": data, "method": chosen, "tracks": tracks, "settings": settings,
                     "seed": seed, **about})  # fmt: skip
        move(model)

    monkeypatch.setattr(api._finetune, "finetune", finetune)
    monkeypatch.setattr(api._unlearn, "unlearn", unlearn)
    yield seen


def test_a_copy_is_trained_with_what_was_asked(trained: list[dict[str, Any]]) -> None:
    model, data = tiny_model("language"), tiny_dataset()
    before = model.fingerprint
    gold = api.finetune(model, data, without=("forget",), seed=7, steps=3)
    forgot = api.unlearn(model, data, "npo", "text", settings=SETTINGS, seed=8, beta=0.3)
    assert model.fingerprint == before and gold.fingerprint != before != forgot.fingerprint
    first, second = trained
    assert (first["seed"], first["without"], first["settings"].steps) == (7, ("forget",), 3)
    assert (second["seed"], second["tracks"], second["settings"]) == (8, ("text",), SETTINGS)
    assert (second["method"].name, second["method"].beta) == ("npo", 0.3)
    assert first["data"] == second["data"] == data


def test_a_folder_is_that_of_one_model_seed_setting_and_dataset(
    trained: list[dict[str, Any]], tmp_path: Path
) -> None:
    model, data, out = tiny_model("language"), tiny_dataset(), tmp_path / "out"
    about: dict[str, Any] = {"settings": SETTINGS, "seed": 1, "beta": 0.2}

    def run(model: Model = model, data: Dataset = data, **changes: Any) -> Model:
        return api.unlearn(model, data, "npo", "text", out=out, **(about | changes))

    made = run()
    assert run().fingerprint == made.fingerprint and len(trained) == 1, "it is there already"
    other = model.duplicate()
    with torch.no_grad():
        next(other.module.parameters()).add_(0.5)
    for changed in (
        {"seed": 2},
        {"beta": 0.3},
        {"settings": SETTINGS.model_copy(update={"steps": 2})},
        {"model": other},
        {"data": data.forgetting([3])},
    ):
        with pytest.raises(StorageError, match="what other settings, another model or other data"):
            run(**changed)  # type: ignore[arg-type]
    assert len(trained) == 1


def test_measuring_and_attacking_read_what_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(
        api.engine, "evaluate", lambda *about, **more: seen.append((*about, more)) or records([])
    )
    monkeypatch.setattr(
        api.attacks, "run", lambda *about: seen.append(about) or Attacked(records([]).answers, {})
    )
    model, data = tiny_model("vision-language"), tiny_dataset()
    api.evaluate(model, data, limit=3, max_new_tokens=5, images="blank")
    _, shown, settings, images_shown, _ = seen[0]
    assert images_shown == "blank"
    assert (settings.limit, settings.max_new_tokens) == (3, 5)
    images = {row.image.key for rows in shown.evaluation.values() for row in rows if row.image}
    own = {row.image.key for rows in data.evaluation.values() for row in rows if row.image}
    assert images and not images & own
    gold = records([{"p": {"answer": [0.5]}}])
    other = records([{"p": {"answer": [0.9]}}])
    api.attack(model, data, "mia_min_k", gold, limit=4, original=other, share=0.2)
    _, _, chosen, reference, limit, original, shadows = seen[1]
    assert (chosen.name, chosen.share, limit, shadows) == ("mia_min_k", 0.2, 4, ())
    assert reference is gold and original is other


def test_gold_and_original_stand_in_their_own_places() -> None:
    ours, gold, original = (records([{"p": {"answer": [p]}}]) for p in (0.5, 0.2, 0.9))
    found = benchmark.score(ours, gold, original)["forget.text.probability"]
    values = (found.value, found.gold, found.original)
    assert values == (pytest.approx(0.5), pytest.approx(0.2), pytest.approx(0.9))


def told(path: Path, *truths: float) -> Path:
    options = {"perturbed_0": [0.3], "perturbed_1": [0.2]}
    made: Records = records([{"p": {"answer": [true]} | options} for true in truths])
    path.mkdir()
    made.save(path)
    return path


def test_golds_are_scored_on_the_rows_that_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row 0 was known to the original: .5 in the model, .4 in gold; row 1 was not."""
    model, gold = told(tmp_path / "model", 0.5, 0.9), told(tmp_path / "gold", 0.4, 0.8)
    original = told(tmp_path / "original", 0.9, 0.1)
    scores.score(model, reference=[gold], original=original, known_only=True, as_json=True)
    found = json.loads(capsys.readouterr().out)["scores"]["forget.text.probability"]
    assert (found["n"], found["value"]) == (1, pytest.approx(0.5))
    assert (found["gold"], found["original"]) == (pytest.approx(0.4), pytest.approx(0.9))


@pytest.mark.parametrize("left_out", [True, False])
def test_the_command_that_makes_a_gold_leaves_the_forgotten_out(
    left_out: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(api, "finetune", lambda *_, **about: given.update(about))
    monkeypatch.setattr(steps, "chosen_dataset", lambda *_: tiny_dataset())
    monkeypatch.setattr(steps, "_model", lambda *_: tiny_model("language"))
    steps.finetune("m", tmp_path / "out", without_forget=left_out, seed=4, set=["steps=2"])
    assert given["without"] == (("forget",) if left_out else ())
    assert (given["seed"], given["steps"]) == (4, 2)


METHOD = '''
"""A method."""
from clearbench.methods.base import Method


class Mine(Method, name="{name}", paper="none"):
    """Does {factor}."""

    factor: float = {factor}
'''


def test_a_plugin_is_run_as_it_is_and_replaces_nothing_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the edit keeps size and time of the file, by which Python knows bytecode."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(METHODS, "classes", methods())
    path = tmp_path / "mine.py"
    for factor in ("1.0", "2.0"):
        path.write_text(METHOD.format(name="mine_of_a_test", factor=factor))
        os.utime(path, (1_000_000_000, 1_000_000_000))
        load_plugin(path)
        assert methods()["mine_of_a_test"]().model_dump()["factor"] == float(factor)
    (tmp_path / "other.py").write_text(METHOD.format(name="npo", factor="1.0"))
    with pytest.raises(RecipeError, match="two methods are called 'npo'"):
        load_plugin(tmp_path / "other.py")
