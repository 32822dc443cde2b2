"""Datasets by name: the built-in world, or a folder."""

from __future__ import annotations

from pathlib import Path

from clearbench.data.clear import is_clear_folder, read_dataset
from clearbench.data.dataset import Dataset
from clearbench.data.tofu import is_tofu_folder, read_tofu
from clearbench.errors import DataError

BUILTIN = "builtin"


def load_dataset(
    source: str | Path,
    forget: int | str | None = None,
    retain: str | None = None,
    *,
    people: int | None = None,
    strangers: int = 8,
    seed: int = 0,
) -> Dataset:
    """Loads a dataset and divides it by person.

    Args:
        source: `builtin`, a folder that `clearbench build` wrote, or a folder of TOFU's files.
        forget: A number of people, or a split name such as `forget10`; a built folder brings its
            own division.
        retain: Reserved for data whose retain split is named; the rest of the people by default.
        people: How many people are taught (built-in: 40).
        strangers: How many are kept apart as the holdout (built-in).
        seed: Which people (built-in).

    Raises:
        DataError: When the source is neither, or rows in it are bad.
    """
    if retain is not None:
        raise DataError("a named retain split is not supported yet", "retain", "leave it out")
    if str(source) == BUILTIN:
        from clearbench.people.builtin import builtin_pool
        from clearbench.people.factory import divide, make_world

        count = 8 if forget is None else forget
        if isinstance(count, str):
            raise DataError(f"'{count}' is not a number", "forget", "built-in: a number of people")
        return divide(make_world(builtin_pool(), people or 40, strangers, seed), count, seed)
    folder = Path(source)
    if is_clear_folder(folder):
        dataset = read_dataset(folder)
        if isinstance(forget, int):
            everybody = sorted(dataset.people("forget") | dataset.people("retain"))
            return dataset.forgetting(everybody[-forget:])
        return dataset
    if is_tofu_folder(folder):
        return read_tofu(folder, "forget10" if forget is None else forget, people)
    raise DataError(
        "no dataset found",
        str(source),
        "give 'builtin', a folder from `clearbench build`, or a folder with TOFU's files",
    )
