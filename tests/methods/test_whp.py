"""Generic labels against plain loops over the logits of three models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from clearbench.methods.base import Step, method
from clearbench.methods.losses import Term
from clearbench.methods.whp import WHP
from clearbench.testing import tiny_dataset
from clearbench.testing.by_hand import log_softmax
from clearbench.testing.world import copied, taught
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

ABOUT: dict[str, Any] = {"steps": 4, "batch_size": 4, "learning_rate": 1e-2, "warmup": 0.0}


def watched(
    monkeypatch: pytest.MonkeyPatch, rank: int | None = None, **about: Any
) -> tuple[list[dict[str, Any]], list[dict[str, float]]]:
    """The logits of the original, reinforced and trained models in each step, and the history."""
    untouched, plain, seen = taught("language"), WHP.loss, list[dict[str, Any]]()

    def spied(self: WHP, step: Step) -> dict[str, Term]:
        with torch.no_grad():
            seen.append(
                {
                    "original": untouched.answers(step.forget).logits.numpy(),
                    "reinforced": step.reference.answers(step.forget).logits.numpy(),
                    "ours": step.model.answers(step.forget).logits.numpy(),
                    "true": step.model.answers(step.forget).targets.numpy(),
                }
            )
        terms = plain(self, step)
        seen[-1]["found"] = terms["forget"].values.detach().numpy()
        return terms

    monkeypatch.setattr(WHP, "loss", spied)
    settings = TrainSettings.of(**ABOUT, parts=("language",), lora_rank=rank)
    model, chosen = copied(untouched), method("whp", **about)
    history = unlearn(model, tiny_dataset(), chosen, ("text",), settings)
    return seen, history


@pytest.mark.parametrize(("alpha", "rank"), [(0.0, None), (0.5, None), (5.0, None), (5.0, 2)])
def test_whp(alpha: float, rank: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, history = watched(monkeypatch, rank, alpha=alpha)
    assert [set(values) & {"reinforced", "forget"} for values in history] == (
        [{"reinforced"}] * 4 + [{"forget"}] * 4
    )
    moved = []
    for number, step in enumerate(seen):
        for place, logits in enumerate(step["original"]):
            raised = [
                max(0.0, r - o) for r, o in zip(step["reinforced"][place], logits, strict=True)
            ]
            generic = [o - alpha * up for o, up in zip(logits, raised, strict=True)]
            label = generic.index(max(generic))
            expected = -log_softmax(step["ours"][place])[label]
            assert step["found"][place] == pytest.approx(expected, abs=1e-5)
            moved.append(label != int(logits.argmax()))
        assert history[4 + number]["forget"] == pytest.approx(step["found"].mean(), abs=1e-5)
    assert any(moved) is (alpha > 0)


def test_whp_starts_from_the_original_and_compares_with_a_model_that_knows_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (first, *_, last), _ = watched(monkeypatch)
    np.testing.assert_allclose(first["ours"], first["original"], atol=1e-5)
    assert np.abs(last["ours"] - last["original"]).max() > 1e-2
    places = np.arange(len(first["true"])), first["true"]
    known = {name: log_softmax(first[name])[places].mean() for name in ("original", "reinforced")}
    assert known["reinforced"] > known["original"]
