"""docs/methods/ is what docs/write_methods.py writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from clearbench.methods.base import methods

DOCS = Path(__file__).parents[2] / "docs"
MEASURED = DOCS / "methods" / "measured.json"


@pytest.fixture(scope="module")
def writer(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("write_methods")


def test_what_was_measured_is_kept_as_it_was(writer: ModuleType, tmp_path: Path) -> None:
    writer.dump(writer.load(MEASURED), tmp_path / "measured.json")
    assert (tmp_path / "measured.json").read_bytes() == MEASURED.read_bytes()


def test_every_method_has_a_page_and_nothing_else_has() -> None:
    pages = {path.stem for path in (DOCS / "methods").glob("*.md")}
    assert pages == {"README", "results", *methods()}


def test_the_index_and_the_results_are_up_to_date(writer: ModuleType) -> None:
    settings, golds = writer.load(MEASURED), writer.load_golds(MEASURED.with_name("golds.json"))
    pages = {"README": writer.index(settings), "results": writer.results.page(settings, golds)}
    for name, page in pages.items():
        written = (DOCS / "methods" / f"{name}.md").read_text(encoding="utf-8")
        assert page == written


@pytest.mark.parametrize("name", ["rmu", "guardrail", "ssd", "sku"])
def test_a_page_is_up_to_date(writer: ModuleType, name: str) -> None:
    settings = [setting for setting in writer.load(MEASURED) if setting.method == name]
    written = (DOCS / "methods" / f"{name}.md").read_text(encoding="utf-8")
    assert writer.page(methods()[name], settings) == written
