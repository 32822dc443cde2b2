"""The forms of one method: fields that change its terms, what it reads or where it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clearbench.errors import RecipeError
from clearbench.methods.base import Step, method, methods
from clearbench.methods.losses import Term
from clearbench.methods.stages import Train
from clearbench.methods.step import Model
from clearbench.testing import check_method, tiny_dataset, tiny_model
from clearbench.testing.by_hand import Array, changed, check_term, log_softmax, snapshot
from clearbench.testing.given import GivenModel, given_step
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

FORGET, RETAIN = ("cross_entropy", "entropy", "kl"), ("cross_entropy", "kl")
MODEL, REFERENCE = GivenModel.drawn(0), GivenModel.drawn(1)


def terms(name: str, reference: GivenModel = REFERENCE, **about: Any) -> dict[str, Term]:
    return method(name, **about).loss(given_step(MODEL, reference))


def measured(form: str, role: str) -> Array:
    p = MODEL.probabilities(role)
    return {
        "cross_entropy": MODEL.losses(role),
        "entropy": -(p * np.log(p)).sum(-1),
        "kl": REFERENCE.divergence(MODEL, role),
    }[form]


@pytest.mark.parametrize("forget", FORGET)
@pytest.mark.parametrize("retain", RETAIN)
def test_gradient_difference_in_six_forms(forget: str, retain: str) -> None:
    found = terms("gradient_difference", forget=forget, retain=retain, retain_weight=3)
    check_term(found["forget"], -measured(forget, "forget"))
    check_term(found["retain"], 3 * measured(retain, "retain"))


@pytest.mark.parametrize("forget", FORGET)
@pytest.mark.parametrize("retain", RETAIN)
def test_only_a_divergence_looks_back(forget: str, retain: str) -> None:
    chosen = method("gradient_difference", forget=forget, retain=retain)
    (stage,) = chosen.stages()
    assert isinstance(stage, Train)
    assert ("reference" in chosen.reads(stage)) is ("kl" in (forget, retain))


def test_divergences_from_the_original_have_no_slope_where_it_stands() -> None:
    found = terms("gradient_difference", MODEL, forget="kl", retain="kl")
    for role in ("forget", "retain"):
        assert np.abs(MODEL.slope(found[role].mean, role)).max() < 1e-12


def test_entropy_is_pushed_up() -> None:
    """A step against the gradient makes the distribution flatter (E25 has the other sign)."""
    term = terms("gradient_difference", forget="entropy")["forget"]
    moved = log_softmax(MODEL.array("forget") - 0.1 * MODEL.slope(term.mean, "forget"))
    assert -(np.exp(moved) * moved).sum(-1).mean() > measured("entropy", "forget").mean()


def test_gradient_differences_default_is_gradient_ascent_beside_retain_finetuning() -> None:
    found = terms("gradient_difference")
    check_term(found["forget"], -measured("cross_entropy", "forget"))
    check_term(found["retain"], measured("cross_entropy", "retain"))
    kl = terms("kl_minimization")
    same = terms("gradient_difference", retain="kl")
    for name in ("forget", "retain"):
        check_term(same[name], kl[name].values.detach().numpy())


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("gradient_difference", {"forget": "entropy", "retain": "kl"}),
        ("gradient_difference", {"forget": "kl"}),
        ("dpo", {"reference": "tuned", "refusal_weight": 1.0}),
        ("neuron_pruning", {"share": 0.2, "importance": "std", "rounds": 2}),
        ("representation_steering", {"form": "affine", "strength": 4.0}),
    ],
)
def test_the_contract_holds_for_a_form(
    name: str, about: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = methods()[name]
    monkeypatch.setattr(cls, "trial", about)
    assert check_method(cls, "language")


def test_an_unknown_form_is_refused_by_name() -> None:
    with pytest.raises(RecipeError, match="'forget'"):
        method("gradient_difference", forget="ascent")


def test_dpos_refusal_term() -> None:
    assert "refusal" not in terms("dpo")
    check_term(terms("dpo", refusal_weight=2)["refusal"], 2 * measured("cross_entropy", "idk"))


@pytest.mark.parametrize("rank", [None, 2])
def test_dpo_looks_back_at_a_model_that_refuses(
    rank: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference has learned the refusals, the model starts from the original."""
    from clearbench.methods.dpo import DPO

    first: list[dict[str, float]] = []
    plain = DPO.loss

    def spied(self: DPO, step: Step) -> dict[str, Term]:
        if step.number == 0:
            values = {}
            for role in ("idk", "forget"):
                answers = step.model.answers(step.batches[role])
                ratio = step.log_ratio(step.batches[role], answers)
                values[role] = float(ratio.detach().mean())
                values[f"{role} answers"] = float(answers.log_probs.detach().mean())
            first.append(values)
        return plain(self, step)

    monkeypatch.setattr(DPO, "loss", spied)
    about = {"steps": 6, "batch_size": 4, "learning_rate": 1e-2, "parts": ("language",)}
    settings = TrainSettings.of(**about, warmup=0.0, lora_rank=rank)
    histories = {}
    for reference in ("original", "tuned"):
        chosen = method("dpo", reference=reference)
        histories[reference] = unlearn(tiny_model(), tiny_dataset(), chosen, ("text",), settings)
    original, tuned = first
    assert original["idk"] == pytest.approx(0, abs=1e-4), "equal policies at the start"
    assert tuned["idk"] < -1, "the tuned reference likes refusals better than the model does"
    assert [set(values) & {"tuning", "forget"} for values in histories["tuned"]] == (
        [{"tuning"}] * 6 + [{"forget"}] * 6
    )
    assert histories["original"][0]["forget"] == pytest.approx(20 * np.log(2), abs=1e-4)


@pytest.mark.parametrize("rank", [None, 2])
def test_a_tuned_reference_survives_a_kill(rank: int | None, tmp_path: Path) -> None:
    """Stopped in the second stage and run again, the same bytes."""
    about = {"steps": 3, "batch_size": 2, "parts": ("language",), "checkpoint_seconds": 1e-9}
    settings = TrainSettings.of(**about, lora_rank=rank)
    chosen = method("dpo", reference="tuned")

    class KilledError(Exception):
        """Stands for a kill."""

    def stop(done: int, *_: object) -> None:
        if done == 5:
            raise KilledError

    def run(**how: Any) -> dict[str, Tensor]:
        model = tiny_model()
        unlearn(model, tiny_dataset(), chosen, ("text",), settings, **how)
        return snapshot(model)

    whole = run()
    with pytest.raises(KilledError):
        run(checkpoints=tmp_path, on_step=stop)
    resumed = run(checkpoints=tmp_path)
    assert not changed(whole, resumed)


@pytest.mark.parametrize("rank", [None, 2])
def test_skus_negation_walks_as_far_the_other_way(
    rank: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """theta_0 - s (theta_1 - theta_0), theta_1 what the first stage leaves (errata E30)."""
    from clearbench.methods.sku import SKU

    learned: dict[str, Tensor] = {}
    negate = SKU.negate

    def spied(self: SKU, model: Model, data: Any) -> None:
        learned.update(snapshot(model))
        negate(self, model, data)

    monkeypatch.setattr(SKU, "negate", spied)
    model = tiny_model()
    start = snapshot(model)
    about = {"steps": 2, "batch_size": 4, "parts": ("language",), "lora_rank": rank}
    chosen = method("sku", strength=0.5)
    unlearn(model, tiny_dataset(), chosen, ("text",), TrainSettings.of(**about))
    moved = 0
    for name, weight in model.trainable().items():
        if "lora_A" in name:
            expected = learned[name]
        elif "lora_B" in name:
            expected = -0.5 * learned[name]
        else:
            expected = start[name] - 0.5 * (learned[name] - start[name])
        torch.testing.assert_close(weight.detach(), expected, atol=1e-6, rtol=1e-5)
        moved += int((learned[name] != expected).any())
    assert moved > 4


@pytest.mark.parametrize("name", ["npo", "gradient_difference", "kl_minimization", "satimp"])
def test_a_saliency_mask_goes_with_any_method_that_trains(name: str) -> None:
    """SalUn's mask as a setting: exactly a tenth of the weights may move, one ranking over all."""
    model = tiny_model()
    before = snapshot(model)
    about = {"steps": 2, "batch_size": 4, "parts": ("language",), "saliency": 0.1}
    unlearn(model, tiny_dataset(), method(name), ("text",), TrainSettings.of(**about))
    after = model.trainable()
    moved = sum(int((after[n] != before[n]).sum()) for n in after)
    total = sum(weight.numel() for weight in after.values())
    assert 0.05 * total < moved <= 0.1 * total + 1
