"""Every mutant of the list still fits the source, and its tests are there."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def mutants() -> ModuleType:
    spec = spec_from_file_location("mutants", Path(__file__).with_name("mutants.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    import sys

    sys.modules["mutants"] = module
    spec.loader.exec_module(module)
    return module


def test_every_mutant_fits_the_source_and_names_tests_that_exist(mutants: ModuleType) -> None:
    listed = mutants.read_mutants()
    assert mutants.problems(listed) == []
    assert len(listed) >= 150
