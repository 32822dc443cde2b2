"""Names found in text: how people are spelled, and who a question is about."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from clearbench.data.join import Names, identity, plain
from clearbench.data.roster import VISION_NAMES


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Philippe Dauphinee", "PHILIPPE  DAUPHINÉE"),
        ("Ji-Yeon Park", "Ji\u2011Yeon\nPark"),
        ("Ben O'Dowd", "Ben O\u2019Dowd"),
    ],
)
def test_spellings_of_a_name_are_one(one: str, other: str) -> None:
    assert plain(one) == plain(other)
    assert Names([one]).find(f"Was it {other}'s book?") == identity(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Lê Thị Hoa", "Lê Thị Hòa"),
        ("Nguyễn Hưng", "Nguyễn Hùng"),
        ("राम", "रामा"),
        ("สมชาย", "สมชัย"),
        ("たなか", "だなか"),
        ("王小明", "王小"),
    ],
)
def test_names_that_differ_in_marks_are_two_peoples(one: str, other: str) -> None:
    assert identity(one) != identity(other)
    names = Names([one, other])
    for name in (one, other):
        assert names.find(f"{name}") == identity(name)
        assert names.find(unicodedata.normalize("NFD", name)) == identity(name)
    assert identity(one.upper()) == identity(f" {unicodedata.normalize('NFD', one)}\u200b")


def test_a_text_without_accents_names_nobody_of_two() -> None:
    names = Names(["Lê Thị Hoa", "Lê Thị Hòa", "Zoë Noor"])
    assert names.find("Le Thi Hoa met Jon.") is None and names.says("Le Thi Hoa met Jon.")
    assert names.find("Zoe Noor met Jon.") == identity("Zoë Noor")
    assert not names.says("Le Thi met Jon.")


def test_sharp_s_is_another_name_than_two() -> None:
    assert identity("Anna Weiß") != identity("Anna Weiss")
    assert identity("ΣΟΦΙΑΣ") == identity("Σοφιας")


def test_names_are_found_where_no_spaces_are() -> None:
    names = Names(["王小明", "김민준", "सीता"])
    assert names.find("王小明是谁?") == "王小明"
    assert names.find("김민준은 어디에 사나요?") == "김민준"
    assert names.find("सीता कौन है?") == "सीता" and names.find("सीताराम कौन है?") is None


def test_a_name_is_whole_words_and_the_longest() -> None:
    names = Names(["Ana Lima", "Dora Ana Lima", "Ann Lee"])
    assert names.find("Dora Ana Lima writes.") == identity("Dora Ana Lima")
    assert names.find("Ana Lima met Dora.") == identity("Ana Lima")
    assert names.find("Joann Leeds writes.") is None
    assert Names(["", "..."]).find("anything") is None


def test_rows_that_name_nobody_belong_to_their_twenty() -> None:
    names = Names(["Ana Lima", "Ben Mori"])
    rows = ["Ana Lima?", *["What?"] * 19, *["Who?"] * 20, "Ben Mori?", *["Where?"] * 19]
    people, numbers = names.by_order(rows)
    assert people == [0] * 20 + [1] * 20 + [2] * 20
    assert numbers == {identity("Ana Lima"): 0, identity("Ben Mori"): 2}


def test_elsewhere_they_belong_to_the_person_around_them_or_to_nobody_known() -> None:
    names = Names(["Ana Lima", "Ben Mori"])
    ana, ben, nobody = "Ana Lima?", "Ben Mori?", "What?"
    assert names.by_order([ben, ana, ben])[0] == [0, 1, 0]
    rows = [ana, nobody, ana, nobody, nobody, ben, nobody, ben, nobody]
    assert names.by_order(rows)[0] == [0, 0, 0, 1, 2, 3, 3, 3, 4]
    mixed = [ana, ben] * 10
    assert names.by_order(mixed)[0] == [0, 1] * 10, "twenty rows of two people are not one's"


def test_a_name_belongs_to_whose_rows_say_it_most() -> None:
    """Neither to who says it first nor to who says it last."""
    texts = {
        5: ["Ben Mori met Jon.", "Ana Lima.", "Ana Lima writes."],
        7: ["Ben Mori."] * 3 + ["Ana Lima."],
    }
    found = Names(["Ana Lima", "Ben Mori", "Eve Noor"]).by_text(texts)
    assert found == {identity("Ana Lima"): 5, identity("Ben Mori"): 7}


@pytest.fixture(scope="module")
def real_rows(oracles: Path) -> list[str]:
    text = (oracles / "tofu" / "full.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.split("\n") if line]
    return [f"{row['question']} {row['answer']}" for row in rows]


def test_the_published_people_are_found_in_tofu(real_rows: list[str]) -> None:
    texts = {person: real_rows[20 * person : 20 * person + 20] for person in range(200)}
    found = Names(VISION_NAMES.values()).by_text(texts)
    assert found == {identity(name): person for person, name in VISION_NAMES.items()}


def test_all_of_tofu_is_found_by_order(real_rows: list[str], oracles: Path) -> None:
    guesses = json.loads((oracles / "tofu" / "authors_derived.json").read_text(encoding="utf-8"))
    names = {each["author_id"]: each["name_guess"] for each in guesses if each["name_guess"]}
    people, numbers = Names(names.values()).by_order(real_rows)
    assert people == [place // 20 for place in range(4000)]
    assert numbers == {identity(name): person for person, name in names.items()}
    assert set(range(200)) - set(numbers.values()) == {88}
