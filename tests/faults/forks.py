"""Runs the command line in forks of a process that has imported everything: a start is cheap.

`python forks.py FOLDER` is that process, one for all test processes: it makes a run in the folder,
for what is only imported in use, and forks a child for each client that connects. The child reads a
line of JSON per command line and answers with one. `Forks` is a client. The worker processes of a
command line are forks too, so that they cost no imports either.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import psutil
import yaml
from filelock import FileLock

HERE = Path(__file__)
#: Seconds after which a fork is taken to hang.
PATIENCE = 120.0
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
        [sys.executable, str(HERE), str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline(), "the process that forks has ended"
    return process


def serve(folder: Path) -> None:
    """Forks a child per client, until the process that started this one has ended."""
    parent = os.getppid()
    ready = os.dup(1)
    os.dup2(2, 1)
    os.fsync = lambda descriptor: None  # only a power failure could tell
    seconds = warm(folder)
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{place}/socket")
        listener.listen()
        listener.settimeout(1.0)
        (folder / PLACE).write_text(f"{place}/socket")
        os.write(ready, b"ready\n")
        os.close(ready)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a child ended
        while os.getppid() == parent:
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                if not os.fork():
                    listener.close()
                    answer_all(connection, seconds)
                connection.close()


def answer_all(connection: socket.socket, seconds: float) -> NoReturn:
    """Answers one client until it closes the connection."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        connection.setblocking(True)
        for line in connection.makefile():
            said = answer(json.loads(line), connection, seconds)
            connection.sendall((json.dumps(said) + "\n").encode())
    finally:
        os._exit(0)


def warm(folder: Path) -> float:
    """Imports everything and makes the smallest run, in this process; gives its CPU seconds."""
    import torch
    from matrix import workers_here

    from clearbench.quiet import quiet_libraries

    quiet_libraries()
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    write_recipes(folder)
    began = time.process_time()
    with workers_here():
        words = ["run", folder / "smallest.yaml", "--workers", 1, "--out", folder / "smallest"]
        code = command_line({"words": list(map(str, words)), "before": "", "environment": {}})
    assert code == 0
    taken = folder / "seconds.txt"
    if not taken.exists():  # else the run was there already
        taken.write_text(str(time.process_time() - began))
    gc.collect()
    gc.freeze()  # no collection of a fork has to look at it again
    return float(taken.read_text())


def write_recipes(folder: Path) -> None:
    """Writes `smallest.yaml` and `small.yaml`, and the model that they start from."""
    for name, recipe in (("smallest", smallest_recipe), ("small", small_recipe)):
        text = yaml.safe_dump(recipe(folder), sort_keys=False)
        (folder / f"{name}.yaml").write_text(text)


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


def answer(question: dict[str, Any], connection: socket.socket, seconds: float) -> dict[str, Any]:
    if "words" in question:
        return {"pid": fork(question, connection)}
    if "wait" in question:
        return {"status": wait(question["wait"], question["patience"])}
    return {"seconds": seconds}


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


def fork(question: dict[str, Any], connection: socket.socket) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        os.close(connection.fileno())
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
    sys.path.insert(0, str(HERE.parent))
    serve(Path(sys.argv[1]))
