"""Applies every mutant in a copy of the source, runs its tests, and prints which survive.

    python tests/mutants/run.py [--only NAME ...] [--room ROOM ...] [--jobs 1] [--check]

A mutant is noticed when one of its tests fails, or does not end. Each selection of tests first runs
on the unchanged copy: where that fails, nothing can be said of its mutants. The libraries are
imported once; a forked process imports clearbench from the copy and runs pytest.
"""

from __future__ import annotations

import argparse
import compileall
import importlib
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

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
    "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--durations=0", "--tb=short",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
#: Seconds that a run may take besides ten times what it takes without a mutant.
PATIENCE = 30.0


@dataclass
class Ended:
    """How the tests of one selection ended.

    Attributes:
        passed: Number of tests that passed.
        failed: First test that failed, or how the process ended; empty where all passed.
        seconds: Wall time.
    """

    passed: int
    failed: str
    seconds: float


@dataclass
class Slot:
    """A copy of the tree in which one mutant at a time is tried.

    Attributes:
        folder: Folder of the copy.
        pid: Process that runs the tests; 0 for none.
    """

    folder: Path
    pid: int = 0
    began: float = 0.0
    deadline: float = 0.0
    mutant: Mutant | None = None
    tests: tuple[str, ...] = ()

    def start(self, tests: tuple[str, ...], mutant: Mutant | None, limit: float) -> None:
        """Runs tests in a forked process, with a mutant or without."""
        self.mutant, self.tests = mutant, tests
        self._write(mutant.applied(self.folder) if mutant else None)
        self.began = time.monotonic()
        self.deadline = self.began + limit
        self.pid = os.fork()
        if self.pid == 0:
            _child(self.folder, tests, keep_bytecode=mutant is None)

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
            shutil.copy2(ROOT / SOURCE / self.mutant.file, self._changed())
        report = self.folder / "report.txt"
        passed, _, failed = report.read_text().partition(" ") if report.is_file() else ("0", "", "")
        if late:
            failed = "it did not end"
        elif not failed and status:
            failed = f"pytest ended with {os.waitstatus_to_exitcode(status)}"
        return Ended(int(passed), failed, time.monotonic() - self.began)

    def _changed(self) -> Path:
        assert self.mutant is not None
        return self.folder / SOURCE / self.mutant.file

    def _write(self, text: str | None) -> None:
        (self.folder / "report.txt").unlink(missing_ok=True)
        if text is not None:
            path = self._changed()
            path.write_text(text, encoding="utf-8")
            os.utime(path, (0, 0))  # so that no compiled file is taken for its own


class _Report:
    """Writes the number of passed tests and the first that failed."""

    def __init__(self, path: Path) -> None:
        self.path, self.passed = path, 0

    def pytest_runtest_logreport(self, report: object) -> None:
        when, outcome = getattr(report, "when", ""), getattr(report, "outcome", "")
        self.passed += when == "call" and outcome == "passed"
        self._say(getattr(report, "nodeid", "") if outcome == "failed" else "")

    def pytest_collectreport(self, report: object) -> None:
        if getattr(report, "outcome", "") == "failed":
            self._say(f"import of {getattr(report, 'nodeid', '')}")

    def _say(self, failed: str) -> None:
        if failed or not self.path.is_file() or self.path.read_text().endswith(" "):
            self.path.write_text(f"{self.passed} {failed}")


def _child(folder: Path, tests: Sequence[str], *, keep_bytecode: bool) -> None:
    """Runs pytest in the copy and ends the process."""
    code = 99
    try:
        os.setsid()
        os.chdir(folder)
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.dont_write_bytecode = not keep_bytecode
        sys.path[0] = str(folder / "src")
        os.environ["PYTHONPATH"] = str(folder / "src")
        import pytest

        flags = (*_FLAGS, "--basetemp", str(folder / "temporary"), "--rootdir", str(folder))
        code = int(pytest.main([*flags, *tests], plugins=[_Report(folder / "report.txt")]))
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
    """All that is to be run, and what came of it."""

    mutants: Sequence[Mutant]
    slots: Sequence[Slot]
    baselines: dict[tuple[str, ...], Ended] = field(default_factory=dict)
    results: dict[str, Ended] = field(default_factory=dict)

    def run(self) -> None:
        """Runs every selection without a mutant, then every mutant."""
        selections = list(dict.fromkeys(mutant.tests for mutant in self.mutants))
        self._all(((tests, None, 900.0) for tests in selections), self._note_baseline)
        whole = [m for m in self.mutants if self._passes(m.tests)]
        limits = ((m.tests, m, PATIENCE + 10 * self.baselines[m.tests].seconds) for m in whole)
        self._all(limits, self._note_mutant)

    def _passes(self, tests: tuple[str, ...]) -> bool:
        ended = self.baselines[tests]
        return not ended.failed and ended.passed > 0

    def _all(
        self,
        tasks: Iterator[tuple[tuple[str, ...], Mutant | None, float]],
        note: Callable[[Slot, Ended], None],
    ) -> None:
        left = list(tasks)[::-1]
        while left or any(slot.pid for slot in self.slots):
            for slot in self.slots:
                ended = slot.poll() if slot.pid else None
                if ended is not None:
                    note(slot, ended)
                if not slot.pid and left:
                    slot.start(*left.pop())
            time.sleep(0.02)

    def _note_baseline(self, slot: Slot, ended: Ended) -> None:
        self.baselines[slot.tests] = ended
        if not self._passes(slot.tests):
            why = ended.failed or "no test ran"
            _say(f"invalid   {' '.join(slot.tests)}: without a mutant: {why}")
            _say((slot.folder / "log.txt").read_text()[-3000:])

    def _note_mutant(self, slot: Slot, ended: Ended) -> None:
        assert slot.mutant is not None
        self.results[slot.mutant.name] = ended
        word = f"noticed   {slot.mutant.name}: {ended.failed}" if ended.failed else ""
        _say(word or f"SURVIVED  {slot.mutant.name}: {slot.mutant.why}")


def _summary(trial: Trial, began: float) -> bool:
    """Prints totals by room and the survivors; returns whether there is none."""
    survived = [m for m in trial.mutants if m.name in trial.results]
    survived = [m for m in survived if not trial.results[m.name].failed]
    invalid = [m for m in trial.mutants if m.name not in trial.results]
    lost, count = Counter(m.room for m in survived), Counter(m.room for m in trial.mutants)
    _say("")
    for room, number in sorted(count.items()):
        _say(f"{room:12} {number - lost[room]:4} of {number:4}")
    for mutant in survived:
        _say(f"survived: {mutant.name} ({mutant.file})")
    for mutant in invalid:
        _say(f"invalid:  {mutant.name} ({' '.join(mutant.tests)})")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(entry.ru_utime + entry.ru_stime for entry in used)
    noticed = len(trial.results) - len(survived)
    _say(
        f"{len(trial.mutants)} mutants: {noticed} noticed, {len(survived)} survived, "
        f"{len(invalid)} invalid; {(time.monotonic() - began) / 60:.1f} min, "
        f"{cpu / 60:.1f} CPU-min"
    )
    return not survived and not invalid


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
