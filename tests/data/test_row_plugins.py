"""A format of files and a form of rows are one class each, in any file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clearbench.data.jsonl import read_own_rows
from clearbench.errors import DataError
from clearbench.plugins import load_plugin

PLUGIN = '''
from clearbench.data.row_file import RowFile
from clearbench.data.row_form import RowForm


class Cards(RowFile, name="cards"):
    """Lines of front and back."""

    suffixes = (".cards",)

    def recognises(self, path, head):
        return path.suffix == ".cards"

    def lines(self, path):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield number, dict(zip(("front", "back"), line.split(" = ")))


class Card(RowForm, name="front and back"):
    """A card of two sides."""

    needs = (("front",), ("back",))

    def examples(self, fields, doubts):
        front, back = self.taken(fields)
        return [{"question": front, "answer": back}]
'''


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[None]:
    from clearbench.data import row_file, row_form

    known = dict(row_file._REGISTRY.items()), dict(row_form._REGISTRY.items())
    (tmp_path / "cards.py").write_text(PLUGIN)
    load_plugin(tmp_path / "cards.py")
    yield
    for registry, before in zip((row_file._REGISTRY, row_form._REGISTRY), known, strict=True):
        registry.classes.clear()
        registry.classes.update(before)  # type: ignore[arg-type]


def test_a_plugin_brings_a_format_and_a_form(plugin: None, tmp_path: Path) -> None:
    path = tmp_path / "mine.cards"
    path.write_text("Who? = Ana.\nWhere? = Oslo.\n")
    rows = read_own_rows(path).training["retain"]
    assert [(row.question, row.answer) for row in rows] == [("Who?", "Ana."), ("Where?", "Oslo.")]
    path.write_text("Who?\n")
    with pytest.raises(DataError, match=r"mine.cards:1: no field 'back'"):
        read_own_rows(path)
