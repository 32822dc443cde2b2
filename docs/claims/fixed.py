"""Finds the commit since which the rules of a claim and its recipe are as they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What judges a claim, from the root: the figures are part of the rules.
RULES = ("docs/claims/rules.py", "docs/claims/figures.py")


def files(name: str) -> tuple[str, ...]:
    """The files that decide a claim, from the root."""
    return (*RULES, f"recipes/{name}.yaml")


def fixed(name: str, root: Path = ROOT) -> str:
    """Names the last commit that changed the rules or the recipe of a claim, with its date.

    Raises:
        SystemExit: A file differs from what is committed, or git cannot say.
    """
    changed = _git(root, "status", "--porcelain", "--", *files(name))
    if changed:
        raise SystemExit(f"commit these before a run is judged by them:\n{changed}")
    found = _git(root, "log", "-1", "--abbrev=12", "--format=%h (%cs)", "--", *files(name))
    if not found:
        raise SystemExit(f"no commit has {', '.join(files(name))}")
    return found


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except FileNotFoundError as error:
        raise SystemExit("git is needed to say when rules and recipes were fixed") from error
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{' '.join(command)}: {error.stderr.strip()}") from error
    return done.stdout.rstrip()
