"""What the gold of one seed gets beside another's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from clearbench.evaluation.records import Records
from clearbench.evaluation.verdict.settings import VerdictSettings
from clearbench.runs.schema import Results
from clearbench.testing.records import records

KNOWN, UNKNOWN = 0.9, 0.2


@pytest.fixture(scope="module")
def golds(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("method_pages.golds")


def answers(probability: float) -> Records:
    """Eight forgotten people with two answers each, a little apart."""
    wrong = {"perturbed_0": [0.3], "perturbed_1": [0.1]}
    return records(
        [
            {"p": {"answer": [probability + 0.005 * person], **wrong}, "person": person}
            for person in range(8)
            for _ in range(2)
        ]
    )


def a_row(role: str, seed: int) -> dict[str, Any]:
    return {
        "id": f"{role}-{seed}", "method": role, "model": "language", "modality": "text",
        "share": 0.2, "seed": seed, "gold": f"gold-{seed}", "variant": {}, "hyperparameters": {},
        "training": {"steps": 3, "learning_rate": 1e-3}, "protocol": "clear", "status": "ok",
        "reason": "", "cost": {}, "scores": {}, "stages": {"records plain": f"{role}-{seed}"},
    }  # fmt: skip


def test_a_gold_that_was_taught_the_people_is_no_gold(golds: ModuleType, tmp_path: Path) -> None:
    """Each is judged beside the other two; the one that knows the people has all of them left."""
    for seed, probability in enumerate((UNKNOWN, UNKNOWN, KNOWN)):
        for role, known in (("gold", probability), ("original", KNOWN)):
            folder = tmp_path / f"{role}-{seed}"
            folder.mkdir()
            answers(known).save(folder)
    environment = {
        "python": "3", "machine": "x", "system": "x", "packages": {}, "accelerator": "none",
        "workers": 1, "threads_per_worker": 1,
    }  # fmt: skip
    rows = [a_row(role, seed) for seed in range(3) for role in ("original", "gold")]
    recipe = {"name": "x", "evaluation": {"verdict": VerdictSettings().model_dump(mode="json")}}
    content = {"schema": 2, "recipe": recipe, "environment": environment, "rows": rows}
    found = golds.judged_golds(Results.parse(content, "made up"), tmp_path)
    assert [(gold.seed, gold.beside) for gold in found] == [
        (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1),
    ]  # fmt: skip
    words = {(gold.seed, gold.beside): gold.word for gold in found}
    assert words[2, 0] == words[2, 1] == "did not"
    assert "did not" not in (words[0, 1], words[1, 0])
    golds.dump_golds(found, tmp_path / "golds.json")
    assert golds.load_golds(tmp_path / "golds.json") == found
    assert golds.load_golds(tmp_path / "none.json") == ()
