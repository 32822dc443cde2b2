"""Applies every mutant in a copy of the source, runs its tests, and prints which survive.

    python tests/mutants/run.py [--only NAME ...] [--room ROOM ...] [--jobs 1] [--check]

A mutant is noticed when one of its tests fails, or does not end. Each is tried in a forked process:
those of the code of functions by patching what is imported (`patching.py`), what is not noticed so
and all others in a file that is imported anew. At the end the tests that noticed one run on the
unchanged copy: where one fails there too, nothing can be said of its mutants.
"""

from __future__ import annotations

import argparse
import compileall
import importlib
import json
import os
import pkgutil
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FunctionType

sys.path.insert(0, str(Path(__file__).parent))
from patching import Key, changed_code, imported_functions, patch
from slots import UNTRIED, Ended, Slot

from mutants import ROOT, Mutant, problems, read_mutants

#: Seconds after which tests that have not ended have noticed a mutant.
PATIENCE = 1800.0


def import_clearbench() -> None:
    """Imports every module of clearbench."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("pytest", "hypothesis", "torch"):
            importlib.import_module(name)
        package = importlib.import_module("clearbench")
        for found in pkgutil.walk_packages(package.__path__, "clearbench."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _import_libraries(names: Sequence[str]) -> None:
    """Imports what clearbench imports, but not clearbench itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            with suppress(Exception):
                importlib.import_module(name)


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
        """Tries every mutant, then runs the tests that noticed one without any mutant."""
        self._apart()
        self._try([mutant for mutant in self.mutants if mutant.name not in self.results])
        first = self.slots[0]
        first.start(
            list(dict.fromkeys(t for m in self.mutants for t in self._asked(m))), None, 3600
        )
        while (ended := first.poll()) is None:
            time.sleep(0.1)
        for mutant in self.mutants:
            found = [out for test in self._asked(mutant) for out in _of(test, ended.outcomes)]
            if not found or any(out == "failed" for out in found) or "passed" not in found:
                self.invalid[mutant.name] = f"{' '.join(self._asked(mutant))}: {set(found)}"
        if self.invalid:
            _say((first.folder / "log.txt").read_text()[-6000:])

    def _asked(self, mutant: Mutant) -> Sequence[str]:
        """Lists the tests that must pass without a mutant: the one that noticed it, or all."""
        failed = self.results[mutant.name].failed
        return [failed.partition("[")[0]] if failed.startswith("tests/") else mutant.tests

    def _apart(self) -> None:
        """Tries mutants in a process that imports clearbench once, and reads what it noticed."""
        folder = self.slots[0].folder
        noted, process = folder / "noticed.json", os.fork()
        if process == 0:
            try:
                sys.path[0] = str(folder / "src")
                import_clearbench()
                own = [Slot(folder, name=f"-{k}") for k in range(len(self.slots))]
                trial = Trial(self.mutants, own)
                trial._try(self.mutants, imported_functions(folder))
                found = {n: e.failed for n, e in trial.results.items() if e.failed}
                names = [name for name in sys.modules if name.partition(".")[0] != "clearbench"]
                noted.write_text(json.dumps({"found": found, "modules": names}))
            finally:
                os._exit(0)
        os.waitpid(process, 0)
        told = json.loads(noted.read_text())
        self.results |= {name: Ended({}, failed) for name, failed in told["found"].items()}
        _import_libraries(told["modules"])

    def _try(
        self, tasks: Sequence[Mutant], functions: dict[Key, list[FunctionType]] | None = None
    ) -> None:
        """Tries mutants in source files, or in functions that are imported."""
        left = [*tasks][::-1]
        while left or any(slot.pid for slot in self.slots):
            for slot in self.slots:
                ended = slot.poll() if slot.pid else None
                if ended is not None and slot.mutant is not None:
                    self._note(slot.mutant, ended, final=functions is None)
                if not slot.pid and left:
                    mutant = left.pop()
                    if functions is None:
                        slot.start(mutant.tests, mutant, PATIENCE)
                    elif changes := changed_code(mutant, slot.folder):
                        change = partial(patch, changes, functions)
                        slot.start(mutant.tests, mutant, PATIENCE, change)
            time.sleep(0.02)

    def _note(self, mutant: Mutant, ended: Ended, *, final: bool) -> None:
        if ended.failed == f"pytest ended with {UNTRIED}":
            return
        self.results[mutant.name] = ended
        if ended.failed:
            _say(f"noticed   {mutant.name}: {ended.failed}")
        elif final:
            _say(f"SURVIVED  {mutant.name}: {mutant.why}")


def _of(selection: str, outcomes: Mapping[str, str]) -> list[str]:
    """Lists the outcomes of the tests of a selection."""
    starts = (f"{selection}::", f"{selection}[")
    return [
        outcome
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
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / f"copy-{number}" for number in range(options.jobs)]
        trial = Trial(chosen, [Slot(_copied(place)) for place in places])
        trial.run()
    return 0 if _summary(trial, began) else 1


if __name__ == "__main__":
    sys.exit(main())
