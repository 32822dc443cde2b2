"""Where rows come from: a folder, the hub's cache, or nowhere, said in one screen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from clearbench.data import tables
from clearbench.data.load import load_dataset
from clearbench.data.tables import Tables
from clearbench.errors import DataError

Publish = Callable[[str, Path], None]


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publish]:
    """An empty cache of the hub, and a way to put datasets into it as a download leaves them."""
    assert constants.HF_HUB_OFFLINE
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    tables._fetch.cache_clear()

    def put(repository: str, folder: Path) -> None:
        place = tmp_path / "cache" / f"datasets--{repository.replace('/', '--')}"
        shutil.copytree(folder, place / "snapshots" / "0123abc")
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text("0123abc")

    yield put
    tables._fetch.cache_clear()


def test_the_hubs_cache_is_read_offline(
    publish: Publish, clear_folder: Path, tofu_folder: Path
) -> None:
    publish("therem/CLEAR", clear_folder)
    publish("locuslab/TOFU", tofu_folder)
    for id, folder, text in (
        ("therem/CLEAR", clear_folder, tofu_folder), ("locuslab/TOFU", tofu_folder, None),
    ):  # fmt: skip
        ours, local = load_dataset(id, "forget10"), load_dataset(folder, "forget10", text=text)
        assert ours.fingerprint == local.fingerprint and ours.names == local.names


@pytest.mark.parametrize("id", ["therem/CLEAR", "locuslab/TOFU"])
def test_out_of_reach_says_what_to_do(id: str, publish: Publish) -> None:
    with pytest.raises(DataError, match=f"no folder '{id}', and no such dataset") as caught:
        load_dataset(id, "forget10")
    said = str(caught.value)
    assert f"hf download {id} --repo-type dataset" in said and "give a folder" in said
    assert "HF_HUB_OFFLINE" in caught.value.where and len(said.splitlines()) < 8


def test_a_half_filled_cache_names_what_is_missing(
    publish: Publish, clear_folder: Path, tofu_folder: Path, tmp_path: Path
) -> None:
    publish("locuslab/TOFU", tofu_folder)
    part = tmp_path / "part"
    shutil.copytree(clear_folder, part)
    shutil.rmtree(part / "retain90")
    publish("therem/CLEAR", part)
    with pytest.raises(DataError, match="no file of configuration 'retain90'") as caught:
        load_dataset("therem/CLEAR", "forget10")
    assert "retain90/train-*" in caught.value.fix and "hf download" in caught.value.fix


def test_clear_from_the_hub_needs_its_text(publish: Publish, clear_folder: Path) -> None:
    publish("therem/CLEAR", clear_folder)
    with pytest.raises(DataError, match="no folder 'locuslab/TOFU'"):
        load_dataset("therem/CLEAR", "forget10")


def test_only_what_is_read_has_to_be_there(
    publish: Publish, tofu_folder: Path, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    shutil.copytree(tofu_folder, part)
    for name in ("forget01", "retain95", "retain90", "forget05_perturbed"):
        (part / f"{name}.json").unlink()
    publish("locuslab/TOFU", part)
    assert load_dataset("locuslab/TOFU", "forget10").people("forget") == {7, 8, 9}
    with pytest.raises(DataError, match="no file of configuration 'forget01'"):
        load_dataset("locuslab/TOFU", "forget01")


def test_a_mistyped_folder_is_not_looked_for_on_the_hub(publish: Publish, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder") as caught:
        load_dataset(tmp_path / "nothing")
    assert "hf download" not in str(caught.value)


@pytest.mark.parametrize("path", ["../secret.json", "/etc/*.json", "a/../../b.json"])
def test_a_readme_cannot_lead_out_of_the_folder(path: str, tmp_path: Path) -> None:
    header = {"configs": [{"config_name": "full", "data_files": path}]}
    (tmp_path / "README.md").write_text(f"---\n{json.dumps(header)}\n---\n")
    with pytest.raises(DataError, match="leads out of the folder"):
        Tables(tmp_path)


@pytest.mark.parametrize(
    "header", ["configs: [{}]", "configs: 3", "[a", "!!python/object:os.system {}", "configs: [1]"]
)
def test_a_broken_readme_is_named(header: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"---\n{header}\n---\n")
    with pytest.raises(DataError, match="cannot read its header") as caught:
        Tables(tmp_path)
    assert "README.md" in caught.value.where


def test_files_are_found_without_a_readme(clear_folder: Path, tmp_path: Path) -> None:
    for name in ("forget10", "data"):
        shutil.copytree(clear_folder / name, tmp_path / name)
    (tmp_path / "full.json").write_text('{"question": "Q?", "answer": "A."}\n')
    found = Tables(tmp_path)
    assert found.names == ("data", "forget10", "full")
    assert found.count("forget10") == 9 and found.columns("full") == ("question", "answer")


def test_json_comes_as_lines_or_arrays(tmp_path: Path) -> None:
    """Some mirrors hold TOFU as several arrays in one file."""
    rows = [{"question": f"{k}\u2028?", "answer": "A."} for k in range(5)]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    arrays = f"{json.dumps(rows[:2])}\n{json.dumps(rows[2:], indent=1)}\n"
    for name, text in (("lines", lines), ("arrays", arrays)):
        (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")
        assert [line for _, line in Tables(tmp_path).rows(name)] == rows


def test_what_is_no_row_is_a_problem_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "full.json").write_text('{"a": 1}\n{oops\n\n3\n{"a": 2}')
    found = Tables(tmp_path)
    assert [line for _, line in found.rows("full")] == [{"a": 1}, {}, {}, {"a": 2}]
    assert [each.partition(": ")[0] for each in found.problems] == ["full.json:2", "full.json:4"]
    with pytest.raises(DataError, match="2 bad rows"):
        found.refuse()


def test_columns_are_read_alone(clear_folder: Path) -> None:
    names = [line for _, line in Tables(clear_folder).rows("default", ("name",))]
    assert len(names) == 27 and all(list(line) == ["name"] for line in names)
    assert [line for _, line in Tables(clear_folder).rows("full+tofu", ("name",))] == [{}] * 227


def test_a_file_that_is_no_parquet_is_named(clear_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(clear_folder, tmp_path / "copy")
    path = tmp_path / "copy" / "retain90" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="not a Parquet file of rows") as caught:
        load_dataset(tmp_path / "copy", "forget10")
    assert "retain90" in caught.value.where
