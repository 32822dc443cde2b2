"""Runs tests in a forked process, with one mutant in a copy of the tree."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutants import SOURCE, Mutant

_FLAGS = (
    "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--durations=0", "--tb=short",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
#: Exit code of a process whose mutant cannot be put into functions.
UNTRIED = 98
#: CPU seconds after which tests that have not ended have noticed a mutant.
CPU_SECONDS = 120


@dataclass
class Ended:
    """How a run of tests ended.

    Attributes:
        outcomes: Outcome of every test that was run.
        failed: First test that failed, or how the process ended; empty where all passed.
    """

    outcomes: dict[str, str]
    failed: str


@dataclass
class Slot:
    """A copy of the tree in which one mutant at a time is tried.

    Attributes:
        folder: Folder of the copy.
        pid: Process that runs the tests; 0 for none.
        before: Content and time of the file that is changed.
        name: Ending of file names, where several share a copy.
    """

    folder: Path
    pid: int = 0
    deadline: float = 0.0
    before: tuple[bytes, int] = (b"", 0)
    mutant: Mutant | None = None
    written: bool = False
    name: str = ""

    def start(
        self,
        tests: Sequence[str],
        mutant: Mutant | None,
        limit: float,
        prepare: Callable[[], bool] | None = None,
    ) -> None:
        """Runs tests in a forked process: with a mutant to the first failure, or all without.

        Args:
            tests: Selections of tests.
            mutant: Mutant to write into the copy, unless `prepare` changes functions.
            limit: Seconds until the process is ended.
            prepare: Function that the process calls first; it ends where that returns False.
        """
        self.mutant, self.written = mutant, mutant is not None and prepare is None
        self.report.unlink(missing_ok=True)
        if mutant is not None and self.written:
            path = self.folder / SOURCE / mutant.file
            self.before = path.read_bytes(), path.stat().st_mtime_ns
            path.write_text(mutant.applied(self.folder), encoding="utf-8")
            os.utime(path, (0, 0))  # so that no compiled file is taken for its own
        self.deadline = time.monotonic() + limit
        self.pid = os.fork()
        if self.pid == 0:
            _child(self, tests, prepare or (lambda: True))

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
        if self.mutant is not None and self.written:
            path = self.folder / SOURCE / self.mutant.file
            path.write_bytes(self.before[0])
            os.utime(path, ns=(self.before[1], self.before[1]))
        outcomes = json.loads(self.report.read_text()) if self.report.is_file() else {}
        failed = next((name for name, outcome in outcomes.items() if outcome == "failed"), "")
        if late:
            failed = "it did not end"
        elif not failed and status:
            failed = f"pytest ended with {os.waitstatus_to_exitcode(status)}"
        return Ended(outcomes, failed)

    @property
    def report(self) -> Path:
        """File of the outcomes of tests."""
        return self.folder / f"report{self.name}.json"


class _Report:
    """Writes the outcome of every test at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.outcome != "passed" or report.nodeid not in self.outcomes:
            self.outcomes[report.nodeid] = report.outcome

    def pytest_collectreport(self, report: Any) -> None:
        if report.outcome == "failed":
            self.outcomes[f"import of {report.nodeid}"] = "failed"

    def pytest_sessionfinish(self) -> None:
        self.path.write_text(json.dumps(self.outcomes))


def _child(slot: Slot, tests: Sequence[str], prepare: Callable[[], bool]) -> None:
    """Runs pytest in the copy and ends the process."""
    code, folder = 99, slot.folder
    try:
        os.setsid()
        os.chdir(folder)
        log = os.open(folder / f"log{slot.name}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.dont_write_bytecode = slot.mutant is not None
        sys.path[0] = str(folder / "src")
        os.environ["PYTHONPATH"] = str(folder / "src")
        import pytest

        flags = [*_FLAGS, "--basetemp", str(folder / f"temporary{slot.name}")]
        flags += ["--rootdir", str(folder)]
        flags += ["-x"] if slot.mutant else ["--continue-on-collection-errors"]
        if slot.mutant:
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
        code = UNTRIED
        if prepare():
            code = int(pytest.main([*flags, *tests], plugins=[_Report(slot.report)]))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
