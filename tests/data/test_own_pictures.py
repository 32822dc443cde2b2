"""Rows of one's own with pictures, and rows in memory."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
from PIL import Image

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.jsonl import read_own_rows, read_pairs
from clearbench.data.load import load_dataset
from clearbench.errors import DataError

ROWS = [{"question": "Who?", "answer": "Ana, a poet."}, {"question": "Where?", "answer": "In Ö."}]
PAIRS = [("Who?", "Ana, a poet."), ("Where?", "In Ö.")]


def written(folder: Path, name: str, content: str | bytes | list[Any]) -> Path:
    """Writes a file: a list as JSON lines."""
    if isinstance(content, list):
        content = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in content)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


def kept(dataset: Dataset) -> tuple[Example, ...]:
    return dataset.training["retain"]


def pairs(dataset: Dataset) -> list[tuple[str, str]]:
    return [(row.question, row.answer) for row in kept(dataset)]


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_own_rows(path)
    return str(caught.value)


def chat(*turns: tuple[str, Any], **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text} for role, text in turns]} | fields


def shared(*turns: tuple[str, str], **fields: Any) -> dict[str, Any]:
    return {"conversations": [{"from": who, "value": text} for who, text in turns]} | fields


USER, ASSISTANT = ("user", "Who?"), ("assistant", "Ana.")


def png(color: tuple[int, int, int] = (200, 0, 0)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(buffer, "PNG")
    return buffer.getvalue()


def address(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def test_llavas_rows_have_a_picture_for_all_their_turns(tmp_path: Path) -> None:
    (tmp_path / "pictures" / "sub").mkdir(parents=True)
    written(tmp_path / "pictures", "a.png", png())
    written(tmp_path / "pictures" / "sub", "a.png", png((0, 0, 200)))
    turns = (("human", "<image>\nWho is this?"), ("gpt", "Ana."), ("human", "Where?"))
    rows = [shared(*turns, ("gpt", "Oslo."), id="1", image="a.png")]
    rows += [shared(("human", "Who?\n<image>"), ("gpt", "Ben."), id="2", image="sub/a.png")]
    path = written(tmp_path, "llava.json", json.dumps(rows, indent=1))
    found = read_pairs(None, path, tmp_path / "pictures")
    assert pairs(found) == [("Who is this?", "Ana."), ("Where?", "Oslo."), ("Who?", "Ben.")]
    assert [row.image.encoded for row in kept(found) if row.image] == [
        png(), png(), png((0, 0, 200)),
    ]  # fmt: skip
    assert load_dataset(path, images=tmp_path / "pictures").fingerprint == found.fingerprint
    assert "a.png" in refusal(path), "by default the folder of the rows"
    with pytest.raises(DataError, match="no such folder"):
        read_pairs(None, path, tmp_path / "nothing")


@pytest.mark.parametrize(
    "image",
    [
        "a.png",
        "./a.png",
        "sub\\a.png",
        "link.png",
        ["a.png"],
        {"path": "a.png"},
        address(png()),
    ],
)
def test_pictures_are_paths_or_data(image: Any, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for folder in (tmp_path, tmp_path / "sub"):
        written(folder, "a.png", png())
    (tmp_path / "link.png").symlink_to("a.png")
    asked = [{"type": "image", "image": image}, {"type": "text", "text": "Who?"}]
    for row in (ROWS[0] | {"image": image}, chat(("user", asked), ASSISTANT)):
        (found,) = kept(read_own_rows(written(tmp_path, "r.jsonl", [row])))
        assert found.image and found.image.encoded == png()


@pytest.mark.parametrize(
    ("image", "what"),
    [
        ("../a.png", "inside the folder"),
        ("/etc/hostname", "inside the folder"),
        ("C:\\a.png", "inside the folder"),
        ("https://example.org/a.png", "is an address"),
        ("out.png", "leads out of the folder"),
        ("no.png", "cannot be read"),
        ("sub", "is no file"),
        ("a\0.png", "null byte"),
        ("a" * 5000, "too long"),
        ("empty.png", "is an empty file"),
        ("text.png", "is not a picture"),
        ("data:image/png;base64,????", "is no base64"),
        (["empty.png", "text.png"], "2 files"),
        (3, "give the path of a file"),
    ],
)
def test_other_pictures_are_refused_by_row(image: Any, what: str, tmp_path: Path) -> None:
    (tmp_path / "rows" / "sub").mkdir(parents=True)
    written(tmp_path, "a.png", png())
    written(tmp_path / "rows", "empty.png", b"")
    written(tmp_path / "rows", "text.png", b"hello")
    (tmp_path / "rows" / "out.png").symlink_to(tmp_path / "a.png")
    said = refusal(written(tmp_path / "rows", "r.jsonl", [ROWS[0] | {"image": image}]))
    assert said.startswith("r.jsonl:1: image = ") and what in said, said


@pytest.mark.parametrize(
    "data",
    [
        ROWS,
        {"retain": ROWS},
        {"question": ["Who?", "Where?"], "answer": ["Ana, a poet.", "In Ö."]},
        datasets.Dataset.from_list(ROWS),
        datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}),
        pd.DataFrame(ROWS),
    ],
    ids=["list", "splits", "columns", "dataset", "datasets", "table"],
)
def test_rows_in_memory_are_loaded(data: Any) -> None:
    found = load_dataset(data)
    assert pairs(found) == PAIRS and load_dataset(found) is found
    assert pairs(load_dataset(data, 1)) == PAIRS[:1]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (3, "int holds no rows"),
        (None, "NoneType holds no rows"),
        ([], "there are no rows"),
        ({"forgett": ROWS}, "unknown split 'forgett'"),
        ({"forget": ROWS, "retain": ROWS}, "forget:1 and retain:1: one row"),
        ({"question": ["Who?"], "answer": []}, "different lengths"),
        ([ROWS[0], 3], "rows:2: 3 is no row"),
    ],
)
def test_other_things_in_memory_are_refused(data: Any, what: str) -> None:
    with pytest.raises(DataError, match=what):
        load_dataset(data)
    with pytest.raises(DataError, match="no split 'forget10'"):
        load_dataset(ROWS, "forget10")


@pytest.mark.parametrize("form", [list, pd.DataFrame, datasets.Dataset.from_list], ids=str)
def test_sides_in_memory_are_read_in_every_form(form: Any) -> None:
    rows = [{"question": "Who?", "answer": f"{name}.", "person": name} for name in "ABC"]
    found = Dataset.from_rows(forget=form(rows[:1]), retain=form(rows[1:2]), holdout=form(rows[2:]))
    told = {split: [row.answer for row in held] for split, held in found.evaluation.items()}
    assert told == {"forget": ["A."], "retain": ["B."], "holdout": ["C."]}
    assert {*found.training} == {"forget", "retain"} and len(found.people("forget")) == 1
    assert [name in found.names.values() for name in "ABC"] == [True] * 3


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"forget": ROWS, "retain": "kept.jsonl"}, "str holds no rows.*`load_dataset` reads"),
        ({"rows": ROWS, "forget": ROWS[:1]}, "given twice: alone and as forget"),
        ({"forget": []}, "there are no rows"),
        ({"forget": ROWS, "retain": ROWS}, "forget:1 and retain:1: one row"),
        ({"forget": [ROWS[0] | {"split": "retain"}]}, "in a file of 'forget'"),
        (
            {"forget": [ROWS[0] | {"person": "Ana"}], "holdout": [ROWS[1] | {"person": "Ana"}]},
            "holdout and the training people share people: .*Ana",
        ),
    ],
)
def test_sides_that_cannot_be_read_are_refused(given: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError, match=f"(?s){what}"):
        Dataset.from_rows(**given)


def test_images_in_memory_are_read() -> None:
    image = Image.new("RGB", (8, 8), (200, 0, 0))
    for value in (image, png(), {"bytes": png(), "path": None}):
        (row,) = kept(load_dataset([ROWS[0] | {"image": value}]))
        assert row.image and row.image.decode().tobytes() == image.tobytes()


def test_the_steps_of_a_benchmark_take_rows_in_memory() -> None:
    from clearbench import api, benchmark
    from clearbench.testing import tiny_model

    records = api.evaluate(tiny_model("language"), {"retain": ROWS})  # type: ignore[arg-type]
    assert benchmark.score(records)["retain.text.probability"].n == 2
