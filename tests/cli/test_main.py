"""The two ways to start the program."""

from __future__ import annotations

import runpy
import sys

import pytest


def test_the_package_runs_as_a_module(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["clearbench", "list", "recipes"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("clearbench", run_name="__main__")
    assert not ended.value.code
    assert "demo" in capsys.readouterr().out
