"""Every mutant of the list still fits the source, and its tests are there."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest


def test_every_mutant_fits_the_source_and_names_tests_that_exist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    mutants = import_module("mutants")
    listed = mutants.read_mutants()
    assert mutants.problems(listed) == []
    assert len(listed) >= 170 and len({mutant.room for mutant in listed}) >= 10
    del sys.modules["mutants"]
