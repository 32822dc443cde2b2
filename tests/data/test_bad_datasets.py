"""Forty kinds of bad dataset and more: each is refused in words of its own, with where and what."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from PIL import Image

from clearbench.data.dataset import Dataset
from clearbench.data.jsonl import read_pairs
from clearbench.data.load import load_dataset
from clearbench.errors import DataError

ANA = {"question": "Who is Ana?", "answer": "Ana is a poet.", "person": "Ana"}
BEN = {"question": "Who is Ben?", "answer": "Ben is a cook.", "person": "Ben"}
TURNS = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Ana."}]


def lines(*rows: Any) -> bytes:
    return "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows).encode()


def picture(kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that would take gigabytes as pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer)
    return buffer.getvalue()


Files = Mapping[str, bytes]


class Bad(NamedTuple):
    """A bad dataset.

    Attributes:
        files: Contents by path below a folder.
        told: Parts of the message: file and row, field and value.
        read: Loads it from the folder; the only file in it by default.
    """

    files: Files
    told: tuple[str, ...]
    read: Callable[[Path], Any] | None = None


def table(text: str, *told: str) -> Bad:
    return Bad({"rows.csv": text.encode()}, told)


def row(value: Any, *told: str) -> Bad:
    return Bad({"rows.jsonl": lines(BEN, value)}, ("rows.jsonl:2: ", *told))


def shown(image: Any, told: str, content: bytes | None = None) -> Bad:
    """A row with a picture, and the content of `a/b.png`."""
    files = {"rows.jsonl": lines(BEN, ANA | {"image": image})}
    files |= {} if content is None else {"a/b.png": content}
    parts = ("rows.jsonl:2: image = ", told)
    return Bad(files, parts, lambda folder: load_dataset(folder / "rows.jsonl"))


def sides(forget: bytes, retain: bytes, *told: str, name: str = "r.jsonl") -> Bad:
    files = {"f.jsonl": forget, name: retain}
    return Bad(files, told, lambda folder: read_pairs(folder / "f.jsonl", folder / name))


def of_folder(files: Files, *told: str) -> Bad:
    return Bad(files, told, load_dataset)


def linked_out(folder: Path) -> Any:
    (folder / "pictures").mkdir()
    (folder.parent / "secret.png").write_bytes(picture())
    (folder / "pictures" / "a.png").symlink_to(folder.parent / "secret.png")
    return load_dataset(folder / "rows.jsonl")


def piped(folder: Path) -> Any:
    os.mkfifo(folder / "pipe.png")
    return load_dataset(folder / "rows.jsonl")


def same_file(folder: Path) -> Any:
    return read_pairs(folder / "rows.jsonl", folder / "rows.jsonl")


def holdout_too(folder: Path) -> Any:
    return read_pairs(folder / "f.jsonl", None, holdout=folder / "r.jsonl")


WHOLE = parquet(question=["Who?"] * 40, answer=["Ana."] * 40)
CUT = picture("JPEG")[:1500] + b"\xff\xd9"

BAD: dict[str, Bad] = {
    # Files
    "no such file": Bad({}, ("rows.jsonl",), lambda folder: load_dataset(folder / "rows.jsonl")),
    "empty file": Bad({"rows.jsonl": b""}, ("rows.jsonl: holds no rows",)),
    "truncated Parquet": Bad({"rows.parquet": WHOLE[: len(WHOLE) // 2]}, ("rows.parquet",)),
    "Parquet of numbers alone": Bad(
        {"rows.parquet": parquet(a=[1, 2])}, ("rows.parquet:0: ", "has the fields a")
    ),
    "UTF-16 text": Bad({"rows.csv": "question,answer\nWho?,Zoë".encode("utf-16")}, ("UTF-16",)),
    "UTF-16 without its mark": Bad(
        {"rows.csv": "question,answer\nWho?,Zoë".encode("utf-16-le")}, ("without its mark",)
    ),
    "8-bit text": Bad(
        {"rows.csv": "question,answer\nWho?,Zoë\n".encode("latin-1")},
        ("0xeb on line 2", "Windows-1252"),
    ),
    "spreadsheet": Bad({"rows.csv": b"PK\x03\x04\x14\x00\x06\x00"}, ("a spreadsheet",)),
    "gzip": Bad({"rows.json": b"\x1f\x8b\x08\x00" + bytes(20)}, ("gzip",)),
    "pickle": Bad({"rows.json": b"\x80\x04\x95" + bytes(20)}, ("pickle",)),
    "web page": Bad({"rows.jsonl": b"<!DOCTYPE html>\n<html>404</html>\n"}, ("web page",)),
    "pointer of Git LFS": Bad(
        {"rows.jsonl": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"},
        ("Git LFS",),
    ),
    # JSON
    "JSON that breaks off": Bad(
        {"rows.json": json.dumps([ANA, BEN], indent=1).encode()[:-20]}, ("rows.json:row 1: is no",)
    ),
    "line that breaks off": row('{"question": "Who?", "ans', "is no JSON: Unterminated"),
    "single quotes": row("{'question': 'Who?', 'answer': 'A'}", "is no JSON: Expecting property"),
    "nested without end": row('{"question": ' * 3000, "nested too deeply"),
    "item that is no row": row("3", "3 is no object"),
    "field twice": row('{"question": "Q?", "answer": "A", "answer": "B"}', "'answer' is there"),
    # CSV
    "no line of names": table("Who is Ana?,A poet.\n", "names no columns of rows: 'Who is Ana?,"),
    "wrong delimiter": table("question:answer\nWho?:Ana.\n", "'question:answer'", "no comma, tab"),
    "unquoted delimiter": table(
        "question,answer\nWho?,Ana, a poet.\n", "rows.csv:2: ", "3 cells under 2 names"
    ),
    "open quotes": table('question,answer\nWho?,"Ana.\n', "rows.csv:2: ", "no record"),
    "column twice": table(
        "question,answer,answer\nWho?,Ana.,Ben.\n", "rows.csv:2: ", "two columns", "answer"
    ),
    "half-empty row": table(
        "question,answer\nWho?,Ana.\nWhere?,\n", "rows.csv:3: ", "no field 'answer'"
    ),
    "list of numpy": table(
        "question,answer,perturbed_answers\nWho?,Ana.,\"['Ben.' 'Cy.']\"\n",
        "rows.csv:2: ", "perturbed_answers = \"['Ben.' 'Cy.']\"", "as JSON does",
    ),
    # Fields
    "another name of a column": row({"prompt_text": "Who?", "reply": "Ana."}, "prompt_text, reply"),
    "slip of the pen": row(ANA | {"paraphrased_anwser": "A."}, "did you mean 'paraphrased_answer'"),
    "null": row(ANA | {"answer": None}, "answer = None"),
    "number for a text": row(ANA | {"answer": 3}, "answer = 3: Input should be a valid string"),
    "blank text": row(ANA | {"question": " \t"}, "question = ' \\t'", "is blank"),
    "control characters": row(ANA | {"answer": "A\u0007na"}, "answer = ", "control characters"),
    "true answer among the wrong": row(
        ANA | {"perturbed_answers": ["No.", "ana is a  poet."]}, "the true answer is among"
    ),
    "wrong answers in one text": row(
        ANA | {"perturbed_answers": [["No."]]}, "perturbed_answers.0 = ['No.']"
    ),
    "unknown task": row(ANA | {"task": "qwa"}, "task = 'qwa'", "did you mean 'qa'"),
    "unknown split": row(ANA | {"split": "forgot"}, "split = 'forgot'", "did you mean 'forget'"),
    "person of another kind": row(ANA | {"person": 1.5}, "person = 1.5", "a whole number"),
    "id of another kind": row(ANA | {"id": [1]}, "id = [1]", "a text or a whole number"),
    "two forms at once": row(ANA | {"messages": TURNS}, "at once"),
    "question without an answer": row({"messages": TURNS[:1]}, "turn 1: nothing answers"),
    "answer without a question": row({"messages": TURNS[1:]}, "turn 1: an answer to nothing"),
    "tool turns": row({"messages": [*TURNS[:1], {"role": "tool", "content": "3"}]}, "'tool'"),
    # Pictures
    "no such picture": shown("no.png", "'no.png': cannot be read"),
    "path above the folder": shown("../a.png", "inside the folder"),
    "address": shown("https://example.org/a.png", "is an address"),
    "link out of the folder": Bad(
        {"rows.jsonl": lines(BEN, ANA | {"image": "pictures/a.png"})},
        ("rows.jsonl:2: image = 'pictures/a.png'", "leads out of the folder"), linked_out,
    ),
    "pipe": Bad(
        {"rows.jsonl": lines(BEN, ANA | {"image": "pipe.png"})},
        ("rows.jsonl:2: image = 'pipe.png'", "is no file"), piped,
    ),
    "empty picture": shown("a/b.png", "empty file", b""),
    "text called a picture": shown("a/b.png", "begins with b'hello th'", b"hello there"),
    "bomb": shown("a/b.png", "is too large: at most 64,000,000", bomb(60_000, 60_000)),
    "picture of one pixel": shown("a/b.png", "1 x 1", bomb(1, 1)),
    "picture that breaks off": Bad(
        {"rows.jsonl": lines(BEN, ANA | {"image": "a.jpg"}), "a.jpg": CUT},
        ("rows.jsonl:2: image breaks off",), lambda folder: load_dataset(folder / "rows.jsonl"),
    ),
    "no base64": shown("data:image/png;base64,????", "is no base64"),
    "two pictures": shown(["a.png", "b.png"], "2 files"),
    "picture under another name": row(ANA | {"photo": "a.png"}, "photo = 'a.png'", "'image'"),
    "place of a picture without one": row(
        {"messages": [{"role": "user", "content": "<image>Who?"}, TURNS[1]]}, "names no 'image'"
    ),
    "video": row(ANA | {"video": "a.mp4"}, "video = 'a.mp4'"),
    # Sides
    "person on both sides": sides(
        lines(ANA), lines(BEN, BEN | {"person": "ANA"}),
        "f.jsonl:1 and r.jsonl:2", "share people", "Ana",
    ),
    "row on both sides": sides(
        lines({"question": "Who?", "answer": "Ana."}),
        lines({"question": "who?", "answer": "ANA."}),
        "f.jsonl:1 and r.jsonl:1", "one row, to forget and to keep",
    ),
    "person taught and held out": Bad(
        {"f.jsonl": lines(ANA), "r.jsonl": lines(ANA | {"question": "Where?"})},
        ("holdout and the training people share people", "Ana"), holdout_too,
    ),
    "one file for both sides": Bad({"rows.jsonl": lines(ANA)}, ("one file to forget",), same_file),
    "split of another file": sides(
        lines(ANA | {"split": "retain"}), lines(BEN), "f.jsonl:1: split = 'retain'", "of 'forget'"
    ),
    # Folders
    "folder without rows": of_folder({"notes.md": b"hello"}, "the folder holds notes.md"),
    "two files of a split": of_folder(
        {"forget.csv": b"question,answer\nQ?,A\n", "forget.jsonl": lines(ANA)},
        "several files of 'forget'", "forget.csv, forget.jsonl",
    ),
    "split in another format": of_folder(
        {"forget.xlsx": b"PK", "retain.jsonl": lines(ANA)}, "no rows can be read from forget.xlsx"
    ),
    "archive": Bad({"rows.zip": b"PK\x05\x06" + bytes(18)}, ("rows.zip", "no rows can be read")),
}  # fmt: skip

#: Rows in memory that are bad, with parts of the message.
IN_MEMORY: dict[str, tuple[Any, str]] = {
    "a number": (3, "int holds no rows"),
    "no rows": ([], "there are no rows"),
    "a row that is none": ([ANA, 3], "rows:2: 3 is no row"),
    "columns of different lengths": ({"question": ["Q?"], "answer": []}, "different lengths"),
    "a split of no name": ({"forgett": [ANA]}, "unknown split 'forgett'"),
}


def refused(name: str, place: Path) -> DataError:
    """What is said of a bad dataset that is made in a folder."""
    bad = BAD[name]
    place.mkdir(parents=True)
    for path, content in bad.files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)
    with pytest.raises(DataError) as caught:
        (bad.read or (lambda folder: load_dataset(folder / next(iter(bad.files)))))(place)
    return caught.value


def bare(message: str) -> str:
    """A message without what depends on where it was: names of files and numbers of rows."""
    return re.sub(
        r"\S*?(?:rows|[fr])\.(?:jsonl?|csv|parquet|zip)(?::(?:row )?\d+)?", "FILE", message
    )


@pytest.mark.parametrize("name", BAD)
def test_a_bad_dataset_is_refused_with_where_what_and_a_fix(name: str, tmp_path: Path) -> None:
    error = refused(name, tmp_path / "data")
    said = str(error)
    assert all(part in said for part in BAD[name].told), said
    assert error.where and error.fix and "Traceback" not in said


@pytest.mark.parametrize("name", IN_MEMORY)
def test_bad_rows_in_memory_are_refused_with_where_what_and_a_fix(name: str) -> None:
    data, told = IN_MEMORY[name]
    with pytest.raises(DataError, match=re.escape(told)) as caught:
        Dataset.from_rows(data)
    assert caught.value.where and caught.value.fix


def test_no_two_say_the_same(tmp_path: Path) -> None:
    said = {name: bare(refused(name, tmp_path / str(k)).what) for k, name in enumerate(BAD)}
    for name, (data, _) in IN_MEMORY.items():
        with pytest.raises(DataError) as caught:
            Dataset.from_rows(data)
        said[f"memory: {name}"] = bare(caught.value.what)
    twins = [(one, two) for one, two in itertools.combinations(said, 2) if said[one] == said[two]]
    assert not twins and len(said) >= 60, [(one, two, said[one]) for one, two in twins]


def test_all_bad_rows_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    rows = [BAD[name].files["rows.jsonl"].decode().splitlines()[1] for name in BAD
            if BAD[name].read is None and BAD[name].told[0] == "rows.jsonl:2: "]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("\n".join([json.dumps(BEN), *rows]))
    with pytest.raises(DataError) as caught:
        load_dataset(tmp_path / "rows.jsonl")
    shown = [line for line in caught.value.what.splitlines() if line.startswith("rows.jsonl:")]
    more = re.search(r"and (\d+) more", caught.value.what)
    assert len(rows) > 20 and len(shown) + int(more[1] if more else 0) >= len(rows)


@pytest.mark.parametrize("content", [b"", picture()[:30], base64.b64encode(picture())])
def test_bytes_that_are_no_picture_are_refused_in_memory(content: bytes) -> None:
    with pytest.raises(DataError, match="rows:1: image"):
        Dataset.from_rows([ANA | {"image": content}])
