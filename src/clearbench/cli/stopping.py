"""Ends the program in order when it is told to stop, or when its output cannot be written."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds after which a signal is sent again whose exception was lost.
AGAIN_SECONDS = 0.05


class Stopped(BaseException):
    """Raised in the main thread when the program is told to stop.

    Args:
        number: Number of the signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


@contextmanager
def stopping() -> Iterator[None]:
    """Raises `Stopped` where a signal comes; further ones do not disturb the end.

    A signal that the caller of the program ignores, as `nohup` does, stays ignored. Where the
    exception is lost, since it was raised while Python removed an object, it is raised again; one
    that a library has wrapped into its own is taken out.

    Raises:
        Stopped: A signal came.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [n for n, handler in before.items() if handler is not signal.SIG_IGN]
    told: list[int] = []
    say_lost = sys.unraisablehook

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        for other in heard:
            signal.signal(other, signal.SIG_IGN)
        told.append(number)
        raise Stopped(number)

    def raise_again(lost: sys.UnraisableHookArgs) -> None:
        if not isinstance(lost.exc_value, Stopped):
            say_lost(lost)
            return
        for other in heard:
            signal.signal(other, stop)
        again = Timer(AGAIN_SECONDS, os.kill, (os.getpid(), lost.exc_value.number))
        again.daemon = True
        again.start()

    with suppress(ValueError):  # outside the main thread no signal is heard
        for number in heard:
            signal.signal(number, stop)
        sys.unraisablehook = raise_again
    try:
        yield
    except Exception as error:
        if told:
            raise Stopped(told[-1]) from error
        raise
    finally:
        sys.unraisablehook = say_lost
        with suppress(ValueError):
            for number in heard:
                signal.signal(number, before[number])


def show_anything() -> None:
    """Lets the output replace letters that its encoding lacks, as an ASCII terminal does.

    What is printed to an output that the shell has closed (`>&-`) goes nowhere.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, nowhere)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def flush() -> OSError | None:
    """Writes out what was printed; what cannot be written is dropped.

    Returns:
        The error of an output that cannot be written.
    """
    failed: OSError | None = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            failed = error
            with suppress(OSError):  # else the interpreter tries again when it ends
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return failed
