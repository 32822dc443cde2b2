"""Writes docs/methods/, one page per method, from the classes and from one run of them all.

    python docs/write_methods.py [RUN]

RUN is the folder of `clearbench run all-methods`; what it measured is kept in
docs/methods/measured.json, and what golds get as runs in golds.json. Without RUN the pages are
written again from there.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

from method_pages import results
from method_pages.golds import JudgedGold, dump_golds, judged_golds, load_golds
from method_pages.measured import Setting, dump, load, measured
from method_pages.page import WRITTEN, page

from clearbench.methods.base import Method, methods
from clearbench.runs.files import STAGES
from clearbench.runs.schema import read_results

FOLDER = Path(__file__).parent / "methods"
_STATUS = {
    "verified": "## Confirmed by paper, authors' code or derivation\n",
    "adapted": "## Adapted: the page says where it departs from the publication\n",
    "unverified": "## Not confirmed: the page says what is uncertain\n",
}


def index(settings: Sequence[Setting]) -> str:
    """The page that lists them all; formulas that nobody confirmed stand apart."""
    known = methods()
    lines = ["# Methods\n", WRITTEN, "What each did on the demo world: [results](results.md).\n"]
    for status, title in _STATUS.items():
        chosen = {name: cls for name, cls in known.items() if cls.status == status}
        if chosen:
            head = "| method | idea | models | verdicts on the demo world |"
            lines += [title, head, "|---|---|---|---|"]
            lines += [_index_row(name, cls, settings) for name, cls in chosen.items()]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _index_row(name: str, cls: type[Method], settings: Sequence[Setting]) -> str:
    idea = (inspect.getmodule(cls).__doc__ or "").strip().rstrip(".")
    own = [setting for setting in settings if setting.method == name]
    words = [
        f"{setting.model}, {setting.modality}: {'gold' if setting.is_gold else setting.words}"
        for setting in own
    ]
    cells = (f"[{name}]({name}.md)", idea, ", ".join(cls.kinds), "; ".join(words) or "not run")
    return f"| {' | '.join(cells)} |"


def write(settings: Sequence[Setting], golds: Sequence[JudgedGold], folder: Path) -> None:
    """Writes every page, and takes away those of methods that are gone."""
    pages = {"README.md": index(settings), "results.md": results.page(settings, golds)}
    for name, cls in methods().items():
        pages[f"{name}.md"] = page(cls, [each for each in settings if each.method == name])
    for path in folder.glob("*.md"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


def main(runs: Sequence[str], folder: Path = FOLDER) -> None:
    """Writes docs/methods/, and from a run what it measured."""
    folder.mkdir(exist_ok=True)
    kept, golds = folder / "measured.json", folder / "golds.json"
    if runs:
        found = read_results(Path(runs[0]))
        dump(measured(found), kept)
        dump_golds(judged_golds(found, Path(runs[0]) / STAGES), golds)
    write(load(kept), load_golds(golds), folder)


if __name__ == "__main__":
    main(sys.argv[1:])
