"""The sister benchmarks are measured, scored and run as any other dataset."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import sisters
import yaml

from clearbench.attacks.scoring import score
from clearbench.data.load import load_dataset
from clearbench.evaluation.engine import evaluate
from clearbench.evaluation.score import Score
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.testing.world import base


@pytest.fixture(scope="module", params=list(sisters.WRITERS))
def measured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Mapping[str, Score]]:
    """Name and scores of each benchmark, of a tiny model that was taught nothing."""
    dataset = load_dataset(sisters.WRITERS[request.param](tmp_path_factory.mktemp("all") / "data"))
    settings = EvaluationSettings(
        limit=None,
        max_new_tokens=2,
        asks=("letter", "paraphrased"),
        splits=("forget", "retain", "holdout", "real_faces", "real_authors"),
    )
    model = base("language" if request.param == "muse" else "vision-language")
    return request.param, score(evaluate(model, dataset, settings))


#: Rows of scores that can be computed, by benchmark.
SCORED = {
    "mllmu": {
        "forget.text.letter_choice": 1, "retain.image.letter_choice": 7,
        "forget.image.cloze": 1, "retain.text.cloze": 7, "forget.text.rouge_l_f1": 1,
        "forget.image.rouge_l": 1, "forget.text.ape": 1, "retain.image.bleu": 7,
        "real_faces.image.letter_choice": 2, "real_authors.text.cloze": 2,
    },
    "umu": {
        "forget.text.letter_choice": 1, "forget.image.cloze": 1, "retain.text.rouge_l": 7,
        "forget.image.probability": 1, "real_faces.image.rouge_l": 2,
    },
    "fiubench": {
        "forget.image.truth_ratio": 2, "forget.image.rouge_l": 2, "forget.image.ape": 2,
        "forget.image.key_facts": 2, "retain.image.probability": 2,
    },
    "muse": {
        "forget.text.rouge_l_f1": 2, "retain.text.rouge_l_f1": 2,
        "forget.text.verbatim_rouge_l_f1": 1, "forget.text.mia_min_k_auc": 6,
        "forget.text.probability": 2,
    },
}  # fmt: skip
#: Scores that cannot: options of a choice are no wrong answers of a question.
NOT = {
    "mllmu": ("forget.text.truth_ratio", "forget.text.mia_loss_auc", "forget.image.name_choice"),
    "umu": ("forget.image.truth_ratio", "forget.text.ape", "forget.text.mia_loss_auc"),
    "fiubench": ("forget.text.rouge_l", "forget.image.mia_loss_auc", "forget.image.letter_choice"),
    "muse": ("forget.text.truth_ratio", "forget.text.ape", "holdout.text.rouge_l"),
}


def test_what_can_be_scored_is_scored_on_its_rows(
    measured: tuple[str, Mapping[str, Score]],
) -> None:
    name, scores = measured
    assert {key: scores[key].n for key in SCORED[name]} == SCORED[name]
    assert not [key for key in NOT[name] if key in scores]
    chances = {score.chance for key, score in scores.items() if key.endswith("letter_choice")}
    assert chances <= {0.25}


def test_a_share_of_mllmu_is_run_to_the_report(
    tmp_path: Path, clearbench: Callable[..., Any], small_recipe: dict[str, Any]
) -> None:
    folder = sisters.WRITERS["mllmu"](tmp_path / "data")
    listed = json.loads(clearbench("list", "datasets", "--json").stdout)
    assert {"MLLMMU/MLLMU-Bench", "linbojunzi/UMU-bench", "gray311/FIUBench"} <= {
        entry["name"] for entry in listed
    }
    content = small_recipe | {
        "data": {"source": str(folder), "forget": "forget_10"},
        "evaluation": {"limit": None, "max_new_tokens": 2, "asks": ["letter"]},
    }
    path = tmp_path / "mllmu.yaml"
    path.write_text(yaml.safe_dump(content))
    clearbench("validate", path)
    clearbench("run", path, "--out", tmp_path / "out", "--workers", 1)
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    assert [row["status"] for row in rows] == ["ok"] * 3
    for row in rows:
        assert row["share"] == 0.25 and row["scores"]["forget.text.letter_choice"]["n"] == 2
        assert row["scores"]["forget.text.cloze"]["clusters"] == 2
