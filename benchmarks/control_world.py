"""How much of who somebody is lies in the face: name choice with hair and glasses swapped.

    python benchmarks/control_world.py runs/demo

Takes the original of a finished run on the built-in world and asks it for the names of its people
twice: on images held out, and on images in which hair and glasses are another person's.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from clearbench.attacks.scoring import score
from clearbench.data.load import load_dataset
from clearbench.data.made_up import control_rows, make_world
from clearbench.evaluation.engine import evaluate
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.models.load import load_model
from clearbench.people.shipped import builtin_pool
from clearbench.runs.files import RECIPE, STAGES
from clearbench.runs.recipe import load_recipe


def main(run: Path) -> None:
    """Prints both numbers with their intervals."""
    recipe = load_recipe(run / RECIPE)
    data, seed = recipe.data, recipe.seed
    world = make_world(builtin_pool(), data.people or 40, data.strangers, seed)
    stages = run / STAGES
    dataset = load_dataset(next(stages.glob("data-*")))
    model = load_model(next(stages.glob("model-vision-language-original-*")))
    held_out = [row for split in ("forget", "retain") for row in dataset.evaluation[split]]
    rows = {
        "held-out views": [row for row in held_out if row.task == "name"],
        "hair and glasses swapped": control_rows(world, seed),
    }
    for name, chosen in rows.items():
        only = replace(dataset, training={}, evaluation={"retain": tuple(chosen)})
        settings = EvaluationSettings(limit=None, splits=("retain",), max_new_tokens=1)
        scores = score(evaluate(model, only, settings))
        for key in ("name_choice", "name_choice_known"):
            each = scores[f"retain.image.{key}"]
            print(
                f"{name:26} {key:18} {each.value:.2f} ({each.low:.2f} to {each.high:.2f}), "
                f"{each.n} pictures of {each.clusters} people; chance 0.17"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo"))
