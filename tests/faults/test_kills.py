"""Runs that are killed at random moments and started again equal one that was never killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from forks import Forks
from kills import kill_runs


@pytest.mark.parametrize(
    ("kills", "seed"), [(40, 0), pytest.param(1000, 1, marks=pytest.mark.slow)]
)
def test_killed_runs_equal_one_never_killed(
    kills: int, seed: int, forks: Forks, tmp_path: Path
) -> None:
    report = kill_runs(forks, kills, seed, tmp_path)
    assert report.kills >= kills and report.finished > 0
    assert report.identical == report.finished
    assert report.made_again == 0, "a finished stage was made again"
    assert report.leftovers == [] and report.outlived == 0
    assert report.noise == []
