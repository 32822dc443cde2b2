"""SIGKILL at three stages of one run; started again each time, it equals one never killed."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import yaml

#: A plugin kills the run from inside, at an event and never by the clock: itself in the parent,
#: its parent (and then itself) in a worker.
KILLER = """
import os, signal
from clearbench import storage
from clearbench.report import html
from clearbench.training import loop

PLACE, PARENT = os.environ.get("KILL_AT", ""), os.environ.get("KILL_PARENT", "")
os.environ["KILL_PARENT"] = PARENT or str(os.getpid())

def die():
    if PARENT:
        os.kill(int(PARENT), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)

saved, seal, write_report = [], storage._seal, html.write_report

def save_checkpoint(*given, save=loop.save_checkpoint):
    save(*given)
    saved.append(given)
    if PLACE == "training" and len(saved) == 2:
        die()

def half_seal(folder, about):
    if PLACE == "records" and "measure-language-npo" in folder.name:
        die()
    seal(folder, about)

def half_report(*given):
    if PLACE == "report":
        die()
    return write_report(*given)

loop.save_checkpoint, storage._seal, html.write_report = save_checkpoint, half_seal, half_report
"""


def manifests(out: Path) -> dict[str, tuple[int, int]]:
    """Every finished stage, with what changes when it is written anew."""
    found = {}
    for path in out.glob("stages/*/manifest.json"):
        if not path.parent.name.startswith("."):
            found[path.parent.name] = (path.stat().st_ino, path.stat().st_mtime_ns)
    return found


def no_orphans() -> None:
    """Workers of a killed run end by themselves; nothing of theirs may disturb the next one."""
    mine = [p for p in psutil.process_iter(["environ"]) if "KILL_AT" in (p.info["environ"] or {})]
    _, alive = psutil.wait_procs(mine, timeout=60)
    assert not alive, "workers outlived their run"


def test_a_run_killed_three_times_equals_one_never_killed(
    clearbench_process: Callable[..., Any],
    clearbench: Callable[..., Any],
    small_recipe: dict[str, Any],
    tmp_path: Path,
) -> None:
    recipe, killer = tmp_path / "small.yaml", tmp_path / "killer.py"
    recipe.write_text(yaml.safe_dump(small_recipe, sort_keys=False))
    killer.write_text(KILLER)
    words = ("run", recipe, "--plugin", killer, "--workers", 1, "--out")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    before: dict[str, tuple[int, int]] = {}
    counts = []
    for place in ("training", "records", "report"):
        clearbench_process(*words, killed, code=-signal.SIGKILL, KILL_AT=place, KILL_PARENT="")
        no_orphans()
        assert (killed / "results.json").exists() == (place == "report")
        assert not (killed / "report.html").exists(), place
        after = manifests(killed)
        assert before.items() <= after.items(), "a finished stage was made again"
        before = after
        counts.append(len(after))
    assert counts[0] == 1, "killed while teaching: only the data are there"
    assert 4 <= counts[1] < 10, "killed at records: the data and at least the 3 models"
    assert counts[2] == 10, "killed at the report: data, 3 models, 3 records, 3 scores"
    clearbench_process(*words, whole, KILL_PARENT="")
    clearbench("run", recipe, "--workers", 1, "--out", killed)
    assert manifests(killed) == before, "a finished stage was made again"
    clearbench("runs", "verify", killed)
    clearbench("runs", "verify", "--same", killed, whole)
    results = [json.loads((out / "results.json").read_text()) for out in (killed, whole)]
    for each in results:
        del each["environment"]
        for row in each["rows"]:
            assert row["status"] == "ok"
            del row["cost"]
    assert json.dumps(results[0]) == json.dumps(results[1]), "byte by byte"
    pages = [(out / "report.html").read_text() for out in (killed, whole)]
    assert all("npo" in page.lower() for page in pages)
