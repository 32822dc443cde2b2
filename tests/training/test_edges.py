"""Limits of settings, shares of micro-batches, and numbers that are none."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn

from clearbench.errors import RecipeError
from clearbench.methods.losses import Term, uniform
from clearbench.methods.stages import Edit, Train
from clearbench.training import checks
from clearbench.training.checkpoint import Progress
from clearbench.training.checks import check_processes
from clearbench.training.gradients import gradients
from clearbench.training.method_checks import check_teaching
from clearbench.training.settings import TrainSettings, Until
from clearbench.training.stages import StageRunner
from clearbench.training.watch import Diverged, Watch, check_trained


@pytest.mark.parametrize(
    ("processes", "accumulate", "rows", "enough"),
    [(1, 2, 2, True), (2, 1, 2, True), (2, 2, 4, True), (2, 2, 3, False), (3, 1, 2, False)],
)
def test_every_micro_batch_of_every_process_needs_one_row(
    monkeypatch: pytest.MonkeyPatch, processes: int, accumulate: int, rows: int, enough: bool
) -> None:
    monkeypatch.setattr(checks, "processes", lambda: SimpleNamespace(num_processes=processes))
    settings = TrainSettings(steps=1, batch_size=rows, accumulate=accumulate)
    if enough:
        check_processes(settings)
    else:
        with pytest.raises(RecipeError, match=f"{rows} rows of a batch cannot be shared"):
            check_processes(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("saliency", 0.5),
        ("rule", "pcgrad"),
        ("prompt_decoupling", 0.5),
        ("until", Until(text=0.5)),
        ("max_retain_rise", 0.5),
    ],
)
def test_teaching_forgets_nothing(name: str, value: object) -> None:
    with pytest.raises(RecipeError, match=f"'{name}' is about forgetting"):
        check_teaching(TrainSettings.of(steps=1, **{name: value}))


@pytest.mark.parametrize("micro_batches", [1, 2, 3])
def test_parts_of_the_rows_weigh_by_their_shares(micro_batches: int) -> None:
    """Terms 2 w and 6 w on parts of 1/4 and 3/4: 5 w, whatever the micro-batches are."""
    weight = nn.Parameter(torch.tensor([1.0]))

    def run(_: int) -> list[tuple[float, dict[str, Term]]]:
        return [
            (0.25, {"forget": uniform(2 * weight), "retain": uniform(weight)}),
            (0.75, {"forget": uniform(6 * weight)}),
        ]

    batches = [(lambda k=k: run(k)) for k in range(micro_batches)]
    values, passes = gradients([weight], batches)
    sums = {name: float(sum(parts)) for name, parts in values.items()}
    assert sums == {"forget": pytest.approx(5.0), "retain": pytest.approx(0.25)}
    assert weight.grad is not None and weight.grad.tolist() == pytest.approx([5.25])
    assert passes == (1 if micro_batches == 1 else 3 * micro_batches)


@pytest.mark.parametrize(
    ("loss", "ends"), [(0.9, False), (1.0, False), (1.1, True), (math.nan, True), (math.inf, True)]
)
def test_a_loss_that_is_no_number_ends_a_run(
    monkeypatch: pytest.MonkeyPatch, loss: float, ends: bool
) -> None:
    monkeypatch.setattr(Watch, "_loss", lambda _: loss)
    watch = Watch.__new__(Watch)
    watch._most = 1.0
    history = [{"loss": 0.5}] * 3
    if ends:
        with pytest.raises(Diverged, match="the loss on retain rows"):
            watch.check(history)
    else:
        watch.check(history)


@pytest.mark.parametrize("where", ["weights", "guard", "nowhere"])
def test_weights_and_guards_that_are_no_numbers_are_named(where: str) -> None:
    def tensors(place: str) -> dict[str, torch.Tensor]:
        wrong = math.nan if place == where else 0.0
        return {f"of {place}": torch.tensor([1.0, wrong])}

    guards = (SimpleNamespace(state=tensors("no guard")), SimpleNamespace(state=tensors("guard")))
    module = SimpleNamespace(state_dict=lambda: tensors("weights"))
    model = cast(Any, SimpleNamespace(module=module, guards=guards))
    if where == "nowhere":
        check_trained(model, (), [])
    else:
        with pytest.raises(Diverged, match=f"1 tensors are not finite .* of {where}"):
            check_trained(model, (), [])


@pytest.mark.parametrize(
    ("kinds", "kept"),
    [
        ("T", [True]),
        ("TT", [True, True]),
        ("ET", [False, True]),
        ("TE", [True, True]),
        ("ETE", [False, True, True]),
        ("EE", [False, False]),
    ],
)
def test_a_method_is_prepared_once_however_often_a_run_is_killed(
    kinds: str, kept: list[bool]
) -> None:
    """Its state begins with the first stage that trains, and goes on from there."""

    def nothing(*_: object) -> dict[str, Term]:
        return {}

    stages = [Train(nothing) if kind == "T" else Edit(lambda *_: None) for kind in kinds]
    about = cast(Any, SimpleNamespace(stages=lambda: stages))
    rest = (cast(Any, None), cast(Any, None), cast(Any, None))
    progress = Progress({"mask": torch.ones(1)}, history=[{"loss": 1.0}])
    for number, expected in enumerate(kept):
        runner = StageRunner(cast(Any, None), about, *rest, {}, {})
        assert runner._resume(number, {}, progress) == [{"loss": 1.0}]
        assert (runner.state is progress.state) is expected
        assert expected or runner.state is None
