"""Measuring in processes of its own: two give what one gives, and a killed one goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clearbench.evaluation.engine import evaluate
from clearbench.evaluation.records import Records
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.testing import tiny_dataset, tiny_model

KINDS = ["language", "vision-language", "classifier"]
#: Seconds; a busy machine is slow.
WAIT = 600
#: Measures models of the kinds named into a folder; dies after the batch of that number, if any.
PROGRAM = """
import os, signal, sys
from pathlib import Path

import torch

torch.set_num_threads(1)
from clearbench.evaluation import batchwise
from clearbench.evaluation.engine import evaluate
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.testing import tiny_dataset, tiny_model

batchwise.SAVE_SECONDS = 0.0
settings = EvaluationSettings(limit=2, max_new_tokens=3)
out, die, kinds = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]

def on_batch(done, _):
    if done == die:
        os.kill(os.getpid(), signal.SIGKILL)

for kind in kinds:
    model = tiny_model(kind)
    model.token_budget = 200 if kind != "classifier" else 4
    data = tiny_dataset().for_kind(model.kind)
    kept = out / f"{kind}.parts" if die else None
    records = evaluate(model, data, settings, parts=kept, on_batch=on_batch)
    folder = out / f"{kind}-{batchwise.processes().process_index}"
    folder.mkdir()
    records.save(folder)
"""


def alone(kind: str, **about: Path) -> Records:
    """The records that one process writes."""
    model = tiny_model(kind)
    model.token_budget = 200 if kind != "classifier" else 4
    data = tiny_dataset().for_kind(model.kind)
    return evaluate(model, data, EvaluationSettings(limit=2, max_new_tokens=3), **about)


def start(*words: object, **environment: str) -> subprocess.Popen[bytes]:
    """The program as a child process."""
    settings = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, words)], env=settings)  # noqa: S603


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, two_processes: tuple[dict[str, str], ...]
) -> Path:
    """The records of every kind of model, measured by two processes together."""
    out = tmp_path_factory.mktemp("two")
    children = [start(out, 0, *KINDS, **about) for about in two_processes]
    assert [child.wait(WAIT) for child in children] == [0, 0]
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_give_the_records_of_one(kind: str, shared: Path) -> None:
    one = alone(kind)
    for rank in range(2):
        both = Records.load(shared / f"{kind}-{rank}")
        places = ["split", "track", "task", "person", "row", "variant"]
        pd.testing.assert_frame_equal(both.answers[places], one.answers[places])
        for name in ("log_probs", "hits", "means", "variances"):
            for ours, theirs in zip(both.answers[name], one.answers[name], strict=True):
                np.testing.assert_allclose(ours, theirs, atol=1e-5)
        pd.testing.assert_frame_equal(both.generations, one.generations)


def test_a_measurement_that_was_really_killed_goes_on(tmp_path: Path) -> None:
    child = start(tmp_path, 2, "language")
    assert child.wait(WAIT) == -signal.SIGKILL
    parts = tmp_path / "language.parts"
    assert len([part for part in parts.iterdir() if not part.name.startswith(".")]) == 2
    done = {path.name: path.stat().st_mtime_ns for path in parts.iterdir()}
    resumed, whole = tmp_path / "resumed", tmp_path / "whole"
    for folder, about in ((resumed, {"parts": parts}), (whole, {})):
        folder.mkdir()
        alone("language", **about).save(folder)
    for path in whole.iterdir():
        assert path.read_bytes() == (resumed / path.name).read_bytes()
    assert done == {name: (parts / name).stat().st_mtime_ns for name in done}
