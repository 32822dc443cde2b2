"""Cases of letters, ends of lines, and pictures in the wrong turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clearbench.data.text_file import read_text
from clearbench.data.turns import pairs
from clearbench.data.words import folded, joined, letters, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        ("ΟΔΟΣ", "οδος"),
        ("Οδός", "ΟΔΌΣ"),
        ("ﬁlm", "FILM"),
        ("Ana", "aNA"),
    ],
)
def test_cases_of_one_word_are_equal(one: str, other: str) -> None:
    """Also where a capital letter has no small one of its own, or two."""
    assert folded(one) == folded(other)
    for cut in (letters, words, joined):
        assert cut(one) == cut(other) != []


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a\rb\rc", "a\nb\nc"),
        (b"a\r\nb\r\n", "a\nb\n"),
        (b"a\nb\r\rc\r\n\rd", "a\nb\n\nc\n\nd"),
        (b"\xef\xbb\xbfa\r\xc3\xa9", "a\né"),
    ],
)
def test_every_end_of_a_line_is_one(content: bytes, text: str, tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_bytes(content)
    assert read_text(tmp_path / "rows.txt") == text


SHOWN: dict[str, Any] = {"type": "image", "image": "a.png"}


@pytest.mark.parametrize("role", ["assistant", "gpt", "Model"])
def test_an_answer_holds_no_picture(role: str) -> None:
    """A picture belongs to what is asked; elsewhere it would be lost in silence."""
    said = {"type": "text", "text": "She reads."}
    asked = {"role": "user", "content": [SHOWN, {"type": "text", "text": "Who?"}]}
    with pytest.raises(ValueError, match="turn 2: an answer with a picture"):
        pairs([asked, {"role": role, "content": [said, SHOWN]}], [])
    found = pairs([asked, {"role": role, "content": [said]}], [])
    assert found == ([("Who?", "She reads.")], ["a.png"], 1)
