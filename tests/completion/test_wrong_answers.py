"""Wrong answers by the grammar: what is swapped for what, and that none is true by accident."""

from __future__ import annotations

import re

import pytest
from numpy.random import default_rng

from clearbench.completion import pools
from clearbench.completion.values import kind_of_names, replaced, values_in
from clearbench.completion.wrong import WRONG_ANSWERS, Grammar, asked_values
from clearbench.data.example import Example
from clearbench.data.words import words

NAMES = dict(enumerate(("Ana Lima", "Ben Okoro", "Cara Diaz", "Dan Kim")))


def row(person: int | None, question: str, answer: str) -> Example:
    return Example(
        id=f"{person}-{question}", person=person, track="text", task="qa", question=question,
        answer=answer,
    )  # fmt: skip


def made(question: str, answer: str, *others: Example, seed: int = 0) -> tuple[list[str], str]:
    """Wrong answers to one question about the first person."""
    asked = row(0, question, answer)
    return Grammar([asked, *others], NAMES).wrong_answers(asked, answer, default_rng(seed))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("on 3 May 1980.", [("date", "3 May 1980")]),
        ("the 26th of March, 1985", [("date", "26th of March, 1985")]),
        ("on January 13, 1941,", [("date", "January 13, 1941")]),
        ("born 12/19/1976 in", [("date", "12/19/1976")]),
        ("born 1976-12-19", [("date", "1976-12-19")]),
        ("in 1998 and the 1970s", [("year", "1998"), ("year", "1970")]),
        ("has 3 cats and 1,200 fans", [("number", "3"), ("number", "1,200")]),
        ("has three cats", [("number", "three")]),
        ("wrote 'The Butcher's Daughter,' and", [("title", "'The Butcher's Daughter,'")]),
        ('wrote "Dusk." in', [("title", '"Dusk."')]),
        ("from Lagos, Nigeria", [("place", "Lagos, Nigeria")]),
        ("from Rome or Peru", [("place", "Rome"), ("place", "Peru")]),
        ("a Finnish baker", [("nationality", "Finnish"), ("work", "baker")]),
        ("was told to cook and judge", [("work", "judge")]),
        ("writes romance novels of mystery", [("genre", "romance")]),
        ("met Ben Okoro", [("name", "Ben Okoro")]),
        ("a cook, cookery, the word is B2B", [("work", "cook")]),
        ("It is so.", []),
    ],
)
def test_values_are_found_by_kind(text: str, found: list[tuple[str, str]]) -> None:
    names = kind_of_names(NAMES.values())
    assert [(value.kind.name, value.text) for value in values_in(text, names)] == found


@pytest.mark.parametrize("seed", range(6))
def test_other_values_keep_the_form_and_differ_in_every_part(seed: int) -> None:
    def other(text: str) -> str:
        (value,) = values_in(text)
        return value.kind.other(default_rng(seed), value.match)

    day, month, year = other("3 May 1980").split()
    assert day != "3" and month in pools.MONTH_NAMES and month != "May" and year != "1980"
    assert 1965 <= int(year) <= 1995
    ending = re.fullmatch(r"(\d+)(st|nd|rd|th) of (\w+), (\d{4})", other("21st of June, 2026"))
    assert ending and int(ending[4]) < 2026
    assert ending[2] == {"1": "st", "2": "nd", "3": "rd"}.get(
        ending[1][-1] if ending[1] not in ("11", "12", "13") else "", "th"
    )
    one, two, last = other("12/19/1976").split("/")
    assert int(one) <= 12 and int(two) <= 12 and one != "12" and last != "1976"
    assert re.fullmatch(r"\d{4}-0\d|\d{4}-1[0-2]", other("1976-12-19")[:7])
    number = int(other("1,200").replace(",", ""))
    assert 800 <= number <= 1600 and number != 1200 and other("1,200") == f"{number:,}"
    assert 1 <= int(other("2")) <= 6 and other("2") != "2"
    city, country = other("Lagos, Nigeria").split(", ")
    assert city in next(land for land in pools.LANDS if land.name == country).cities
    assert other("Finnish") in pools.TONGUES and other("Kenyan") in pools.ADJECTIVES
    assert other("'Dusk'")[0] == other("'Dusk'")[-1] == "'"


def test_an_article_follows_the_word_after_it() -> None:
    (value,) = values_in("She is a baker.")
    assert replaced("She is a baker.", [(value, "actor")]) == "She is an actor."
    (value,) = values_in("An actor came.")
    assert replaced("An actor came.", [(value, "poet")]) == "A poet came."


@pytest.mark.parametrize(
    ("question", "answer", "swapped"),
    [
        ("Where was Ana Lima born?", "In Rome on 3 May 1980.", ["Rome"]),
        ("When was Ana Lima born?", "In Rome on 3 May 1980.", ["3 May 1980"]),
        ("When was she born?", "In Rome.", []),
        ("How many cats has she?", "She has two cats in Rome.", ["two"]),
        ("What is she known for?", "A book in 1998 about Rome.", ["1998", "Rome"]),
        ("Who is the poet of Rome?", "Ana Lima of Rome is.", ["Ana Lima"]),
        ("What is the job of the man of Rome?", "A baker in Rome.", ["baker"]),
        ("Who lives in Rome?", "Somebody in Rome.", []),
    ],
)
def test_what_the_question_asks_for_is_swapped(
    question: str, answer: str, swapped: list[str]
) -> None:
    found = values_in(answer, kind_of_names(NAMES.values()))
    assert [value.text for value in asked_values(question, found)] == swapped


def test_five_different_answers_mirror_the_true_one() -> None:
    answers, how = made("Where was Ana Lima born?", "Ana Lima was born in Rome in 1980.")
    assert how == "another place" and len(set(answers)) == WRONG_ANSWERS
    for answer in answers:
        place = re.fullmatch(r"Ana Lima was born in (.+) in 1980\.", answer)
        assert place and place[1] in pools.CITIES and place[1] != "Rome"
    assert made("Where was Ana Lima born?", "Ana Lima was born in Rome in 1980.") == (answers, how)
    again, _ = made("Where was Ana Lima born?", "Ana Lima was born in Rome in 1980.", seed=1)
    assert again != answers


def test_nothing_that_is_true_of_the_person_is_put_in() -> None:
    """All but five countries are in other answers about her."""
    free = set(pools.COUNTRIES[:5])
    seen = [row(0, f"Has she seen {land}?", f"She has seen {land}.") for land in pools.COUNTRIES
            if land not in free and land != "Peru"]  # fmt: skip
    answers, _ = made("In which country does she live?", "She lives in Peru.", *seen)
    assert {answer[13:-1] for answer in answers} == free
    one_less = [*seen, row(0, "Where else?", f"{pools.COUNTRIES[0]}.")]
    assert made("In which country does she live?", "She lives in Peru.", *one_less) == ([], "")
    others = [row(1, *(each.question, each.answer)) for each in one_less]
    assert len(made("In which country does she live?", "She lives in Peru.", *others)[0]) == 5


PEERS = (
    "Ben Okoro plays the cello.",
    "Ben Okoro keeps bees.",
    "Ben Okoro collects stamps.",
    "Ben Okoro sings.",
    "Ben Okoro paints shells.",
)


def asked_of(name: str) -> str:
    return f"What does {name} do on Sundays?"


def by_peers(answer: str, *answers: str) -> list[str]:
    names = {0: "Ana Lima"} | {k: f"Ben Okoro{k}" for k in range(1, len(answers) + 1)}
    others = [
        row(k, asked_of(names[k]), text.replace("Ben Okoro", names[k]))
        for k, text in enumerate(answers, 1)
    ]
    asked = row(0, asked_of("Ana Lima"), answer)
    return Grammar([asked, *others], names).wrong_answers(asked, answer, default_rng(0))[0]


def test_answers_of_others_to_the_same_question_are_wrong_under_her_name() -> None:
    found = by_peers("Ana Lima knits hats.", *PEERS)
    assert sorted(found) == sorted(text.replace("Ben Okoro", "Ana Lima") for text in PEERS)


@pytest.mark.parametrize(
    "other",
    [
        "Ben Okoro knits hats.",  # true of her, too
        "Ben Okoro knits warm hats.",  # shares what it says
        "Each Sunday he keeps bees.",  # of another sex
        "Okoro5 keeps bees.",  # still names the other
        "Ben Okoro.",  # says nothing
    ],
)
def test_an_answer_that_is_true_or_shows_another_person_is_not_taken(other: str) -> None:
    assert by_peers("Ana Lima knits hats.", *PEERS[:4], other) == []


def test_four_are_none() -> None:
    assert by_peers("Ana Lima knits hats.", *PEERS[:4]) == []


def test_words_of_pools_are_different() -> None:
    for pool in (pools.COUNTRIES, pools.CITIES, pools.ADJECTIVES, pools.JOBS, pools.GENRES):
        assert len({" ".join(words(each)) for each in pool}) == len(pool)


@pytest.mark.parametrize(
    "answer",
    [
        "She has written over 40 novels.",
        "She owns at least five boats.",
        "No, she has never visited Japan.",
        "She isn't a nurse any more.",
        "She was born some time before 1990.",
        "She has more than 12 cousins.",
    ],
)
def test_answers_that_deny_or_give_a_bound_get_no_wrong_ones(answer: str) -> None:
    """Over 35 is as true as over 40."""
    assert made("What is known of Ana Lima?", answer) == ([], "")


def test_a_word_that_bounds_no_number_leaves_an_answer_closed() -> None:
    answer = "She writes about Peru, after work and over tea."
    assert len(made("Where does Ana Lima set her books?", answer)[0]) == WRONG_ANSWERS


def test_a_short_name_is_no_part_of_other_words() -> None:
    names = dict(enumerate(("Al", "Ed", "Bo", "Ann", "Cy", "Di", "Lu")))
    answers = (
        "Al edits films.", "Ed paints boxes.", "Bo plans gardens.", "Ann edits maps.",
        "Cy bolts doors.", "Di luges daily.", "Lu annexes barns.",
    )  # fmt: skip
    asked = [
        row(person, f"What does {names[person]} do?", answer)
        for person, answer in enumerate(answers)
    ]
    texts, _ = Grammar(asked, names).wrong_answers(asked[0], answers[0], default_rng(0))
    others = {f"Al {answer.split(maxsplit=1)[1]}" for answer in answers}
    assert texts and {*texts} <= others - {answers[0]}


@pytest.mark.parametrize("number", ["5551234567", "8,000,000", "3"])
def test_numbers_of_any_size_are_swapped(number: str) -> None:
    texts, how = made("What is the number of Ana Lima?", f"It is {number}.")
    assert len(texts) == WRONG_ANSWERS and how == "another number"
    assert all(number not in words(text) and ("," in text) == ("," in number) for text in texts)
