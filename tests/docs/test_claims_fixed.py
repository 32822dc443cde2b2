"""What the recipes of docs/claims.md fix, and since when, as git says it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from clearbench.runs.recipe import Recipe, load_recipe

NAMES = ("claim-l1", "claim-both", "claim-destroy", "claim-lambda")


@pytest.fixture(autouse=True)
def no_other_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)


@cache
def recipe(name: str) -> Recipe:
    return load_recipe(name)


@pytest.fixture(scope="module")
def fixed(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("claims.fixed")


def test_the_four_share_originals_and_stop_nowhere_early() -> None:
    recipes = [recipe(name) for name in NAMES]
    kind, table = "vision-language", recipe("all-methods")
    for each in recipes:
        assert each.seeds == (0, 1, 2) and (each.data, each.seed) == (table.data, table.seed)
        assert each.models[kind].teach == table.models[kind].teach
        assert each.evaluation == recipes[0].evaluation
        assert {run.train.steps for run in each.runs} == {30}
        assert not any(run.train.until for run in each.runs)


def test_the_arms_of_l1_have_the_same_penalties_and_lora_its_own_rate() -> None:
    strengths = {"sum": [1e-6, 1e-5, 1e-4, 1e-3, 1e-2], "mean": [1e-2]}
    runs = recipe("claim-l1").runs
    same = {"penalty": None, "lora_rank": None, "learning_rate": 1.0}
    assert len({run.train.model_copy(update=same) for run in runs}) == 1
    assert len(runs) == 14
    for rank, on, rates in ((8, "adapter", (5e-3, 1.5e-2, 5e-2)), (None, "delta", (1.5e-3,))):
        arm = [run.train for run in runs if run.train.lora_rank == rank]
        none, *penalties = [train.penalty for train in arm]
        assert none is None and {each.on for each in penalties if each} == {on}
        assert len({train.learning_rate for train in arm}) == 1
        assert arm[0].learning_rate in rates
        for reduce, tried in strengths.items():
            assert [e.strength for e in penalties if e and e.reduce == reduce] == tried


def test_both_weighs_the_modalities_evenly() -> None:
    for run in recipe("claim-both").runs:
        assert len({*run.train.modality_weights.by_name.values()}) == 1


def git(folder: Path, *words: str) -> str:
    about = ("-c", "user.name=x", "-c", "user.email=x@y", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *about, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


def test_the_commit_is_the_last_that_changed_rules_or_recipe(
    fixed: ModuleType, tmp_path: Path
) -> None:
    def commit(path: str, text: str) -> str:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        git(tmp_path, "add", path)
        git(tmp_path, "commit", "-q", "-m", path)
        return git(tmp_path, "log", "-1", "--abbrev=12", "--format=%h (%cs)")

    git(tmp_path, "init", "-q")
    for path in fixed.RULES:
        rules = commit(path, "1")
    other = commit("recipes/b.yaml", "1")
    own = commit("recipes/a.yaml", "1")
    commit("docs/claims.md", "1")
    assert fixed.fixed("a", tmp_path) == own
    assert fixed.fixed("b", tmp_path) == other != rules
    assert fixed.fixed("a", tmp_path) != (later := commit("docs/claims/rules.py", "2"))
    assert fixed.fixed("a", tmp_path) == fixed.fixed("b", tmp_path) == later
    (tmp_path / "recipes/a.yaml").write_text("2")
    assert fixed.fixed("b", tmp_path) == later
    with pytest.raises(SystemExit, match=r"commit these before .*\n.*recipes/a.yaml"):
        fixed.fixed("a", tmp_path)


def test_without_git_nothing_is_said_to_be_fixed(fixed: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="git -C"):
        fixed.fixed("a", tmp_path)
