"""A user's own rows: every bad line is named, and odd characters stay inside their line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clearbench.data.jsonl import read_pairs
from clearbench.errors import DataError


def test_rows_are_read_as_they_stand(tmp_path: Path) -> None:
    forget, retain = tmp_path / "f.jsonl", tmp_path / "r.jsonl"
    odd = "One line\u2028 and\x85 another."
    rows = [{"question": "Who?", "answer": odd, "person": 3}]
    rows += [{"question": "Where?", "answer": "雪"}]
    forget.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n")
    retain.write_text('{"question": "What?", "answer": "That."}')
    found = read_pairs(forget, retain)
    assert [row.answer for row in found.training["forget"]] == [odd, "雪"]
    assert [row.source for row in found.training["forget"]] == ["f.jsonl:1", "f.jsonl:3"]
    assert found.people("forget") == {3} and len(found.training["retain"]) == 1


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    forget = tmp_path / "f.jsonl"
    lines = ['{"question": "Q?"}', "{", "[]", '{"question": 3, "answer": "A"}', "3"]
    lines += ['{"question": "Q?", "answer": "A", "person": "me"}']
    forget.write_text("\n".join(['{"question": "Fine?", "answer": "Yes."}', *lines]))
    with pytest.raises(DataError) as caught:
        read_pairs(forget, None)
    said = str(caught.value)
    assert all(f"f.jsonl:{number}: " in said for number in range(2, 8)), said
    assert "f.jsonl:1:" not in said
    assert "'answer'" in said and "question" in said and "person" in said


def test_a_person_on_both_sides_is_refused(tmp_path: Path) -> None:
    for name in ("f", "r"):
        (tmp_path / f"{name}.jsonl").write_text('{"question": "Q?", "answer": "A", "person": 1}')
    with pytest.raises(DataError, match="forget and retain share people"):
        read_pairs(tmp_path / "f.jsonl", tmp_path / "r.jsonl")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read") as caught:
        read_pairs(tmp_path / "none.jsonl", None)
    assert "none.jsonl" in caught.value.where
