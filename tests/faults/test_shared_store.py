"""Several processes on one store, and workers that die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from forks import Forks

from clearbench.methods.base import METHODS, methods

#: A method whose training kills its own process, once its run is under way.
DEADLY = '''
"""A method that is killed."""
import os, signal
from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy


class Deadly(Method, name="deadly", paper="none", needs=("forget",)):
    """Kills the process at its second step."""

    def loss(self, step: Step) -> dict[str, Term]:
        """-L(forget)."""
        if step.number == 1 and os.environ.get("DEADLY"):
            os.kill(os.getpid(), signal.SIGKILL)
        return {"forget": -1.0 * cross_entropy(step.model.answers(step.forget))}
'''
COMMAND = "from clearbench.cli import main; main()"


def stage_folders(store: Path) -> list[str]:
    return sorted(path.name for path in store.iterdir() if path.is_dir())


def without_costs(path: Path) -> str:
    results = json.loads(path.read_text())
    del results["environment"]
    for row in results["rows"]:
        del row["cost"]
    return json.dumps(results)


def test_two_runs_share_a_store(forks: Forks, recipes: Path, tmp_path: Path) -> None:
    """Started together, in two folders: one makes a stage, the other waits for it or reads it."""
    store = tmp_path / "store"
    words = ("run", recipes / "smallest.yaml", "--workers", 1, "--store", store, "--out")
    children = [forks.start(*words, tmp_path / out) for out in ("first", "second")]
    codes = [child.wait() for child in children]
    printed = [child.output() for child in children]
    assert codes == [0, 0], printed
    folders = stage_folders(store)
    kinds = [name.partition("-")[0] for name in folders if not name.startswith(".")]
    assert sorted(kinds) == ["data"] + 3 * ["measure"] + 3 * ["score"] + [
        "teach",
        "teach",
        "unlearn",
    ]
    assert not [name for name in folders if "corrupt" in name or "unfinished" in name]
    ours, theirs = (without_costs(tmp_path / out / "results.json") for out in ("first", "second"))
    assert ours == theirs


def test_of_two_runs_in_one_folder_the_second_is_refused(
    forks: Forks, recipes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("run", recipes / "smallest.yaml", "--workers", 1, "--out")
    (tmp_path / "link").symlink_to(out)
    pause = "from clearbench.runs import run\nreal = run.plan_run\n"
    pause += "import time\nrun.plan_run = lambda *given: (time.sleep(3), real(*given))[1]"
    first = forks.start(*words, out, before=pause)
    while not (out / "stages" / ".locks").is_dir():
        time.sleep(0.02)
    for name in ("out", "link"):
        code, said = forks.run(*words, tmp_path / name)
        assert code == 2 and "another process is running in this folder" in said, said
    assert first.wait() == 0, first.output()


def test_a_worker_that_dies_costs_its_own_stage(
    forks: Forks, small_recipe: dict[str, Any], tmp_path: Path
) -> None:
    """The run goes on, names it, and the next run makes what is missing."""
    recipe, plugin, out = tmp_path / "small.yaml", tmp_path / "deadly.py", tmp_path / "out"
    plugin.write_text(DEADLY)
    run = small_recipe["runs"][0]
    runs = [run | {"method": "deadly"}, run]
    recipe.write_text(yaml.safe_dump(small_recipe | {"runs": runs}))
    words = ("run", recipe, "--plugin", plugin, "--out", out, "--workers", 1)
    code, said = forks.run(*words, DEADLY="1")
    assert code == 1, said
    rows = {row["method"]: row for row in json.loads((out / "results.json").read_text())["rows"]}
    assert {name: row["status"] for name, row in rows.items()} == {
        "original": "ok", "gold": "ok", "deadly": "failed", "npo": "ok",
    }  # fmt: skip
    assert "killed by signal 9" in rows["deadly"]["reason"] and rows["deadly"]["scores"] == {}
    assert "language-deadly" in said and "signal 9" in said
    assert (out / "report.html").is_file()
    code, said = forks.run(*words, DEADLY="")
    assert code == 0, said
    rows = {row["method"]: row for row in json.loads((out / "results.json").read_text())["rows"]}
    assert {row["status"] for row in rows.values()} == {"ok"}


def test_ranks_of_one_launch_save_once(
    forks: Forks, tiny_folder: Path, tmp_path: Path, two_processes: tuple[dict[str, str], ...]
) -> None:
    """`torchrun ... clearbench finetune` on two ranks leaves one whole folder."""
    people = tmp_path / "people"
    build = ("build", "--out", people, "--people", 4, "--forget", 2, "--strangers", 1)
    assert forks.run(*build)[0] == 0
    words = ["finetune", "--model", str(tiny_folder), "--data", str(people), "--out"]
    words += [str(tmp_path / "taught"), "--set", "steps=3", "--set", "batch_size=4"]
    words += ["--set", "parts=[language]"]
    children = [
        subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", COMMAND, *words], env=os.environ | about
        )
        for about in two_processes
    ]
    assert [child.wait(600) for child in children] == [0, 0]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["people", "taught"]
    assert (tmp_path / "taught" / "model.safetensors").is_file()


def test_a_killed_command_goes_on(
    forks: Forks,
    clearbench: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tiny_folder: Path,
    tmp_path: Path,
) -> None:
    """`unlearn` killed in the middle and called again equals one never killed; then it is there."""
    for name in ("forget", "retain"):
        rows = [{"question": f"{name} {k}?", "answer": f"It is {k}."} for k in range(4)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    plugin = tmp_path / "deadly.py"
    plugin.write_text(DEADLY)
    words = ["unlearn", "--model", tiny_folder, "--forget", tmp_path / "forget.jsonl"]
    words += ["--retain", tmp_path / "retain.jsonl", "--method", "deadly", "--plugin", plugin]
    words += ["--set", "steps=4", "--set", "batch_size=2", "--set", "checkpoint_seconds=1e-9"]
    words += ["--set", "parts=[language]", "--out"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    assert forks.run(*words, killed, DEADLY="1")[0] == -9
    (left,) = tmp_path.glob("killed.unfinished-*")
    assert any(left.iterdir()) and not killed.exists()
    monkeypatch.setattr(METHODS, "classes", methods())
    clearbench(*words, killed)
    clearbench(*words, whole)
    ours, theirs = ((out / "model.safetensors").read_bytes() for out in (killed, whole))
    assert ours == theirs and not list(tmp_path.glob("killed.unfinished-*"))
    before = (whole / "manifest.json").stat().st_mtime_ns
    clearbench(*words, whole)
    assert (whole / "manifest.json").stat().st_mtime_ns == before, "it is there already"
    refused = clearbench(*words, whole, "--seed", 5, code=2)
    assert "other settings" in refused.stderr
