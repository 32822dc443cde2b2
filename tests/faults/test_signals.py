"""A run that is told to stop says so, leaves no process, and goes on when it is called again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import matrix
import psutil
import pytest
from forks import Fork, Forks

#: Makes the training wait at its second step, so that the signal comes in the middle of it.
SLOW = """
import time
from clearbench.training import loop
saved = []
def slowly(*given, save=loop.save_checkpoint):
    save(*given)
    saved.append(1)
    if len(saved) == 2:
        print("waiting", flush=True)
        time.sleep(60)
loop.save_checkpoint = slowly
"""


def until_it_waits(fork: Fork) -> None:
    began = time.monotonic()
    while "waiting" not in fork.output() and time.monotonic() < began + 60:
        assert not fork.has_ended(), fork.output()
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("whom", ["parent", "group"])
def test_a_run_that_is_told_to_stop_goes_on_later(
    number: int, whom: str, forks: Forks, recipes: Path, smallest_run: Path, tmp_path: Path
) -> None:
    words = ("run", recipes / "smallest.yaml", "--workers", 1, "--out", tmp_path / "out")
    fork = forks.start(*words, before=SLOW)
    until_it_waits(fork)
    began = time.monotonic()
    (fork.send if whom == "parent" else fork.send_group)(number)
    assert fork.wait() == 128 + number
    assert time.monotonic() - began < 10
    assert fork.left() == []
    said = fork.output()
    assert "stopped; run the same command again to go on" in said
    assert "Traceback" not in said and "leaked" not in said
    if number == signal.SIGTERM:
        assert forks.run(*words)[0] == 0
        assert matrix.contents(tmp_path / "out") == matrix.contents(smallest_run)


def test_a_stopped_training_names_its_command(forks: Forks, recipes: Path, tmp_path: Path) -> None:
    words = ("finetune", "--model", recipes / "tiny", "--data", "builtin", "--forget", 1, "--out")
    words += (tmp_path / "taught", "--set", "steps=3", "--set", "batch_size=2", "--set")
    words += ("parts=[language]", "--set", "checkpoint_seconds=1e-9")
    fork = forks.start(*words, before=SLOW)
    until_it_waits(fork)
    fork.send_group(signal.SIGINT)
    assert fork.wait() == 130
    assert "stopped; run the same command again" in fork.output()
    assert not (tmp_path / "taught").exists() and "Traceback" not in fork.output()


def test_workers_end_with_a_parent_that_is_killed_while_they_import(
    recipes: Path, tmp_path: Path
) -> None:
    """The real program, whose workers import for seconds: killed as soon as they begin to."""
    code = "from clearbench.cli import main; main()"
    words = ["run", recipes / "smallest.yaml", "--workers", "2", "--out", tmp_path / "out"]
    parent = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", code, *map(str, words)],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(group(parent.pid)) < 3:  # with the resource tracker
        assert parent.poll() is None
        time.sleep(0.005)
    parent.kill()
    parent.wait()
    until = time.monotonic() + 10
    while (left := group(parent.pid)) and time.monotonic() < until:
        time.sleep(0.02)
    assert left == []


def group(leader: int) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == leader and process.status() != "zombie":
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found
