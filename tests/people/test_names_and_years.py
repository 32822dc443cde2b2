"""No name is borne twice, and no year contradicts another."""

from __future__ import annotations

from typing import Any

import pytest
from numpy.random import default_rng

from clearbench.errors import DataError
from clearbench.people import biography
from clearbench.people.biography import REFERENCE_YEAR, fresh_names, public_figures, write_person
from clearbench.people.names import is_public_name

AGES = (22, 30, 45, 80)


def test_a_name_is_remembered_and_never_a_public_figures() -> None:
    taken: set[str] = set()
    people = [
        write_person(default_rng(k % 7), k, "female", 40, "african", taken) for k in range(60)
    ]
    names = [person.name for person in people]
    assert len({*names}) == len(names) == 60 and taken == {*names}
    assert not any(map(is_public_name, names))
    figures = public_figures([("male", 50, "european")] * 12)
    assert len({figure.name for figure in figures}) == 12
    assert all(is_public_name(figure.name) for figure in figures)


def test_fresh_names_are_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a pool of five names one is the person's own and two are taken: two are left."""
    person = write_person(default_rng(0), 0, "male", 30, "european", set())
    pool = [person.name, "A B", "C D", "E F", "G H"]
    drawn = iter(range(10**6))
    monkeypatch.setattr(biography, "is_public_name", lambda _: False)
    monkeypatch.setattr(biography, "compound", lambda *_: pool[next(drawn) % 5])
    given = {"A B", "C D"}
    assert sorted(fresh_names(default_rng(0), person, 2, given)) == ["E F", "G H"]
    assert given == {"A B", "C D"}, "they are asked about and not given away"
    with pytest.raises(DataError, match="are taken"):
        fresh_names(default_rng(0), person, 3, given)


@pytest.mark.parametrize("age", AGES)
def test_years_fit_the_age(age: int) -> None:
    """A debut is between the 17th and the 35th birthday, and not in the future."""
    debuts: list[int] = []
    for seed in range(40):
        person: Any = write_person(default_rng(seed), seed, "female", age, "south_asian", set())
        assert person.birth_year == REFERENCE_YEAR - age
        debuts.append(person.debut_year - person.birth_year)
    assert min(debuts) >= 17 and max(debuts) <= min(age, 35)
