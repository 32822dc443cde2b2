"""Values of own rows as programs and people write them: read, refused by row, or said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clearbench.data.jsonl import read_own_rows, read_pairs
from clearbench.data.load import load_dataset
from clearbench.errors import DataError

ROW = {"question": "Who is it?", "answer": "Ana Ruiz."}


def written(folder: Path, rows: list[Any], name: str = "r.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.mark.parametrize(
    "cell",
    ['["x", "y"]', "['x', 'y']", ' ["x","y"] ', "['x', \"y\"]"],
)
def test_a_list_in_one_text_is_a_list(cell: str, tmp_path: Path) -> None:
    (row,) = read_own_rows(written(tmp_path, [ROW | {"perturbed_answer": cell}])).training["retain"]
    assert row.perturbed_answers == ("x", "y")


def test_brackets_in_texts_are_text(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text('question,answer,perturbed_answer\nQ,"[1, 2]","[sic] no"\n')
    (row,) = read_own_rows(path).training["retain"]
    assert (row.answer, row.perturbed_answers) == ("[1, 2]", ("[sic] no",))


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"perturbed_answer": "['x' 'y']"}, r"perturbed_answers = .*write a list as JSON does"),
        ({"perturbed_answer": "['x', y']"}, r"perturbed_answers = .*write a list as JSON does"),
        ({"perturbed_answer": "ANA RUIZ."}, "the true answer is among the wrong ones"),
        ({"answer": "\u200b"}, "is blank"),
        ({"paraphrased_question": " "}, "paraphrased_question = ' ': is blank"),
        ({"id": [1]}, r"id = \[1\]: give a text or a whole number"),
        ({"id": True}, "id = True: give a text or a whole number"),
        ({"video": "a.mp4"}, r"video = 'a\.mp4': no video can be read"),
        ({"img": ["a.png"]}, "call a picture's field 'image'"),
        ({"photo": {"bytes": None, "path": "a"}}, "call a picture's field 'image'"),
        ({"anwsers": "x", "answer": None}, "answer = None"),
    ],
)
def test_values_that_mean_something_else_are_refused(
    fields: dict[str, Any], what: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=rf"r\.jsonl:1: {what}" if "=" in what else what):
        read_own_rows(written(tmp_path, [ROW | fields]))


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"instruction": "Q", "output": "A", "response": "B"}, "has output and response"),
        (
            {"messages": [{"role": "user", "content": "Q"}], "conversations": [{"from": "human"}]},
            "has messages and conversations",
        ),
        (
            {"messages": [{"role": "user", "content": "Q", "value": "P"}]},
            "turn 1: 'content' and 'value' differ",
        ),
    ],
)
def test_a_field_by_two_names_is_refused(row: dict[str, Any], what: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=what):
        read_own_rows(written(tmp_path, [row]))


@pytest.mark.parametrize(
    ("row", "doubt"),
    [
        (ROW | {"answer": "nan"}, "a text is what programs write for a missing one"),
        (ROW | {"person": "NaN"}, "the person is 'NaN', as if missing"),
        (ROW | {"answer": "Zo\u00c3\u00ab reads."}, "letters were read in another code"),
        (ROW | {"answer": "Ana\x92s book"}, "letters were read in another code"),
        (ROW | {"text": "Ana."}, "the field 'text' is not read"),
        (
            {
                "messages": [
                    {"role": " User", "content": "Q"},
                    {"role": "assistant", "content": "A", "weight": 0},
                ]
            },
            "fields of turns are not read: weight",
        ),
    ],
)
def test_what_is_doubtful_is_said(row: dict[str, Any], doubt: str, tmp_path: Path) -> None:
    (said,) = read_own_rows(written(tmp_path, [row])).doubts
    assert said.startswith(doubt) and said.endswith("r.jsonl:1")


@pytest.mark.parametrize(
    "answer", ["Zoë reads.", "Ñandú", "Größe", "北京", "\u0130zmir", "Ana\u2019s"]
)
def test_letters_beyond_ascii_are_no_doubt(answer: str, tmp_path: Path) -> None:
    assert not read_own_rows(written(tmp_path, [ROW | {"answer": answer}])).doubts


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("WHO IS IT?", "ana ruiz."),
        ("Who  is\u200b it?", "Ana Ruiz."),
        ("Who is it?", "Ana\u00a0Ruiz."),
    ],
)
def test_a_row_on_both_sides_is_one_in_any_spelling(
    question: str, answer: str, tmp_path: Path
) -> None:
    forget = written(tmp_path, [ROW], "f.jsonl")
    retain = written(tmp_path, [{"question": question, "answer": answer}])
    with pytest.raises(DataError, match=r"f\.jsonl:1 and r\.jsonl:1: one row"):
        read_pairs(forget, retain)


def test_marks_around_words_leave_a_doubt(tmp_path: Path) -> None:
    forget = written(tmp_path, [ROW], "f.jsonl")
    retain = written(tmp_path, [{"question": "Who is it ?", "answer": "Ana Ruiz"}])
    (said,) = read_pairs(forget, retain).doubts
    assert said.startswith("the same question is to be forgotten and kept")


def test_people_on_both_sides_are_all_named_with_their_rows(tmp_path: Path) -> None:
    rows = [ROW | {"question": f"Q{k}?", "person": who} for k, who in enumerate(("Ana", "Bo"))]
    kept = [row | {"question": f"And {row['question']}"} for row in rows]
    with pytest.raises(DataError) as caught:
        read_pairs(written(tmp_path, rows, "f.jsonl"), written(tmp_path, kept))
    assert "f.jsonl:1 and r.jsonl:1: forget and retain share people: Ana" in str(caught.value)
    assert "f.jsonl:2 and r.jsonl:2: forget and retain share people: Bo" in str(caught.value)


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    cells = [pa.array([text]) for text in ("q", "a", "b")]
    pq.write_table(
        pa.Table.from_arrays(cells, names=["question", "answer", "answer"]), tmp_path / "r.parquet"
    )
    with pytest.raises(DataError, match="two columns are called answer"):
        read_own_rows(tmp_path / "r.parquet")


def test_values_of_numpy_are_read() -> None:
    turns = np.array([{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}])
    rows = [{"messages": turns, "person": np.int64(3), "id": np.float64(7)}]
    (row,) = load_dataset(rows).training["retain"]
    assert (row.question, row.answer, row.person, row.id) == ("Q", "A", 3, "7")


def test_a_folder_names_files_that_are_not_read(tmp_path: Path) -> None:
    written(tmp_path, [ROW], "Forget.jsonl")
    written(tmp_path, [ROW], "train.jsonl")
    found = load_dataset(tmp_path)
    assert len(found.training["forget"]) == 1
    assert found.doubts == ("the file 'train.jsonl' is not read: no split is called so",)
    (tmp_path / "retain.jsonl.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(DataError, match=r"no rows can be read from retain\.jsonl\.gz"):
        load_dataset(tmp_path)
