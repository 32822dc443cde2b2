"""Checks of a method's loss on tiny models: finite, additive, independent of batching."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from clearbench.batches.batch import Batch
from clearbench.batches.items import Item
from clearbench.methods.losses import Term, checked_terms
from clearbench.models.adapters import choose_parameters
from clearbench.testing.asserting import CLOSE, must, near
from clearbench.testing.bench import Bench
from clearbench.testing.by_hand import changed, snapshot
from clearbench.training.feed import Feed
from clearbench.training.loop import StageContext, train
from clearbench.training.reference import make_reference


def finite_loss(bench: Bench) -> None:
    """Computes the terms of every stage in its first two steps: their shapes and values."""
    for stage in bench.trains:
        for number in (0, 1):
            terms = checked_terms(stage.loss(replace(bench.first_step, number=number)))
            for name, term in terms.items():
                must(not term.weights.requires_grad, f"the weights of '{name}' have a gradient")
                must(bool(torch.isfinite(term.values).all()), f"'{name}' is not finite")


def finite_without_answers(bench: Bench) -> None:
    """Computes the loss of batches without any answer token: finite."""
    step = bench.first_step
    batches = {role: [_unanswered(b) for b in group] for role, group in step.batches.items()}
    for name, term in bench.trains[0].loss(replace(step, batches=batches)).items():
        reduced = ": it is one number; give a value per token or row, not their mean"
        why = reduced if term.values.ndim == 0 else ""
        must(bool(torch.isfinite(term.mean)), f"'{name}' is not finite without answers{why}")


def _unanswered(batch: Batch) -> Batch:
    return replace(
        batch, places=batch.places[:0], targets=batch.targets[:0], owners=batch.owners[:0]
    )


def terms_sum_to_total(bench: Bench) -> None:
    """Compares the sum of the named terms with the logged loss of each step."""
    for values in bench.trained.history:
        parts = [v for name, v in values.items() if name not in ("loss", "gradient_norm")]
        near(sum(parts), values["loss"], "the named terms and the logged loss", 1e-9)


def reference_unchanged(bench: Bench) -> None:
    """Compares the reference's log-probabilities before and after two steps, also with LoRA."""
    chosen = bench.chosen
    with_reference = [
        replace(stage, needs=chosen.reads(stage))
        for stage in bench.trains
        if {"reference", "reference_log_probs"} & set(chosen.reads(stage))
    ]
    if not with_reference:
        return
    stage = with_reference[0]
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
        must(same, "the reference has changed")


def _always(items: Mapping[str, list[Item]]) -> Feed:
    return lambda seed, step: items


def lora_same_interface(bench: Bench) -> None:
    """Compares the terms of the first step with LoRA and without, and the base's weights."""
    if not bench.takes_lora:
        return
    runs = bench.after_one_step
    first, second, adapted = runs[None].history, runs[2].history, runs[2].model
    must(first[0].keys() == second[0].keys(), "other terms with LoRA")
    must(adapted.trainable(), "nothing learns with LoRA")
    plain = [name for name in adapted.trainable() if "lora_" not in name]
    must(not plain, f"with LoRA these learn, too: {plain[:3]}")
    of_what_learns = {"gradient_norm", "loss", "norm"}
    if bench.trains[0].probe is not None:  # the loss at weights that were moved
        of_what_learns |= {"forget"}
    for name in first[0].keys() - of_what_learns:
        near(first[0][name], second[0][name], f"'{name}' of the first step, full and LoRA")
    base = snapshot(bench.untouched)
    after = {n.replace(".base_layer", ""): v for n, v in snapshot(adapted).items()}
    after = {n.removeprefix("base_model.model."): v for n, v in after.items()}
    must(base.keys() <= after.keys(), "the base's weights have other names under LoRA")
    must(not changed(base, after), "LoRA changed weights of the base")


def zero_strength(bench: Bench) -> None:
    """Computes the gradient of terms of weight 0 (`retain_weight=0` for `retain`): none."""
    for field in bench.cls.model_fields:
        name = field.removesuffix("_weight")
        if name == field:
            continue
        without = bench.cls(**{**bench.cls.trial, field: 0})
        terms = bench.terms_of(bench.first_step, without)
        if name in terms:
            parameters = list(bench.untouched.trainable().values())
            grads = torch.autograd.grad(terms[name].total, parameters, materialize_grads=True)
            must(not any(bool(g.any()) for g in grads), f"{field}=0 still has a gradient")


def batching_changes_nothing(bench: Bench) -> None:
    """Compares the loss with that in another row order and that of single rows without padding."""
    items = bench.items(bench.untouched)
    count = min(len(rows) for rows in items.values())
    items = {role: rows[:count] for role, rows in items.items()}

    def terms(rows: slice) -> dict[str, Term]:
        chosen = {role: every[rows] for role, every in items.items()}
        return bench.terms_of(bench.first_step_on(chosen))

    whole, other = terms(slice(None)), terms(slice(None, None, -1))
    single = [terms(slice(k, k + 1)) for k in range(count)]
    for name, term in whole.items():
        near(
            float(term.mean.detach()),
            float(other[name].mean.detach()),
            f"'{name}' in another row order",
        )
        total = sum(float(terms[name].total.detach()) for terms in single)
        weight = sum(float(terms[name].weights.sum().detach()) for terms in single)
        near(float(term.mean.detach()), total / weight, f"'{name}' row by row, without padding")


def accumulation_changes_nothing(bench: Bench) -> None:
    """Compares the first gradient of one micro-batch with that of two; the rest follows from it."""
    whole = bench.after_one_step[None].gradient
    cut = bench.one_step(accumulate=2).gradient
    distance = float((whole - cut).norm() / whole.norm())
    must(distance < CLOSE, f"two micro-batches give another gradient: {distance:.1e} away")
