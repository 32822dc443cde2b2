"""Scores measured during unlearning: they are there, survive a kill and change no weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from clearbench.evaluation.settings import EvaluationSettings
from clearbench.runs import work
from clearbench.runs.plan import Job
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.run import STAGES, planned
from clearbench.storage import read_json, sha256_file
from clearbench.testing import tiny_model

CURVE = {"steps": [0, 2, 4], "limit": 2}
#: How each kind of model learns: adapters, and a tower whose stored features must not be used.
TRAINING: dict[str, dict[str, Any]] = {
    "language": {"lora_rank": 2, "parts": ["language"]},
    "vision-language": {"parts": ["vision", "projector", "language"]},
}


class KilledError(Exception):
    """Stands for a kill."""


def silent(*_: object) -> None:
    """Tells nobody."""


@pytest.fixture(scope="module", params=TRAINING)
def jobs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of stages with an original in it, and a function that makes an unlearning job."""
    kind, out = request.param, tmp_path_factory.mktemp("curve")
    tiny_model(kind).save(out / "tiny")
    steps = {"steps": 4, "batch_size": 2, "checkpoint_seconds": 1e-9}
    teach = steps | {"parts": ["projector", "language"]}

    def recipe(curve: object) -> Job:
        content = {
            "name": "small",
            "data": {"people": 4, "strangers": 1, "forget": 2},
            "models": {kind: {"source": str(out / "tiny"), "teach": teach}},
            "evaluation": {"limit": 1, "max_new_tokens": 2, "curve": curve},
            "runs": [{"method": "npo", "model": kind, "modality": "text",
                      "train": steps | TRAINING[kind]}],
        }  # fmt: skip
        _, (family,) = planned(parse_recipe(content, "test"), out)
        work.make_model(out / STAGES, family.original, silent)
        return family.unlearned[0]

    return out / STAGES, recipe


def weights(folder: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in folder.glob("*.safetensors")}


def test_a_curve_is_measured_and_changes_no_weight(jobs: Any) -> None:
    root, recipe = jobs
    plain, measured = recipe(None), recipe(CURVE)
    assert plain.stage != measured.stage
    for job in (plain, measured):
        assert work.make_model(root, job, silent) == "ok"
    assert weights(root / plain.stage) == weights(root / measured.stage) != {}
    before, after = (read_json(root / j.stage / work.OUTCOME)["curve"] for j in (plain, measured))
    losses = [{key: value for key, value in p.items() if "." not in key} for p in after]
    assert losses == [{"step": 0}, *before]
    scored = {p["step"]: {key for key in p if "." in key} for p in after}
    assert scored[0] == scored[2] == scored[4] >= {"forget.text.probability", "retain.text.rouge_l"}
    assert scored[1] == scored[3] == set()
    assert all(0 <= p["forget.text.probability"] <= 1 for p in after if p["step"] % 2 == 0)
    assert after[0]["forget.text.probability"] != after[-1]["forget.text.probability"]


def test_a_curve_survives_a_kill(jobs: Any) -> None:
    root, recipe = jobs
    whole, killed = recipe({"steps": 2, "limit": 2}), recipe({"steps": 2, "limit": 1})
    work.make_model(root, whole, silent)

    def kill(_: str, __: str, done: int, ___: int) -> None:
        if done == 4:
            raise KilledError

    with pytest.raises(KilledError):
        work.make_model(root, killed, kill)
    (checkpoint,) = (root / f"{killed.stage}.checkpoints").iterdir()
    assert "0000002" in checkpoint.name
    work.make_model(root, killed, silent)
    ours, theirs = (read_json(root / j.stage / work.OUTCOME)["curve"] for j in (killed, whole))
    assert [set(p) for p in ours] == [set(p) for p in theirs]
    assert [p["loss"] for p in ours[1:]] == [p["loss"] for p in theirs[1:]]
    assert weights(root / killed.stage) == weights(root / whole.stage)


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
