"""MMUnlearner, SIU and SineProject against numpy, and the rows that they look at."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clearbench.errors import RecipeError
from clearbench.methods.base import Step, method
from clearbench.methods.losses import Term, cross_entropy
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.by_hand import check_term, gradients
from clearbench.testing.given import GivenModel, given_batch, given_step
from clearbench.testing.world import few_steps, learning
from clearbench.training.feed import every_track, unlearning_feed
from clearbench.training.roles import Roles
from clearbench.training.rows import TrainingRows
from clearbench.training.unlearn import unlearn

# Rows


def test_decoupled_rows_ask_the_same_of_somebody_who_stays() -> None:
    """In the words of the forgotten row where there is an image; a name in a text has its own."""
    data = tiny_dataset()
    asked = [
        row.model_copy(update={"question": f"{row.question} Now!"})
        for row in data.train_rows("forget")
    ]
    data = replace(data, training={**data.training, "forget": tuple(asked)})
    rows = TrainingRows(tiny_model("vision-language"), data, ("text", "image"), 4, 0)
    kept = {row.id: row for row in data.train_rows("retain")}
    for own, each in zip(rows.items("forget"), rows.items("decoupled"), strict=True):
        true = kept[each.row]
        assert each.answer == true.answer and each.image == true.image
        asked = true.question if own.image is None else own.question
        assert each.question == asked and each.variant == "decoupled"
        assert (each.image is None) == (own.image is None)


@pytest.mark.parametrize(("track", "other"), [("text", "image"), ("image", "text")])
def test_spared_rows_are_the_forgotten_people_on_the_other_track(track: str, other: str) -> None:
    model, rows = learning(tiny_model("vision-language"), track)
    data = tiny_dataset()
    expected = {row.id for row in data.train_rows("forget", (other,))}  # type: ignore[arg-type]
    assert {each.row for each in rows.items("spared")} == expected
    feed = unlearning_feed(data, (track,), every_track(2), 0, Roles(model, data), ("spared",))  # type: ignore[arg-type]
    assert {each.row for each in feed(0, 0)["spared"]} <= expected


def test_nothing_is_spared_where_both_tracks_are_forgotten() -> None:
    model, rows = learning(tiny_model("vision-language"))
    assert rows.items("spared") == [] and list(rows.batches("spared")) == []
    data = tiny_dataset()
    feed = unlearning_feed(data, rows.tracks, every_track(2), 0, Roles(model, data), ("spared",))
    assert set(feed(0, 0)) == {"forget", "retain"}


@pytest.mark.parametrize("kind", ["vision-language", "classifier"])
def test_the_tokens_of_names(kind: str) -> None:
    model, _ = learning(tiny_model(kind), "image")
    found = model.name_tokens(["person 0", "person 1"]).tolist()
    if kind == "classifier":
        assert found == [0, 1]
        return
    pieces = {model.tokenizer.decode([token]) for token in found}  # type: ignore[attr-defined]
    assert set("".join(pieces)) <= set("person 01")
    assert set(model.tokenizer(" person 1").input_ids) <= set(found)  # type: ignore[attr-defined]


# MMUnlearner


def mean_square(
    model: Model, rows: TrainingRows, roles: tuple[str, ...], sees: bool | None = None
) -> dict[str, Tensor]:
    groups = rows.batches(*roles, sees=sees)
    found = [gradients(model, cross_entropy(model.answers(group)).mean) for group in groups]
    return {n: torch.stack([each[n] for each in found]).square().mean(0) for n in found[0]}


@pytest.mark.parametrize(
    ("tracks", "keep"), [(("image",), ("retain", "spared")), (("text", "image"), ("retain",))]
)
def test_the_map_is_a_ratio_of_squared_gradients(
    tracks: tuple[str, ...], keep: tuple[str, ...]
) -> None:
    model, rows = learning(tiny_model("vision-language"), *tracks)
    forget, kept = mean_square(model, rows, ("forget",)), mean_square(model, rows, keep)
    seen = mean_square(model, rows, ("retain",), sees=True)
    kept = {n: kept[n] if model.part_of(n) == "language" else seen[n] for n in kept}
    state = method("mmunlearner", threshold=1.5).prepare(model, rows, 0)
    chosen = 0
    for name, value in forget.items():
        expected = (value + 1e-15) / (kept[name] + 1e-15)
        sure = (expected - 1.5).abs() > 1e-3
        assert torch.equal(state["salient|" + name][sure], (expected >= 1.5)[sure])
        chosen += int((expected >= 1.5).sum())
    assert 0 < chosen < sum(value.numel() for value in forget.values())


def mm_step(model: Model, rows: TrainingRows, *numbers: int, **about: Any) -> list[dict[str, Term]]:
    chosen = method("mmunlearner", **about)
    batches = {role: next(rows.batches(role)) for role in ("forget", "retain")}
    state = chosen.prepare(model, rows, 0)
    steps = [Step(model, None, batches, state, number=k, steps=9) for k in numbers]  # type: ignore[arg-type]
    return [chosen.loss(step) for step in steps]


def test_only_the_forget_gradient_is_masked() -> None:
    model, rows = learning(tiny_model("vision-language"), "image")
    state = method("mmunlearner").prepare(model, rows, 0)
    plain = cross_entropy(model.answers(next(rows.batches("forget"))))
    expected = gradients(model, -2.0 * plain.mean)
    first, second = mm_step(model, rows, 0, 1, forget_weight=2.0, retain_steps=2)
    (forget,), (retain,) = first.values(), second.values()
    torch.testing.assert_close(forget.values, -2.0 * plain.values)
    for name, found in gradients(model, forget.mean).items():
        mask = state["salient|" + name]
        assert not found[~mask].any() and bool((~mask).any())
        torch.testing.assert_close(found[mask], expected[name][mask])
    whole = gradients(model, cross_entropy(model.answers(next(rows.batches("retain")))).mean)
    for name, found in gradients(model, retain.mean).items():
        torch.testing.assert_close(found, whole[name])


@pytest.mark.parametrize(
    ("retain_steps", "turns"), [(1, "frfrfrfr"), (2, "frrfrrfr"), (None, "frrrfrrr")]
)
def test_forget_and_retain_take_turns(retain_steps: int | None, turns: str) -> None:
    """Without a number: 24 retain rows and 8 forget rows in batches of 4 make 3."""
    model, rows = learning(tiny_model("vision-language"))
    terms = mm_step(model, rows, *range(8), retain_steps=retain_steps)
    found = "".join(next(iter(each))[0] for each in terms)
    assert found == turns


def test_a_threshold_of_nothing_is_gradient_ascent() -> None:
    model, rows = learning(tiny_model("vision-language"))
    term = mm_step(model, rows, 0, threshold=1e-30)[0]["forget"]
    plain = gradients(model, -cross_entropy(model.answers(next(rows.batches("forget")))).mean)
    for name, found in gradients(model, term.mean).items():
        torch.testing.assert_close(found, plain[name])


# SIU


def siu_terms(kept: list[bool], **about: Any) -> tuple[dict[str, Term], GivenModel, GivenModel]:
    """Rows of two tokens and of one, in a vocabulary of six."""
    rng = torch.Generator().manual_seed(0)
    model, original = (
        GivenModel({r: torch.randn(3, 6, generator=rng) for r in ("random", "retain", "spared")})
        for _ in range(2)
    )
    targets = {
        "random": (4, 2, 5),
        "forget": (1, 2, 4),
        "retain": (0, 1, 2),
        "spared": (3, 3, 3),
    }
    batches = {role: given_batch(role, each, rows=(0, 0, 1)) for role, each in targets.items()}
    state = {"kept": torch.tensor(kept)}
    step = given_step(model, original, batches=batches, state=state)
    return method("siu", **about).loss(step), model, original


def test_siu_masks_tokens_and_vocabulary() -> None:
    """Of the substitute (4, 2 | 5) only the 2 stands in the true answer (1, 2 | 4)."""
    kept = [True, False, True, True, False, True]
    found, model, original = siu_terms(kept)
    for name, role, targets, held in (
        ("forget", "random", (4, 2, 5), (0, 1, 0)),
        ("facts", "spared", (3, 3, 3), (1, 1, 1)),
        ("retain", "retain", (0, 1, 2), (1, 1, 1)),
    ):
        p, q = original.probabilities(role), model.probabilities(role)
        drift = (np.array(kept) * p * np.log(p / q)).sum(-1)
        expected = 0.9 * model.losses(role, targets) + 0.75 * np.array(held) * drift
        check_term(found[name], expected)


def test_siu_without_divergence_is_fine_tuning() -> None:
    found, model, _ = siu_terms([True] * 6, divergence_weight=0, answer_weight=1)
    check_term(found["retain"], model.losses("retain", (0, 1, 2)))


@pytest.mark.parametrize("kind", ["vision-language", "classifier"])
def test_siu_leaves_the_forgotten_names_out_of_the_vocabulary(kind: str) -> None:
    model, rows = learning(tiny_model(kind), "image")
    kept = method("siu").prepare(model, rows, 0)["kept"]
    gone = (~kept).nonzero()[:, 0].tolist()
    assert gone == sorted(model.name_tokens(rows.forgotten).tolist())
    assert rows.forgotten == ("person 0", "person 1")


def test_siu_keeps_facts_told_in_text() -> None:
    model, rows = learning(tiny_model("vision-language"), "image")
    settings = few_steps("vision-language", steps=1)
    history = unlearn(model, rows.dataset, method("siu"), ("image",), settings)
    assert {"forget", "facts", "retain"} <= set(history[0])


# SineProject


def sine_step(model: Model, rows: TrainingRows, start: dict[str, Tensor], **about: Any) -> Any:
    chosen = method("sine_project", **about)
    roles = ("forget", "idk", "retain", "decoupled")
    batches = {role: next(rows.batches(role)) for role in roles}
    state = {"start|" + name: value for name, value in start.items()}
    return chosen.loss(Step(model, None, batches, state)), batches  # type: ignore[arg-type]


def moved_projector(model: Model, size: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The projector's matrices as they were, and the changes they now have."""
    names = [n for n in model.trainable() if "projector" in n and n.endswith("weight")]
    start = {name: model.trainable()[name].detach().clone() for name in names}
    rng = torch.Generator().manual_seed(0)
    change = {n: size * torch.randn(w.shape, generator=rng) for n, w in start.items()}
    with torch.no_grad():
        for name in names:
            model.trainable()[name].add_(change[name])
    return start, change


@pytest.mark.parametrize("objective", ["preference", "difference"])
def test_the_loss_is_that_of_the_bounded_projector(objective: str) -> None:
    model, rows = learning(tiny_model("vision-language"))
    start, change = moved_projector(model, 2.0)
    about = {"objective": objective, "retain_weight": 2, "decoupling_weight": 3}
    found, batches = sine_step(model, rows, start, **about)
    ours = gradients(model, sum(term.mean for term in found.values()))
    with torch.no_grad():
        for name, value in start.items():
            bounded = value.numpy() + np.sin(change[name].numpy())
            model.trainable()[name].copy_(torch.from_numpy(bounded))
    role, sign = ("idk", 1) if objective == "preference" else ("forget", -1)
    plain = {
        name: factor * cross_entropy(model.answers(batches[role]))
        for name, factor, role in (
            ("forget", sign, role), ("retain", 2, "retain"), ("decoupling", 3, "decoupled"),
        )
    }  # fmt: skip
    for name, term in plain.items():
        torch.testing.assert_close(found[name].mean, term.mean, atol=1e-5, rtol=1e-5)
    outer = gradients(model, sum(term.mean for term in plain.values()))
    for name in start:
        expected = outer[name] * change[name].cos()
        assert expected.any()
        torch.testing.assert_close(ours[name], expected, atol=1e-5, rtol=1e-4)


def test_no_entry_of_the_projector_moves_by_more_than_one() -> None:
    model, rows = learning(tiny_model("vision-language"))
    start = {n: w.detach().clone() for n, w in model.trainable().items() if "projector" in n}
    settings = few_steps("vision-language", learning_rate=0.7, clip=1e9)
    unlearn(model, rows.dataset, method("sine_project"), ("image",), settings)
    for name, value in start.items():
        change = (model.trainable()[name].detach() - value).abs().max()
        assert change == 0 if name.endswith("bias") else 0.5 < change <= 1 + 1e-6


def test_small_changes_pass_through_the_sine() -> None:
    """With the sine or without, a step of 1e-4 leaves the same projector."""
    model, _ = learning(tiny_model("vision-language"))
    start, change = moved_projector(model, 1e-4)
    method("sine_project").settle(model, SimpleNamespace(start=start))  # type: ignore[attr-defined]
    for name, value in start.items():
        torch.testing.assert_close(model.trainable()[name].detach(), value + change[name])


def test_the_projector_must_be_among_what_learns() -> None:
    model, rows = learning(tiny_model("vision-language"))
    settings = few_steps("vision-language", parts=("language",))
    with pytest.raises(RecipeError, match="the projector is not among the weights"):
        unlearn(model, rows.dataset, method("sine_project"), ("image",), settings)
