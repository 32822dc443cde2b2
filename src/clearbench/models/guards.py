"""Saves and loads guards: a small folder each, in a model's folder or alone."""

from __future__ import annotations

from pathlib import Path

from clearbench.errors import ModelError
from clearbench.methods.guard import FittedGuard
from clearbench.models.base import Model

_PREFIX = "guard-"


def save_guards(model: Model, folder: Path) -> None:
    """Writes the model's guards, without the model."""
    for number, guard in enumerate(model.guards):
        guard.save(folder / f"{_PREFIX}{number:03d}")


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
