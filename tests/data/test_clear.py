"""Folders in CLEAR's layout: what is written is read again, and bad rows are all named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest

from clearbench.data.clear import ABOUT, read_dataset
from clearbench.data.dataset import Dataset
from clearbench.data.load import load_dataset
from clearbench.data.write_clear import COLUMNS, write_dataset
from clearbench.errors import DataError
from clearbench.testing import tiny_dataset

FILE = "train-00000-of-00001.parquet"


def rows(dataset: Dataset) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Every field of every row but the file it came from."""
    return {
        role: {
            split: [row.model_dump(exclude={"source"}) for row in found]
            for split, found in each.items()
        }
        for role, each in (("training", dataset.training), ("evaluation", dataset.evaluation))
    }


def folder_of(tmp_path: Path, dataset: Dataset | None = None) -> Path:
    write_dataset(dataset or tiny_dataset(), tmp_path)
    return tmp_path


def change(path: Path, edit: Callable[[list[dict[str, Any]]], None]) -> None:
    table = datasets.Dataset.from_parquet(str(path), keep_in_memory=True)
    lines = [dict(line) for line in table.cast_column("image", datasets.Image(decode=False))]
    edit(lines)
    datasets.Dataset.from_list(lines, features=COLUMNS).to_parquet(str(path))


def test_what_is_written_is_read_row_for_row(tmp_path: Path) -> None:
    first = tiny_dataset()
    again = load_dataset(folder_of(tmp_path))
    assert rows(again) == rows(first)
    assert again.fingerprint == first.fingerprint
    assert (again.names, again.refusals, again.image_refusals) == (
        first.names, first.refusals, first.image_refusals,
    )  # fmt: skip


def test_the_built_in_world_is_read_row_for_row(tmp_path: Path) -> None:
    world = load_dataset("builtin", 2, people=4, strangers=2, seed=5)
    again = load_dataset(folder_of(tmp_path, world))
    assert rows(again) == rows(world) and again.fingerprint == world.fingerprint


def test_rows_say_where_they_came_from(tmp_path: Path) -> None:
    found = read_dataset(folder_of(tmp_path)).training["forget"]
    assert found[0].source == f"forget25+tofu/{FILE}:0"
    assert len({row.source for row in found}) == 6, "a caption and its name share a line"


def test_plain_datasets_opens_every_configuration(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data")
    cache = str(tmp_path / "cache")
    names = datasets.get_dataset_config_names(str(folder))
    assert set(names) == {
        "forget25+tofu", "retain75+tofu", "forget25_perturbed", "retain_perturbed", "real_faces",
        "real_authors", "real_world",
    }  # fmt: skip
    for name in names:
        table = datasets.load_dataset(str(folder), name, split="train", cache_dir=cache)
        assert len(table) > 0
        assert set(table.column_names) == set(COLUMNS)
    forget = datasets.load_dataset(str(folder), "forget25+tofu", split="train", cache_dir=cache)
    caption = next(line for line in forget if line["task"] == "caption")
    assert caption["name"] == "person 0" and caption["image"].size == (24, 24)
    assert len(caption["perturbed_names"]) == 5


def test_every_bad_row_is_named_at_once(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)

    def spoil(lines: list[dict[str, Any]]) -> None:
        lines[0]["answer"] = None
        lines[1]["question"] = "beep \x07"
        lines[2]["caption"] = "   "
        lines[2]["image"] = {"bytes": b"GIF89a, but not really", "path": None}
        lines[3]["task"] = "song"

    change(folder / "forget25+tofu" / FILE, spoil)
    change(folder / "real_world" / FILE, lambda lines: lines[1].update(answer=""))
    with pytest.raises(DataError) as caught:
        load_dataset(folder)
    said = str(caught.value)
    assert "bad rows" in caught.value.what
    for where, field, value in (
        (f"forget25+tofu/{FILE}:0", "answer", "None"),
        (f"forget25+tofu/{FILE}:1", "question", "'beep \\x07'"),
        (f"forget25+tofu/{FILE}:2", "answer", "'   '"),
        (f"forget25+tofu/{FILE}:2", "image", "not a picture"),
        (f"forget25+tofu/{FILE}:3", "task", "'song'"),
        (f"real_world/{FILE}:1", "answer", "''"),
    ):
        line = [each for each in said.splitlines() if where in each and field in each]
        assert line and value in line[0], (where, field, said)
    assert caught.value.fix


def test_a_image_without_bytes_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)

    def spoil(lines: list[dict[str, Any]]) -> None:
        lines[2]["image"] = {"bytes": b"", "path": None}

    change(folder / "forget25+tofu" / FILE, spoil)
    with pytest.raises(DataError, match=r"forget25\+tofu/.*:2: .*image"):
        load_dataset(folder)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = folder_of(tmp_path) / "forget25+tofu" / FILE
    table = datasets.Dataset.from_parquet(str(path), keep_in_memory=True)
    table.remove_columns("answer").to_parquet(str(path))
    with pytest.raises(DataError, match=r"forget25\+tofu/.*:0: .*answer"):
        load_dataset(tmp_path)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    path = folder_of(tmp_path) / "forget25+tofu" / FILE
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"forget25\+tofu"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"share": 25}'])
def test_a_broken_description_is_named(content: str, tmp_path: Path) -> None:
    (folder_of(tmp_path) / ABOUT).write_text(content)
    with pytest.raises(DataError) as caught:
        load_dataset(tmp_path)
    assert ABOUT in str(caught.value)


def test_nothing_in_a_folder_is_run(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data")
    (folder / "data.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    load_dataset(folder)
    assert not (tmp_path / "ran").exists()


def test_no_dataset_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no dataset found"):
        load_dataset(tmp_path)


def test_people_are_never_shared() -> None:
    whole = tiny_dataset()
    first = whole.training["forget"][0]
    other, late = (first.model_copy(update={"id": f"another {k}", "person": k}) for k in (0, 99))
    again = late.model_copy(update={"id": "once more"})
    assert first.person == other.person == 0
    for training, evaluation, what in (
        ({"forget": (first,), "retain": (other,)}, {}, "forget and retain share people"),
        ({"forget": (first,)}, {"holdout": (first,)}, "holdout and the training people"),
        ({"retain": (first,)}, {"holdout": (first,)}, "holdout and the training people"),
        ({}, {"forget": (first,), "holdout": (other,)}, "holdout and the training people"),
        ({}, {"retain": (first,), "holdout": (other,)}, "holdout and the training people"),
        ({"forget": (first,)}, {"forget": (late,), "holdout": (again,)}, "people share people: 99"),
        ({"retain": (first,)}, {"forget": (other,)}, "forget and retain share people"),
        ({"learn": (first,)}, {}, "unknown split 'learn'"),
        ({"forget": (first, first)}, {}, f"the id '{first.id}' is there twice"),
        ({"forget": (first,), "replay": (first,)}, {}, "splits forget and replay"),
    ):
        with pytest.raises(DataError, match=what):
            replace(whole, training=training, evaluation=evaluation)


def test_a_request_divides_by_person() -> None:
    whole = tiny_dataset()
    for people, gone in (([3, 5], []), ([3], [0, 5])):
        found = whole.forgetting(people, gone)
        assert found.people("forget") == set(people)
        assert found.people("retain") == set(range(8)) - set(people) - set(gone)
        kept = len(found.training["forget"]) + len(found.training["retain"])
        assert kept == 4 * (8 - len(gone))
    for people in ([], [99]):
        with pytest.raises(DataError, match="cannot forget people"):
            whole.forgetting(people)


def test_the_description_is_plain_json(tmp_path: Path) -> None:
    about = json.loads((folder_of(tmp_path) / ABOUT).read_text())
    assert about["format_version"] == 1 and about["share"] == 25
