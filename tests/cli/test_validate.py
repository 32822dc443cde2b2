"""`clearbench validate` on own rows: every problem once, of every file, and what is doubtful."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
ROW = {"question": "Who is Ana?", "answer": "A baker."}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes a file of rows, or of text, into the folder that commands are called in."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, *rows: dict[str, Any] | str) -> str:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return name

    return write


def test_problems_are_counted_not_lines(clearbench: Cli, write: Callable[..., str]) -> None:
    """Rows 2 and 3 are bad; where and what to do are no problems of their own."""
    name = write("rows.jsonl", ROW, {"question": "Who?"}, "[1")
    assert "problems: 2\n" in clearbench("validate", name, code=2).stdout
    many = write("many.jsonl", *[{"question": f"{k}?", "answer": ""} for k in range(30)])
    said = clearbench("validate", many, code=2).stdout
    assert "problems: 30\n" in said and "and 10 more" in said
    found = json.loads(clearbench("validate", many, "--json", code=2).stdout)
    assert len(found["problems"]) == 30 and not found["ok"]


def test_errors_of_one_file_do_not_hide_those_of_another(
    clearbench: Cli, write: Callable[..., str]
) -> None:
    forget = write("forget.jsonl", *[{"question": f"{k}?", "answer": ""} for k in range(30)])
    retain = write("retain.jsonl", {"question": "Who?", "answer": 3}, "{")
    words = ("validate", "--forget", forget, "--retain", retain, "--holdout", "none.jsonl")
    found = json.loads(clearbench(*words, "--json", code=2).stdout)
    assert (found["ok"], len(found["problems"]), found["splits"]) == (False, 33, [])
    said = clearbench(*words, code=2).stdout
    assert "problems: 33\n" in said and "and 13 more" in said
    for part in ("forget.jsonl:17:", "retain.jsonl:1:", "retain.jsonl:2:", "none.jsonl: there is"):
        assert part in said
    assert "forget.jsonl:18:" not in said
    done = clearbench("evaluate", "--model", "M", "--out", "out", *words[1:], code=2)
    assert "retain.jsonl:2:" in done.stderr and "... and 13 more" in done.stderr


def test_a_field_beside_the_right_one_is_doubted(
    clearbench: Cli, write: Callable[..., str]
) -> None:
    name = write("rows.jsonl", ROW | {"anwser": "A sailor.", "colour": "red"})
    doubts = json.loads(clearbench("validate", name, "--json").stdout)["doubts"]
    assert doubts == [
        "the field 'anwser' is not read; did you mean 'answer'?: rows.jsonl:1",
        "the field 'colour' is not read: rows.jsonl:1",
    ]
    assert "did you mean 'answer'?" in clearbench("validate", name).stdout


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("question,answer", ("Who is Ana?;A baker", "Who is Bo?;A sailor"),
         "the first line has a comma between names, all others have a semicolon between cells"),
        ("question;answer", ("Who is Ana?,A baker, once", "Who is Bo?,A sailor"),
         "the first line has a semicolon between names, all others have a comma between cells"),
        ("question\tanswer", ("Who is Ana?|A baker",), "has a tab between names"),
        ("question,answer", ("Who is Ana?,A baker", "Who is Bo?;A sailor"),
         "rows.csv:3: has a semicolon between cells, and the first line a comma between names"),
    ],
)  # fmt: skip
def test_another_delimiter_below_the_first_line_is_named(
    clearbench: Cli, write: Callable[..., str], header: str, rows: tuple[str, ...], message: str
) -> None:
    said = clearbench("validate", write("rows.csv", header, *rows), code=2).stdout
    assert message in said and "problems: 1\n" in said and "no field" not in said


def test_a_row_with_one_cell_may_be_short(clearbench: Cli, write: Callable[..., str]) -> None:
    """Its text may hold any delimiter; what it lacks is said as before."""
    said = clearbench("validate", write("rows.csv", "question,answer", "Who?"), code=2).stdout
    assert "rows.csv:2: no field 'answer'" in said


def test_made_fields_are_counted_by_maker(clearbench: Cli, write: Callable[..., str]) -> None:
    def made(number: int, by: str) -> dict[str, Any]:
        return {"question": f"{number}?", "answer": "Yes.", "perturbed_answers": ["No."],
                "made_by": {"perturbed_answers": by}}  # fmt: skip

    rows = [made(k, "model M: greedy") for k in range(5)]
    name = write("rows.jsonl", *rows, made(9, "grammar: swap"))
    said = clearbench("validate", name).stdout
    assert "no person wrote 'perturbed_answers' of 5 rows, which was made by model M" in said
    assert "no person wrote 'perturbed_answers' of 1 row, which was made by grammar" in said


@pytest.mark.parametrize("split", ["forget", "holdout"])
def test_a_file_called_as_a_split_is_read_as_one(
    clearbench: Cli, write: Callable[..., str], split: str
) -> None:
    """A row that names a split decides instead, and no file of another name says anything."""

    def read(name: str) -> tuple[dict[str, int], list[str]]:
        found = json.loads(clearbench("validate", name, "--json").stdout)
        return {each["name"]: each["measured"] for each in found["splits"]}, found["notes"]

    counts, notes = read(write(f"{split}.jsonl", ROW))
    assert (counts[split], counts["retain"]) == (1, 0)
    assert notes == [
        f"no row names a split; the file is called as one, and is read as --{split} {split}.jsonl"
    ]
    counts, notes = read(write("people.jsonl", ROW))
    assert counts["retain"] == 1 and "all are rows to keep" in notes[0]
    counts, notes = read(write(f"{split}.jsonl", ROW | {"split": "forget"}))
    assert (counts["forget"], notes) == (1, [])


def test_a_picture_that_is_not_there_is_named(clearbench: Cli, write: Callable[..., str]) -> None:
    said = clearbench("validate", write("rows.jsonl", ROW | {"image": "no.png"}), code=2).stdout
    assert "rows.jsonl:1: image = 'no.png': cannot be read (no.png): No such file" in said
