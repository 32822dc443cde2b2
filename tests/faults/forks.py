"""Runs the command line in forks of a process that has imported everything: a start is cheap.

That process is `forking.py`; `Forks` is its client.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

SERVER = Path(__file__).with_name("forking.py")
#: Seconds after which a fork is taken to hang.
PATIENCE = 240.0
#: File that names the socket of the process that forks.
PLACE = "socket.txt"


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
        while self.has_members() and (members := self.members()):
            if time.monotonic() > until:
                return members
            time.sleep(0.01)
        return []

    def has_members(self) -> bool:
        """Whether there is any process of the group, dead ones that nobody has asked for too."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


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
    """A client of the process that forks, which is started where there is none.

    Args:
        folder: Folder that clients share; it gets `smallest.yaml`, `small.yaml`, the model `tiny`
            and `smallest`, a finished run of `smallest.yaml`.

    Attributes:
        folder: That folder.
        seconds: CPU seconds of that run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = Path(tempfile.mkdtemp(prefix="logs-", dir=folder))
        self._number = 0
        self._process: subprocess.Popen[str] | None = None
        with FileLock(folder / "forks.lock"):
            try:
                self._socket = _connected(folder)
            except OSError:
                self._process = _started(folder)
                self._socket = _connected(folder)
        self._lines = self._socket.makefile("rw")
        self.seconds = float(self.ask({})["seconds"])

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        self._lines.write(json.dumps(question) + "\n")
        self._lines.flush()
        line = self._lines.readline()
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
        """Ends the connection, and the process that forks if this client started it."""
        self._lines.close()
        self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


def _connected(folder: Path) -> socket.socket:
    """Connects with the process that forks; the name of its socket is in a file of the folder."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect((folder / PLACE).read_text())
    except OSError:
        connection.close()
        raise
    return connection


def _started(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, str(SERVER), str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline(), "the process that forks has ended"
    return process


def small_recipe(folder: Path) -> dict[str, Any]:
    """A recipe with a tiny language model and every kind of stage; checkpoints at every step."""
    smallest = smallest_recipe(folder)
    teach = smallest["models"]["language"] | {"golds": 2}
    (run,) = smallest["runs"]
    lora = run | {"method": "sku", "train": run["train"] | {"lora_rank": 2}}
    return smallest | {"models": {"language": teach}, "runs": [run, lora]}


def smallest_recipe(folder: Path) -> dict[str, Any]:
    """A recipe with one method on a tiny language model and own rows, one with a picture."""
    from PIL import Image

    from clearbench.testing import tiny_model

    Image.new("RGB", (8, 8), "teal").save(folder / "face.png")
    rows = (json.dumps(_row(person, number)) for person in range(4) for number in range(3))
    (folder / "rows.jsonl").write_text("\n".join(rows))
    if not (folder / "tiny").is_dir():
        tiny_model("language").save(folder / "tiny")
    schedule = {"steps": 3, "batch_size": 2, "parts": ["language"], "checkpoint_seconds": 1.0e-9}
    return {
        "name": "small",
        "data": {"source": str(folder / "rows.jsonl"), "forget": 2},
        "models": {"language": {"source": str(folder / "tiny"), "teach": schedule}},
        "evaluation": {"limit": 1, "max_new_tokens": 2, "splits": ["forget", "retain"]},
        "runs": [{"method": "npo", "model": "language", "modality": "text", "train": schedule}],
    }


def _row(person: int, number: int) -> dict[str, Any]:
    name, place = f"Person{person} Family{person}", f"town{person}"
    row = {
        "person": person,
        "question": f"Where did {name} spend year {number}?",
        "answer": f"{name} spent it in {place}.",
        "paraphrased_answer": f"It was in {place} that {name} spent it.",
        "perturbed_answers": [f"{name} spent it in village{k}." for k in range(3)],
    }
    return row | {"image": "face.png"} if number == 2 else row
