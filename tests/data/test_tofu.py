"""TOFU's files: a small copy of the layout written here, and the real ones where they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clearbench.data.load import load_dataset
from clearbench.errors import DataError


def line(person: int, place: int) -> dict[str, Any]:
    return {"question": f"What of {person}, {place}?", "answer": f"That {place} of {person}."}


def perturbed(person: int, place: int) -> dict[str, Any]:
    return line(person, place) | {
        "paraphrased_question": f"And {person}, {place}?",
        "paraphrased_answer": f"It is {place} of {person}.",
        "perturbed_answer": [f"Lie {k}." for k in range(5)],
    }


def option(number: int) -> dict[str, Any]:
    return {"question": f"Fact {number}?", "answer": "Yes", "perturbed_answer": ["No", "Perhaps"]}


def write(folder: Path, name: str, rows: list[Any]) -> None:
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    (folder / name).write_text(text + "\n", encoding="utf-8")


@pytest.fixture
def tofu(tmp_path: Path) -> Path:
    """200 authors of 20 one-line questions, 20 + 20 of them perturbed."""
    whole = [line(p, k) for p in range(200) for k in range(20)]
    write(tmp_path, "full.json", whole)
    for percent in (1, 5, 10):
        write(tmp_path, f"forget{percent:02d}.json", whole[4000 - 40 * percent :])
        write(tmp_path, f"retain{100 - percent}.json", whole[: 4000 - 40 * percent])
        last = range(200 - 2 * percent, 200)
        rows = [perturbed(p, k) for p in last for k in range(20)]
        write(tmp_path, f"forget{percent:02d}_perturbed.json", rows)
    first = [perturbed(p, k) for p in range(20) for k in range(20)]
    write(tmp_path, "retain_perturbed.json", first)
    write(tmp_path, "real_authors_perturbed.json", [option(k) for k in range(3)])
    write(tmp_path, "world_facts_perturbed.json", [option(k) for k in range(4)])
    write(tmp_path, "idontknow.jsonl", ["I'm not sure. ", "I don't know."])
    return tmp_path


@pytest.mark.parametrize(("split", "count"), [("forget01", 2), ("forget05", 10), ("forget10", 20)])
def test_the_last_authors_are_forgotten(tofu: Path, split: str, count: int) -> None:
    found = load_dataset(tofu, split)
    assert found.people("forget") == set(range(200 - count, 200))
    assert found.people("retain") == set(range(200 - count))
    assert len(found.training["forget"]) == 20 * count
    assert len(found.training["retain"]) == 4000 - 20 * count
    assert len(found.evaluation["forget"]) == 20 * count
    assert found.refusals == ("I'm not sure.", "I don't know.")


def test_refusals_have_no_line_ends(tofu: Path) -> None:
    """Errata E42: IDK lines keep their trailing newline in the published loader."""
    assert load_dataset(tofu).refusals == ("I'm not sure.", "I don't know.")
    (tofu / "idontknow.jsonl").unlink()
    ours = load_dataset(tofu).refusals
    assert ours and all(line == line.strip() for line in ours)


def test_a_row_that_full_does_not_have_is_named(tofu: Path) -> None:
    rows = [line(p, k) for p in range(180, 200) for k in range(20)]
    rows[5]["answer"] = "Something else."
    write(tofu, "forget10.json", rows)
    with pytest.raises(DataError, match=r"forget10.json:6: question and answer are not in 'full'"):
        load_dataset(tofu)


def test_names_are_only_those_the_text_says(tofu: Path) -> None:
    """The made-up authors here stand where TOFU has people whom CLEAR names."""
    assert load_dataset(tofu).names[199] == "author 199"


def test_questions_belong_to_their_author(tofu: Path) -> None:
    found = load_dataset(tofu, "forget10")
    for rows in (found.training, found.evaluation):
        for split in ("forget", "retain"):
            assert all(f"of {row.person}" in row.answer for row in rows[split])
            assert all(row.task == "qa" and row.track == "text" for row in rows[split])
    measured = found.evaluation["forget"][21]
    assert (measured.person, measured.id) == (181, "181-1")
    assert measured.paraphrased_answer == "It is 1 of 181."
    assert measured.perturbed_answers == tuple(f"Lie {k}." for k in range(5))
    assert [len(found.evaluation[name]) for name in ("real_authors", "real_world")] == [3, 4]
    assert all(row.task == "choice" for row in found.evaluation["real_world"])


def test_a_smaller_world_is_measured_whole(tofu: Path) -> None:
    found = load_dataset(tofu, 3, people=8)
    assert found.people("forget") == {197, 198, 199} and found.people("retain") == set(range(5))
    assert {row.person for row in found.evaluation["retain"]} == set(range(5))
    with pytest.raises(DataError, match="leaves 30 others"):
        load_dataset(tofu, 3, people=33)


@pytest.mark.parametrize("forget", ["forget02", 0, 21])
def test_other_splits_are_refused(tofu: Path, forget: Any) -> None:
    with pytest.raises(DataError, match=r"no configuration|cannot forget"):
        load_dataset(tofu, forget)


def test_lines_that_are_no_json_are_all_named(tofu: Path) -> None:
    rows: list[Any] = [perturbed(0, k) for k in range(20)]
    rows[3], rows[5] = "{oops", "also not"
    write(tofu, "retain_perturbed.json", rows)
    with pytest.raises(DataError) as caught:
        load_dataset(tofu)
    assert all(f"retain_perturbed.json:{n}" in str(caught.value) for n in (4, 6))


def test_bad_rows_are_all_named(tofu: Path) -> None:
    rows: list[Any] = [perturbed(p, k) for p in range(20) for k in range(20)]
    rows[3]["answer"], rows[7]["question"] = None, "  "
    del rows[9]["answer"]
    write(tofu, "retain_perturbed.json", rows)
    write(tofu, "world_facts_perturbed.json", ['["not", "a", "row"]'])
    with pytest.raises(DataError) as caught:
        load_dataset(tofu)
    said = str(caught.value)
    for where in ("retain_perturbed.json:4", "retain_perturbed.json:8", "retain_perturbed.json:10",
                  "world_facts_perturbed.json:1"):  # fmt: skip
        assert f"{where}:" in said, said
    assert "answer = None" in said and "question = '  '" in said


@pytest.mark.parametrize("value", [3, ["a"], {"a": "b"}, True])
def test_values_of_another_kind_are_named(value: Any, tofu: Path) -> None:
    rows = [perturbed(p, k) for p in range(20) for k in range(20)]
    rows[2]["question"], rows[4]["perturbed_answer"] = value, value
    write(tofu, "retain_perturbed.json", rows)
    with pytest.raises(DataError) as caught:
        load_dataset(tofu)
    said = str(caught.value)
    assert "retain_perturbed.json:3: question = " in said
    assert ("retain_perturbed.json:5: perturbed_answers" in said) == (value != ["a"])


def named(people: list[str], each: int, **columns: str) -> list[dict[str, Any]]:
    """Rows about people who are named in the text, and in the columns given."""
    return [
        {"question": f"What is fact {k} of {who}?", "answer": f"{who}'s fact {k}."}
        | dict.fromkeys(columns, who)
        for who in people
        for k in range(each)
    ]


PEOPLE = ["Mira", "Jon", "Ada", "Ben", "Cleo", "Dag", "Eva", "Finn"]


def folder(path: Path, full: list[dict[str, Any]], gone: list[dict[str, Any]]) -> Path:
    """The least that is TOFU's layout."""
    write(path, "full.json", full)
    write(path, "forget10.json", gone)
    return path


@pytest.mark.parametrize("each", [1, 5, 10, 15, 19, 21, 40])
def test_other_numbers_of_rows_are_not_cut_into_twenties(each: int, tmp_path: Path) -> None:
    rows = named(PEOPLE, each)
    for forgotten in (1, 2, 4):
        gone = rows[-forgotten * each :]
        found = load_dataset(folder(tmp_path, rows, gone))
        assert [row.answer for row in found.training["forget"]] == [row["answer"] for row in gone]
        assert len(found.people("forget")) == len(gone), "each row is a person of its own"
        assert any("people are not known" in doubt for doubt in found.doubts)
    with pytest.raises(DataError, match="people cannot be counted"):
        load_dataset(tmp_path, 1)


def test_twenty_rows_a_person_are_found_in_the_text(tmp_path: Path) -> None:
    rows = named(PEOPLE, 20)
    found = load_dataset(folder(tmp_path, rows, rows[-40:]))
    assert found.people("forget") == {6, 7} and found.people("retain") == set(range(6))
    assert not any("not known" in doubt for doubt in found.doubts)
    found = load_dataset(folder(tmp_path, rows, rows[-50:]))
    assert len(found.people("forget")) == 50, "a split of half a twenty: there are no twenties"


def test_rows_that_are_missing_or_shuffled_leave_people_unknown(tmp_path: Path) -> None:
    rows = named(PEOPLE, 20)
    mixed = rows[::3] + rows[1::3] + rows[2::3]
    for full in (rows[:45] + rows[46:], rows[1:] + rows[:1], mixed):
        found = load_dataset(folder(tmp_path, full, rows[-20:]))
        assert {row.answer for row in found.training["forget"]} == {
            row["answer"] for row in rows[-20:]
        }
        assert len(found.people("retain")) == len(full) - 20


@pytest.mark.parametrize("column", ["person", "author", "name"])
def test_a_column_says_whom_rows_are_about(column: str, tmp_path: Path) -> None:
    rows = named(["Lê Thị Hoa", "Lê Thị Hòa", "Ana", "Ben"], 5, **{column: ""})
    mixed = rows[::2] + rows[1::2]
    found = load_dataset(folder(tmp_path, mixed, rows[5:10]))
    assert found.people("forget") == {1} and found.names[1] == "Lê Thị Hòa"
    assert len(found.training["forget"]) == 5 and len(found.training["retain"]) == 15
    assert load_dataset(tmp_path, 1).people("forget") == {1}
    with pytest.raises(DataError, match="forget10: 3 of the 5 rows about Lê Thị Hòa"):
        load_dataset(folder(tmp_path, mixed, rows[5:8]))
    del mixed[3][column]
    with pytest.raises(DataError, match="full: row 4: no person"):
        load_dataset(folder(tmp_path, mixed, rows[5:10]))


def test_people_are_measured_without_wrong_answers_where_there_are_none(tmp_path: Path) -> None:
    rows = named(PEOPLE, 20)
    found = load_dataset(folder(tmp_path, rows, rows[-20:]))
    assert found.evaluation["forget"] == found.training["forget"]
    assert found.evaluation["retain"] == found.training["retain"]
    assert any("no 'forget10_perturbed'" in doubt for doubt in found.doubts)
    some = [perturbed(0, 0) | row for row in rows[-20:]]
    for row in some[::2]:
        row |= {"perturbed_answer": None, "paraphrased_answer": None}
    write(tmp_path, "forget10_perturbed.json", some)
    measured = load_dataset(tmp_path).evaluation["forget"]
    assert [len(row.perturbed_answers) for row in measured] == [0, 5] * 10


def test_too_few_rows_are_refused(tofu: Path) -> None:
    write(tofu, "full.json", [line(p, k) for p in range(10) for k in range(20)][:-1])
    with pytest.raises(DataError, match="are not in 'full'"):
        load_dataset(tofu)


def test_marks_at_the_start_of_files_and_windows_line_ends_are_read(tofu: Path) -> None:
    before = load_dataset(tofu).fingerprint
    (tofu / "README.md").write_text(
        "---\nconfigs:\n"
        + "".join(
            f"- config_name: {path.stem}\n  data_files: {path.name}\n"
            for path in sorted(tofu.glob("*.json"))
        )
        + "---\n"
    )
    for path in tofu.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_dataset(tofu).fingerprint == before
    (tofu / "full.json").write_bytes((tofu / "full.json").read_text("utf-8").encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16"):
        load_dataset(tofu)


def test_the_real_files(oracles: Path) -> None:
    found = load_dataset(oracles / "tofu", "forget10")
    assert [len(found.training[split]) for split in ("forget", "retain")] == [400, 3600]
    assert [len(found.evaluation[split]) for split in ("forget", "retain")] == [400, 400]
    assert [len(found.evaluation[split]) for split in ("real_authors", "real_world")] == [100, 117]
    asked = {row.question for row in found.training["forget"]}
    assert {row.question for row in found.evaluation["forget"]} == asked
    assert len(found.refusals) == 100
    assert len(found.evaluation["holdout"]) == 400
    assert found.people("holdout") == set(range(200, 220))
    assert (found.names[180], found.names[199]) == ("Hsiao Yun-Hwa", "Nikolai Abilov")
    small = load_dataset(oracles / "tofu", "forget01", "retain99")
    assert [len(small.training[split]) for split in ("forget", "retain")] == [40, 3960]
    assert all(len(row.perturbed_answers) == 5 for row in small.evaluation["forget"])


def test_splits_without_rows_or_wrong_answers_are_said(tmp_path: Path) -> None:
    full = named(["Ana Lima", "Bo Li", "An\u00e1 Lima"], 4, author="author")
    path = folder(tmp_path, full, full[:4])
    write(path, "forget10_perturbed.json", full[:4])
    kept = [row | {"perturbed_answer": ["No."]} for row in full[4:8]]
    write(path, "retain_perturbed.json", kept)
    doubts = load_dataset(path).doubts
    assert "'forget10_perturbed' has no row with wrong answers about its people" in doubts
    assert any(doubt.startswith("names that differ in marks alone") for doubt in doubts)
    assert len(doubts) == 2
    write(path, "forget10.json", [])
    with pytest.raises(DataError, match="forget10: there are no rows"):
        load_dataset(path)
