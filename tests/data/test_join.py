"""Names found in text: how people are spelled, and who a question is about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clearbench.data.join import Names, plain
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
    assert Names([one]).find(f"Was it {other}'s book?") == plain(one)


def test_a_name_is_whole_words_and_the_longest() -> None:
    names = Names(["Ana Lima", "Dora Ana Lima", "Ann Lee"])
    assert names.find("Dora Ana Lima writes.") == plain("Dora Ana Lima")
    assert names.find("Ana Lima met Dora.") == plain("Ana Lima")
    assert names.find("Joann Leeds writes.") is None
    assert Names(["", "..."]).find("anything") is None


def test_rows_that_name_nobody_follow_the_last_person_for_twenty_rows() -> None:
    names = Names(["Ana Lima", "Ben Mori"])
    rows = ["Ana Lima?", *["What?"] * 19, *["Who?"] * 20, "Ben Mori?", "Where?"]
    people, numbers = names.by_order(rows)
    assert people == [0] * 20 + [1] * 20 + [2, 2]
    assert numbers == {plain("Ana Lima"): 0, plain("Ben Mori"): 2}
    assert names.by_order(["Ben Mori?", "Ana Lima?", "Ben Mori?"])[0] == [0, 1, 0]


def test_a_name_belongs_to_whose_rows_say_it_most() -> None:
    texts = {5: ["Ana Lima and Ben Mori.", "Ana Lima."], 7: ["Ben Mori."] * 3 + ["Ana Lima."]}
    found = Names(["Ana Lima", "Ben Mori", "Eve Noor"]).by_text(texts)
    assert found == {plain("Ana Lima"): 5, plain("Ben Mori"): 7}


@pytest.fixture(scope="module")
def real_rows(oracles: Path) -> list[str]:
    text = (oracles / "tofu" / "full.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.split("\n") if line]
    return [f"{row['question']} {row['answer']}" for row in rows]


def test_the_published_people_are_found_in_tofu(real_rows: list[str]) -> None:
    texts = {person: real_rows[20 * person : 20 * person + 20] for person in range(200)}
    found = Names(VISION_NAMES.values()).by_text(texts)
    assert found == {plain(name): person for person, name in VISION_NAMES.items()}


def test_all_of_tofu_is_found_by_order(real_rows: list[str], oracles: Path) -> None:
    guesses = json.loads((oracles / "tofu" / "authors_derived.json").read_text(encoding="utf-8"))
    names = {each["author_id"]: each["name_guess"] for each in guesses if each["name_guess"]}
    people, numbers = Names(names.values()).by_order(real_rows)
    assert people == [place // 20 for place in range(4000)]
    assert numbers == {plain(name): person for person, name in names.items()}
    assert set(range(200)) - set(numbers.values()) == {88}
