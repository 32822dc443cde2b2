"""The way of one job: the files between store and loss are those of docs/architecture.md."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import clearbench
from clearbench.methods.base import METHODS, Method, Step, methods
from clearbench.methods.losses import Term, cross_entropy

ROOT = Path(clearbench.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
#: Files of the call stack when the loss was last called, the outermost first.
STACK: list[str] = []


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A method that records who calls it."""
    monkeypatch.setattr(METHODS, "classes", methods())

    class Watched(Method, name="watched", paper="none", needs=("forget",)):
        """Records its call stack."""

        def loss(self, step: Step) -> dict[str, Term]:
            frames = [Path(frame.filename) for frame in inspect.stack(0)]
            inside = [path.relative_to(ROOT) for path in frames if path.is_relative_to(ROOT)]
            STACK[:] = list(dict.fromkeys(path.as_posix() for path in reversed(inside)))
            return {"forget": -1.0 * cross_entropy(step.model.answers(step.forget))}

    yield


def listed() -> list[str]:
    """The files of the numbered list in the page."""
    return re.findall(r"^\d+\. `([^`]+)`:", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.usefixtures("watched")
def test_the_files_on_the_way_are_those_of_the_page(
    small_recipe: dict[str, Any], planner: Callable[..., Any], tmp_path: Path
) -> None:
    run = small_recipe["runs"][0] | {"method": "watched"}
    made = planner(small_recipe | {"runs": [run]}, tmp_path)
    assert made.make(made.row("watched").model)["status"] == "ok"
    files = listed()
    assert len(files) <= 12
    begin = files.index("runs/making.py")
    assert files[begin : begin + len(STACK)] == STACK and files[begin + len(STACK)] == (
        "methods/NAME.py"
    )
    assert all((ROOT / name).exists() for name in files if "NAME" not in name)
