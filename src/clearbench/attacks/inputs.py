"""Says what an attack lacks of what must be given to it, before any work."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from clearbench.attacks.base import Attack
from clearbench.attacks.membership import SIDES
from clearbench.data.dataset import Dataset
from clearbench.errors import RecipeError

#: Inputs by the words of `needs` and `reads` that ask for them.
_NEEDED = {"original": "original", "shadow_models": "shadow models"}
_READ = {"gold's records": "gold", "retained people": "retain", "holdout people": "holdout"}
#: What each input is, in words.
WORDS = {
    "forget": "rows about the people to forget",
    "retain": "rows about people who stay",
    "holdout": "rows about people never taught",
    "gold": "gold, a model that never met the people",
    "original": "the model before unlearning, not its records alone",
    "shadow models": "shadow models",
}
#: How each is given in Python.
_IN_PYTHON = {
    "forget": "rows to forget in the dataset",
    "retain": "rows to keep in the dataset",
    "holdout": "rows of holdout people in the dataset",
    "gold": "reference=GOLD",
    "original": "original=MODEL",
    "shadow models": "shadows=[Shadow(records, people whom it was taught), ...]",
}


@dataclass(frozen=True)
class Lack:
    """An input that an attack lacks.

    Attributes:
        attack: Name of the attack.
        input: Name of the input, see `WORDS`.
        what: What it lacks, in words.
    """

    attack: str
    input: str
    what: str


def lacks(
    chosen: Attack,
    dataset: Dataset,
    *,
    gold: bool,
    original: bool,
    taught: Sequence[Collection[int]] = (),
) -> Iterator[Lack]:
    """Yields what an attack lacks.

    Args:
        chosen: Attack.
        dataset: Dataset with the measured rows.
        gold: Whether there is a gold.
        original: Whether there is the model before unlearning, with its weights.
        taught: People whom each shadow model was taught.
    """
    there = {split for split, rows in dataset.evaluation.items() if rows}
    there |= {"gold"} if gold else set()
    there |= {"original"} if original else set()
    asked = [_NEEDED[need] for need in chosen.needs if need in _NEEDED]
    asked += [_READ[words] for words in chosen.reads if words in _READ]
    for each in ("forget", *asked):
        if each == "shadow models":
            yield from _shadows(chosen, dataset, taught)
        elif each not in there:
            yield Lack(chosen.name, each, WORDS[each])


def _shadows(chosen: Attack, dataset: Dataset, taught: Sequence[Collection[int]]) -> Iterator[Lack]:
    """Yields that there are too few shadow models on a side of a person."""
    sides = dict.fromkeys(SIDES, len(taught))
    for split in SIDES:
        for person in dataset.people(split):
            count = sum(person in people for people in taught)
            other = next(side for side in SIDES if side != split)
            sides[split] = min(sides[split], count)
            sides[other] = min(sides[other], len(taught) - count)
    least = chosen.least_shadows
    if min(sides.values()) < least:
        there = " and ".join(f"{count} taught the {split} people" for split, count in sides.items())
        what = f"{least} shadow models taught the forget people and not the holdout people, and "
        yield Lack(
            chosen.name, "shadow models", f"{what}{least} the other way round (there are {there})"
        )


def check_inputs(found: Iterable[Lack]) -> None:
    """Refuses an attack that lacks an input.

    Raises:
        RecipeError: Names all of them, and how to give them.
    """
    absent = list(found)
    if absent:
        needed = "; ".join(lack.what for lack in absent)
        ways = ", ".join(dict.fromkeys(_IN_PYTHON[lack.input] for lack in absent))
        raise RecipeError(f"{absent[0].attack} needs {needed}", "attack", f"give {ways}")
