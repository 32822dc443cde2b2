"""Own rows in the formats, forms and states in which people have them."""

from __future__ import annotations

import io
import json
import unicodedata
from pathlib import Path
from typing import Any

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


def parquet() -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(ROWS).to_parquet(buffer)
    return buffer.getvalue()


LINES = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)
QUOTED = 'question{0}answer{0}note\n"Who?"{0}"Ana, a poet."{0}\n\nWhere?{0}In Ö.{0}\n'
FILES: dict[str, str | bytes] = {
    "lines.jsonl": LINES,
    "mark.jsonl": b"\xef\xbb\xbf" + LINES.replace("\n", "\r\n").encode(),
    "old mac.jsonl": LINES.replace("\n", "\r"),
    "line.json": json.dumps(ROWS),
    "array.json": json.dumps(ROWS, indent=2),
    "marked array.json": b"\xef\xbb\xbf" + json.dumps(ROWS, indent=2).encode(),
    "a row a line.json": "[\n" + LINES.replace("\n", ",\n") + "\n]\n",
    "arrays.json": f"{json.dumps(ROWS[:1])}\n{json.dumps(ROWS[1:], indent=1)}",
    "held.json": json.dumps({"version": 1, "data": ROWS}, indent=1),
    "held in a line.json": json.dumps({"rows": ROWS}),
    "objects.jsonl": "\n".join(json.dumps(row, indent=1) for row in ROWS),
    "comma.csv": QUOTED.format(","),
    "semicolon.csv": "\ufeff" + QUOTED.format(";").replace("\n", "\r\n"),
    "tab.tsv": QUOTED.format("\t"),
    "bar.txt": QUOTED.format("|"),
    "hint.csv": "sep=;\n" + QUOTED.format(";"),
    "single quotes.csv": QUOTED.format(",").replace('"', "'"),
    "capitals.csv": QUOTED.format(",").replace("question,answer", " Question , ANSWER"),
    "table.parquet": parquet(),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_every_format_are_read(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name, FILES[name])
    for dataset in (read_own_rows(path), load_dataset(path)):
        assert pairs(dataset) == PAIRS and not dataset.doubts
    assert pairs(read_pairs(None, path)) == PAIRS


def test_rows_are_named_by_line_or_by_number(tmp_path: Path) -> None:
    sources = {
        name: [row.source for row in kept(read_own_rows(written(tmp_path, name, FILES[name])))]
        for name in ("lines.jsonl", "array.json", "comma.csv", "hint.csv", "table.parquet")
    }
    assert sources == {
        "lines.jsonl": ["lines.jsonl:1", "lines.jsonl:2"],
        "array.json": ["array.json:row 1", "array.json:row 2"],
        "comma.csv": ["comma.csv:2", "comma.csv:4"],
        "hint.csv": ["hint.csv:3", "hint.csv:5"],
        "table.parquet": ["table.parquet:0", "table.parquet:1"],
    }


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_inside_texts_are_one(end: str, tmp_path: Path) -> None:
    row = {"question": f"Who{end}?", "answer": f"Ana,{end}of Ö."}
    row |= {"paraphrased_answer": f"So{end}", "perturbed_answers": [f"Ben{end}."]}
    (found,) = kept(read_own_rows(written(tmp_path, "r.jsonl", [row])))
    assert (found.question, found.answer) == ("Who\n?", "Ana,\nof Ö.")
    assert (found.paraphrased_answer, found.perturbed_answers) == ("So\n", ("Ben\n.",))
    cell = written(tmp_path, "r.csv", f'question,answer\n"Who?","Ana,{end}of Ö."\nQ?,A\n')
    assert [row.source for row in kept(read_own_rows(cell))] == ["r.csv:2", "r.csv:4"]
    assert kept(read_own_rows(cell))[0].answer == "Ana,\nof Ö."


def chat(*turns: tuple[str, Any], **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text} for role, text in turns]} | fields


def shared(*turns: tuple[str, str], **fields: Any) -> dict[str, Any]:
    return {"conversations": [{"from": who, "value": text} for who, text in turns]} | fields


USER, ASSISTANT = ("user", "Who?"), ("assistant", "Ana.")


@pytest.mark.parametrize(
    "row",
    [
        {"question": "Who?", "answer": "Ana."},
        chat(USER, ASSISTANT),
        chat(("user", [{"type": "text", "text": "Who?"}]), ASSISTANT),
        shared(("human", "Who?"), ("gpt", "Ana.")),
        {"conversations": chat(USER, ASSISTANT)["messages"]},
        {"instruction": "Who?", "input": "", "output": "Ana."},
        {"prompt": "Who?", "completion": " Ana.\n"},
        {"prompt": chat(USER)["messages"], "completion": chat(ASSISTANT)["messages"]},
    ],
)
def test_rows_of_every_form_are_read(row: dict[str, Any], tmp_path: Path) -> None:
    assert pairs(read_own_rows(written(tmp_path, "r.jsonl", [row]))) == [("Who?", "Ana.")]


def test_an_input_stands_under_its_instruction(tmp_path: Path) -> None:
    row = {"instruction": "Answer.", "input": "Who?", "output": "Ana."}
    found = read_own_rows(written(tmp_path, "r.json", json.dumps([row])))
    assert pairs(found) == [("Answer.\nWho?", "Ana.")]


def test_turns_are_rows_of_one_person_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    turns = (USER, ASSISTANT, ("user", "Where?"), ("assistant", "Oslo."))
    path = written(tmp_path, "c.jsonl", [chat(("system", "Be kind."), *turns), chat(*turns[:2])])
    found = read_own_rows(path)
    assert pairs(found) == [("Who?", "Ana."), ("Where?", "Oslo."), ("Who?", "Ana.")]
    assert [row.person for row in kept(found)] == [0, 0, 1]
    assert len({row.id for row in kept(found)}) == 3
    assert found.doubts == (
        "system turns are left out: c.jsonl:1",
        "each turn is a row of its own, without the turns before it: c.jsonl:1",
        "the same row is there twice: c.jsonl:1 and c.jsonl:2",
    )


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (chat(USER), "turn 1: nothing answers the last question"),
        (chat(USER, ASSISTANT, USER), "turn 3: nothing answers the last question"),
        (chat(ASSISTANT), "turn 1: an answer to nothing"),
        (chat(USER, USER, ASSISTANT), "turn 2: a second question"),
        (chat(USER, ("tool", "3")), "turn 2: the role 'tool' is not read"),
        (chat(USER, ("assistant", None)), "turn 2: None is neither text nor a picture"),
        (chat(("user", [{"type": "audio"}]), ASSISTANT), "turn 1: {'type': 'audio'} is neither"),
        ({"messages": []}, "no list of turns"),
        ({"messages": "Who?"}, "no list of turns"),
        ({"messages": [3]}, "turn 1: 3 is no turn"),
        (chat(("user", "<image>Who?"), ASSISTANT), "names no 'image'"),
        (chat(("user", "<image><image>Who?"), ASSISTANT, image="a.png"), "2 places of a picture"),
        (chat(USER, ASSISTANT, USER, ASSISTANT, perturbed_answers=["B"]), "belongs to one"),
        (chat(USER, ASSISTANT, question="Q", answer="A"), "at once"),
        ({"text": "Ana is a poet."}, "has the fields text; give"),
        ({}, "has the fields (none); give"),
        ({"question": "Who?"}, "no field 'answer'"),
        ({"question": "Who?", "answer": None}, "answer = None"),
        ({"question": "Who?", "answer": 3}, "answer = 3"),
        ({"question": "Who?", "answer": float("nan")}, "answer = nan"),
        ({"question": "Who?", "answer": ["Ana."]}, "answer = ['Ana.']"),
        ({"question": "Who?", "answer": " "}, "answer = ' '"),
        ({"question": "Who?", "answer": "A", "perturbed_answers": ["B", " "]}, "is blank"),
        ({"question": "Who?", "answer": "A", "perturbed_answer": ["B", "A "]}, "true answer is"),
        ({"question": "Who?", "answer": "A", "perturbed_answers": [None]}, "perturbed_answers.0"),
        ({"question": "Who?", "answer": "A", "pertubed_answers": ["B"]}, "did you mean 'pert"),
        ({"question": "Who?", "answer": "A", "spilt": "forget"}, "unknown field 'spilt'"),
        ({"question": "Who?", "answer": "A", "photo": "ana.JPG"}, "call a picture's field 'image'"),
        ({"question": "Who?", "answer": "A", "split": "train"}, "split = 'train'"),
        ({"question": "Who?", "Question": "Where?", "answer": "A"}, "'question' is there twice"),
        ('{"question": "Who?", "answer": "A", "answer": "B"}', "'answer' is there twice"),
        ('{"question": "Who?", "answer": "A"', "is no JSON"),
        ('{"question": ' * 3000, "is nested too deeply"),
        ("null", "null is no object"),
        *(
            ({"question": "Who?", "answer": "A", "person": who}, f"person = {who!r}: give a name")
            for who in (True, False, 1.5, -1, 10**12, ["ana"], {"name": "ana"})
        ),
    ],
)
def test_bad_rows_are_named_with_field_and_value(row: Any, what: str, tmp_path: Path) -> None:
    path = written(tmp_path, "r.jsonl", [ROWS[0], row, {"question": 3, "answer": "A"}])
    said = refusal(path)
    assert any(line.startswith("r.jsonl:2: ") and what in line for line in said.splitlines()), said
    assert "r.jsonl:3: question = 3" in said and "r.jsonl:1" not in said


def test_items_of_an_array_that_are_no_rows_are_all_named(tmp_path: Path) -> None:
    items = [ROWS[0], None, 3, {"question": "Who?"}, ["Q", "A"]]
    said = refusal(written(tmp_path, "r.json", json.dumps(items, indent=1)))
    assert all(f"r.json:row {number}: " in said for number in (2, 3, 4, 5)), said
    assert "row 1:" not in said


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("r.jsonl", LINES.encode("utf-16"), "UTF-16"),
        ("r.csv", "question,answer\nWho?,José".encode("utf-16-le"), "UTF-16"),
        ("r.csv", "question,answer\nWho?,José".encode("latin-1"), "0xe9 on line 2 is no UTF-8"),
        ("r.json", b"\x1f\x8b\x08\x00", "gzip"),
        ("r.csv", b"PK\x03\x04\x14\x00", "a zip archive or a spreadsheet"),
        ("r.parquet", b"PAR1", "not a Parquet file"),
        ("r.jsonl", b"", "holds no rows"),
        ("r.json", b"\xef\xbb\xbf \n", "holds no rows"),
        ("r.json", b"[]", "holds no rows"),
        ("r.csv", b"question,answer\n", "holds no rows"),
        ("r.csv", b"Who?,Ana.\n", "no rows can be read"),
        ("r.txt", b"Ana is a poet.\n", "question and answer"),
        ("r.csv", b"question,answer\nWho?,Ana, a poet.\n", "r.csv:2: has 3 cells under 2 names"),
        ("r.csv", b'question,answer\nWho?,"Ana.\nWhere?,Oslo.\n', "r.csv:2: is no record"),
        ("r.csv", b"question,answer\nWho?\n", "r.csv:2: no field 'answer'"),
    ],
)
def test_files_that_hold_no_rows_are_said_to_be_what_they_are(
    name: str, content: bytes, what: str, tmp_path: Path
) -> None:
    assert what in refusal(written(tmp_path, name, content))


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.zip", b"PK")
    with pytest.raises(DataError, match="it is a folder"):
        read_pairs(tmp_path, None)
    with pytest.raises(DataError, match="a file, from which no rows can be read"):
        load_dataset(path)
    with pytest.raises(DataError, match="holds no rows"):
        read_own_rows(tmp_path)
    for name in ("forget.csv", "forget.jsonl"):
        written(tmp_path, name, LINES)
    with pytest.raises(DataError, match="several files of 'forget'"):
        load_dataset(tmp_path)


def test_people_are_one_where_names_differ_in_form_alone(tmp_path: Path) -> None:
    name = "Lê Thị Hòa"
    same = [name, unicodedata.normalize("NFD", name), " lê  THỊ hòa"]
    others = ["Lê Thị Hoa", "राम", "रामा", "3"]
    rows = [
        {"question": f"What {k}?", "answer": "A", "person": who}
        for k, who in enumerate([*same, *others, 3])
    ]
    found = read_own_rows(written(tmp_path, "r.jsonl", rows))
    assert [row.person for row in kept(found)] == [4, 4, 4, 5, 6, 7, 3, 3]
    assert found.names == {3: "person 3", 4: name, 5: "Lê Thị Hoa", 6: "राम", 7: "रामा"}
    assert found.doubts == (
        "names that differ in marks alone are taken for different people: "
        "'Lê Thị Hòa', 'Lê Thị Hoa'",
    )


@pytest.mark.parametrize("field", ["person", "author", "name", "Author"])
def test_a_person_on_both_sides_is_refused_by_name(field: str, tmp_path: Path) -> None:
    forget = written(tmp_path, "f.jsonl", [ROWS[0] | {field: "Ana"}])
    retain = written(tmp_path, "r.jsonl", [ROWS[1] | {field: "ANA"}])
    with pytest.raises(DataError, match=r"share people: Ana"):
        read_pairs(forget, retain)


def test_rows_to_forget_and_to_keep_are_compared(tmp_path: Path) -> None:
    alike = {"question": "Where?", "answer": "In Rome."}
    spaced = {"question": " Who? ", "answer": unicodedata.normalize("NFD", "Ana,  a poet.")}
    forget = written(tmp_path, "f.jsonl", ROWS)
    with pytest.raises(DataError, match=r"f.jsonl:1 and r.jsonl:2: one row") as caught:
        read_pairs(forget, written(tmp_path, "r.jsonl", [alike, spaced]))
    assert "f.jsonl:2" not in str(caught.value)
    found = read_pairs(forget, written(tmp_path, "s.jsonl", [alike]))
    assert found.doubts == (
        "the same question is to be forgotten and kept, with other answers: "
        "f.jsonl:2 and s.jsonl:1",
    )
    with pytest.raises(DataError, match="one file to forget and to keep"):
        read_pairs(forget, tmp_path / "." / "f.jsonl")
    with pytest.raises(DataError, match=r"f.jsonl:1: split = 'retain' in a file of 'forget'"):
        read_pairs(written(tmp_path, "f.jsonl", [ROWS[0] | {"split": "retain"}]), None)


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    rows = [ROWS[0] | {"source": "a book", "note": None}, ROWS[1] | {"source": "a letter"}]
    rows += [{"question": "When?", "answer": "In May\ufffd", "perturbed_answers": ["B", "B"]}]
    assert read_own_rows(written(tmp_path, "r.jsonl", rows)).doubts == (
        "the field 'source' is not read: r.jsonl:1, r.jsonl:2",
        "a wrong answer is there twice: r.jsonl:3",
        "letters were lost before (they are \ufffd): r.jsonl:3",
    )


def test_tofus_and_clears_names_of_columns_are_read(tmp_path: Path) -> None:
    written(tmp_path, "a.png", png())
    row = {"question": "Who?", "answer": "Ana.", "perturbed_answer": ["Ben.", "Cy."]}
    row |= {"paraphrased_question": "And who?", "paraphrased_answer": "It is Ana."}
    shown = {"image": "a.png", "caption": "Ana reads.", "name": "Ana"}
    shown |= {"paraphrased_caption": "One sees Ana.", "perturbed_captions": ["Ana runs."]}
    found = read_own_rows(written(tmp_path, "r.jsonl", [row, shown]))
    asked, caption = kept(found)
    assert asked.perturbed_answers == ("Ben.", "Cy.") and asked.paraphrased_question == "And who?"
    assert (caption.task, caption.answer, caption.track) == ("caption", "Ana reads.", "image")
    assert caption.perturbed_answers == ("Ana runs.",)
    assert caption.paraphrased_answer == "One sees Ana." and "Ana" in found.names.values()
    listed = written(tmp_path, "r.csv", 'question,answer,perturbed_answers\nQ,A,"[""B"", ""C""]"\n')
    assert kept(read_own_rows(listed))[0].perturbed_answers == ("B", "C")


def test_ids_that_rows_share_are_told_apart(tmp_path: Path) -> None:
    forget = written(tmp_path, "f.jsonl", [ROWS[0] | {"id": 1}])
    retain = written(tmp_path, "r.jsonl", [ROWS[1] | {"id": 1}, {"question": "Q", "answer": "A"}])
    found = read_pairs(forget, retain)
    assert [row.id for row in found.training["forget"]] == ["1 (f.jsonl:1)"]
    assert [row.id for row in kept(found)] == ["1 (r.jsonl:1)", "retain-2"]


def png(color: tuple[int, int, int] = (200, 0, 0)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(buffer, "PNG")
    return buffer.getvalue()
