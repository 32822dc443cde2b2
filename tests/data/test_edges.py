"""The last line of a picture, names that a text spells twice, and fields within fields."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from clearbench.data.intact import breaks_off
from clearbench.data.join import Names, identity
from clearbench.data.json_rows import objects
from clearbench.data.load import load_dataset
from clearbench.data.media import EncodedImage


def png(content: bytes, width: int, height: int, interlaced: bool = False) -> bytes:
    """An RGB picture with these bytes of lines."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, int(interlaced))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    ("interlaced", "whole"),
    [(False, 8 * (1 + 3 * 8)), (True, 15 * 1 + 3 * 8 * 8)],
    ids=["line by line", "seven passes"],
)
def test_a_picture_lacks_its_last_byte_or_nothing(interlaced: bool, whole: int) -> None:
    """Eight lines of eight pixels, or the 1 + 1 + 1 + 2 + 2 + 4 + 4 lines of seven passes."""
    for missing, expected in ((0, False), (1, True), (8, True), (15, True), (25, True)):
        content = png(bytes(whole - missing), 8, 8, interlaced)
        with Image.open(io.BytesIO(content)) as image:
            assert breaks_off(content, image) is expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ana Lía met Ana Lia.", None),
        ("Ana Lia met Ana Lía.", None),
        ("Ana Lía met Jon.", "Ana Lía"),
        ("Ana Lia met Jon.", "Ana Lia"),
        ("ANA LÍA met Jon.", "Ana Lía"),
        ("Jon met nobody.", None),
    ],
)
def test_of_names_that_differ_in_accents_a_text_says_one(text: str, found: str | None) -> None:
    expected = None if found is None else identity(found)
    assert Names(["Ana Lía", "Ana Lia"]).find(text) == expected


@pytest.mark.parametrize(
    "inner",
    [
        '{"role": "user", "role": "assistant"}',
        '[{"role": "user", "role": "assistant"}]',
        '{"turn": {"role": "user", "role": "assistant"}}',
        '[1, {"turn": [{"role": "user", "role": "assistant"}]}]',
    ],
)
def test_a_field_that_is_there_twice_is_named_at_any_depth(inner: str) -> None:
    """JSON keeps the last alone: which one was meant nobody knows."""
    rows = [*objects(f'{{"question": "Who?", "answer": "A", "messages": {inner}}}')]
    assert rows == [(1, "the field 'role' is there twice")]
    fine = '{"a": [{"role": 1}, {"role": 2}], "role": 3}'
    assert [*objects(fine)] == [(1, {"a": [{"role": 1}, {"role": 2}], "role": 3})]


@pytest.mark.parametrize(("width", "height"), [(4, 4), (4, 9), (9, 4), (3, 9), (9, 3), (1, 1)])
def test_a_side_has_four_pixels_at_least(width: int, height: int) -> None:
    """Three would be taken for the channels of colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (9, 8, 7)).save(buffer, "PNG")
    if min(width, height) >= 4:
        assert EncodedImage(encoded=buffer.getvalue()).decode().size == (width, height)
    else:
        with pytest.raises(ValueError, match=f"is {width} x {height} pixels: each side needs"):
            EncodedImage(encoded=buffer.getvalue())


def test_people_without_an_example_have_no_name() -> None:
    """A conversation of system turns alone asks nothing, so that nobody is known from it."""
    rows = [
        {"messages": [{"role": "system", "content": "Be kind."}], "person": "Ana"},
        {"question": "Who writes?", "answer": "Ben writes.", "person": "Ben", "split": "forget"},
        {"question": "Who sings?", "answer": "Cleo sings.", "person": "Cleo"},
    ]
    data = load_dataset(rows)
    assert sorted(data.names.values()) == ["Ben", "Cleo"]
    assert {row.person for rows in data.all_rows() for row in rows} == {*data.names}
