"""Judges models whose word is known, made from the records of a finished run.

    python benchmarks/verdict_controls.py RUN

RUN is the folder of a recipe with two golds for each model. Prints a line per kind of model,
modality and control, and ends with 1 if a word is wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from clearbench.data.modality import readable_by, spellings
from clearbench.evaluation.records import Records
from clearbench.evaluation.verdict.evidence import evidence
from clearbench.evaluation.verdict.judge import judge
from clearbench.runs.plan import Family
from clearbench.runs.recipe import load_recipe
from clearbench.runs.run import plan_run
from clearbench.runs.store import Store
from clearbench.testing.controls import control_models


def judged(family: Family, store: Store) -> int:
    """Prints the word on every control of one kind of model; returns how many are wrong."""
    rows = (family.original, *family.golds[:2])
    models = [Records.load(store.folder(row.measured.plain.key)) for row in rows]
    kind, wrong = family.original.kind, 0
    for control in control_models(*models):
        table = evidence(control.records, models[1], models[0], kind)
        for modality in spellings(readable_by(kind)):
            if modality == control.unseen:
                continue
            verdict = judge(table, modality, kind)
            right = verdict.word == control.word
            wrong += not right
            mark = "right" if right else f"WRONG, should be {control.word}"
            print(f"{kind:16} {modality:6} {control.name:32} {verdict.word:10} {mark}")
            if not right:
                print("  " + "\n  ".join(verdict.reasons))
    return wrong


def main() -> None:
    """Judges the controls of every kind of model in a run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    planned = plan_run(load_recipe(run / "recipe.yaml"), run)
    wrong = sum(
        judged(family, planned.store) for family in planned.families if len(family.golds) > 1
    )
    print("every word is right" if not wrong else f"{wrong} words are wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
