"""Reads the list of mutants: one-line wrong changes, and the tests that should notice each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
LISTS = Path(__file__).parent
SOURCE = Path("src") / "clearbench"


@dataclass(frozen=True)
class Mutant:
    """One wrong change of one line.

    Attributes:
        name: Name of the change, unique in the whole list.
        room: Room of the changed file, the name of the list.
        file: Path of the changed file below `src/clearbench`.
        old: Text that stands in the file exactly once.
        new: Text in its place.
        tests: Selections for pytest, as narrow as possible.
        why: What would be wrong.
    """

    name: str
    room: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    why: str

    def applied(self, root: Path) -> str:
        """Returns the changed content of the file below `root`."""
        text = (root / SOURCE / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: its old text is {text.count(self.old)} times there")
        return text.replace(self.old, self.new)


def read_mutants(rooms: Sequence[str] = (), only: Sequence[str] = ()) -> list[Mutant]:
    """Reads the mutants of some rooms (all by default), or those of some names."""
    mutants = [
        Mutant(room=path.stem, tests=tuple(entry.pop("tests")), **entry)
        for path in sorted(LISTS.glob("*.yaml"))
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]
    return [
        mutant
        for mutant in mutants
        if (not rooms or mutant.room in rooms) and (not only or mutant.name in only)
    ]


def problems(mutants: Sequence[Mutant], root: Path = ROOT) -> list[str]:
    """Lists mutants that no longer fit the source, or whose tests are not there."""
    found = []
    names = [mutant.name for mutant in mutants]
    for mutant in mutants:
        path = root / SOURCE / mutant.file
        if names.count(mutant.name) > 1:
            found.append(f"{mutant.name}: two mutants have this name")
        if not path.is_file():
            found.append(f"{mutant.name}: there is no {mutant.file}")
            continue
        count = path.read_text(encoding="utf-8").count(mutant.old)
        if count != 1 or mutant.old == mutant.new:
            found.append(f"{mutant.name}: {mutant.file} has its old text {count} times, not once")
        found += [
            f"{mutant.name}: there is no test {test}"
            for test in mutant.tests
            if not _is_there(root, test)
        ]
    return found


def _is_there(root: Path, selection: str) -> bool:
    """Whether the file and the function of a selection exist; its parameters are not looked at."""
    file, _, function = selection.partition("::")
    path = root / file
    if not path.is_file():
        return False
    name = re.escape(function.partition("[")[0])
    return not function or bool(re.search(rf"^def {name}\(", path.read_text("utf-8"), re.M))
