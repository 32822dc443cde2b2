"""Counts against the published ones, where columns go, and rows that a person should look at."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clearbench.data import checks, layouts
from clearbench.data.checks import Configuration, check, odd_rows
from clearbench.data.load import load_dataset

Clear = dict[str, list[dict[str, Any]]]
Write = Callable[..., Path]


def by_name(folder: Path) -> dict[str, Configuration]:
    return {each.name: each for each in check(folder).configurations}


def test_the_published_counts_are_expected(clear_folder: Path) -> None:
    expected = {name: each.expected for name, each in by_name(clear_folder).items()}
    assert len(expected) == 22
    for name, rows in (
        ("default", 3768), ("forget01", 35), ("forget05", 188), ("forget10", 379),
        ("retain_perturbed", 395), ("forget10_perturbed", 378), ("real_faces", 151),
        ("real_world", 367), ("questions", 4000),
    ):  # fmt: skip
        assert expected[name] == rows


def test_the_miniature_is_counted_but_is_not_the_published_data(clear_folder: Path) -> None:
    found = check(clear_folder)
    counts = {each.name: each.found for each in found.configurations}
    assert (counts["default"], counts["forget10_perturbed"], counts["questions"]) == (27, 8, 200)
    assert not found.ok and not found.problems and found.layout == "clear"


def test_data_of_the_published_size_are_what_was_published(
    whole_clear: Path, oracles: Path
) -> None:
    for folder in (whole_clear, oracles / "tofu"):
        found = check(folder)
        assert found.ok, [each for each in found.configurations if not each.ok]


@pytest.mark.parametrize("kind", ["clear", "tofu"])
def test_all_that_was_published_is_ok(
    kind: str, clear_folder: Path, tofu_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the miniature's own counts for the published ones, nothing is left to say."""
    folder = clear_folder if kind == "clear" else tofu_folder
    counts = {name: each.found for name, each in by_name(folder).items()}
    tofu = replace(layouts.TOFU, counts=layouts.TOFU.counts | {"full": 200})
    if kind == "tofu":
        tofu = replace(layouts.TOFU, counts=counts)
    counts.pop("questions", None)
    monkeypatch.setattr(checks, "CLEAR", replace(layouts.CLEAR, counts=counts))
    monkeypatch.setattr(checks, "TOFU", tofu)
    assert check(folder).ok


def test_every_published_column_goes_somewhere(clear_folder: Path, tofu_folder: Path) -> None:
    for folder in (clear_folder, tofu_folder):
        for name, each in by_name(folder).items():
            assert not each.missing and all(each.fields.values()), name
    asked = by_name(clear_folder)["forget10_perturbed"].fields
    assert asked["perturbed_captions"] == ("caption.perturbed_answers",)
    assert asked["name"] == ("name.answer", "name.paraphrased_answer")
    assert by_name(clear_folder)["real_faces"].fields["options"] == ("name.perturbed_answers",)


def test_other_columns_are_unread_and_lost_ones_missing(
    clear: Clear, write_clear: Write, tmp_path: Path
) -> None:
    """Errata E127: rows with TOFU's names for CLEAR's columns."""
    for line in clear["forget10_perturbed"]:
        line["answer"] = line.pop("paraphrased_caption")
    each = by_name(write_clear(tmp_path, clear))["forget10_perturbed"]
    assert each.missing == ("paraphrased_caption",) and each.fields["answer"] == ()


def test_what_cannot_be_read_is_a_problem(clear_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(clear_folder, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "real_faces")
    (tmp_path / "copy" / "full" / "train-00000-of-00001.parquet").write_bytes(b"PAR1")
    found = check(tmp_path / "copy")
    assert any("no file of configuration 'real_faces'" in each for each in found.problems)
    assert any(each.startswith("full: not a Parquet file") for each in found.problems)
    assert not found.ok


def test_bad_rows_are_problems(clear: Clear, write_clear: Write, tmp_path: Path) -> None:
    clear["forget10"][0]["caption"] = " "
    found = check(write_clear(tmp_path, clear))
    assert found.dataset is None and any("answer = ' '" in each for each in found.problems)


def test_our_own_data_are_fine(clear_folder: Path) -> None:
    found = check("builtin")
    assert found.ok and found.layout == "clearbench" and found.dataset
    assert not list(odd_rows(found.dataset))


def test_odd_rows_are_named(clear: Clear, write_clear: Write, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    still, moved = Image.new("L", (8, 8), 1), Image.new("L", (8, 8), 2)
    still.save(buffer, "GIF", save_all=True, append_images=[moved])
    clear["forget10"][0]["image"] = {"bytes": buffer.getvalue(), "path": None}
    clear["forget10"][1]["caption"] = "Somebody at a desk."
    clear["retain90"][0]["image"] = clear["forget10"][2]["image"]
    clear["retain90"][1] |= {"name": None, "caption": "A face without a name."}
    clear["forget10_perturbed"][0]["perturbed_captions"].pop()
    clear["forget10_perturbed"][1]["perturbed_captions"][2] = "A lie 1 about 7-1!"
    clear["forget10_perturbed"][2]["perturbed_captions"][0] = clear["forget10"][2]["caption"]
    found = list(odd_rows(load_dataset(write_clear(tmp_path, clear), "forget10")))
    file = "train-00000-of-00001.parquet"
    for where, what in (
        (f"forget10/{file}:0", "has 2 frames, of which the first is shown"),
        (f"forget10/{file}:1", "the caption does not say Farah Noor"),
        (f"forget10/{file}:2", "the same picture shows 2 people"),
        (f"retain90/{file}:1", "neither a name nor a caption that says one"),
        (f"forget10_perturbed/{file}:0", "4 wrong answers, not 5"),
        (f"forget10_perturbed/{file}:1", "a wrong answer is there twice"),
        (f"forget10_perturbed/{file}:2", "the true answer is among the wrong ones"),
        ("person 4 (author 4)", "questions alone"),
        ("the same picture is to be forgotten and kept", f"retain90/{file}:0"),
    ):
        assert any(line.startswith(where) and what in line for line in found), (where, what, found)
    assert len(found) == 9, found


def test_own_rows_are_checked_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("question,answer,note\nWho?,Ana.,x\nWhere?,Oslo.,y\n")
    found = check(path)
    assert found.ok and found.layout == "own rows" and found.dataset
    assert list(odd_rows(found.dataset)) == ["the field 'note' is not read: rows.csv:2, rows.csv:3"]
    path.write_text("question,answer\nWho?\n")
    assert not check(path).ok and "rows.csv:2: no field 'answer'" in check(path).problems[0]
