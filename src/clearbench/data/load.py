"""Datasets by name: the built-in world, a folder, or the hub's."""

from __future__ import annotations

from pathlib import Path

from clearbench.data.clear import configurations, is_clear_folder, read_dataset, share_of
from clearbench.data.dataset import Dataset
from clearbench.data.published import TOFU, is_clear, read_clear
from clearbench.data.tables import Tables
from clearbench.data.tofu import is_tofu, read_tofu
from clearbench.errors import DataError

BUILTIN = "builtin"
#: The largest published forget split: a number of people is counted from its end.
LARGEST = "forget10"


def load_dataset(
    source: str | Path,
    forget: int | str | None = None,
    retain: str | None = None,
    *,
    text: str | Path | None = None,
    people: int | None = None,
    strangers: int = 8,
    seed: int = 0,
) -> Dataset:
    """Loads a dataset and divides it by person.

    Args:
        source: `builtin`; a folder that `clearbench build` wrote; CLEAR (`therem/CLEAR`) or TOFU
            (`locuslab/TOFU`) from the hub or its cache, or a folder with the same files.
        forget: A number of people, or a published split such as `forget10`, the default for CLEAR
            and TOFU; a built folder brings its own division.
        retain: A published split such as `retain90`; everybody who is not forgotten by default.
        text: Where TOFU's files are, which hold the measured text of CLEAR's people: a folder or a
            hub id. By default `locuslab/TOFU` for the hub's CLEAR; for a folder, its own `+tofu`
            questions, which have no paraphrases and no wrong answers.
        people: How many people are taught (built-in: 40; else all).
        strangers: How many are kept apart as the holdout (built-in).
        seed: Which people (built-in).

    Raises:
        DataError: When the source is none of these or out of reach, or rows in it are bad.
    """
    if retain is not None and isinstance(forget, int):
        raise DataError("a number of people goes with no retain split", "retain", "leave it out")
    if str(source) == BUILTIN:
        return _builtin(forget, retain, people, strangers, seed)
    if is_clear_folder(Path(source)):
        return _built(Path(source), forget, retain)
    tables = Tables(source)
    split = forget if isinstance(forget, str) else LARGEST
    if is_clear(tables):
        if text is None and tables.remote:
            text = TOFU
        dataset = read_clear(tables, None if text is None else Tables(text), split, retain)
    elif is_tofu(tables):
        dataset = read_tofu(tables, split, retain)
    else:
        raise DataError(
            "no dataset found",
            str(source),
            "give 'builtin', a folder from `clearbench build`, or CLEAR's or TOFU's files",
        )
    return _fewer(dataset, forget if isinstance(forget, int) else None, people)


def _builtin(
    forget: int | str | None, retain: str | None, people: int | None, strangers: int, seed: int
) -> Dataset:
    from clearbench.data.made_up import divide, make_world
    from clearbench.people.shipped import builtin_pool

    if isinstance(forget, str) or retain is not None:
        fix = "give a number of people to forget; the others are kept"
        raise DataError("the built-in world has no named splits", str(retain or forget), fix)
    world = make_world(builtin_pool(), people or 40, strangers, seed)
    return divide(world, 8 if forget is None else forget, seed)


def _built(folder: Path, forget: int | str | None, retain: str | None) -> Dataset:
    """A built folder has one division; a number of people makes another of the same people."""
    dataset = read_dataset(folder)
    if isinstance(forget, int):
        everybody = sorted(dataset.people("forget") | dataset.people("retain"))
        return dataset.forgetting(everybody[-forget:])
    names = configurations(share_of(dataset))
    for split, asked in (("forget", forget), ("retain", retain)):
        own = names["training", split].removesuffix("+tofu")
        if asked not in (None, own):
            fix = f"this folder has '{own}'; leave {split} out, or give a number of people"
            raise DataError(f"unknown split '{asked}'", str(folder), fix)
    return dataset


def _fewer(dataset: Dataset, forget: int | None, people: int | None) -> Dataset:
    """The last `forget` of the forgotten, and of the others only the first, up to `people`."""
    if forget is None and people is None:
        return dataset
    largest = sorted(dataset.people("forget"))
    count = len(largest) if forget is None else forget
    if not 1 <= count <= len(largest):
        fix = f"choose 1 to {len(largest)}: only they have perturbed answers"
        raise DataError(f"cannot forget {count} people", "forget", fix)
    gone = set(largest[-count:])
    others = sorted((dataset.people("retain") | set(largest)) - gone)
    kept = others if people is None else others[: max(0, people - count)]
    asked = {row.person for split in ("forget", "retain") for row in dataset.evaluation[split]}
    if people is not None and not (kept and asked.issuperset(kept)):
        raise DataError(
            f"{people} people with {count} forgotten leaves {people - count} others",
            "data.people",
            "keep at least 1, and no more than the retain_perturbed rows are about",
        )
    return dataset.forgetting(gone, set(others) - set(kept))
