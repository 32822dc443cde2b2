"""Finds folders that single commands left: models, records, attacks, audits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from clearbench.audit.schema import AUDIT
from clearbench.errors import StorageError
from clearbench.evidence.schema import EVIDENCE
from clearbench.runs.schema import RESULTS
from clearbench.storage import MANIFEST, about, read_json


class FoundFolder(NamedTuple):
    """A folder that a command left: the command, what it holds, and the word for what was found."""

    folder: str
    command: str
    what: str
    word: str


def list_folders(folder: Path) -> tuple[list[FoundFolder], list[str]]:
    """Lists the folders that single commands left below a folder, and those that are damaged.

    Folders of runs, and what lies below them, are not among them.
    """
    runs = {path.parent for path in folder.rglob(RESULTS)}
    found: dict[Path, FoundFolder] = {}
    damaged = []
    for path in sorted([*folder.rglob(MANIFEST), *folder.rglob(AUDIT)]):
        place = path.parent
        if not runs.isdisjoint((place, *place.parents)):
            continue
        name = str(place.relative_to(folder))
        try:
            made = _audited(path) if path.name == AUDIT else _made(path)
        except StorageError as error:
            damaged.append(f"{name}: {error.what}")
            continue
        if made is not None:
            found[place] = FoundFolder(name, *made)
    return list(found.values()), damaged


def _audited(path: Path) -> tuple[str, str, str]:
    """Says which model was audited, and the word of its conclusion."""
    content = _object(path)
    word = _at(content, "conclusion", "word")
    if not word:
        raise StorageError("an audit without a conclusion", str(path), "make it again")
    return "audit", f"of {_at(content, 'made', 'names', 'model')}", word


def _made(path: Path) -> tuple[str, str, str] | None:
    """Says by its manifest what a folder holds; None for a stage of a run, and others."""
    made = about(path.parent)
    command = made.get("command")
    if command not in _WORDS:
        return None
    evidence = path.parent / EVIDENCE
    word = _at(_object(evidence), "word") if evidence.is_file() else ""
    return command, _WORDS[command](made), word


def _object(path: Path) -> dict[str, Any]:
    content = read_json(path)
    return content if isinstance(content, dict) else {}


def _at(content: Mapping[str, Any], *names: str) -> str:
    """Reads a text inside of objects; empty where it is not there."""
    value: Any = content
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def _finetuned(made: Mapping[str, Any]) -> str:
    left_out = made.get("without") or ()
    gold = f", without {' and '.join(map(str, left_out))}" if left_out else ""
    return f"taught, seed {made.get('seed')}{gold}"


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "finetune": _finetuned,
    "unlearn": lambda made: (
        f"{made.get('method')} on {made.get('modality')}, seed {made.get('seed')}"
    ),
    "evaluate": lambda made: (
        f"records of {_at(made, 'model', 'source')} for {made.get('protocol')}"
    ),
    "attack": lambda made: f"{made.get('attack')} on {_at(made, 'model', 'source')}",
}
