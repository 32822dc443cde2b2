"""The methods of CLEAR's vision track against sums in numpy, their limits, and their rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ImageOps
from torch import Tensor

from clearbench.batches.items import item
from clearbench.errors import RecipeError
from clearbench.methods.base import Train, method
from clearbench.methods.losses import Term
from clearbench.testing import tiny_dataset
from clearbench.testing.by_hand import Array, check_term
from clearbench.testing.given import ROWS, WORDS, GivenModel, given_step
from clearbench.testing.world import copied, taught
from clearbench.training.roles import Roles
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

#: One layer, so that a loss can only read the last.
CLASSIFIER: dict[str, Any] = {"kind": "classifier", "depth": 1}
MODEL, REFERENCE = (GivenModel.drawn(seed, **CLASSIFIER) for seed in (0, 1))


def terms(
    name: str,
    about: dict[str, Any],
    model: GivenModel = MODEL,
    reference: GivenModel = REFERENCE,
    **step: Any,
) -> dict[str, Term]:
    return method(name, **about).loss(given_step(model, reference, **step))


def cosines(first: Array, second: Array) -> Array:
    sizes = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return (first * second).sum(-1) / sizes


def vector(seed: int) -> Tensor:
    return torch.randn(WORDS, generator=torch.Generator().manual_seed(seed)).double()


def direction() -> Tensor:
    return torch.nn.functional.normalize(vector(99), dim=0)


def test_scrub_bio() -> None:
    about = {"retain_weight": 3, "shift": 0.1}
    found = terms("scrub_bio", about, state={"direction": direction()})
    original = REFERENCE.array("forget")
    moved = original + 0.1 * np.linalg.norm(original, axis=-1)[:, None] * direction().numpy()
    check_term(found["forget"], cosines(MODEL.array("forget"), moved))
    check_term(found["retain"], 3 * (1 - cosines(MODEL.array("retain"), REFERENCE.array("retain"))))
    assert found.keys() == {"forget", "retain"}


def test_scrub_bio_leaves_alone_what_has_turned_far_enough() -> None:
    state = {"direction": direction()}
    turned = REFERENCE.logits["forget"] * torch.tensor([[1], [-1], [1], [-1]])
    logits = {**MODEL.logits, "forget": turned + 0.1 * MODEL.logits["forget"]}
    model = GivenModel(logits, **CLASSIFIER)
    free = terms("scrub_bio", {"shift": 0}, model, state=state)["forget"].values
    held = terms("scrub_bio", {"shift": 0, "least": 0}, model, state=state)["forget"].values
    assert (free < 0).tolist() == [False, True, False, True]
    assert torch.equal(held, free.clamp_min(0))


@pytest.mark.parametrize(("shift", "moves"), [(0.0, False), (0.1, True)])
def test_scrub_bio_at_the_original_has_a_slope_only_with_a_shift(shift: float, moves: bool) -> None:
    state = {"direction": direction()}
    original = GivenModel.drawn(0, **CLASSIFIER)
    found = terms("scrub_bio", {"shift": shift}, reference=original, state=state)
    slopes = {
        role: np.abs(MODEL.slope(found[role].total, role)).max() for role in ("forget", "retain")
    }
    assert slopes["retain"] < 1e-12
    assert bool(slopes["forget"] > 1e-3) is moves
    assert float(found["forget"].mean.detach()) == pytest.approx(1, abs=0.01)


def test_twins() -> None:
    apart = MODEL.array("forget") - REFERENCE.array("mirrored")
    found = terms("twins", {})
    check_term(found["forget"], (apart**2).mean(-1))
    assert found.keys() == {"forget"}


def test_twins_of_symmetric_images_is_nothing() -> None:
    logits = {**MODEL.logits, "mirrored": MODEL.logits["forget"]}
    same = GivenModel(logits, **CLASSIFIER)
    found = terms("twins", {}, model=same, reference=same)
    assert not found["forget"].values.any()


def test_neggrad_takes_turns() -> None:
    about = {"retain_steps": 2}
    for number, name, sign in ((0, "forget", -1), (1, "retain", 1), (2, "retain", 1)):
        for later in (number, number + 3):
            found = terms("neggrad", about, number=later)
            assert found.keys() == {name}
            check_term(found[name], sign * MODEL.losses(name))


def test_the_margin_is_in_every_loss_that_teaches_and_in_no_ratio() -> None:
    model, reference = (GivenModel.drawn(k, margin=1.5, **CLASSIFIER) for k in (0, 1))
    ascent = terms("neggrad", {}, model=model)["forget"]
    check_term(ascent, -model.losses("forget"))
    llmu = {"forget_weight": 0.02, "random_weight": 0.01}
    found = terms("llmu", llmu, model=model, reference=reference)
    plain = terms("llmu", llmu)
    check_term(found["forget"], -0.02 * model.losses("forget"))
    check_term(found["random"], 0.01 * model.losses("random"))
    assert torch.equal(found["retain"].values, plain["retain"].values)
    about = {"chosen": "retain", "beta": 1, "scaled": False, "retain_weight": 0}
    ratio = terms("dpo", about, model=model, reference=reference)["forget"]
    assert torch.equal(ratio.values, terms("dpo", about)["forget"].values)


def test_dpo_may_choose_a_retained_row() -> None:
    def ratios(role: str) -> Array:
        return np.bincount(ROWS, REFERENCE.losses(role) - MODEL.losses(role))

    for chosen, role in (("refusal", "idk"), ("retain", "kept")):
        gap = 0.7 * (ratios(role) - ratios("forget"))
        found = terms("dpo", {"chosen": chosen, "beta": 0.7})["forget"]
        check_term(found, 2 / 0.7 * np.log1p(np.exp(-gap)))


def test_dpo_reads_only_the_rows_it_chooses() -> None:
    for chosen, other in (("refusal", "kept"), ("retain", "idk")):
        dpo = method("dpo", chosen=chosen)
        (stage,) = dpo.stages()
        assert isinstance(stage, Train)
        assert {*dpo.needs} - {*dpo.reads(stage)} == {other}


@pytest.mark.parametrize("refusing", [{"refusal_weight": 1}, {"reference": "tuned"}])
def test_dpo_has_no_refusals_where_it_chooses_retained_rows(refusing: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="no refusals where retained rows are chosen"):
        method("dpo", chosen="retain", **refusing)


def test_dpo_asks_for_refusals_only_where_it_chooses_them() -> None:
    mute = replace(tiny_dataset(), refusals=())
    few = TrainSettings.model_validate({"steps": 1, "batch_size": 2})
    model = copied(taught("language"))
    with pytest.raises(RecipeError, match="dpo needs refusals"):
        unlearn(model, mute, method("dpo"), ("text",), few)
    assert unlearn(model, mute, method("dpo", chosen="retain"), ("text",), few)


def test_rmu_with_a_target_of_its_own_for_every_row() -> None:
    state = {"target|0": vector(50), "target|1": vector(51)}
    found = terms("rmu", {"targets": "row", "layer": 1}, state=state)
    targets = np.stack([state[f"target|{row}"] for row in ROWS])
    check_term(found["forget"], ((MODEL.array("forget") - targets) ** 2).mean(-1))


def test_rmu_draws_a_target_for_every_forget_row() -> None:
    model, data = copied(taught("classifier")), tiny_dataset().naming()
    rows = TrainingRows(model, data, ("image",), 1, 0)
    state = method("rmu", targets="row", steering=2).prepare(model, rows, 5)
    ids = {f"target|{row.id}" for row in data.train_rows("forget")}
    assert state.keys() == ids
    drawn = torch.stack(list(state.values()))
    assert drawn.abs().max() <= 2 and drawn.abs().max() > 1 and drawn.min() < 0
    assert not torch.equal(drawn[0], drawn[1])
    again = method("rmu", targets="row", steering=2).prepare(model, rows, 5)
    assert all(torch.equal(again[name], values) for name, values in state.items())


def test_sparsity_with_the_vision_tracks_settings() -> None:
    found = terms("l1_sparse", {"strength": 1e-4, "fade": False}, number=7, steps=8)
    check_term(found["norm"], [1e-4 * float(MODEL.weight.detach().abs().sum())])
    check_term(found["retain"], MODEL.losses("retain"))


def test_mirrored_rows_are_the_same_rows_flipped() -> None:
    model, data = taught("classifier"), tiny_dataset().naming()
    forget = [item(row) for row in data.train_rows("forget")]
    for each, twin in zip(forget, Roles(model, data).of("mirrored", forget, 0, 0), strict=True):
        assert (twin.row, twin.answer, twin.person) == (each.row, each.answer, each.person)
        assert each.image is not None and twin.image is not None
        flipped = np.asarray(ImageOps.mirror(each.image.decode()))
        np.testing.assert_array_equal(np.asarray(twin.image.decode()), flipped)
        assert not np.array_equal(flipped, np.asarray(each.image.decode()))


@pytest.mark.parametrize("kind", ["classifier", "vision-language"])
def test_kept_rows_are_retained_rows_of_the_same_task(kind: Any) -> None:
    data = tiny_dataset().for_kind(kind)
    known = {row.id: row for row in (*data.train_rows("forget"), *data.train_rows("retain"))}
    forget = [item(row) for row in data.train_rows("forget")]
    forget = [each for each in forget if taught(kind).accepts(each)]
    roles = Roles(taught(kind), data)
    drawn = roles.of("kept", forget, 0, 0)
    for each, kept in zip(forget, drawn, strict=True):
        assert kept.person in data.people("retain")
        assert kept == item(known[kept.row]), "with its own answer"
        mine, theirs = known[each.row], known[kept.row]
        assert (mine.track, mine.task) == (theirs.track, theirs.task)
    steps = [tuple(roles.of("kept", forget, 0, step)) for step in range(4)]
    assert len(set(steps)) > 1 and drawn == roles.of("kept", forget, 0, 0)
