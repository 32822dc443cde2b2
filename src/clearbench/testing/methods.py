"""What every unlearning method must hold to, checked on tiny models."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import annotated_types
import torch
import yaml
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from clearbench.batches.batch import Batch
from clearbench.batches.items import Item, Kind, item
from clearbench.errors import RecipeError
from clearbench.methods.base import Method, method
from clearbench.methods.losses import Term
from clearbench.models.adapters import choose_parameters, load_adapter
from clearbench.models.load import UNSAFE, load_model
from clearbench.testing.bench import Bench
from clearbench.testing.by_hand import changed, snapshot
from clearbench.testing.world import PARTS, TEACH, taught
from clearbench.training.feed import Feed
from clearbench.training.loop import StageContext, train
from clearbench.training.reference import make_reference
from clearbench.training.unlearn import unlearn

CLOSE = 1e-5
#: The steps after which a loss must have moved.
MOVING: dict[str, Any] = {"steps": 8, "learning_rate": 3e-3}


def _near(first: float, second: float, what: str, relative: float = CLOSE) -> None:
    if not math.isclose(first, second, rel_tol=relative, abs_tol=relative):
        raise AssertionError(f"{what}: {first!r} and {second!r}")


def _must(condition: object, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def _said(bench: Bench) -> None:
    """The docstring has an idea line, and a paper is named."""
    first, *_ = (bench.cls.__dict__.get("__doc__") or "").strip().splitlines() or [""]
    _must(first.strip().endswith((".", ":")), "the docstring has no sentence with the idea")
    _must(bench.cls.paper.strip(), "no `paper`")


def _round_trip(bench: Bench) -> None:
    text = yaml.safe_dump(bench.chosen.model_dump(mode="json"))
    again = bench.cls.model_validate(yaml.safe_load(text))
    _must(again == bench.chosen, f"YAML gives another configuration: {text}")


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


def _refuses_bad_values(bench: Bench) -> None:
    for name, value in _bad_values(bench.cls):
        try:
            method(bench.cls.name, **{name: value})
        except RecipeError as error:
            _must(name in str(error), f"{name} = {value!r} is refused without its name: {error}")
        else:
            raise AssertionError(f"{name} = {value!r} is accepted")


def _refuses_missing_retain(bench: Bench) -> None:
    alone = replace(bench.data, training={"forget": bench.data.training["forget"]})
    settings = bench.settings(steps=1)
    try:
        unlearn(bench.model(), alone, bench.chosen, bench.tracks, settings)
    except RecipeError as error:
        _must("retain" in bench.cls.needs, f"refuses without needing retain rows: {error}")
        _must("retain" in error.what, f"does not name the retain set: {error.what}")
    else:
        _must("retain" not in bench.cls.needs, "runs without the retain rows it needs")


def _finite_loss(bench: Bench) -> None:
    """Every stage, in its first two steps."""
    model = bench.model()
    items = bench.items(model)
    for stage in bench.trains:
        for number in (0, 1):
            for name, term in stage.loss(bench.step(model, items, number)).items():
                _must(isinstance(term, Term), f"'{name}' is a {type(term).__name__}, not a Term")
                _must(term.values.shape == term.weights.shape, f"'{name}': values and weights")
                _must(not term.weights.requires_grad, f"the weights of '{name}' have a gradient")
                _must(bool(torch.isfinite(term.values).all()), f"'{name}' is not finite")


def _nothing_to_answer(bench: Bench) -> None:
    """A batch without any answer token has a finite loss."""
    model = bench.model()
    step = bench.step(model, bench.items(model))
    batches = {role: [_unanswered(b) for b in each] for role, each in step.batches.items()}
    for name, term in bench.trains[0].loss(replace(step, batches=batches)).items():
        _must(bool(torch.isfinite(term.mean)), f"'{name}' is not finite without answers")


def _unanswered(batch: Batch) -> Batch:
    return replace(
        batch, places=batch.places[:0], targets=batch.targets[:0], owners=batch.owners[:0]
    )


def _terms_sum_to_total(bench: Bench) -> None:
    for values in bench.run(bench.model()):
        parts = [v for name, v in values.items() if name not in ("loss", "gradient_norm")]
        _near(sum(parts), values["loss"], "the named terms and the logged loss", 1e-9)


def _reference_unchanged(bench: Bench) -> None:
    """Asked before and after two steps, the reference says the same; in full and with LoRA."""
    chosen = bench.chosen
    looking_back = [
        replace(stage, needs=chosen.reads(stage))
        for stage in bench.trains
        if {"reference", "reference_log_probs"} & set(chosen.reads(stage))
    ]
    if not looking_back:
        return
    stage = looking_back[0]
    for rank in (None, 2):
        model, settings = bench.model(), bench.settings(steps=2, lora_rank=rank)
        choose_parameters(model, settings.parts, rank, 0)
        items = bench.items(model)
        feed = _always(items)
        reference = make_reference(model, stage.needs or (), feed, 0, settings.steps)
        batches = model.batch(items["forget" if "forget" in items else "idk"])
        before = reference.sequence_log_probs(batches)
        view = bench.step(model, items)
        context = StageContext(reference, view.untrained, lambda state=view.state: state)  # type: ignore[misc]
        train(model, stage, feed, settings, 0, context)
        same = torch.equal(before, reference.sequence_log_probs(batches))
        _must(same, "the reference has changed")


def _always(items: Mapping[str, list[Item]]) -> Feed:
    return lambda seed, step: items


def _frozen_unchanged(bench: Bench) -> None:
    """Only what is asked to learn moves, and it does move; a guard moves nothing."""
    model = bench.model()
    before = snapshot(model)
    bench.run(model)
    learns = set(model.trainable())
    moved = changed(before, snapshot(model))
    tied = {n for n in moved if "lm_head" in n}
    _must(moved - tied <= learns, f"frozen weights moved: {sorted(moved - learns)[:3]}")
    if bench.cls.artefact == "guard":
        _must(model.guards and not moved, f"a guard moved weights: {sorted(moved)[:3]}")
    else:
        _must(moved, "nothing moved")


def _lora_same_interface(bench: Bench) -> None:
    if not bench.takes_lora:
        return
    full, adapted = bench.model(), bench.model()
    first, second = bench.run(full, steps=1), bench.run(adapted, steps=1, lora_rank=2)
    _must(first[0].keys() == second[0].keys(), "other terms with LoRA")
    _must(adapted.trainable(), "nothing learns with LoRA")
    plain = [name for name in adapted.trainable() if "lora_" not in name]
    _must(not plain, f"with LoRA these learn, too: {plain[:3]}")
    for name in first[0].keys() - {"gradient_norm", "loss", "norm"}:  # `norm` is of what learns
        _near(first[0][name], second[0][name], f"'{name}' of the first step, full and LoRA")
    base = snapshot(bench.model())
    after = {n.replace(".base_layer", ""): v for n, v in snapshot(adapted).items()}
    after = {n.removeprefix("base_model.model."): v for n, v in after.items()}
    _must(base.keys() <= after.keys(), "the base's weights have other names under LoRA")
    _must(not changed(base, after), "LoRA changed weights of the base")


def _moves_as_declared(bench: Bench) -> None:
    model = bench.model()
    declared = bench.cls.forget_loss
    if declared is None:
        items = bench.items(model)
        before = {n: float(t.mean.detach()) for n, t in bench.terms(model, items).items()}
        bench.run(model, **MOVING)
        after = {n: float(t.mean.detach()) for n, t in bench.terms(model, items).items()}
        name = "forget" if "forget" in before else "retain"
        _must(after[name] < before[name], f"'{name}' does not fall: {before} to {after}")
        return
    start = bench.forget_loss(taught(bench.kind))
    taught_again = TEACH[bench.kind] | {"warmup": 0.1, "steps": 15}
    bench.run(model, **(taught_again if bench.cls.from_base else MOVING))
    end = bench.forget_loss(model)
    right = end > start if declared == "up" else end < start
    _must(right, f"the loss on forget rows should go {declared}: {start:.4f} to {end:.4f}")


def _zero_strength(bench: Bench) -> None:
    """A term of weight 0 (`retain_weight=0` for `retain`) has no gradient."""
    model = bench.model()
    model.train_only(PARTS[bench.kind])
    parameters = list(model.trainable().values())
    items = bench.items(model)
    for field in bench.cls.model_fields:
        name = field.removesuffix("_weight")
        if name == field:
            continue
        terms = bench.terms(model, items, bench.cls(**{**bench.cls.trial, field: 0}))
        if name in terms:
            grads = torch.autograd.grad(terms[name].total, parameters, materialize_grads=True)
            _must(not any(bool(g.any()) for g in grads), f"{field}=0 still has a gradient")


def _batching_changes_nothing(bench: Bench) -> None:
    """Other row order, and rows one by one without any padding, give the same loss."""
    model = bench.model()
    items = bench.items(model)
    count = min(len(rows) for rows in items.values())
    items = {role: rows[:count] for role, rows in items.items()}
    whole = bench.terms(model, items)
    other = bench.terms(model, {role: rows[::-1] for role, rows in items.items()})
    single = [
        bench.terms(model, {role: rows[k : k + 1] for role, rows in items.items()})
        for k in range(count)
    ]
    for name, term in whole.items():
        _near(
            float(term.mean.detach()),
            float(other[name].mean.detach()),
            f"'{name}' in another row order",
        )
        total = sum(float(each[name].total.detach()) for each in single)
        weight = sum(float(each[name].weights.sum().detach()) for each in single)
        _near(float(term.mean.detach()), total / weight, f"'{name}' row by row, without padding")


@contextmanager
def _gradients_kept() -> Iterator[list[list[Tensor]]]:
    kept: list[list[Tensor]] = []

    def keep(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        found = [p.grad for group in optimizer.param_groups for p in group["params"]]
        kept.append([grad.detach().clone() for grad in found if grad is not None])

    handle = register_optimizer_step_pre_hook(keep)
    try:
        yield kept
    finally:
        handle.remove()


def _accumulation_changes_nothing(bench: Bench) -> None:
    """The first update; what later stages see follows from it."""
    first = []
    for accumulate in (1, 2):
        with _gradients_kept() as kept:
            bench.run(bench.model(), steps=1, accumulate=accumulate, clip=1e9)
        first.append(torch.cat([each.flatten() for each in kept[0]]))
    whole, cut = first
    distance = float((whole - cut).norm() / whole.norm())
    _must(distance < CLOSE, f"two micro-batches give another gradient: {distance:.1e} away")


def _deterministic(bench: Bench) -> None:
    first, second = bench.model(), bench.model()
    same = bench.run(first) == bench.run(second)
    _must(same, "two runs with one seed log other losses")
    _must(not changed(snapshot(first), snapshot(second)), "two runs with one seed differ")


class _StopError(Exception):
    """Stands for a kill."""


def _resumes(bench: Bench) -> None:
    """A run stopped after two of three steps and started again gives the same bytes."""
    whole, resumed = bench.model(), bench.model()
    bench.run(whole)

    def stop(done: int, *_: object) -> None:
        if done == 2:
            raise _StopError

    with tempfile.TemporaryDirectory() as folder:
        about: dict[str, Any] = {"checkpoints": Path(folder), "checkpoint_seconds": 1e-9}
        for on_step in (stop, None):
            resumed = bench.model()
            try:
                bench.run(resumed, on_step=on_step, **about)
            except _StopError:
                _must(any(Path(folder).iterdir()), "no checkpoint was written")
    _must(not changed(snapshot(whole), snapshot(resumed)), "a resumed run gives other weights")


def _saves(bench: Bench) -> None:
    for rank in (None, 2) if bench.takes_lora else (None,):
        model = bench.model()
        bench.run(model, steps=1, lora_rank=rank)
        rows = [item(row) for row in bench.data.train_rows("forget", bench.tracks)]
        batch = [each for each in rows if model.accepts(each)]
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            model.save(Path(folder))
            pickles = [p.name for p in Path(folder).rglob("*") if p.suffix in UNSAFE]
            _must(not pickles, f"saved as a pickle: {pickles}")
            if rank is None:
                again = load_model(folder, kind=bench.kind, dtype=torch.float32)
            else:
                again = bench.model()
                load_adapter(again, Path(folder))
            ours = model.answers(model.batch(batch)).logits
            theirs = again.answers(again.batch(batch)).logits
        _must(torch.allclose(ours, theirs, atol=1e-6), "other logits after saving and loading")


_CHECKS: dict[str, Callable[[Bench], None]] = {
    "has an idea and a paper": _said,
    "configuration round-trips YAML": _round_trip,
    "refuses bad hyper-parameters by name": _refuses_bad_values,
    "finite loss": _finite_loss,
    "finite loss without answers": _nothing_to_answer,
    "refuses a missing retain set by name": _refuses_missing_retain,
    "named terms sum to the logged loss": _terms_sum_to_total,
    "reference unchanged": _reference_unchanged,
    "frozen parameters unchanged": _frozen_unchanged,
    "LoRA and full have one interface": _lora_same_interface,
    "moves as declared": _moves_as_declared,
    "zero strength is no term": _zero_strength,
    "padding and order change nothing": _batching_changes_nothing,
    "micro-batches change nothing": _accumulation_changes_nothing,
    "deterministic under a seed": _deterministic,
    "resumes to the same bytes": _resumes,
    "saves without pickles": _saves,
}
#: Checks of a loss: an edit or a guard has none.
_OF_A_LOSS = {
    _finite_loss,
    _nothing_to_answer,
    _terms_sum_to_total,
    _reference_unchanged,
    _lora_same_interface,
    _zero_strength,
    _batching_changes_nothing,
    _accumulation_changes_nothing,
}


def checks(bench: Bench) -> dict[str, Callable[[Bench], None]]:
    """What a method must hold to."""
    return {n: c for n, c in _CHECKS.items() if bench.trains or c not in _OF_A_LOSS}


def check_method(cls: type[Method], kind: Kind | None = None) -> list[str]:
    """Checks a method on tiny models of every kind it claims, or of one.

    Returns:
        The names of the checks, all passed.

    Raises:
        AssertionError: At the first check that fails, with check, method and kind.
    """
    if kind is not None and kind not in cls.kinds:
        raise AssertionError(f"{cls.name} does not claim a {kind}")
    passed: dict[str, None] = {}
    for each in (kind,) if kind else cls.kinds:
        bench = Bench(cls, each)
        for name, check in checks(bench).items():
            try:
                check(bench)
            except Exception as error:
                raise AssertionError(f"{name}: {cls.name} on a {each}: {error}") from error
            passed[name] = None
    return list(passed)
