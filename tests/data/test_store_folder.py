"""A stored dataset comes back equal: every field, media, split, name and refusal, in order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clearbench.data.load import load_dataset
from clearbench.data.store_folder import ABOUT, MEDIA, ROWS, read_rows, write_rows
from clearbench.data.write_clear import write_dataset
from clearbench.errors import DataError
from clearbench.testing.world import tiny_dataset


def test_it_comes_back_equal_and_twice_the_same_bytes(tmp_path: Path) -> None:
    dataset = replace(tiny_dataset(), evaluation=tiny_dataset().evaluation | {"holdout": ()})
    write_rows(dataset, tmp_path / "a")
    write_rows(dataset, tmp_path / "b")
    found = read_rows(tmp_path / "a")
    assert found == dataset and found.fingerprint == dataset.fingerprint
    assert list(found.evaluation) == list(dataset.evaluation)
    for name in (ROWS, MEDIA, ABOUT):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert load_dataset(tmp_path / "a") == dataset
    assert load_dataset(tmp_path / "a", 1).people("forget") == {7}


def test_the_built_in_rows_are_those_that_clears_layout_gives_back(tmp_path: Path) -> None:
    """Runs kept their data in CLEAR's layout before: rows, ids and order must be the same."""
    dataset = load_dataset("builtin", 2, people=6, strangers=2, seed=3)
    write_dataset(dataset, tmp_path / "clear")
    write_rows(dataset, tmp_path / "rows")
    ours, before = read_rows(tmp_path / "rows"), load_dataset(tmp_path / "clear")
    assert ours.fingerprint == before.fingerprint and list(ours.training) == list(before.training)


def test_an_image_under_two_questions_is_stored_once(tmp_path: Path) -> None:
    write_rows(tiny_dataset(), tmp_path)
    found = read_rows(tmp_path)
    caption, name = (row for row in found.training["forget"] if row.person == 0 and row.media)
    assert caption.media is name.media


@pytest.mark.parametrize("name", [ROWS, MEDIA, ABOUT])
def test_a_broken_file_is_named(name: str, tmp_path: Path) -> None:
    write_rows(tiny_dataset(), tmp_path)
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(DataError, match="cannot read"):
        read_rows(tmp_path)


def test_a_name_that_changes_makes_other_data() -> None:
    """Names are labels of classifiers and answers of choices, though no row holds them."""
    dataset = tiny_dataset()
    person, name = next(iter(dataset.names.items()))
    renamed = replace(dataset, names=dataset.names | {person: f"{name}a"})
    assert renamed.fingerprint != dataset.fingerprint
