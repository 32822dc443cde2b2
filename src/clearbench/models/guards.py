"""Saves and loads guards: a small folder each, in a model's folder or alone."""

from __future__ import annotations

from pathlib import Path

from clearbench.errors import ModelError
from clearbench.methods.guard import FittedGuard
from clearbench.models.base import Model

_PREFIX = "guard-"
#: File that says what a guard is, beside weights that look like any other model's.
NOTE = "GUARD.txt"
_WORDS = """\
The weights in this folder are unchanged: nothing was removed from them.
The folders {names} hold guards, which change what the model is asked or what it says.
Only clearbench applies them (clearbench.load_model, clearbench evaluate --model); any other program
that loads this folder reads the weights alone, and they answer as before.
"""


def save_guards(model: Model, folder: Path) -> None:
    """Writes the model's guards, and a note on what they are, without the model."""
    for number, guard in enumerate(model.guards):
        guard.save(folder / f"{_PREFIX}{number:03d}")
    if model.guards:
        names = ", ".join(sorted(path.name for path in folder.glob(f"{_PREFIX}*")))
        (folder / NOTE).write_text(_WORDS.format(names=names), encoding="utf-8")


def load_guards(folder: Path) -> tuple[FittedGuard, ...]:
    """Loads the guards in a folder, the oldest first; none where there are none."""
    return tuple(FittedGuard.load(path) for path in sorted(folder.glob(f"{_PREFIX}*")))


def is_guard(folder: Path) -> bool:
    """Whether a folder holds guards alone."""
    return any(folder.glob(f"{_PREFIX}*")) and not (folder / "config.json").is_file()


def refuse_guard_alone(folder: Path) -> None:
    """Raises an error for a folder with a guard but no model, which cannot be evaluated."""
    if is_guard(folder):
        raise ModelError(
            "a guard without its model",
            str(folder),
            f"copy its {_PREFIX}* folders into the folder of the model they guard",
        )
