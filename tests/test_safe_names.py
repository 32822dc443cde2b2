"""Names that stay in their folder, and JSON that is the same for the same value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearbench import storage
from clearbench.errors import StorageError


def link(folder: Path) -> None:
    (folder / "weights.bin").rename(folder.parent / "elsewhere")
    (folder / "weights.bin").symlink_to(folder.parent / "elsewhere")


@given(st.text(max_size=300))
def test_safe_names_are_plain(name: str) -> None:
    safe = storage.safe_name(name)
    assert safe and len(safe.encode()) <= 100
    assert all(letter.isascii() and (letter.isalnum() or letter in "._-") for letter in safe)
    assert not safe.startswith((".", "-")) and safe not in (".", "..")
    assert storage.safe_name(safe) == safe


@given(st.lists(st.text(max_size=120), min_size=2, max_size=2, unique=True))
def test_safe_names_stay_apart(names: list[str]) -> None:
    first, second = map(storage.safe_name, names)
    assert first != second


HOSTILE = st.one_of(
    st.text(),
    st.lists(st.sampled_from(["..", ".", "a", "/", "\x00", "~", "C:", "\\", "%2e%2e"])).map(
        "/".join
    ),
)


@given(HOSTILE)
def test_names_cannot_leave_the_folder(part: str) -> None:
    root = Path("/tmp/clearbench-root")  # noqa: S108 - never written
    try:
        path = storage.inside(root, part)
    except StorageError as error:
        assert "name" in error.fix
    else:
        assert path.is_relative_to(root.resolve())


@pytest.mark.parametrize("part", ["..", "../x", "a/../../b", "/etc/passwd", "a\x00b", "\ud800"])
def test_names_that_would_leave_are_refused(part: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        storage.inside(tmp_path, part)


def test_links_cannot_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path)
    with pytest.raises(StorageError, match="leads out of the folder"):
        storage.inside(tmp_path / "root", "link/secret")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(st.text(), JSON))
def test_equal_values_have_equal_text(value: dict[str, object]) -> None:
    mixed = dict(reversed(value.items()))
    assert storage.canonical_json(value) == storage.canonical_json(mixed)
    assert json.loads(storage.canonical_json(value)) == value
    assert storage.content_hash(value) == storage.content_hash(mixed)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        storage.canonical_json({"score": value})


def test_broken_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff{")
    for name, what in (("a.json", "not valid JSON"), ("b.json", "no such file")):
        with pytest.raises(StorageError, match=what) as caught:
            storage.read_json(tmp_path / name)
        assert name in caught.value.where


def test_json_may_begin_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n')
    assert storage.read_json(tmp_path / "log.json") == {"a": 1}
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(StorageError, match="nested too deeply"):
        storage.read_json(tmp_path / "deep.json")
