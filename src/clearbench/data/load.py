"""Loads a dataset by name: the first source in `data/sources` that recognises it reads it."""

from __future__ import annotations

from pathlib import Path

from clearbench.data.dataset import Dataset
from clearbench.data.sources.base import Request, load_request
from clearbench.errors import DataError

BUILTIN = "builtin"


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
        source: `builtin`; a folder that `clearbench build` wrote; own rows in a JSONL file or in a
            folder with `forget.jsonl`; CLEAR (`therem/CLEAR`) or TOFU (`locuslab/TOFU`) from the
            hub or its cache, or a folder with the same files; or the name of a plugin's source.
        forget: A number of people, or a published split such as `forget10`, the default for CLEAR
            and TOFU; a built folder brings its own division.
        retain: A published split such as `retain90`; everybody who is not forgotten by default.
        text: TOFU's files, which hold the measured text of CLEAR's people: a folder or a
            hub id. By default `locuslab/TOFU` for the hub's CLEAR; for a folder, its own `+tofu`
            questions, which have no paraphrases and no wrong answers.
        people: Number of people who are taught (built-in: 40; else all).
        strangers: Number of people who are the holdout (built-in).
        seed: Seed for the people (built-in).

    Raises:
        DataError: The source is none of these or out of reach, or rows in it are bad.
    """
    if retain is not None and isinstance(forget, int):
        raise DataError("a number of people goes with no retain split", "retain", "leave it out")
    request = Request(str(source), forget, retain, text, people, strangers, seed)
    return load_request(request)
