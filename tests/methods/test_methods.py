"""Each loss against sums in numpy that share no code with it, and its limits."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from clearbench.batches.batch import Batch
from clearbench.batches.items import Item
from clearbench.methods.base import method
from clearbench.methods.losses import Term, uniform
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.by_hand import check_term, log_softmax
from clearbench.testing.given import ROWS, TARGETS, WORDS, GivenModel, given_batch, given_step
from clearbench.training.rows import TrainingRows

MODEL, REFERENCE, UNTRAINED = (GivenModel.drawn(seed) for seed in range(3))


def terms(
    name: str,
    hyperparameters: dict[str, Any] | None = None,
    reference: GivenModel = REFERENCE,
    **step: Any,
) -> dict[str, Term]:
    view = given_step(MODEL, reference, untrained=UNTRAINED, **step)
    return method(name, **(hyperparameters or {})).loss(view)


def test_llmu() -> None:
    found = terms("llmu", {"forget_weight": 2, "random_weight": 3, "retain_weight": 5})
    check_term(found["forget"], -2 * MODEL.losses("forget"))
    check_term(found["random"], 3 * MODEL.losses("random"))
    check_term(found["retain"], 5 * REFERENCE.divergence(MODEL, "retain"))


def test_llmu_with_one_term_is_gradient_ascent() -> None:
    found = terms("llmu", {"random_weight": 0, "retain_weight": 0})
    ascent = terms("gradient_ascent")["forget"]
    total = sum((term.mean for term in found.values()), torch.zeros(()))
    ours, theirs = (MODEL.slope(each, "forget") for each in (total, ascent.mean))
    np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-7)


def test_rmu() -> None:
    target = torch.arange(5.0).double()
    found = terms("rmu", {"layer": 3, "retain_weight": 7}, state={"target": target})
    check_term(found["forget"], ((3 * MODEL.array("forget") - target.numpy()) ** 2).mean(-1))
    drift = 3 * (MODEL.array("retain") - REFERENCE.array("retain"))
    check_term(found["retain"], 7 * (drift**2).mean(-1))


def test_rmu_takes_the_layer_that_the_published_codes_call_7_of_32() -> None:
    """They count from 0: `model.layers[7]`, the eighth."""
    for depth, layer in ((32, 8), (16, 4), (28, 7), (30, 8), (4, 1), (2, 1)):
        model = GivenModel.drawn(0, depth=depth)
        assert method("rmu")._layer(model) == layer  # type: ignore[attr-defined]


def test_rmu_trains_three_matrices_up_to_the_published_layer() -> None:
    """Blocks 5, 6 and 7, counted from 0, on a model of 32 layers."""
    model = SimpleNamespace(
        depth=32,
        kind="language",
        part_of=lambda _: "language",
        layer_of=lambda name: int(name) + 1,
        is_perceptron=lambda _: True,
    )
    rmu: Any = method("rmu")
    assert [k for k in range(32) if rmu._learns(model, str(k))] == [5, 6, 7]


def test_rmus_defaults_are_one_published_run() -> None:
    """The README of the WMDP code; its argparse has 20 and 100."""
    rmu: Any = method("rmu")
    assert (rmu.steering, rmu.retain_weight, rmu.steering_unit) == (6.5, 1200, "absolute")


@pytest.mark.parametrize("targets", ["shared", "row"])
def test_rmus_target_in_units_of_the_states(targets: str) -> None:
    """Adaptive RMU: c times the mean norm of the original's states, a token each."""
    data: Any = SimpleNamespace(batches=lambda _: iter([given_batch("forget")] * 2))
    model: Any = MODEL
    norm = np.linalg.norm(3 * MODEL.array("forget"), axis=-1).mean()
    about: dict[str, Any] = {"layer": 3, "steering": 5.0, "targets": targets}
    scaled = method("rmu", steering_unit="norm", **about).prepare(model, data, 4)
    plain = method("rmu", **about).prepare(model, data, 4)
    assert scaled.keys() == plain.keys()
    for name, target in scaled.items():
        np.testing.assert_allclose(target, norm * plain[name], rtol=1e-5)
    if targets == "shared":
        assert float(scaled["target"].norm()) == pytest.approx(5 * norm, rel=1e-5)


def test_scrub_takes_turns() -> None:
    about = {"kl_weight": 0.5, "retain_weight": 2, "temperature": 3, "max_share": 0.5}
    found = terms("scrub", about, number=0, steps=8)
    check_term(found["kl"], 0.5 * 9 * REFERENCE.divergence(MODEL, "retain", 3))
    check_term(found["retain"], 2 * MODEL.losses("retain"))
    climbs = terms("scrub", about, number=1, steps=8)
    check_term(climbs["forget"], -9 * REFERENCE.divergence(MODEL, "forget", 3))
    turns = ["forget" in terms("scrub", about, number=k, steps=8) for k in range(8)]
    assert turns == [False, True, False, True, False, False, False, False]
    rare = [
        "forget" in terms("scrub", about | {"min_steps": 2, "max_share": 1}, number=k, steps=8)
        for k in range(8)
    ]
    assert rare == [False, False, True, False, False, True, False, False]


def test_scrub_at_the_start_is_the_retain_loss() -> None:
    found = terms("scrub", {"retain_weight": 1}, reference=GivenModel.drawn(0), steps=8)
    total = sum(float(term.mean.detach()) for term in found.values())
    assert total == pytest.approx(MODEL.losses("retain").mean())
    slope = MODEL.slope(found["kl"].mean, "retain")
    assert np.abs(slope).max() < 1e-12, "the divergence has no slope there"


class Answering(GivenModel):
    """A given model that keeps the items of which batches are made, and gives each its targets."""

    def batch(self, items: Sequence[Item]) -> list[Batch]:
        self.__dict__.setdefault("made", []).append(list(items))
        word = int(items[0].answer)
        return given_batch("random", [word] * len(TARGETS))


def test_sku_learns_the_bad_knowledge_first() -> None:
    """The README's weights, and the mean over five random answers, the same for both rows."""
    pool = [Item(str(k), "answer", "q", str(k % WORDS)) for k in range(7)]
    batch = SimpleNamespace(items=pool)
    data: Any = SimpleNamespace(batches=lambda _: iter([[batch]]))
    model: Any = Answering.drawn(0)
    sku, found = method("sku"), []
    state = sku.prepare(model, data, 3)
    for number in (0, 1):
        found.append(sku.loss(given_step(model, REFERENCE, state=state, number=number)))
    drawn = [[items[0].answer for items in model.made[k : k + 5]] for k in (0, 5)]
    assert len(model.made) == 10 and drawn[0] != drawn[1], "drawn anew in each step"
    for items in model.made:
        assert [item.row for item in items] == ["0", "1"]
        assert len({item.answer for item in items}) == 1
    for terms_found, answers in zip(found, drawn, strict=True):
        assert terms_found.keys() == {"forget", "random", "retain"}
        check_term(terms_found["forget"], 2.5 * model.losses("forget"))
        losses = [model.losses("random", [int(word)] * len(TARGETS)) for word in answers]
        check_term(terms_found["random"], 2.5 * np.concatenate(losses))
        check_term(terms_found["retain"], -REFERENCE.divergence(model, "retain"))
    clears = {"random_weight": 1, "retain_weight": 0.5, "answers": 3, "combined": "sum"}
    summed = method("sku", **clears).loss(given_step(model, REFERENCE, state=state))
    mean = summed["random"].mean.item()
    losses = [model.losses("random", [int(word)] * len(TARGETS)).mean() for word in drawn[0][:3]]
    assert mean == pytest.approx(sum(losses))
    check_term(summed["retain"], -0.5 * REFERENCE.divergence(model, "retain"))


@pytest.mark.parametrize("name", ["random_labels", "salun"])
def test_random_labels(name: str) -> None:
    found = terms(name, {"retain_weight": 2})
    check_term(found["forget"], MODEL.losses("random"))
    check_term(found["retain"], 2 * MODEL.losses("retain"))


def test_task_vector_descends() -> None:
    check_term(terms("task_vector")["forget"], MODEL.losses("forget"))


def test_simnpo() -> None:
    found = terms("simnpo", {"beta": 2.0, "margin": 0.3, "forget_weight": 0.5})
    losses = MODEL.losses("forget")
    mean = np.array([losses[:3].mean(), losses[3]])
    check_term(found["forget"], 0.5 * 2 / 2.0 * np.log1p(np.exp(-(2.0 * mean - 0.3))))
    check_term(found["retain"], MODEL.losses("retain"))


def test_simnpo_with_beta_to_zero_is_gradient_ascent_by_row() -> None:
    """d/dx of -(2 / b) log sigmoid(b x) is -1 at b = 0, x the mean loss of a row."""
    ours = terms("simnpo", {"beta": 1e-6, "forget_weight": 1})["forget"]
    answers = MODEL.answers(given_batch("forget"))
    by_row = uniform(answers.per_row(answers.log_probs) / torch.tensor([3.0, 1.0]))
    np.testing.assert_allclose(
        MODEL.slope(ours.mean, "forget"),
        MODEL.slope(by_row.mean, "forget"),
        rtol=1e-5,
        atol=1e-9,
    )


def test_undial() -> None:
    lowered = REFERENCE.array("forget").copy()
    lowered[np.arange(len(ROWS)), TARGETS] -= 4.0
    target = np.exp(log_softmax(lowered))
    expected = -(target * log_softmax(MODEL.array("forget"))).sum(-1)
    check_term(terms("undial", {"beta": 4.0})["forget"], expected)


def test_undial_of_strength_zero_rests_at_the_original() -> None:
    term = terms("undial", {"beta": 0}, reference=GivenModel.drawn(0))["forget"]
    assert np.abs(MODEL.slope(term.mean, "forget")).max() < 1e-12


def test_wga() -> None:
    losses = MODEL.losses("forget")
    expected = -0.5 * np.exp(-2.0 * losses) * losses
    term = terms("wga", {"beta": 2.0, "forget_weight": 0.5})["forget"]
    check_term(term, expected)
    onehot = np.eye(WORDS)[list(TARGETS)]
    factors = 0.5 * np.exp(-2.0 * losses)[:, None] / len(ROWS)
    slope = factors * (onehot - MODEL.probabilities("forget"))
    np.testing.assert_allclose(MODEL.slope(term.mean, "forget"), slope, rtol=1e-10)


def test_wga_of_beta_zero_is_gradient_ascent() -> None:
    check_term(terms("wga", {"beta": 0})["forget"], -MODEL.losses("forget"))


@pytest.mark.parametrize(("fade", "left"), [(True, 0.75), (False, 1.0)])
def test_l1_sparse_fades(fade: bool, left: float) -> None:
    found = terms("l1_sparse", {"strength": 0.1, "fade": fade}, number=2, steps=8)
    check_term(found["retain"], MODEL.losses("retain"))
    check_term(found["norm"], [0.1 * left * float(MODEL.weight.detach().abs().sum())])


def test_l1_sparse_without_penalty_is_retain_finetuning() -> None:
    found = terms("l1_sparse", {"strength": 0})
    assert float(found["norm"].mean.detach()) == 0
    check_term(found["retain"], MODEL.losses("retain"))
    (slope,) = torch.autograd.grad(found["norm"].mean, MODEL.weight)
    assert not slope.any()


def test_bad_teacher() -> None:
    found = terms("bad_teacher", {"forget_weight": 2, "retain_weight": 3, "temperature": 2})
    check_term(found["forget"], 2 * 4 * UNTRAINED.divergence(MODEL, "forget", 2))
    check_term(found["retain"], 3 * 4 * REFERENCE.divergence(MODEL, "retain", 2))


def test_gradient_projection_has_the_terms_of_gradient_difference() -> None:
    ours, theirs = terms("gradient_projection"), terms("gradient_difference")
    for name in ("forget", "retain"):
        check_term(ours[name], theirs[name].values.detach().numpy())


@pytest.mark.parametrize("name", ["random_labels", "salun", "bad_teacher"])
def test_losses_weigh_as_their_rows_in_one_shuffled_set(name: str) -> None:
    """Two forget rows and six retain rows, of which a bad teacher has 0.3."""
    counts = {"forget": 1, "retain": 3}
    model: Any = MODEL
    data: Any = SimpleNamespace(
        batches=lambda role: iter([given_batch(role) for _ in range(counts[role])])
    )
    chosen = method(name, weighting="rows", retain_weight=2)
    prepare = chosen.prepare if name != "salun" else super(type(chosen), chosen).prepare
    found = terms(name, {"weighting": "rows", "retain_weight": 2}, state=prepare(model, data, 0))
    plain = terms(name, {"retain_weight": 2})
    retained = 6 * (0.3 if name == "bad_teacher" else 1)
    for role, share in (("forget", 2 / (2 + retained)), ("retain", retained / (2 + retained))):
        ours, equal = (each[role].values.detach().numpy() for each in (found, plain))
        np.testing.assert_allclose(ours, share * equal, rtol=1e-6)


@pytest.mark.parametrize("name", ["random_labels", "salun", "bad_teacher"])
def test_rows_are_counted_where_they_are_weights(name: str) -> None:
    rows = TrainingRows(tiny_model(), tiny_dataset(), ("text",), 4, 0)
    shares = method(name, weighting="rows").prepare(rows.model, rows, 0)["shares of rows"]
    forget, retain = 4, 12 * (0.3 if name == "bad_teacher" else 1)
    assert shares.tolist() == pytest.approx(
        [forget / (forget + retain), retain / (forget + retain)]
    )
    assert "shares of rows" not in method(name).prepare(rows.model, rows, 0)
