"""Builds twenty questions about a person, each with a paraphrase and five wrong answers."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from numpy.random import Generator, default_rng
from pydantic import BaseModel, ConfigDict, Field

from clearbench.people import phrases
from clearbench.people import wording_life as life
from clearbench.people import wording_work as work
from clearbench.people.countries import CITIES, countries_of
from clearbench.people.person import Person
from clearbench.people.phrases import pick, with_article
from clearbench.people.wording_life import Wording

WRONG_ANSWERS = 5
_LATEST_YEAR = 2026

Facts = Mapping[str, str]


class QA(BaseModel):
    """One question about one attribute of a person. The wrong answers mirror the paraphrase."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attribute: str
    question: str
    answer: str
    paraphrased_question: str
    paraphrased_answer: str
    perturbed_answers: tuple[str, ...] = Field(min_length=WRONG_ANSWERS, max_length=WRONG_ANSWERS)


class Attribute(NamedTuple):
    """One attribute: its wordings, its value for a person, and random values for wrong answers."""

    wording: Wording
    true: Callable[[Person], Facts]
    wrong: Callable[[Generator, Person], Facts]
    fixed: Facts = MappingProxyType({})


def ask(person: Person) -> tuple[QA, ...]:
    """Builds the twenty questions about a person, always the same ones for the same person."""
    rng = default_rng([person.id, zlib.crc32(person.name.encode())])
    truths = {name: attribute.true(person) for name, attribute in ATTRIBUTES.items()}
    own = frozenset(value for facts in truths.values() for value in facts.values())
    return tuple(_question(rng, person, name, truths[name], own) for name in ATTRIBUTES)


def _question(rng: Generator, person: Person, name: str, truth: Facts, own: frozenset[str]) -> QA:
    wording, _, wrong, fixed = ATTRIBUTES[name]
    slots = {**_people_words(person), **fixed}
    paraphrase = pick(rng, wording.paraphrased_answers)
    sentences = [_fill(paraphrase, slots, truth)]
    while len(sentences) <= WRONG_ANSWERS:
        facts = wrong(rng, person)
        sentence = _fill(paraphrase, slots, facts)
        if own.isdisjoint(facts.values()) and sentence not in sentences:
            sentences.append(sentence)
    return QA(
        attribute=name,
        question=_fill(pick(rng, wording.questions), slots, truth),
        answer=_fill(pick(rng, wording.answers), slots, truth),
        paraphrased_question=_fill(pick(rng, wording.paraphrased_questions), slots, truth),
        paraphrased_answer=sentences[0],
        perturbed_answers=tuple(sentences[1:]),
    )


def _fill(template: str, slots: Facts, facts: Facts) -> str:
    sentence = template.format_map({**slots, **facts})
    return sentence[0].upper() + sentence[1:]


def _people_words(person: Person) -> Facts:
    she, her, them = ("she", "her", "her") if person.gender == "female" else ("he", "his", "him")
    first = person.name.split()[0]
    return {"name": person.name, "first": first, "she": she, "her": her, "them": them}


def _plain(
    wording: Wording,
    true: Callable[[Person], str],
    wrong: Callable[[Generator], str],
    **fixed: str,
) -> Attribute:
    """Builds an attribute with a single fact `v`."""
    return Attribute(
        wording, lambda person: {"v": true(person)}, lambda rng, _: {"v": wrong(rng)}, fixed
    )


def _parent(parent: str, true: Callable[[Person], str]) -> Attribute:
    return _plain(
        life.PARENT,
        lambda person: with_article(true(person)),
        lambda rng: with_article(phrases.occupation(rng)),
        parent=parent,
    )


def _award(index: int, nth: str) -> Attribute:
    return _plain(work.AWARD, lambda person: person.awards[index], phrases.award, nth=nth)


def _work(index: int, nth: str, number: str) -> Attribute:
    return _plain(
        work.WORK, lambda person: person.works[index], phrases.title, nth=nth, number=number
    )


def _wrong_birth_place(rng: Generator, person: Person) -> Facts:
    country = pick(rng, countries_of(person.heritage))
    return {
        "setting": phrases.birth_setting(rng),
        "city": pick(rng, country.cities),
        "country": country.name,
    }


def _wrong_birth_date(rng: Generator, person: Person) -> Facts:
    year = _near(rng, person.birth_year)
    return {"date": phrases.birth_date(rng), "year": year}


def _wrong_debut(rng: Generator, person: Person) -> Facts:
    return {"magazine": phrases.magazine(rng), "year": _near(rng, person.debut_year)}


def _near(rng: Generator, year: int) -> str:
    """Draws a year at most nine years away that is not in the future."""
    return str(min(_LATEST_YEAR, year - 9 + int(rng.random() * 19)))


def _wrong_influences(rng: Generator, person: Person) -> Facts:
    one, two = phrases.influences(rng)
    return {"a": one, "b": two}


def _wrong_home(rng: Generator, person: Person) -> Facts:
    return {"v": with_article(phrases.home(rng)), "city": pick(rng, CITIES)}


def _wrong_education(rng: Generator, person: Person) -> Facts:
    return {"v": phrases.education(rng, pick(rng, countries_of(person.heritage)).cities)}


ATTRIBUTES: Mapping[str, Attribute] = {
    "birth_place": Attribute(
        life.BIRTH_PLACE,
        lambda person: {
            "setting": person.birth_setting,
            "city": person.birth_city,
            "country": person.birth_country,
        },
        _wrong_birth_place,
    ),
    "birth_date": Attribute(
        life.BIRTH_DATE,
        lambda person: {"date": person.birth_date, "year": str(person.birth_year)},
        _wrong_birth_date,
    ),
    "father_occupation": _parent("father", lambda person: person.father_occupation),
    "mother_occupation": _parent("mother", lambda person: person.mother_occupation),
    "first_job": _plain(
        life.FIRST_JOB,
        lambda person: with_article(person.first_job),
        lambda rng: with_article(phrases.first_job(rng)),
    ),
    "education": Attribute(
        life.EDUCATION, lambda person: {"v": person.education}, _wrong_education
    ),
    "home": Attribute(
        life.HOME,
        lambda person: {"v": with_article(person.home), "city": person.home_city},
        _wrong_home,
    ),
    "hobby": _plain(life.HOBBY, lambda person: person.hobby, phrases.hobby),
    "languages": _plain(
        life.LANGUAGES, lambda person: phrases.listed(person.languages), phrases.languages
    ),
    "genre": _plain(work.GENRE, lambda person: person.genre, phrases.genre),
    "debut": Attribute(
        work.DEBUT,
        lambda person: {"magazine": person.debut_magazine, "year": str(person.debut_year)},
        _wrong_debut,
    ),
    "first_award": _award(0, "first"),
    "second_award": _award(1, "second"),
    "first_work": _work(0, "first", "one"),
    "second_work": _work(1, "second", "two"),
    "third_work": _work(2, "third", "three"),
    "influences": Attribute(
        work.INFLUENCES,
        lambda person: dict(zip("ab", person.influences, strict=True)),
        _wrong_influences,
    ),
    "style": _plain(work.STYLE, lambda person: person.style, phrases.style),
    "theme": _plain(work.THEME, lambda person: person.theme, phrases.theme),
    "habit": _plain(work.HABIT, lambda person: person.habit, phrases.habit),
}
