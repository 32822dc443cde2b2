"""Whose rows CLEAR's published configurations are: names, splits and people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.load import load_dataset
from clearbench.errors import DataError

Clear = dict[str, list[dict[str, Any]]]
Write = Callable[..., Path]


def seen(rows: tuple[Example, ...], task: str) -> list[Example]:
    return [row for row in rows if row.task == task]


@pytest.fixture(scope="module")
def found(clear_folder: Path) -> Dataset:
    return load_dataset(clear_folder, "forget10")


def test_tofus_strangers_are_the_holdout_of_text(clear_folder: Path, tofu_folder: Path) -> None:
    holdout = load_dataset(clear_folder, "forget10", text=tofu_folder).evaluation["holdout"]
    assert len(holdout) == 60 and {row.person for row in holdout} == {10, 11, 12}
    assert all("stranger" in row.question for row in holdout)


def test_names_are_found_where_a_split_has_none(
    clear: Clear, write_clear: Write, found: Dataset, tmp_path: Path
) -> None:
    """`retain90` was uploaded without names first; every caption says its name."""
    for line in clear["retain90"]:
        del line["name"]
    read = load_dataset(write_clear(tmp_path / "a", clear), "forget10")
    assert read.fingerprint == found.fingerprint and read.names == found.names
    del clear["retain90"], clear["forget10"]
    joint = load_dataset(write_clear(tmp_path / "b", clear), "forget10")
    assert [row.answer for row in joint.training["retain"]] == [
        row.answer for row in found.training["retain"]
    ]


def test_a_blank_name_is_none(clear: Clear, write_clear: Write, tmp_path: Path) -> None:
    """The caption says it; where that does not either, the image shows nobody known."""
    clear["retain90"][0]["name"], clear["retain90"][1]["name"] = " ", "?!"
    clear["retain90"][2] |= {"name": None, "caption": "Somebody."}
    rows = load_dataset(write_clear(tmp_path, clear), "forget10").training["retain"]
    assert [row.person for row in rows[:4]] == [0, 0, None, 1]


def test_a_name_without_questions_is_a_person_of_its_own(
    clear: Clear, write_clear: Write, tmp_path: Path
) -> None:
    for line in clear["retain90"][:3]:
        line["name"] = "Somebody Else"
    read = load_dataset(write_clear(tmp_path, clear), "forget10")
    assert read.names[10] == "Somebody Else" and 10 in read.people("retain")


def test_forgotten_people_without_questions_have_the_last_numbers(
    clear: Clear, write_clear: Write, tmp_path: Path
) -> None:
    """As in TOFU, whose last people are forgotten. Ten people have questions: 10 is the next."""
    clear["forget10"][0]["name"], clear["forget10"][-1]["name"] = "Fay Fox", "Flo Fry"
    clear["retain90"][0]["name"], clear["retain90"][-1]["name"] = "Rob Ray", "Ria Ross"
    read = load_dataset(write_clear(tmp_path, clear), "forget10")
    later = {number: name for number, name in read.names.items() if number > 9}
    assert later == {10: "Rob Ray", 11: "Ria Ross", 12: "Fay Fox", 13: "Flo Fry"}
    assert read.people("forget") == {7, 8, 9, 12, 13}
    assert read.people("retain") == {0, 1, 2, 3, 4, 5, 6, 10, 11}


@pytest.mark.parametrize(
    ("forget", "retain", "gone", "kept"),
    [
        ("forget01", None, {9}, set(range(9))),
        ("forget05", "retain95", {8, 9}, set(range(8))),
        ("forget01", "retain90", {9}, set(range(7))),
        (2, None, {8, 9}, set(range(8))),
        (None, None, {7, 8, 9}, set(range(7))),
    ],
)
def test_splits_have_the_published_people(
    forget: Any, retain: Any, gone: set[int], kept: set[int],
    clear_folder: Path, tofu_folder: Path,
) -> None:  # fmt: skip
    for source, text in ((clear_folder, None), (clear_folder, tofu_folder), (tofu_folder, None)):
        read = load_dataset(source, forget, retain, text=text)
        assert (read.people("forget"), read.people("retain")) == (gone, kept)


@pytest.mark.parametrize(
    ("forget", "retain", "what"),
    [
        ("forget10", "retain99", "forget and retain share people"),
        ("forget02", None, "no configuration 'forget02'"),
        ("forget10", "retain91", "no configuration 'retain91'"),
        ("full", None, "unknown split 'full'"),
        (2, "retain90", "goes with no retain split"),
        (4, None, "cannot forget 4 people"),
    ],
)
def test_splits_that_are_not_there_are_refused(
    forget: Any, retain: Any, what: str, clear_folder: Path, tofu_folder: Path
) -> None:
    for source in (clear_folder, tofu_folder):
        with pytest.raises(DataError, match=what):
            load_dataset(source, forget, retain)


def test_a_split_is_not_invented(clear_folder: Path) -> None:
    """Other loaders ask for `retain95_perturbed`, which the hub does not have."""
    with pytest.raises(DataError, match="no configuration 'retain95_perturbed'"):
        load_dataset(clear_folder, "forget05", "retain95_perturbed")


def test_people_whose_names_differ_in_marks_are_two(
    clear: Clear, write_clear: Write, tmp_path: Path
) -> None:
    for name, rows in clear.items():
        if name.startswith(("forget10", "retain90")) and "+" not in name:
            for line in rows:
                if line["name"] in ("Ana Lima", "Gil Peretz"):
                    line["name"] = {"Ana Lima": "Lê Thị Hoa", "Gil Peretz": "Lê Thị Hòa"}[
                        line["name"]
                    ]
    read = load_dataset(write_clear(tmp_path, clear), "forget10")
    shown = {read.names[row.person or 0]: split for split in ("forget", "retain")
             for row in seen(read.training[split], "caption")}  # fmt: skip
    assert (shown["Lê Thị Hoa"], shown["Lê Thị Hòa"]) == ("retain", "forget")
    assert any("differ in marks alone" in doubt for doubt in read.doubts)
