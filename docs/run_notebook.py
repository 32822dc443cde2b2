"""Runs the code cells of a notebook in this process and stores what they show.

    python docs/run_notebook.py examples/quickstart.ipynb

No kernel is started and nothing is installed for it: cells are plain Python. Kept are what a cell
prints and the value of its last expression.
"""

from __future__ import annotations

import ast
import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

Cell = dict[str, Any]


def run(notebook: dict[str, Any]) -> dict[str, Any]:
    """Runs every code cell in order and puts its outputs in place of those before.

    Args:
        notebook: Content of an `.ipynb` file (nbformat 4); it is changed.

    Returns:
        Names that the cells have defined.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(code, 1):
        cell["outputs"], cell["execution_count"] = _outputs(cell, number, names), number
    return names


def _outputs(cell: Cell, number: int, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Runs a cell; returns its printed lines and the value of its last expression."""
    tree = ast.parse("".join(cell["source"]), f"cell {number}")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with redirect_stdout(printed):
        exec(compile(tree, f"cell {number}", "exec"), names)  # noqa: S102  # cells of our own
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)  # noqa: S307
    outputs: list[dict[str, Any]] = []
    if text := printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": _lines(text)})
    if value is not None:
        shown = {"text/plain": _lines(repr(value))}
        about = {"execution_count": number, "metadata": {}, "output_type": "execute_result"}
        outputs.append({"data": shown, **about})
    return outputs


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main(path: Path) -> None:
    """Runs a notebook's file and writes its outputs into it."""
    notebook = json.loads(path.read_text("utf-8"))
    run(notebook)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
