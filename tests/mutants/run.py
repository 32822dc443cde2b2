"""Applies every mutant in a copy of the source, runs its tests, and prints which survive.

    python tests/mutants/run.py [--only NAME ...] [--room ROOM ...] [--jobs 1] [--check]

A mutant is noticed when one of its tests fails, or does not end. All tests first run on the
unchanged copy: where one fails there, or none passes, nothing can be said of its mutants. The
libraries are imported once; a forked process imports clearbench from the copy and runs pytest.
"""

from __future__ import annotations

import argparse
import compileall
import importlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from mutants import ROOT, SOURCE, Mutant, problems, read_mutants

#: Names of every library module that clearbench's modules import, in the order of their import.
_LIBRARIES = """
import importlib, pkgutil, sys, warnings
warnings.simplefilter("ignore")
before = set(sys.modules)
import clearbench
for found in pkgutil.walk_packages(clearbench.__path__, "clearbench."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
print(*(n for n in sys.modules if n not in before and n.partition(".")[0] != "clearbench"))
"""
_FLAGS = (
    "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--durations=0", "--tb=short",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
#: Seconds that a run may take besides ten times what it takes without a mutant.
PATIENCE = 30.0


@dataclass
class Ended:
    """How a run of tests ended.

    Attributes:
        outcomes: Outcome and seconds of every test that was run.
        failed: First test that failed, or how the process ended; empty where all passed.
    """

    outcomes: dict[str, tuple[str, float]]
    failed: str


@dataclass
class Slot:
    """A copy of the tree in which one mutant at a time is tried.

    Attributes:
        folder: Folder of the copy.
        pid: Process that runs the tests; 0 for none.
        before: Content and time of the file that is changed.
    """

    folder: Path
    pid: int = 0
    deadline: float = 0.0
    before: tuple[bytes, int] = (b"", 0)
    mutant: Mutant | None = None

    def start(self, tests: Sequence[str], mutant: Mutant | None, limit: float) -> None:
        """Runs tests in a forked process: with a mutant to the first failure, or all without."""
        self.mutant = mutant
        self._report.unlink(missing_ok=True)
        if mutant is not None:
            path = self.folder / SOURCE / mutant.file
            self.before = path.read_bytes(), path.stat().st_mtime_ns
            path.write_text(mutant.applied(self.folder), encoding="utf-8")
            os.utime(path, (0, 0))  # so that no compiled file is taken for its own
        self.deadline = time.monotonic() + limit
        self.pid = os.fork()
        if self.pid == 0:
            _child(self.folder, tests, whole=mutant is None)

    def poll(self) -> Ended | None:
        """Returns how the process ended; None while it goes on."""
        done, status = os.waitpid(self.pid, os.WNOHANG)
        late = not done and time.monotonic() > self.deadline
        if late:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        elif not done:
            return None
        self.pid = 0
        if self.mutant:
            path = self.folder / SOURCE / self.mutant.file
            path.write_bytes(self.before[0])
            os.utime(path, ns=(self.before[1], self.before[1]))
        outcomes = json.loads(self._report.read_text()) if self._report.is_file() else {}
        failed = next((name for name, (outcome, _) in outcomes.items() if outcome == "failed"), "")
        if late:
            failed = "it did not end"
        elif not failed and status:
            failed = f"pytest ended with {os.waitstatus_to_exitcode(status)}"
        return Ended(outcomes, failed)

    @property
    def _report(self) -> Path:
        return self.folder / "report.json"


class _Report:
    """Writes the outcome of every test at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[str, tuple[str, float]] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        before, seconds = self.outcomes.get(report.nodeid, ("passed", 0.0))
        worse = report.outcome if report.outcome != "passed" else before
        self.outcomes[report.nodeid] = (worse, seconds + report.duration)

    def pytest_collectreport(self, report: Any) -> None:
        if report.outcome == "failed":
            self.outcomes[f"import of {report.nodeid}"] = ("failed", 0.0)

    def pytest_sessionfinish(self) -> None:
        self.path.write_text(json.dumps(self.outcomes))


def _child(folder: Path, tests: Sequence[str], *, whole: bool) -> None:
    """Runs pytest in the copy and ends the process."""
    code = 99
    try:
        os.setsid()
        os.chdir(folder)
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.dont_write_bytecode = not whole
        sys.path[0] = str(folder / "src")
        os.environ["PYTHONPATH"] = str(folder / "src")
        import pytest

        flags = [*_FLAGS, "--basetemp", str(folder / "temporary"), "--rootdir", str(folder)]
        flags += ["--continue-on-collection-errors"] if whole else ["-x"]
        code = int(pytest.main([*flags, *tests], plugins=[_Report(folder / "report.json")]))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _import_libraries() -> None:
    """Imports what clearbench imports, but not clearbench itself."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    listed = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _LIBRARIES],
        capture_output=True, text=True, check=True, env=environment, cwd=ROOT,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("pytest", "hypothesis", *listed.stdout.split()):
            with suppress(Exception):
                importlib.import_module(name)
        import torch

        torch.set_num_threads(1)


def _copied(folder: Path) -> Path:
    """Copies every file of the tree that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    compileall.compile_dir(folder / "src", quiet=1)
    return folder


@dataclass
class Trial:
    """All that is to be run, and what came of it.

    Attributes:
        mutants: Mutants that are tried.
        slots: Copies of the tree, one per process at a time.
        invalid: Mutants whose tests do not pass without them, and why.
        results: How the tests of each other mutant ended.
    """

    mutants: Sequence[Mutant]
    slots: Sequence[Slot]
    invalid: dict[str, str] = field(default_factory=dict)
    results: dict[str, Ended] = field(default_factory=dict)

    def run(self) -> None:
        """Runs all tests without a mutant, then those of every mutant."""
        tests = list(dict.fromkeys(test for mutant in self.mutants for test in mutant.tests))
        first = self.slots[0]
        first.start(tests, None, 3600.0)
        while (ended := first.poll()) is None:
            time.sleep(0.1)
        left: list[tuple[Mutant, float]] = []
        for mutant in self.mutants:
            own = [pair for test in mutant.tests for pair in _of(test, ended.outcomes)]
            if any(outcome == "failed" for _, (outcome, _) in own):
                self.invalid[mutant.name] = next(n for n, (o, _) in own if o == "failed")
            elif not any(outcome == "passed" for _, (outcome, _) in own):
                self.invalid[mutant.name] = ended.failed or "no test ran"
            else:
                left.append((mutant, PATIENCE + 10 * sum(took for _, (_, took) in own)))
        if self.invalid:
            _say((first.folder / "log.txt").read_text()[-6000:])
        self._try(left[::-1])

    def _try(self, left: list[tuple[Mutant, float]]) -> None:
        while left or any(slot.pid for slot in self.slots):
            for slot in self.slots:
                ended = slot.poll() if slot.pid else None
                if ended is not None and slot.mutant is not None:
                    self._note(slot.mutant, ended)
                if not slot.pid and left:
                    mutant, limit = left.pop()
                    slot.start(mutant.tests, mutant, limit)
            time.sleep(0.02)

    def _note(self, mutant: Mutant, ended: Ended) -> None:
        self.results[mutant.name] = ended
        if ended.failed:
            _say(f"noticed   {mutant.name}: {ended.failed}")
        else:
            _say(f"SURVIVED  {mutant.name}: {mutant.why}")


def _of(
    selection: str, outcomes: Mapping[str, tuple[str, float]]
) -> list[tuple[str, tuple[str, float]]]:
    """Lists the outcomes of the tests of a selection."""
    starts = (f"{selection}::", f"{selection}[")
    return [
        (name, outcome)
        for name, outcome in outcomes.items()
        if name == selection or name.startswith(starts) or name == f"import of {selection}"
    ]


def _summary(trial: Trial, began: float) -> bool:
    """Prints totals by room and the survivors; returns whether there is none."""
    survived = [
        m for m in trial.mutants if m.name in trial.results and not trial.results[m.name].failed
    ]
    lost = Counter(m.room for m in trial.mutants if m in survived or m.name in trial.invalid)
    _say("")
    for room, number in sorted(Counter(m.room for m in trial.mutants).items()):
        _say(f"{room:12} {number - lost[room]:4} of {number:4}")
    for mutant in survived:
        _say(f"survived: {mutant.name} ({mutant.file})")
    for name, why in trial.invalid.items():
        _say(f"invalid:  {name}: without it: {why}")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(entry.ru_utime + entry.ru_stime for entry in used)
    _say(
        f"{len(trial.mutants)} mutants: {len(trial.results) - len(survived)} noticed, "
        f"{len(survived)} survived, {len(trial.invalid)} invalid; "
        f"{(time.monotonic() - began) / 60:.1f} min, {cpu / 60:.1f} CPU-min"
    )
    return not survived and not trial.invalid


def main() -> int:
    """Runs the command line; returns 0 where every mutant is noticed."""
    parser = argparse.ArgumentParser(description="Try wrong changes and run their tests.")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--room", nargs="+", default=[])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="only whether the list fits")
    options = parser.parse_args()
    chosen = read_mutants(options.room, options.only)
    wrong = problems(chosen)
    for line in wrong:
        _say(line)
    if options.check or wrong or not chosen:
        _say(f"{len(chosen)} mutants, {len(wrong)} problems")
        return int(bool(wrong) or not chosen)
    began = time.monotonic()
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg"}
    os.environ.setdefault("CLEARBENCH_ORACLES", str(ROOT.parent / "shared" / "data"))
    _import_libraries()
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / f"copy-{number}" for number in range(options.jobs)]
        trial = Trial(chosen, [Slot(_copied(place)) for place in places])
        trial.run()
    return 0 if _summary(trial, began) else 1


if __name__ == "__main__":
    sys.exit(main())
