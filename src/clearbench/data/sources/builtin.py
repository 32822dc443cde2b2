"""Source of the built-in world, generated from a seed."""

from __future__ import annotations

from pathlib import Path

from clearbench.data.dataset import Dataset
from clearbench.data.made_up import divide, make_world
from clearbench.data.sources.base import DatasetSource, Request
from clearbench.errors import DataError
from clearbench.people.shipped import PORTRAITS, builtin_pool

#: Default numbers of people who are taught and of those who are forgotten.
PEOPLE, FORGET = 40, 8


class Builtin(DatasetSource, name="builtin"):
    """Generates fictitious authors with portraits."""

    shows = "fictitious authors with portraits, made from a seed"
    position = 0

    def files(self, request: Request) -> tuple[str | Path, ...]:
        """Lists the file of faces that people are drawn from."""
        return (PORTRAITS,)

    def load(self, request: Request) -> Dataset:
        """Generates the world of a seed."""
        forget, retain = request.forget, request.retain
        if isinstance(forget, str) or retain is not None:
            fix = "give a number of people to forget; the others are kept"
            raise DataError("the built-in world has no named splits", str(retain or forget), fix)
        people = request.people or PEOPLE
        world = make_world(builtin_pool(), people, request.strangers, request.seed)
        return divide(world, FORGET if forget is None else forget, request.seed)
