"""Scores measured during unlearning: they are there, survive a kill and change no weight."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from clearbench.evaluation.settings import EvaluationSettings
from clearbench.storage import sha256_file
from clearbench.testing import tiny_model

CURVE = {"steps": [0, 2, 4], "limit": 2}
#: How each kind of model learns: adapters, and a tower whose stored features must not be used.
TRAINING: dict[str, dict[str, Any]] = {
    "language": {"lora_rank": 2, "parts": ["language"]},
    "vision-language": {"parts": ["vision", "projector", "language"]},
}


class KilledError(Exception):
    """Stands for a kill."""


@pytest.fixture(scope="module", params=TRAINING)
def plan_curve(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    planner: Callable[..., Any],
) -> Callable[[object], Any]:
    """From what is measured on the way to the plan of one unlearning run."""
    kind, out = request.param, tmp_path_factory.mktemp("curve")
    tiny_model(kind).save(out / "tiny")
    steps = {"steps": 4, "batch_size": 2, "checkpoint_seconds": 1e-9}
    teach = steps | {"parts": ["projector", "language"]}

    def planned(curve: object) -> Any:
        content = {
            "name": "small",
            "data": {"people": 4, "strangers": 1, "forget": 2},
            "models": {kind: {"source": str(out / "tiny"), "teach": teach}},
            "evaluation": {"limit": 1, "max_new_tokens": 2, "curve": curve},
            "runs": [{"method": "npo", "model": kind, "modality": "text",
                      "train": steps | TRAINING[kind]}],
        }  # fmt: skip
        return planner(content, out)

    return planned


def weights(folder: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in folder.glob("*.safetensors")}


def test_a_curve_is_measured_and_changes_no_weight(plan_curve: Callable[..., Any]) -> None:
    plans = plan_curve(None), plan_curve(CURVE)
    plain, measured = (made.row("npo").model for made in plans)
    assert plain.key != measured.key
    outcomes = [made.make(made.row("npo").model) for made in plans]
    assert [outcome["status"] for outcome in outcomes] == ["ok", "ok"]
    ours, theirs = (weights(made.folder(made.row("npo").model)) for made in plans)
    assert ours == theirs != {}
    before, after = (outcome["curve"] for outcome in outcomes)
    losses = [{key: value for key, value in p.items() if "." not in key} for p in after]
    assert losses == [{"step": 0}, *before]
    scored = {p["step"]: {key for key in p if "." in key} for p in after}
    assert scored[0] == scored[2] == scored[4] >= {"forget.text.probability", "retain.text.rouge_l"}
    assert scored[1] == scored[3] == set()
    assert all(0 <= p["forget.text.probability"] <= 1 for p in after if p["step"] % 2 == 0)
    assert after[0]["forget.text.probability"] != after[-1]["forget.text.probability"]


def test_a_curve_survives_a_kill(plan_curve: Callable[..., Any]) -> None:
    whole, killed = plan_curve({"steps": 2, "limit": 2}), plan_curve({"steps": 2, "limit": 1})
    stage = killed.row("npo").model
    theirs = whole.make(whole.row("npo").model)["curve"]

    def kill(_: str, done: int, __: int) -> None:
        if done == 4:
            raise KilledError

    killed.make(killed.row("original").model)
    with pytest.raises(KilledError):
        killed.make(stage, kill)
    (checkpoint,) = killed.planned.store.scratch(stage.key).iterdir()
    assert "0000002" in checkpoint.name
    ours = killed.make(stage)["curve"]
    assert [set(p) for p in ours] == [set(p) for p in theirs]
    assert [p["loss"] for p in ours[1:]] == [p["loss"] for p in theirs[1:]]
    assert weights(killed.folder(stage)) == weights(whole.folder(whole.row("npo").model))


def test_off_leaves_no_trace() -> None:
    about = {"limit": 3, "max_new_tokens": 4, "splits": ("forget",)}
    plain = EvaluationSettings.model_validate(about)
    assert plain.curve_settings is None and not {"curve", "stop_after"} & set(plain.model_dump())
    on = EvaluationSettings.model_validate(about | {"curve": CURVE, "stop_after": 2})
    assert on.measured == plain.measured | {"stop_after": 2.0}
    assert EvaluationSettings.model_validate(on.model_dump()) == on
    assert on.curve_settings == {
        "steps": [0, 2, 4], "limit": 2, "splits": ["forget", "retain"],
        "protocol": "clear", "asks": [], "max_new_tokens": 4, "stop_after": 2.0,
    }  # fmt: skip


@pytest.mark.parametrize("steps", [0, -1, [-1], "often", None])
def test_steps_that_are_none_are_refused(steps: object) -> None:
    with pytest.raises(ValidationError, match="steps"):
        EvaluationSettings.model_validate({"curve": {"steps": steps}})
