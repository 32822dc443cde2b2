"""A process that forks command lines, and recipes and runs that the tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

import forks as forking
import matrix


@pytest.fixture(scope="session")
def forks() -> Iterator[forking.Forks]:
    """Command lines whose start costs next to nothing."""
    server = forking.Forks()
    yield server
    server.close()


@pytest.fixture(scope="session")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `smallest.yaml` and `small.yaml`."""
    folder = tmp_path_factory.mktemp("recipes")
    for name in ("smallest", "small"):
        content = getattr(forking, f"{name}_recipe")(folder)
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder


@pytest.fixture(scope="session")
def small(recipes: Path) -> dict[str, Any]:
    """The content of `small.yaml`."""
    return dict(yaml.safe_load((recipes / "small.yaml").read_text()))


@pytest.fixture(scope="session")
def whole(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of `small.yaml`, to copy."""
    out = tmp_path_factory.mktemp("whole") / "out"
    matrix.run_here(small, out)
    return out


@pytest.fixture(scope="session")
def smallest_run(
    forks: forking.Forks, recipes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A finished run of `smallest.yaml`, never killed."""
    out = tmp_path_factory.mktemp("smallest") / "out"
    code, said = forks.run("run", recipes / "smallest.yaml", "--workers", 1, "--out", out)
    assert code == 0, said
    return out
