"""Forks command lines for its clients, as a process that has imported everything.

`python forking.py FOLDER` is that process, one for all test processes: it makes a run in the
folder, for what is only imported in use, and forks a child for each client that connects. The child
reads a line of JSON per command line and answers with one. The worker processes of a command line
are forks too, so that they cost no imports either.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from forks import PLACE, small_recipe, smallest_recipe  # noqa: E402


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
    from tqdm import tqdm

    from clearbench.quiet import quiet_libraries

    quiet_libraries()
    tqdm.set_lock(threading.RLock())  # forks share the default one, killed ones too
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

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
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
    serve(Path(sys.argv[1]))
