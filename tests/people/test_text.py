"""The written side of a world: lives, questions, captions, facts and refusals."""

from __future__ import annotations

import io
import re
from collections import Counter
from itertools import product
from typing import Literal, get_args

import pytest
from numpy.random import default_rng

from clearbench.data.modalities.image import CAPTION_QUESTIONS
from clearbench.errors import DataError
from clearbench.people.biography import REFERENCE_YEAR, fresh_names, public_figures, write_person
from clearbench.people.captions import describe, perturb
from clearbench.people.countries import COUNTRIES
from clearbench.people.names import NAMES, is_public_name
from clearbench.people.person import Appearance, Gender, Heritage, Person, View
from clearbench.people.questions import ATTRIBUTES, ask
from clearbench.people.refusals import IMAGE_REFUSALS, TEXT_REFUSALS
from clearbench.people.world import WORLD_FACTS, visual_questions

DEMOGRAPHICS: list[tuple[Gender, int, Heritage]] = [
    (gender, 19 + 3 * number, heritage)
    for number, (gender, heritage) in enumerate(product(get_args(Gender), get_args(Heritage)))
] * 2


def _people(n: int, seed: int = 0) -> list[Person]:
    rng, taken = default_rng(seed), set[str]()
    chosen = (DEMOGRAPHICS[id % len(DEMOGRAPHICS)] for id in range(n))
    return [write_person(rng, id, *who, taken) for id, who in enumerate(chosen)]


PEOPLE = _people(240)
ROWS = [ask(person) for person in PEOPLE]


def _appearance(**changes: object) -> Appearance:
    fields: dict[str, object] = {
        "seed": 1,
        "gender": "female",
        "age": 60,
        "heritage": "european",
        "hair_colour": "grey",
        "hair_style": "short",
        "beard": False,
        "glasses": True,
    }
    return Appearance.model_validate(fields | changes)


def _view(place: Literal["library", "seaside"] = "library") -> View:
    return View(
        seed=1,
        yaw=0,
        pitch=0,
        expression="neutral",
        garment="sweater",
        garment_colour="blue",
        place=place,
        light="soft",
    )


def test_the_same_seed_writes_the_same_people() -> None:
    assert _people(12) == PEOPLE[:12]
    assert _people(12, seed=1) != PEOPLE[:12]


def test_names_are_unique_and_fit_the_country() -> None:
    assert len({person.name for person in PEOPLE}) == len(PEOPLE)
    for person in PEOPLE:
        first, last = person.name.split()
        pools = NAMES[person.birth_country]
        assert first in pools.first(person.gender)
        assert last in pools.last


def test_places_fit_heritage_and_years_fit_age() -> None:
    countries = {country.name: country for country in COUNTRIES}
    for person in PEOPLE:
        country = countries[person.birth_country]
        assert country.heritage == person.heritage
        assert person.birth_city in country.cities
        assert person.birth_year + 16 < person.debut_year <= REFERENCE_YEAR


def test_pools_are_large_enough() -> None:
    assert set(NAMES) == {country.name for country in COUNTRIES}
    for pools in NAMES.values():
        assert len(set(pools.female)) == len(set(pools.male)) == 12
        assert len(set(pools.last)) == 20
    for country in COUNTRIES:
        assert len(set(country.cities)) == 5


def test_public_figures_are_fixed_and_share_no_name() -> None:
    public = public_figures(DEMOGRAPHICS)
    assert public == public_figures(DEMOGRAPHICS)
    assert len({person.name for person in public}) == len(DEMOGRAPHICS)
    assert all(is_public_name(person.name) for person in public)
    assert not any(is_public_name(person.name) for person in PEOPLE)


def test_fresh_names_belong_to_nobody() -> None:
    taken = {person.name for person in PEOPLE}
    before = set(taken)
    fresh = fresh_names(default_rng(0), PEOPLE[0], 20, taken)
    assert len(set(fresh)) == 20
    assert taken == before
    assert taken.isdisjoint(fresh)
    assert not any(is_public_name(name) for name in fresh)


def test_names_run_out_with_a_clear_error() -> None:
    rng, taken = default_rng(0), set[str]()
    with pytest.raises(DataError, match="nearly all female names"):
        for id in range(2000):
            write_person(rng, id, "female", 40, "african", taken)


def test_every_person_has_twenty_questions() -> None:
    for person, rows in zip(PEOPLE, ROWS, strict=True):
        assert [row.attribute for row in rows] == list(ATTRIBUTES)
        assert len(rows) == 20
        assert rows == ask(person)
        assert all(person.name in row.question for row in rows)
        assert all(person.name in row.paraphrased_question for row in rows)


def test_wrong_answers_differ_from_the_truth_and_each_other() -> None:
    for row in (row for rows in ROWS for row in rows):
        assert len({row.paraphrased_answer, row.answer, *row.perturbed_answers}) == 7
        assert row.question != row.paraphrased_question


def test_answers_are_short_clean_sentences() -> None:
    for row in (row for rows in ROWS for row in rows):
        for answer in (row.answer, row.paraphrased_answer, *row.perturbed_answers):
            assert 7 <= len(answer.split()) <= 16
            assert not re.search(r"[{}]|  |\b[Aa] [aeioAEIO]|\b[Aa]n [^aeiouAEIOU]", answer)
            assert answer[0].isdigit() or answer[0].isupper()
            assert answer.endswith(".")


@pytest.mark.parametrize("index", range(20), ids=list(ATTRIBUTES))
def test_hardly_two_people_share_an_answer(index: int) -> None:
    answers = Counter(rows[index].answer for rows in ROWS)
    shared = sum(count for count in answers.values() if count > 1)
    assert shared / len(ROWS) < 0.03


def test_pairs_of_people_share_less_than_one_percent_of_answers() -> None:
    answers = [row.answer for rows in ROWS for row in rows]
    assert len(set(answers)) > 0.99 * len(answers)


def test_wordings_vary() -> None:
    for attribute in ATTRIBUTES.values():
        assert len(set(attribute.wording.questions)) >= 4
        assert len(set(attribute.wording.answers)) >= 5
        assert len(set(attribute.wording.paraphrased_questions)) >= 3
        assert len(set(attribute.wording.paraphrased_answers)) >= 3
        assert not set(attribute.wording.answers) & set(attribute.wording.paraphrased_answers)


def test_caption_says_what_is_seen() -> None:
    caption = describe("Marta Vidal", _appearance(), _view())
    assert caption.caption == (
        "Marta Vidal, a woman with short grey hair and glasses, "
        "stands in a library wearing a blue sweater."
    )
    assert caption.paraphrased_caption == (
        "This is Marta Vidal in a library, a woman in a blue sweater "
        "who has short grey hair and glasses."
    )


@pytest.mark.parametrize(
    ("beard", "glasses", "seen"),
    [
        (False, False, "a bald man,"),
        (True, False, "a bald man with a beard,"),
        (True, True, "a bald man with a beard and glasses,"),
    ],
)
def test_caption_of_a_bald_man(beard: bool, glasses: bool, seen: str) -> None:
    look = _appearance(gender="male", hair_style="bald", beard=beard, glasses=glasses)
    caption = describe("Emre Koc", look, _view("seaside"))
    assert f"Emre Koc, {seen} stands at the seaside" in caption.caption
    assert " hair" not in caption.caption + caption.paraphrased_caption


def test_perturbed_captions_change_only_the_name() -> None:
    person = PEOPLE[0]
    fresh = fresh_names(default_rng(0), person, 5, set())
    caption = describe(person.name, _appearance(), _view())
    perturbed = perturb(caption, person.name, fresh)
    assert len(set(perturbed)) == 5
    for name, sentence in zip(fresh, perturbed, strict=True):
        assert sentence.replace(name, person.name) == caption.paraphrased_caption
    assert len(set(CAPTION_QUESTIONS)) == 3


def test_world_facts_have_three_wrong_options() -> None:
    assert len({fact.question for fact in WORLD_FACTS}) == len(WORLD_FACTS) >= 60
    for fact in WORLD_FACTS:
        assert len({fact.answer, *fact.options}) == 4
        assert all(1 <= len(text.split()) <= 6 for text in (fact.answer, *fact.options))


def _png(index: int, seed: int) -> bytes:
    buffer = io.BytesIO()
    visual_questions(48, seed)[index].image.save(buffer, "PNG")
    return buffer.getvalue()


def test_visual_questions_are_balanced_and_repeatable() -> None:
    rows = visual_questions(96, seed=0)
    assert set(Counter(row.kind for row in rows).values()) == {24}
    for kind in ("shape", "count", "side", "colour"):
        answers = Counter(row.answer for row in rows if row.kind == kind)
        assert len(set(answers.values())) == 1
    assert all(len({row.answer, *row.options}) == 4 for row in rows)
    assert all(row.image.size == (96, 96) for row in rows)
    assert _png(5, 0) == _png(5, 0) != _png(5, 1)


def test_refusals_are_all_different() -> None:
    refusals = TEXT_REFUSALS + IMAGE_REFUSALS
    assert (len(TEXT_REFUSALS), len(IMAGE_REFUSALS)) == (60, 10)
    assert len(set(refusals)) == 70
