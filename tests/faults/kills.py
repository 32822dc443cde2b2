"""Kills runs at random moments of their CPU time, and compares what they end with.

`python tests/faults/kills.py --kills 1000 --seed 0` prints, after each run and at the end, how many
runs ended and how many of them equal one that was never killed, what was left behind, and the
seconds it took.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from forks import PATIENCE, Fork, Forks
from matrix import contents

#: Signals to whom, by how often they are drawn.
BLOWS = {
    ("KILL", "parent"): 10,
    ("KILL", "worker"): 3,
    ("KILL", "group"): 3,
    ("TERM", "parent"): 2,
    ("INT", "group"): 2,
}
#: Ends of the names of what is not finished, which a kill may leave and the next run removes.
UNFINISHED = (".tmp", ".unfinished", ".parts")


@dataclass
class Report:
    """What happened."""

    kills: int = 0
    finished: int = 0
    identical: int = 0
    blows: dict[str, int] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)
    outlived: int = 0
    made_again: int = 0
    noise: list[str] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass
class Killer:
    """Runs a recipe again and again, and kills it until enough kills are done."""

    forks: Forks
    draw: random.Random
    say: Callable[[str], object]
    report: Report = field(default_factory=Report)
    stages: dict[str, int] = field(default_factory=dict)

    def go_on(self, kills: int, folder: Path) -> Report:
        began = time.monotonic()
        words = ("run", self.forks.folder / "smallest.yaml", "--workers", "1", "--out")
        cpu, expected = self.forks.seconds, contents(self.forks.folder / "smallest")
        while self.report.kills < kills:
            out = folder / f"run-{self.report.finished}"
            self.stages = {}
            while self.once((*words, out), cpu, kills) != 0:
                self.compare_stages(out)
            self.compare(out, expected)
            self.report.seconds = time.monotonic() - began
            self.say(json.dumps(asdict(self.report)))
            shutil.rmtree(out)
        self.report.seconds = time.monotonic() - began
        return self.report

    def once(self, words: tuple[Any, ...], cpu: float, kills: int) -> int:
        """Starts a run, and kills it at a moment that it may not reach; gives its exit status.

        The moments are late enough that a run gets on, and early enough that one is killed often.
        """
        moment = self.draw.uniform(0, cpu / 5) if self.report.kills < kills else float("inf")
        fork, blown, spent = self.forks.start(*words), False, 0.0
        until = time.monotonic() + PATIENCE
        while not fork.has_ended():
            assert time.monotonic() < until, f"a run hangs: {fork.output()}"
            spent = max(spent, fork.cpu())
            if not blown and spent >= moment:
                blown = self.strike(fork)
            time.sleep(0.01)
        status = fork.wait()
        self.report.cpu_seconds += spent
        self.report.outlived += len(fork.left())
        if "Traceback" in fork.output() or "leaked" in fork.output():
            self.report.noise.append(fork.output()[-2000:])
        return status

    def strike(self, fork: Fork) -> bool:
        (name, whom), *_ = self.draw.choices([*BLOWS], [*BLOWS.values()])
        number = signal.Signals[f"SIG{name}"]
        workers = fork.workers()
        try:
            if whom == "worker" and workers:
                fork.signal(workers[0], number)
            elif whom == "group":
                fork.send_group(number)
            else:
                fork.send(number)
        except ProcessLookupError:
            return False
        self.report.kills += 1
        blow = f"{name} to the {whom}"
        self.report.blows[blow] = self.report.blows.get(blow, 0) + 1
        return True

    def compare_stages(self, out: Path) -> None:
        """Counts finished stages that were made again since the last kill."""
        found = {
            path.parent.name: path.stat().st_ino
            for path in out.glob("stages/*-*/manifest.json")
            if path.parent.suffix not in UNFINISHED
        }
        self.report.made_again += sum(found.get(name) != node for name, node in self.stages.items())
        self.stages = found

    def compare(self, out: Path, expected: dict[str, str]) -> None:
        self.compare_stages(out)
        self.report.finished += 1
        self.report.identical += contents(out) == expected
        self.report.leftovers += [path.name for path in out.rglob("*") if path.suffix in UNFINISHED]
        self.report.leftovers += [path.name for path in out.rglob("*.corrupt-*")]


def kill_runs(
    forks: Forks, kills: int, seed: int, folder: Path, say: Callable[[str], object] = len
) -> Report:
    """Kills runs of the smallest recipe so many times; says a line after each that has ended."""
    return Killer(forks, random.Random(seed), say).go_on(kills, folder)  # noqa: S311


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        forks = Forks(Path(folder))
        report = kill_runs(forks, given.kills, given.seed, Path(folder), partial(print, flush=True))
        forks.close()
    print(json.dumps(asdict(report), indent=1))
    whole = report.identical == report.finished
    clean = not (report.leftovers or report.outlived or report.made_again or report.noise)
    sys.exit(0 if whole and clean else 1)


if __name__ == "__main__":
    main()
