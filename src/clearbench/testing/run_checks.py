"""Checks of a method's declaration and runs on tiny models: refusals, weights, resuming, saving."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import annotated_types
import torch
import yaml

from clearbench.batches.items import item
from clearbench.errors import RecipeError
from clearbench.methods.base import Method, method
from clearbench.models.adapters import load_adapter
from clearbench.models.base import Model
from clearbench.models.load import load_model
from clearbench.models.model_files import UNSAFE
from clearbench.testing.asserting import must
from clearbench.testing.bench import HALFWAY, Bench
from clearbench.testing.by_hand import changed, snapshot
from clearbench.testing.world import TEACH, taught
from clearbench.training.unlearn import unlearn

#: Settings of a longer run, in which a loss must have changed.
MOVING: dict[str, Any] = {"steps": 8, "learning_rate": 3e-3}


def described(bench: Bench) -> None:
    """Reads the docstring's first sentence and the paper: both are there."""
    first, *_ = (bench.cls.__dict__.get("__doc__") or "").strip().splitlines() or [""]
    must(first.strip().endswith((".", ":")), "the docstring has no sentence with the idea")
    must(bench.cls.paper.title.strip(), "no `paper`")


def round_trip(bench: Bench) -> None:
    """Writes the hyper-parameters as YAML and reads them again."""
    text = yaml.safe_dump(bench.chosen.model_dump(mode="json"))
    again = bench.cls.model_validate(yaml.safe_load(text))
    must(again == bench.chosen, f"YAML gives another configuration: {text}")


def _bad_values(cls: type[Method]) -> Iterator[tuple[str, Any]]:
    for name, field in cls.model_fields.items():
        yield name, object()
        if field.annotation in (float, int):
            yield from ((name, value) for value in (math.nan, math.inf, "many"))
        for bound in field.metadata:
            match bound:
                case annotated_types.Gt(gt=limit) | annotated_types.Lt(lt=limit):
                    yield name, limit
                case annotated_types.Ge(ge=float() | int() as limit):
                    yield name, limit - 1
                case annotated_types.Le(le=float() | int() as limit):
                    yield name, limit + 1
    yield "no_such_hyperparameter", 1


def refuses_bad_values(bench: Bench) -> None:
    """Gives values of a wrong type or beyond a bound, and expects errors that name the field."""
    for name, value in _bad_values(bench.cls):
        try:
            method(bench.cls.name, **{name: value})
        except RecipeError as error:
            must(name in str(error), f"{name} = {value!r} is refused without its name: {error}")
        else:
            raise AssertionError(f"{name} = {value!r} is accepted")


def refuses_missing_retain(bench: Bench) -> None:
    """Runs without retain rows: refused by name if the method needs them, else done."""
    alone = replace(bench.data, training={"forget": bench.data.training["forget"]})
    settings = bench.settings(steps=1)
    try:
        unlearn(bench.model(), alone, bench.chosen, bench.tracks, settings)
    except RecipeError as error:
        must("retain" in bench.chosen.needed, f"refuses without needing retain rows: {error}")
        must("retain" in error.what, f"does not name the retain set: {error.what}")
    else:
        must("retain" not in bench.chosen.needed, "runs without the retain rows it needs")


def frozen_unchanged(bench: Bench) -> None:
    """Compares all weights before and after a run: trained ones change, a guard changes none."""
    before, model = snapshot(bench.untouched), bench.trained.model
    learns = set(model.trainable())
    moved = changed(before, snapshot(model))
    tied = {n for n in moved if "lm_head" in n}
    must(moved - tied <= learns, f"frozen weights moved: {sorted(moved - learns)[:3]}")
    if bench.cls.artefact == "guard":
        must(model.guards and not moved, f"a guard moved weights: {sorted(moved)[:3]}")
    else:
        must(moved, "nothing moved")


def moves_as_declared(bench: Bench) -> None:
    """Compares the loss on forget rows before and after a run with the declared direction.

    A method that has not moved that far in the usual run is given a longer one.
    """
    model, moved = bench.trained.model, _terms_moved if bench.cls.forget_loss is None else _moved
    try:
        moved(bench, model)
    except AssertionError:
        model = bench.model()
        taught_again = TEACH[bench.kind] | {"warmup": 0.1, "steps": 15}
        bench.run(model, **(taught_again if bench.cls.from_base else MOVING))
        moved(bench, model)


def _moved(bench: Bench, model: Model) -> None:
    """Compares the loss on forget rows of the taught model and of one after a run."""
    declared = bench.cls.forget_loss
    start, end = bench.forget_loss(taught(bench.kind)), bench.forget_loss(model)
    right = end > start if declared == "up" else end < start
    must(right, f"the loss on forget rows should go {declared}: {start:.4f} to {end:.4f}")


def _terms_moved(bench: Bench, model: Model) -> None:
    """Compares the term on forget rows, or on retain rows without it, before and after a run."""
    first, last = bench.terms_of(bench.first_step), bench.terms(model, bench.items(model))
    before, after = ({n: float(t.mean.detach()) for n, t in ts.items()} for ts in (first, last))
    name = "forget" if "forget" in before else "retain"
    must(after[name] < before[name], f"'{name}' does not fall: {before} to {after}")


def deterministic(bench: Bench) -> None:
    """Runs twice with one seed, the second time to the half, and compares losses and weights."""
    first, second = bench.trained, bench.stopped
    same = first.history[: len(second.history)] == second.history
    must(same, "two runs with one seed log other losses")
    must(not changed(first.halfway, second.halfway), "two runs with one seed differ")


def resumes(bench: Bench) -> None:
    """Compares a run that was stopped after two of three steps with one that was not."""
    if len(bench.stopped.history) == HALFWAY:
        must(any(bench.folder.iterdir()), "no checkpoint was written")
    whole, resumed = bench.trained, bench.model()
    history = bench.run(resumed, checkpoints=bench.folder, checkpoint_seconds=1e-9)
    must(history == whole.history, "a resumed run logs other losses")
    must(resumed.fingerprint == whole.model.fingerprint, "a resumed run gives other weights")


def saves_without_pickles(bench: Bench) -> None:
    """Saves the model, with and without LoRA, and compares its logits after loading."""
    for rank, run in bench.after_one_step.items():
        model = run.model
        rows = [item(row) for row in bench.data.train_rows("forget", bench.tracks)]
        batch = [row for row in rows if model.accepts(row)]
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            model.save(Path(folder))
            pickles = [p.name for p in Path(folder).rglob("*") if p.suffix in UNSAFE]
            must(not pickles, f"saved as a pickle: {pickles}")
            if rank is None:
                again = load_model(folder, kind=bench.kind, dtype=torch.float32)
            else:
                again = bench.model()
                load_adapter(again, Path(folder))
            ours = model.answers(model.batch(batch)).logits
            theirs = again.answers(again.batch(batch)).logits
        alike = torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)
        must(alike, "other logits after saving and loading")
