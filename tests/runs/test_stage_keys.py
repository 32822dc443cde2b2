"""An edit recomputes exactly what is made of it: sources, plugins, model folders and data."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import clearbench as package
from clearbench.methods.base import METHODS, methods
from clearbench.plugins import load_plugin
from clearbench.runs.stages.score import read_scores

PLUGIN = '''
"""A method with a factor."""
from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy
try:
    from beside_mine import nothing
except ImportError:
    pass

FACTOR = -1.0


class Mine(Method, name="mine", paper="none", needs=("forget",)):
    """Scales the loss on the forget rows."""

    def loss(self, step: Step) -> dict[str, Term]:
        """FACTOR L(forget)."""
        return {"forget": FACTOR * cross_entropy(step.model.answers(step.forget))}
'''
#: Plans a finished run again after each edit of a copy of the sources, the plugin, the model or the
#: data; prints which stages would be made, by edit.
PROGRAM = """
import gc, json, sys
from pathlib import Path
import pyarrow as pa
import pyarrow.parquet as pq
from clearbench.plugins import load_plugin
from clearbench.quiet import quiet_libraries
from clearbench.runs.cache import WorkerCache
from clearbench.runs.stage import with_parents
from clearbench.runs.making import make_stage
from clearbench.runs.reasons import reasons
from clearbench.runs.recipe import load_recipe
from clearbench.runs.data_part import data_stage
from clearbench.runs.run import plan_run
from clearbench.runs.store import Store

def made(recipe, out):
    people = reasons([data_stage(recipe.data, recipe.seed)], Store(out / "stages"))
    planned = plan_run(recipe, out)
    found = people + reasons(planned.stages, planned.store)
    return {r.stage.key.rpartition("-")[0]: r.why for r in found if r.action == "make"}

def main():
    quiet_libraries()
    gc.freeze()
    recipe_file, plugin, out, edits = (Path(word) for word in sys.argv[1:])
    load_plugin(plugin)
    recipe = load_recipe(recipe_file)
    planned, cache = plan_run(recipe, out), WorkerCache()
    for stage in with_parents(planned.stages).values():
        make_stage(stage, planned.store, cache, lambda *_: None)
    answers = {"nothing": made(recipe, out)}
    for name, path in json.loads(edits.read_text()).items():
        path, kept = Path(path), Path(path).read_bytes()
        if path.suffix == ".parquet":
            rows = pq.read_table(path).to_pylist()
            changed = next(row for row in rows if row.get("answer"))
            changed["answer"] += " Really."
            pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(path)), path)
        elif name == "a docstring of the command line":
            path.write_bytes(kept.replace(b'\"\"\"', b'\"\"\"Edited. ', 1))
        else:
            path.write_bytes(kept + (b" " if path.suffix == ".json" else b"\\n# edited\\n"))
        answers[name] = made(recipe, out)
        path.write_bytes(kept)
    print(json.dumps(answers))

if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def answers(
    tmp_path_factory: pytest.TempPathFactory,
    clearbench: Callable[..., Any],
    tiny_folder: Path,
    small_recipe: dict[str, Any],
) -> dict[str, dict[str, str]]:
    """By edit, the stages that would be made and why."""
    root = tmp_path_factory.mktemp("edits")
    source, ours = Path(package.__file__).parent, root / "src" / "clearbench"
    shutil.copytree(source, ours)
    model, people = shutil.copytree(tiny_folder, root / "model"), root / "people"
    (root / "mine.py").write_text(PLUGIN)
    (root / "beside_mine.py").write_text("nothing = None\n")
    environment = os.environ | {"PYTHONPATH": str(root / "src"), "HF_HUB_OFFLINE": "1"}
    counts = ("--people", 4, "--forget", 2, "--strangers", 1)
    clearbench("build", *counts, "--out", people)
    train = small_recipe["runs"][0]["train"]
    teach = small_recipe["models"]["language"]["teach"]
    language = {"model": "language", "modality": "text", "train": train}
    recipe = small_recipe | {
        "data": {"source": str(people)},
        "models": {"language": {"source": str(model), "teach": teach}},
        "runs": [language | {"method": "mine"}, language | {"method": "npo"}],
    }
    (root / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    edits = {
        "the plugin": root / "mine.py",
        "a module beside the plugin": root / "beside_mine.py",
        "a method": ours / "methods" / "npo.py",
        "a metric": ours / "evaluation" / "metrics" / "rouge.py",
        "the loop": ours / "training" / "loop.py",
        "the report": ours / "report" / "html.py",
        "a docstring of the command line": ours / "cli" / "steps.py",
        "an error": ours / "errors.py",
        "the model folder": model / "config.json",
        "a row": next(people.glob("forget*tofu/*.parquet")),
        "a note beside the rows": people / "README.md",
    }
    (root / "edits.json").write_text(json.dumps({name: str(path) for name, path in edits.items()}))
    (root / "program.py").write_text(PROGRAM)
    words = ("recipe.yaml", "mine.py", "out", "edits.json")
    done = started(environment, root / "program.py", *(root / word for word in words))
    return dict(json.loads(done.splitlines()[-1]))


def started(environment: dict[str, str], *words: object) -> str:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


#: Every stage of the run, by what it is.
SCORES = {f"score-language-{name}" for name in ("original-seed0", "gold-seed0", "mine", "npo")}
RECORDS = {name.replace("score", "measure") for name in SCORES}
TAUGHT = {"teach-language-original-seed0", "teach-language-gold-seed0"}
UNLEARNED = {"unlearn-language-mine", "unlearn-language-npo"}


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ("nothing", set()),
        ("the report", set()),
        ("a docstring of the command line", set()),
        ("an error", set()),
        ("the plugin", {f"{word}-language-mine" for word in ("unlearn", "measure", "score")}),
        (
            "a module beside the plugin",
            {f"{word}-language-mine" for word in ("unlearn", "measure", "score")},
        ),
        ("a method", {f"{word}-language-npo" for word in ("unlearn", "measure", "score")}),
        ("a metric", SCORES),
        ("the loop", TAUGHT | UNLEARNED | RECORDS | SCORES),
        ("the model folder", TAUGHT | UNLEARNED | RECORDS | SCORES),
        ("a row", {"data-folder"} | TAUGHT | UNLEARNED | RECORDS | SCORES),
        ("a note beside the rows", {"data-folder"}),
    ],
)
def test_an_edit_recomputes_the_stages_below_it(
    answers: dict[str, dict[str, str]], edit: str, expected: set[str]
) -> None:
    assert set(answers[edit]) == expected


def test_the_reason_is_named(answers: dict[str, dict[str, str]]) -> None:
    assert "clearbench.methods.npo" in answers["a method"]["unlearn-language-npo"]
    assert "clearbench_plugin_mine" in answers["the plugin"]["unlearn-language-mine"]
    assert "beside_mine" in answers["a module beside the plugin"]["unlearn-language-mine"]
    assert "base model" in answers["the model folder"]["teach-language-gold-seed0"]
    below = answers["a method"]["score-language-npo"]
    assert "made anew" in below and "measure language-npo" in below


def test_an_edited_plugin_changes_the_score(
    small_recipe: dict[str, Any],
    planner: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After an edit the old score does not come back, and undoing the edit finds it again."""
    monkeypatch.setattr(METHODS, "classes", methods())
    plugin, run = tmp_path / "mine.py", small_recipe["runs"][0] | {"method": "mine"}
    values, keys = [], []
    for factor in (-1.0, 5.0, -1.0):
        plugin.write_text(PLUGIN.replace("-1.0", str(factor)))
        load_plugin(plugin)
        made = planner(small_recipe | {"runs": [run]}, tmp_path / "run")
        score = made.row("mine").score
        made.make(score)
        scores = read_scores(made.folder(score))["scores"]
        values.append(scores["forget.text.probability"]["value"])
        keys.append(score.key)
    assert values[0] == values[2] != values[1]
    assert keys[0] == keys[2] != keys[1]
