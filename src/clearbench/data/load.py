"""Loads a dataset by name: the first source in `data/sources` that recognises it reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clearbench.data.dataset import Dataset
from clearbench.data.sources.base import Request, last_forgotten, load_request
from clearbench.errors import DataError

BUILTIN = "builtin"


def load_dataset(
    source: Any,
    forget: int | str | None = None,
    retain: str | None = None,
    *,
    text: str | Path | None = None,
    people: int | None = None,
    strangers: int = 8,
    seed: int = 0,
    images: str | Path | None = None,
) -> Dataset:
    """Loads a dataset and divides it by person.

    Args:
        source: `builtin`; a folder that `clearbench build` wrote; own rows in a file (JSON, CSV,
            Parquet) or in a folder with `forget.jsonl`; CLEAR (`therem/CLEAR`) or TOFU
            (`locuslab/TOFU`) from the hub or its cache, or a folder with the same files; so
            MLLMU-Bench, UMU-Bench, FIUBench and MUSE (docs/sister-benchmarks.md); the name of a
            plugin's source; or rows in memory: a list of them, a mapping of splits to lists, a
            `datasets.Dataset` or a table of pandas. A `Dataset` is returned as it is.
        forget: A number of people, or a published split such as `forget10`, the default for CLEAR
            and TOFU; a built folder brings its own division.
        retain: A published split such as `retain90`; everybody who is not forgotten by default.
        text: TOFU's files, which hold the measured text of CLEAR's people: a folder or a
            hub id. By default `locuslab/TOFU` for the hub's CLEAR; for a folder, its own `+tofu`
            questions, which have no paraphrases and no wrong answers.
        people: Number of people who are taught (built-in: 40; else all).
        strangers: Number of people who are the holdout (built-in).
        seed: Seed for the people (built-in).
        images: Folder of the pictures that own rows name; the folder of the rows by default.

    Returns:
        Dataset whose forget, retain and holdout rows are about different people.

    Raises:
        DataError: The source is none of these or out of reach, or rows in it are bad.
    """
    if retain is not None and isinstance(forget, int):
        raise DataError("a number of people goes with no retain split", "retain", "leave it out")
    folder = None if images is None else Path(images)
    if isinstance(source, str | Path):
        request = Request(str(source), forget, retain, text, people, strangers, seed, folder)
        return load_request(request)
    dataset = source if isinstance(source, Dataset) else Dataset.from_rows(source, images=folder)
    if isinstance(forget, str) or retain is not None:
        fix = "give a number of people to forget"
        raise DataError(f"rows in memory have no split '{retain or forget}'", "load_dataset", fix)
    if forget is None:
        return dataset
    chosen = last_forgotten(dataset, forget)
    return chosen if isinstance(source, Dataset) else chosen.examined("your rows")


def dataset_of(source: Any, sides: Mapping[str, Any]) -> Dataset:
    """Loads a dataset, or makes one of rows in memory given side by side.

    Args:
        source: Dataset, or what `load_dataset` takes; None where the rows are given by side.
        sides: Rows in memory by side, as in `Dataset.from_rows`; None for those not given.

    Returns:
        The dataset as it is, as loaded, or of the rows.

    Raises:
        DataError: Both are given, or neither; or as `load_dataset`.
    """
    given = {side: rows for side, rows in sides.items() if rows is not None}
    if source is not None and given:
        raise DataError(
            f"rows are given twice: as a dataset and as {' and '.join(given)}",
            f"{next(iter(given))}=",
            "give a dataset, or forget= and retain=",
        )
    if source is None and not given:
        raise DataError("there are no rows", "dataset", "give forget=ROWS and retain=ROWS")
    return load_dataset(source) if source is not None else Dataset.from_rows(**given)
