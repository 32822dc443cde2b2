"""Defines the part of a recipe that names the people, and their stage."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from clearbench.data.halves import Half
from clearbench.runs.stages.data import DataStage
from clearbench.runs.stored import is_none


class DataPart(BaseModel):
    """People of an experiment.

    Attributes:
        source: `builtin`, a folder or file of rows, a hub id, or the name of a plugin's source
            (`clearbench list datasets`).
        people: Number of people who are taught; None for all, and for 40 of the built-in ones.
        strangers: Number of people who are kept for the holdout.
        forget: Number of people who are forgotten, or one of TOFU's splits (`forget10`); None for
            the data's own split, and 8 for the built-in people.
        fold: Who is forgotten: the `reported` people, or as many others (`validation`), on whom
            settings are chosen. The original model is the same.
        requests: Sizes of forget requests that arrive one after another; they sum to `forget`.
        half: Half of CLEAR's vision track: the people to forget, as many strangers, and half of the
            rest; in the other half the strangers are forgotten. None for all people.
        images: Folder of the pictures that own rows name; None for the folder of the rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = "builtin"
    people: int | None = Field(default=None, ge=2)
    strangers: int = Field(default=8, ge=0)
    forget: int | str | None = None
    fold: Literal["reported", "validation"] = "reported"
    requests: tuple[int, ...] = ()
    half: Half | None = None
    images: str | None = Field(default=None, exclude_if=is_none)


def data_stage(part: DataPart, seed: int) -> DataStage:
    """Builds the stage of a recipe's people."""
    return DataStage(
        *(part.source, part.people, part.strangers, part.forget, part.half),
        seed=seed,
        images=part.images,
    )
