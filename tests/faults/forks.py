"""Runs the command line in forks of a process that has imported everything: a start is cheap.

`python forks.py` is that process: it reads a line of JSON per fork and answers with one. `Forks` is
its client. A fork's worker processes are forks too, so that they cost no imports either.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__)
#: Seconds after which a fork is taken to hang.
PATIENCE = 120.0


@dataclass
class Fork:
    """A command line that runs in a process group of its own."""

    forks: Forks
    pid: int
    log: Path

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait(self, patience: float = PATIENCE) -> int:
        """The exit status; that of a signal is negative, as in `subprocess`."""
        return int(self.forks.ask({"wait": self.pid, "patience": patience})["status"])

    def send(self, number: int) -> None:
        """Sends a signal to the process alone."""
        os.kill(self.pid, number)

    def send_group(self, number: int) -> None:
        """Sends a signal to the process and its workers, as a terminal does."""
        os.killpg(self.pid, number)

    @staticmethod
    def signal(pid: int, number: int) -> None:
        """Sends a signal to one of its workers."""
        os.kill(pid, number)

    def members(self) -> list[psutil.Process]:
        """Processes of the group, this one first."""
        found = []
        for process in psutil.process_iter():
            try:
                if os.getpgid(process.pid) == self.pid and process.status() != "zombie":
                    found.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return sorted(found, key=lambda process: process.pid != self.pid)

    def workers(self) -> list[int]:
        """Ids of its worker processes."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        except OSError:
            return []
        return [int(pid) for pid in children.split()]

    def cpu(self) -> float:
        """CPU seconds of the process and of its workers that are alive."""
        return sum(map(_cpu, (self.pid, *self.workers())))

    def has_ended(self) -> bool:
        return _state(self.pid) in ("", "Z")

    def left(self, patience: float = 5.0) -> list[psutil.Process]:
        """Processes of the group that are still there after some seconds."""
        until = time.monotonic() + patience
        while (members := self.members()) and time.monotonic() < until:
            time.sleep(0.02)
        return members


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _state(pid: int) -> str:
    return next(iter(_stat(pid)), "")


def _cpu(pid: int) -> float:
    return sum(map(int, _stat(pid)[11:13])) / os.sysconf("SC_CLK_TCK")


class Forks:
    """The process that forks, and what it is asked."""

    def __init__(self) -> None:
        self.logs = Path(tempfile.mkdtemp(prefix="forks-"))
        self._number = 0
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, str(HERE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ask({})

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process that forks has ended"
        return dict(json.loads(line))

    def start(self, *words: object, before: str = "", **environment: str) -> Fork:
        """Starts a command line; `before` is code that the fork runs first."""
        self._number += 1
        log = self.logs / f"{self._number}.log"
        log.touch()
        question = {
            "words": [str(word) for word in words],
            "before": before,
            "environment": environment,
            "log": str(log),
        }
        return Fork(self, self.ask(question)["pid"], log)

    def run(self, *words: object, before: str = "", **environment: str) -> tuple[int, str]:
        """Runs a command line to its end; gives its exit status and what it printed."""
        fork = self.start(*words, before=before, **environment)
        return fork.wait(), fork.output()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def serve() -> None:
    """Answers until its standard input is closed."""
    warm()
    answers = os.dup(1)
    os.dup2(2, 1)
    for line in sys.stdin:
        os.write(answers, (json.dumps(answer(json.loads(line), answers)) + "\n").encode())


def warm() -> None:
    """Imports everything, and makes a small run once, for what is only imported in use."""
    import torch

    from clearbench.cli import main  # noqa: F401
    from clearbench.quiet import quiet_libraries

    quiet_libraries()
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        make(smallest_recipe(Path(folder)), Path(folder) / "out")


def make(content: dict[str, Any], out: Path) -> None:
    """Makes all stages of a recipe in this process, and its page."""
    from rich.console import Console

    from clearbench.report.html import refresh_page
    from clearbench.runs import run as running
    from clearbench.runs.cache import WorkerCache
    from clearbench.runs.execute import Runtime, with_parents
    from clearbench.runs.making import make_stage
    from clearbench.runs.recipe import parse_recipe

    recipe, cache = parse_recipe(content, "test"), WorkerCache()
    planned = running.plan_run(recipe, out)
    for stage in with_parents(planned.stages).values():
        make_stage(stage, planned.store, cache, lambda *_: None)
    running.run(recipe, out, Runtime(workers=1), Console(quiet=True))
    refresh_page(out)


def small_recipe(folder: Path) -> dict[str, Any]:
    """A recipe with a tiny language model and every kind of stage; checkpoints at every step."""
    smallest = smallest_recipe(folder)
    teach = smallest["models"]["language"] | {"golds": 2}
    (run,) = smallest["runs"]
    lora = run | {"method": "sku", "train": run["train"] | {"lora_rank": 2}}
    return smallest | {"models": {"language": teach}, "runs": [run, lora]}


def smallest_recipe(folder: Path) -> dict[str, Any]:
    """A recipe with one method on a tiny language model."""
    from clearbench.testing import tiny_model

    if not (folder / "tiny").is_dir():
        tiny_model("language").save(folder / "tiny")
    schedule = {"steps": 3, "batch_size": 2, "parts": ["language"], "checkpoint_seconds": 1.0e-9}
    return {
        "name": "small",
        "data": {"people": 4, "strangers": 1, "forget": 2},
        "models": {"language": {"source": str(folder / "tiny"), "teach": schedule}},
        "evaluation": {"limit": 1, "max_new_tokens": 2, "splits": ["forget", "retain"]},
        "runs": [{"method": "npo", "model": "language", "modality": "text", "train": schedule}],
    }


def answer(question: dict[str, Any], answers: int) -> dict[str, Any]:
    if "words" in question:
        return {"pid": fork(question, answers)}
    if "wait" in question:
        return {"status": wait(question["wait"], question["patience"])}
    return {}


def wait(pid: int, patience: float) -> int:
    until = time.monotonic() + patience
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.killpg(pid, signal.SIGKILL)
            until = float("inf")
        time.sleep(0.005)


def fork(question: dict[str, Any], answers: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        os.close(answers)
        log = os.open(question["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        code = command_line(question)
    finally:
        os._exit(code)


def command_line(question: dict[str, Any]) -> int:
    import multiprocessing

    from clearbench.cli import main
    from clearbench.runs import worker

    os.environ |= {"COLUMNS": "200", **question["environment"]}
    sys.argv = ["clearbench", *question["words"]]
    worker.process_context = lambda: multiprocessing.get_context("fork")
    exec(question["before"], {})  # noqa: S102 - a test's own code
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 71
    for process in multiprocessing.active_children():
        process.kill()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    serve()
