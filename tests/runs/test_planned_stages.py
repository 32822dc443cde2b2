"""What planned stages leave: models, data folders and results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.methods.stages import Train
from clearbench.models.base import Model
from clearbench.runs.cache import WorkerCache
from clearbench.runs.data_part import data_stage
from clearbench.runs.making import make_stage
from clearbench.runs.plan import Family, PlannedRow, plan
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.run_plan import RunPlan
from clearbench.runs.schema import (
    RESULTS,
    Details,
    Results,
    ShownPerson,
    read_details,
    read_results,
)
from clearbench.runs.stage import StageInputs
from clearbench.runs.stages.data import DataStage, StoredData
from clearbench.runs.stages.model import save_model
from clearbench.runs.stages.teach import TeachStage
from clearbench.runs.stages.unlearn import UnlearnStage
from clearbench.runs.store import Store
from clearbench.runs.written import write_recipe, write_results
from clearbench.storage import canonical_json
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training import finetune as finetuning

DATA = StoredData("data-tiny", "digest of the rows", ("text",))
#: Settings of a stage that name its content, and another value of each.
TRAIN = {"steps": 3, "batch_size": 2, "parts": ["language"]}


def text_only(dataset: Dataset) -> Dataset:
    return dataset.for_kind("language")


@pytest.fixture
def content(small_recipe: dict[str, Any]) -> dict[str, Any]:
    entry = {"method": "npo", "model": "language", "modality": "text", "train": TRAIN}
    models = {"language": small_recipe["models"]["language"] | {"golds": 3}}
    return small_recipe | {"models": models, "runs": [entry], "data": {"people": 8, "forget": 2}}


def families(content: dict[str, Any], data: StoredData = DATA) -> list[Family]:
    return plan(parse_recipe(content, "test"), text_only(tiny_dataset()), data)


def taught(row: PlannedRow) -> TeachStage:
    assert isinstance(row.model, TeachStage)
    return row.model


def unlearned(row: PlannedRow) -> UnlearnStage:
    assert isinstance(row.model, UnlearnStage)
    return row.model


@pytest.mark.parametrize("which", ["rows.jsonl", "."])
def test_a_changed_data_folder_is_another_stage(which: str, tmp_path: Path) -> None:
    rows = [
        f'{{"question": "Who is {p}?", "answer": "{p}.", "person": "{p}", "split": "{split}"}}\n'
        for p, split in (("a", "forget"), ("b", "retain"), ("c", "retain"))
    ]
    folder = tmp_path / "data"
    folder.mkdir()
    for split, lines in (("forget", rows[:1]), ("retain", rows[1:])):
        (folder / f"{split}.jsonl").write_text("".join(lines))
    (folder / "rows.jsonl").write_text("".join(rows))
    stage = DataStage(str(folder / which), None, 0, None, None, 0)
    before = stage.key
    target = folder / ("rows.jsonl" if which != "." else "retain.jsonl")
    target.write_text(target.read_text().replace("b.", "B."))
    assert DataStage(str(folder / which), None, 0, None, None, 0).key != before


def seen_people(monkeypatch: pytest.MonkeyPatch) -> list[set[int | None]]:
    """The people whose rows `finetune` trains on, noted in place of training."""
    found: list[set[int | None]] = []

    def train(model: Model, stage: Train, feed: Any, settings: Any, seed: int, **_: Any) -> Any:
        drawn: list[Item] = [row for step in range(40) for row in feed(seed, step)["retain"]]
        found.append({row.person for row in drawn})
        return [], {}

    monkeypatch.setattr(finetuning, "train", train)
    return found


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages read the tiny people."""
    monkeypatch.setattr(StoredData, "dataset", lambda *_: text_only(tiny_dataset()))


def inputs(store: Store) -> StageInputs:
    return StageInputs(store, WorkerCache(), store.root / "scratch")


@pytest.mark.usefixtures("tiny")
def test_a_gold_is_trained_on_everybody_but_the_forgotten(
    content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = seen_people(monkeypatch)
    (family,) = families(content)
    for row in family.rows[:2]:
        folder = tmp_path / row.id
        folder.mkdir()
        assert row.model.make(folder, inputs(Store(tmp_path))) == "ok"
    assert found == [{*range(8)}, {*range(2, 8)}]


@pytest.mark.usefixtures("tiny")
def test_a_model_with_adapters_is_stored_and_loaded_whole(
    content: dict[str, Any], tmp_path: Path
) -> None:
    """A later request adds adapters of its own, and a measurement reads the model as it is."""
    (family,) = families(content)
    (run,) = family.unlearned
    settings = run.model.train.model_copy(update={"lora_rank": 2, "learning_rate": 0.1})
    teach = replace(taught(family.original), train=settings)
    stage = replace(unlearned(run), start=teach, train=settings)
    store = Store(tmp_path)
    about = inputs(store)
    trained: list[torch.Tensor] = []
    text = text_only(tiny_dataset())
    rows = [item(row) for row in text.train_rows("retain", ("text",))]

    def logits(model: Model) -> torch.Tensor:
        with torch.no_grad():
            return model.answers(model.batch(rows)).logits

    before = tiny_model("language")
    for each in (teach, stage):
        outcome = make_stage(each, store, about.cache, lambda *_: None)
        assert outcome is not None and outcome.status == "ok"
        model = each.load(about)
        assert not any("lora_" in name for name, _ in model.module.named_parameters())
        trained.append(logits(model))
    assert not (store.folder(teach.key) / "adapter_config.json").exists()
    assert (store.folder(stage.key) / "adapter_config.json").exists()
    start = logits(before)
    assert not torch.allclose(start, trained[0]) and not torch.allclose(*trained)


def test_a_saved_model_has_its_adapters_in_its_weights(tmp_path: Path) -> None:
    from clearbench.models.adapters import choose_parameters

    model = tiny_model("language")
    choose_parameters(model, ("language",), 2, 0)
    save_model(model, tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    assert not (tmp_path / "adapter_config.json").exists()


def results(planned: RunPlan, status: str) -> Results:
    """Results of a plan, as if all its rows had ended with a status."""
    environment = {
        "python": "3", "machine": "x", "system": "x", "packages": {}, "accelerator": "none",
        "workers": 1, "threads_per_worker": 1,
    }  # fmt: skip
    rows = [
        {"id": row.id, "method": row.method, "model": row.kind, "modality": row.modality,
         "share": row.share, "seed": row.model.seed, "variant": {}, "hyperparameters": {},
         "training": {"steps": 3}, "gold": "g", "protocol": "clear", "status": status,
         "reason": "", "scores": {}, "cost": {}, "stages": row.stage_keys}
        for row in planned.rows
    ]  # fmt: skip
    content = {"recipe": {"name": "x"}, "environment": environment, "rows": rows}
    return Results.model_validate(content)


def test_results_are_kept_only_where_nothing_in_them_has_changed(
    content: dict[str, Any], tmp_path: Path
) -> None:
    """A row that failed and is well now is written; another environment alone is none."""
    recipe = parse_recipe(content, "test")
    planned = RunPlan(
        Store(tmp_path),
        data_stage(recipe.data, recipe.seed),
        tiny_dataset(),
        tuple(families(content)),
        (),
    )
    failed, well = results(planned, "failed"), results(planned, "ok")

    def kept(new: Results, details: Details | None = None) -> Results:
        return write_results(new, details or Details(), recipe, tmp_path)

    write_recipe(recipe, tmp_path)
    assert kept(failed) == failed == read_results(tmp_path)
    assert kept(well) == well == read_results(tmp_path)
    elsewhere = well.model_copy(
        update={"environment": well.environment.model_copy(update={"workers": 9})}
    )
    assert kept(elsewhere) == well
    shown = Details(people={"forget": (ShownPerson(id="1", name="Ann"),)})
    assert kept(well, shown) == well and read_details(tmp_path) == shown
    (tmp_path / RESULTS).write_text(json.dumps(well.json_value()))
    kept(well, shown)
    assert (tmp_path / RESULTS).read_text() == canonical_json(well.json_value())
