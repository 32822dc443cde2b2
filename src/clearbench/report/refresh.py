"""Writes the page of a run where what is there is not of its results."""

from __future__ import annotations

from pathlib import Path

from clearbench.report.page_code import page_code
from clearbench.runs.files import PAGE
from clearbench.runs.schema import DETAILS, RESULTS
from clearbench.storage import MANIFEST, is_sealed


def refresh_page(folder: Path) -> Path:
    """Writes the page of a run's folder where it is missing or damaged, or not of these results.

    A page that other files drew is written again, too.
    """
    page = folder / PAGE
    if _is_current(folder, page):
        return page
    from clearbench.report.html import write_page  # draws: a page that is there needs no plots

    return write_page(folder)


def _is_current(folder: Path, page: Path) -> bool:
    if not page.is_file() or page_code() not in page.read_text(encoding="utf-8"):
        return False
    if (folder / MANIFEST).is_file():
        return is_sealed(page)
    sources = [folder / name for name in (RESULTS, DETAILS)]
    return all(_written(page) >= _written(source) for source in sources)


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0
