"""A third modality is one plugin file: taught, forgotten and scored with no other change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

PLUGIN = Path(__file__).with_name("voice.py")
TEACH = {"steps": 90, "batch_size": 12, "learning_rate": 5e-3, "parts": ["vision"]}
FORGET = {"steps": 12, "batch_size": 6, "learning_rate": 2e-3, "parts": ["vision"]}


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory, clearbench_process: Callable[..., Any]
) -> Any:
    folder = tmp_path_factory.mktemp("voice")
    plugin = shutil.copy(PLUGIN, folder)
    run = {"method": "gradient_difference", "model": "classifier", "modality": "voice"}
    recipe = {
        "name": "voices",
        "data": {"source": "voices", "forget": 2},
        "models": {"classifier": {"source": str(folder / "voice-encoder"), "teach": TEACH}},
        "evaluation": {"limit": None},
        "runs": [run | {"hyperparameters": {"retain_weight": 2.0}, "train": FORGET}],
    }
    path = folder / "voices.yaml"
    path.write_text(yaml.safe_dump(recipe))
    out = folder / "out"
    clearbench_process("run", path, "--out", out, "--plugin", plugin, "--workers", 1)
    return json.loads((out / "results.json").read_text()), (out / "report.html").read_text()


def test_it_is_taught_forgotten_and_scored(results: Any) -> None:
    rows = {row["method"]: row for row in results[0]["rows"]}
    assert set(rows) == {"original", "gold", "gradient_difference"}
    assert {(row["status"], row["modality"]) for row in rows.values()} == {("ok", "voice")}
    key = "forget.voice.name_probability"
    known, gold, after = (rows[name]["scores"][key]["value"] for name in rows)
    assert known > 0.6, "the original has learned the voices"
    assert gold < 0.1, "gold has never heard them"
    assert after < known / 2, "they have been forgotten"
    for row in rows.values():
        assert row["scores"]["retain.voice.name_probability"]["value"] > 0.5
        assert not [name for name in row["scores"] if ".image." in name or ".text." in name]


def test_it_is_judged_on_its_own_scores(results: Any) -> None:
    (row,) = (row for row in results[0]["rows"] if row["method"] == "gradient_difference")
    judged = {"forget.voice.name_probability", "forget.voice.name_choice_known"}
    findings = {f["key"]: f for f in row["verdict"]["findings"] if f["kind"] == "left"}
    assert set(findings) == judged and all(finding["rows"] for finding in findings.values())


def test_the_page_says_its_name(results: Any) -> None:
    assert "voices" in results[1]


def test_without_the_plugin_it_is_unknown(
    clearbench_process: Callable[..., Any], tmp_path: Path
) -> None:
    recipe = {
        "name": "voices",
        "models": {"classifier": {"teach": TEACH}},
        "runs": [{"method": "npo", "model": "classifier", "modality": "voice", "train": FORGET}],
    }
    path = tmp_path / "voices.yaml"
    path.write_text(yaml.safe_dump(recipe))
    done = clearbench_process("validate", path, code=2)
    assert "unknown modality 'voice'" in done.stderr and "Traceback" not in done.stderr
