"""What a worker remembers does not grow with the number of runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

#: Makes many small runs in one process, as a worker does; prints its memory after each.
PROGRAM = """
import gc, sys
from pathlib import Path
import psutil, torch
from clearbench.quiet import quiet_libraries
from clearbench.runs.cache import WorkerCache
from clearbench.runs.cost import release_memory
from clearbench.runs.stage import with_parents
from clearbench.runs.making import make_stage
from clearbench.runs.recipe import load_recipe
from clearbench.runs.run import plan_run

quiet_libraries()
gc.freeze()
torch.set_num_threads(1)
out, cache = Path(sys.argv[2]), WorkerCache()
planned = plan_run(load_recipe(sys.argv[1]), out)
memory = []
for family in planned.families:
    for row in family.unlearned:
        for stage in with_parents([row.score]).values():
            make_stage(stage, planned.store, cache, lambda *_: None)
        release_memory()
        memory.append(psutil.Process().memory_info().rss)
print(memory)
"""


@pytest.mark.parametrize("runs", [8, pytest.param(30, marks=pytest.mark.slow)])
def test_many_runs_hold_no_more_than_five(
    small_recipe: dict[str, Any], tmp_path: Path, runs: int
) -> None:
    train = small_recipe["runs"][0]["train"] | {"checkpoint_seconds": 60.0}
    entry = small_recipe["runs"][0] | {"train": train}
    grid = {"train.learning_rate": [1e-5 * (number + 1) for number in range(runs)]}
    evaluation = {"limit": 1, "max_new_tokens": 1, "splits": ["forget", "retain"]}
    recipe = small_recipe | {"runs": [entry | {"grid": grid}], "evaluation": evaluation}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", PROGRAM, str(tmp_path / "recipe.yaml"), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    memory = json.loads(done.stdout.splitlines()[-1])
    assert len(memory) == runs
    assert memory[-1] <= 1.1 * memory[4], [round(value / 1e6) for value in memory]
