"""Recipes and runs, which all test processes share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matrix
import pytest
import yaml
from filelock import FileLock
from forks import Forks


@pytest.fixture(scope="session")
def recipes(forks: Forks, common: Path) -> Path:
    """A folder with `smallest.yaml` and `small.yaml`."""
    return common


@pytest.fixture(scope="session")
def smallest_run(forks: Forks, common: Path) -> Path:
    """A finished run of `smallest.yaml`, never killed."""
    return common / "smallest"


@pytest.fixture(scope="session")
def small(recipes: Path) -> dict[str, Any]:
    """The content of `small.yaml`."""
    return dict(yaml.safe_load((recipes / "small.yaml").read_text()))


@pytest.fixture(scope="session")
def whole(small: dict[str, Any], common: Path) -> Path:
    """A finished run of `small.yaml`, to copy."""
    out = common / "whole"
    with FileLock(f"{out}.lock"):
        if not (out / "report.html").is_file():
            matrix.run_here(small, out)
    return out
