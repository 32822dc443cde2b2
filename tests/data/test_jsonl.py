"""A user's own rows: every bad line is named, and odd characters stay inside their line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from clearbench.data.dataset import Dataset
from clearbench.data.jsonl import read_pairs
from clearbench.data.load import load_dataset
from clearbench.data.media import EncodedImage
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
    assert found.people("forget") == {3, 4}, "a row without a person is somebody of its own"
    assert len(found.training["retain"]) == 1 and found.people("retain") == {5}


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    forget = tmp_path / "f.jsonl"
    lines = ['{"question": "Q?"}', "{", "[]", '{"question": 3, "answer": "A"}', "3"]
    lines += ['{"question": "Q?", "answer": "A", "person": [1]}']
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
    with pytest.raises(DataError, match="no such file") as caught:
        read_pairs(tmp_path / "none.jsonl", None)
    assert "none.jsonl" in caught.value.where


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_people_may_be_named_and_rows_may_name_their_split(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"question": "Who?", "answer": "Ana.", "person": "ana", "split": "forget"},
        {"question": "Where?", "answer": "Oslo.", "person": "ana", "split": "forget"},
        {"question": "Who?", "answer": "Ben.", "person": 4},
        {"question": "Who?", "answer": "Cy.", "person": "cy", "split": "holdout"},
        {"question": "What?", "answer": "That.", "split": "retain", "perturbed_answers": ["This."]},
    ]
    found = load_dataset(write(tmp_path / "rows.jsonl", rows))
    assert [row.person for row in found.training["forget"]] == [5, 5]
    assert found.names == {4: "person 4", 5: "ana", 6: "cy", 7: "the person of rows.jsonl:5"}
    assert [row.answer for row in found.training["retain"]] == ["Ben.", "That."]
    assert [row.answer for row in found.evaluation["holdout"]] == ["Cy."]
    assert "holdout" not in found.training
    assert found.evaluation["retain"][1].perturbed_answers == ("This.",)
    assert found.forgetting([4]).people("forget") == {4}


def test_a_number_of_people_forgets_the_last_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", [{"question": "Q?", "answer": f"{k}."} for k in range(4)])
    assert load_dataset(path, 1).people("forget") == {3}
    assert load_dataset(path).people("retain") == {0, 1, 2, 3}, "such rows can be measured"
    with pytest.raises(DataError, match="no split 'forget10'"):
        load_dataset(path, "forget10")


def test_a_folder_has_a_file_for_each_split_and_pictures_beside_them(tmp_path: Path) -> None:
    image = EncodedImage.of(Image.new("RGB", (8, 8), (200, 0, 0)))
    (tmp_path / "ana.png").write_bytes(image.encoded)
    seen: dict[str, object] = {"question": "Who is this?", "answer": "Ana.", "image": "ana.png"}
    write(tmp_path / "forget.jsonl", [seen | {"person": "ana"}])
    write(tmp_path / "retain.jsonl", [{"question": "Q?", "answer": "A."}])
    (row,) = load_dataset(tmp_path).training["forget"]
    assert (row.track, row.task) == ("image", "caption") and row.image == image
    write(tmp_path / "forget.jsonl", [seen | {"image": "../ana.png"}, seen | {"image": "no.png"}])
    with pytest.raises(DataError) as caught:
        load_dataset(tmp_path)
    assert "forget.jsonl:1: image = '../ana.png'" in str(caught.value)
    assert "forget.jsonl:2: " in str(caught.value)


def test_nobody_to_forget_is_said_plainly() -> None:
    with pytest.raises(DataError, match=r"\(nobody\)"):
        Dataset({}, {}).forgetting([])
