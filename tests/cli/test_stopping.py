"""A signal stops the program wherever it comes."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

from clearbench.cli.stopping import SIGNALS, Stopped, stopping


class Signalling:
    """Sends a signal while it is removed, where an exception is lost."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_whose_exception_is_lost_comes_again() -> None:
    began = time.monotonic()
    with pytest.raises(Stopped) as caught, stopping():
        one: Any = Signalling()
        del one
        time.sleep(20)
    assert caught.value.number == signal.SIGTERM
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("number", SIGNALS)
def test_an_exception_that_a_library_wraps_is_taken_out(number: int) -> None:
    with pytest.raises(Stopped) as caught, stopping():
        try:
            signal.raise_signal(number)
        except BaseException as error:
            raise ValueError("cannot write") from error
    assert caught.value.number == number


def test_other_errors_stay_what_they_are() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(ValueError, match="of its own"), stopping():
        raise ValueError("of its own")
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_second_signal_does_not_disturb_the_end() -> None:
    ended = False
    with pytest.raises(Stopped) as caught, stopping():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGTERM)
            ended = True
    assert ended and caught.value.number == signal.SIGINT
