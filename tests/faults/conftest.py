"""A process that forks command lines, and recipes and runs, which all test processes share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parent))

import forks as forking
import matrix


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes share."""
    together = os.environ.get("PYTEST_XDIST_WORKER") is not None
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if together else base) / "faults"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def forks(shared: Path) -> Iterator[forking.Forks]:
    """Command lines whose start costs next to nothing."""
    client = forking.Forks(shared)
    yield client
    client.close()


@pytest.fixture(scope="session")
def recipes(forks: forking.Forks, shared: Path) -> Path:
    """A folder with `smallest.yaml` and `small.yaml`."""
    return shared


@pytest.fixture(scope="session")
def smallest_run(forks: forking.Forks, shared: Path) -> Path:
    """A finished run of `smallest.yaml`, never killed."""
    return shared / "smallest"


@pytest.fixture(scope="session")
def small(recipes: Path) -> dict[str, Any]:
    """The content of `small.yaml`."""
    return dict(yaml.safe_load((recipes / "small.yaml").read_text()))


@pytest.fixture(scope="session")
def whole(small: dict[str, Any], shared: Path) -> Path:
    """A finished run of `small.yaml`, to copy."""
    out = shared / "whole"
    with FileLock(f"{out}.lock"):
        if not (out / "report.html").is_file():
            matrix.run_here(small, out)
    return out
