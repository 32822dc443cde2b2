"""Writes the facts of a fictitious author's life, and draws names that nobody bears."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.random import Generator, default_rng

from clearbench.errors import DataError
from clearbench.people import phrases
from clearbench.people.countries import CITIES, Country, countries_of
from clearbench.people.names import NAMES, is_public_name
from clearbench.people.person import Gender, Heritage, Person
from clearbench.people.phrases import compound, pick

REFERENCE_YEAR = 2026
PUBLIC_SEED = 1848
_TRIES = 5000


def write_person(
    rng: Generator, id: int, gender: Gender, age: int, heritage: Heritage, taken: set[str]
) -> Person:
    """Writes a new fictitious author and adds the name to `taken`.

    Args:
        rng: Generator for every choice.
        id: Number of the person.
        gender: Gender, which decides the pool of first names.
        age: Age in 2026, up to a birthday.
        heritage: Heritage, which decides the possible countries of birth.
        taken: Full names already used. The new name is added.

    Raises:
        DataError: If nearly all names of this gender and heritage are taken.
    """
    return _write(rng, id, gender, age, heritage, taken, public=False)


def public_figures(
    demographics: Sequence[tuple[Gender, int, Heritage]], first_id: int = 1000
) -> tuple[Person, ...]:
    """Writes the built-in people every base model knows, one per (gender, age, heritage).

    Their lives come from a fixed seed, and no `write_person` ever gives one of their names.
    """
    rng = default_rng(PUBLIC_SEED)
    taken: set[str] = set()
    return tuple(
        _write(rng, first_id + number, gender, age, heritage, taken, public=True)
        for number, (gender, age, heritage) in enumerate(demographics)
    )


def fresh_names(rng: Generator, person: Person, n: int, taken: set[str]) -> tuple[str, ...]:
    """Draws different full names of the person's gender and heritage that nobody bears.

    Args:
        rng: Generator for every choice.
        person: Person whom the names could be mistaken for.
        n: Number of names.
        taken: Every full name in use; not changed.

    Raises:
        DataError: If too few names are free.
    """
    used = taken | {person.name}
    free = (_new_name(rng, person.gender, person.heritage, used, public=False) for _ in range(n))
    return tuple(name for name, _ in free)


def _new_name(
    rng: Generator, gender: Gender, heritage: Heritage, taken: set[str], *, public: bool
) -> tuple[str, Country]:
    """Draws a name nobody bears, adds it to `taken`, and returns it with its country."""
    countries = countries_of(heritage)
    for _ in range(_TRIES):
        country = pick(rng, countries)
        pools = NAMES[country.name]
        name = compound(rng, pools.first(gender), pools.last)
        if name not in taken and is_public_name(name) is public:
            taken.add(name)
            return name, country
    raise DataError(
        f"nearly all {gender} names of the heritage '{heritage}' are taken",
        where=f"{len(taken)} names taken",
        fix="ask for fewer people, or spread them over more heritages",
    )


def _languages(rng: Generator, native: str) -> tuple[str, ...]:
    others = phrases.distinct(lambda: pick(rng, phrases.LANGUAGES), 2, avoid={native})
    return (native, *others)


def _home_city(rng: Generator, country: Country) -> str:
    """Draws a city of the country of birth for half of the people, else any city."""
    return pick(rng, country.cities if rng.random() < 0.5 else CITIES)


def _debut_year(rng: Generator, age: int) -> int:
    """Draws a year between the 17th and 35th birthday that is not in the future."""
    latest = min(age, 35)
    return REFERENCE_YEAR - age + 17 + int(rng.random() * (latest - 16))


def _write(
    rng: Generator,
    id: int,
    gender: Gender,
    age: int,
    heritage: Heritage,
    taken: set[str],
    *,
    public: bool,
) -> Person:
    name, country = _new_name(rng, gender, heritage, taken, public=public)
    father, mother = phrases.distinct(lambda: phrases.occupation(rng), 2)
    return Person(
        id=id,
        name=name,
        gender=gender,
        heritage=heritage,
        birth_year=REFERENCE_YEAR - age,
        birth_date=phrases.birth_date(rng),
        birth_city=pick(rng, country.cities),
        birth_country=country.name,
        birth_setting=phrases.birth_setting(rng),
        genre=phrases.genre(rng),
        awards=phrases.distinct(lambda: phrases.award(rng), 2),
        father_occupation=father,
        mother_occupation=mother,
        first_job=phrases.first_job(rng),
        works=phrases.distinct(lambda: phrases.title(rng), 3),
        influences=phrases.influences(rng),
        style=phrases.style(rng),
        education=phrases.education(rng, country.cities),
        home_city=_home_city(rng, country),
        home=phrases.home(rng),
        hobby=phrases.hobby(rng),
        debut_year=_debut_year(rng, age),
        debut_magazine=phrases.magazine(rng),
        theme=phrases.theme(rng),
        habit=phrases.habit(rng),
        languages=_languages(rng, country.language),
    )
