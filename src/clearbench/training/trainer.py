"""Trains with a method's loss inside `transformers.Trainer`, for scripts that have one already."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled

from clearbench.data.load import dataset_of
from clearbench.data.modality import parse_modalities
from clearbench.errors import RecipeError
from clearbench.methods.base import Edit, Method, Train, method
from clearbench.methods.losses import Term, checked_terms
from clearbench.methods.step import NoReference, Reference, Step
from clearbench.models.load import load_model
from clearbench.processes import processes, summed
from clearbench.training.checks import check
from clearbench.training.feed import every_track, unlearning_feed
from clearbench.training.reference import make_reference
from clearbench.training.roles import Roles
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings
from clearbench.training.shares import Part, cut_micro_batches, split_by_modality
from clearbench.training.watch import Diverged

#: Key of the number of a micro-batch in what the data loader gives.
_NUMBER = "micro_batch"
#: Arguments of `Trainer` in whose place the rows and the method stand.
_TAKEN = ("train_dataset", "data_collator", "model_init", "compute_loss_func")
#: Needs that change the model or its inputs around the loss.
_AROUND = ("shadow", "pixels", "untrained")
#: Place of a term: the number of its part of the rows, and its name.
_Key = tuple[int, str]


class UnlearningTrainer(Trainer):
    """A `transformers.Trainer` whose loss is that of a method, on rows to forget and to keep.

    Optimiser, schedule, precision, logging, checkpoints and callbacks are those of `Trainer`, and
    the weights of `model` with `requires_grad` are trained in place: choose them before, or put
    PEFT's adapters on the model. One step reads `per_device_train_batch_size` x
    `gradient_accumulation_steps` x processes rows of each side and modality, in the order of
    `clearbench.unlearn` with that `batch_size`, and an epoch is as many steps as show every forget
    row. Each term is divided by its weights over all micro-batches and processes, as there; with
    accumulation these are found by a pass without gradient, so that a step takes a third longer.
    The log has every term beside `loss`, as `loss_forget` and `loss_retain`.

    Args:
        model: `transformers` model, or one with PEFT's adapters on it.
        args: Arguments of training; those of `Trainer` by default. `data_seed`, or else `seed`,
            fixes the order of rows.
        forget: Rows in memory about the people to forget, as in `Dataset.from_rows`.
        retain: Rows in memory about the people to keep.
        dataset: Dataset in place of both, or what `load_dataset` takes.
        method: Name of a method whose steps are one loss each.
        modality: Modalities to forget: `text`, `image`, `both`, or other names joined by `+`.
        hyperparameters: Hyper-parameters of the method.
        processing_class: Tokenizer of a language model, processor of a vision-language model, or
            image processor of a classifier.
        **trainer: Other arguments of `Trainer`, such as `callbacks` and `optimizers`.

    Raises:
        RecipeError: The method is more than one loss a step, or `Trainer` cannot do what is asked
            (FSDP, ZeRO-3, several GPUs in one process, tensor parallelism, label smoothing).
        DataError: Rows are bad, or the model cannot read them; all are listed.
        ModelError: The model is no `transformers` model, or its processor is missing.
    """

    def __init__(
        self,
        model: Any,
        args: TrainingArguments | None = None,
        *,
        forget: Any = None,
        retain: Any = None,
        dataset: Any = None,
        method: str = "npo",
        modality: str = "both",
        hyperparameters: Mapping[str, Any] | None = None,
        processing_class: Any = None,
        **trainer: Any,
    ) -> None:
        if taken := [name for name in _TAKEN if trainer.get(name) is not None]:
            what = f"'{taken[0]}' has no use: rows and loss are those of the method"
            raise RecipeError(what, "UnlearningTrainer", "leave it out; give forget= and retain=")
        self._method = _one_loss(method, hyperparameters or {})
        self._tracks = parse_modalities(modality)
        rows = dataset_of(dataset, {"forget": forget, "retain": retain})
        self._wrapped = load_model(model, processing_class)
        self._dataset = rows.for_kind(self._wrapped.kind)
        check(self._wrapped, self._dataset, self._method, self._tracks, TrainSettings(steps=1))
        forgotten = TrainingRows(self._wrapped, self._dataset, self._tracks, 1, 0).items("forget")
        self._longest = max(Counter(row.track for row in forgotten).values())
        super().__init__(
            model, args, train_dataset=forgotten, processing_class=processing_class, **trainer
        )
        self._check_arguments()
        self._stage = _only_stage(self._method)
        self._needs = self._method.reads(self._stage)
        self._reference: Reference | None = None
        self._weights: dict[_Key, Tensor] = {}
        self._mine: Sequence[Sequence[Part]] = ()
        self._logged: dict[str, Tensor] = {}
        self._logged_steps = 0

    @property
    def _rows_a_step(self) -> int:
        """Number of rows of each side and modality in one update, over all processes."""
        accumulated = self._train_batch_size * self.args.gradient_accumulation_steps
        return int(accumulated * processes().num_processes)

    @property
    def _steps_an_epoch(self) -> int:
        return math.ceil(self._longest / self._rows_a_step)

    def _check_arguments(self) -> None:
        """Refuses arguments under which the loss would not be the method's."""
        refused = {
            "FSDP": self.is_fsdp_enabled,
            "ZeRO-3": is_deepspeed_zero3_enabled(),
            "several GPUs in one process": self.args.n_gpu > 1,
            "tensor or context parallelism": self.get_total_train_batch_size(self.args)
            != self._rows_a_step,
            "label smoothing": self.args.label_smoothing_factor != 0,
        }
        for name, asked in refused.items():
            if asked:
                raise RecipeError(
                    f"a method's loss is not computed under {name}",
                    "TrainingArguments",
                    "leave it out; `torchrun` or `accelerate launch` start a process for each GPU",
                )

    def train(self, *args: Any, **options: Any) -> Any:
        """Trains as `Trainer.train`; the model as it is before the first call is the reference.

        Args:
            *args: Arguments of `Trainer.train`.
            **options: Options of `Trainer.train`, such as `resume_from_checkpoint`.

        Returns:
            Steps, mean loss and measurements of speed (`TrainOutput`).

        Raises:
            Diverged: A loss is not finite; the update that it would have given is not made.
        """
        if self._reference is None:
            if self.is_deepspeed_enabled:  # which moves the model later
                self._wrapped.module.to(self.args.device)
            roles = Roles(self._wrapped, self._dataset)
            rows = every_track(self._rows_a_step)
            self._feed = unlearning_feed(
                self._dataset, self._tracks, rows, 0, roles, self._method.needed
            )
            steps = self.args.max_steps
            if steps <= 0:
                steps = math.ceil(self.args.num_train_epochs * self._steps_an_epoch)
            self._reference = make_reference(
                self._wrapped, self._needs, self._feed, self._row_seed, steps
            )
        return super().train(*args, **options)

    @property
    def _row_seed(self) -> int:
        own = self.args.data_seed
        return int(self.args.seed if own is None else own)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Makes a loader of the numbers of an epoch's micro-batches, the same in each process."""
        count = self._steps_an_epoch * self.args.gradient_accumulation_steps
        numbers: Any = range(count)
        return DataLoader(numbers, batch_size=None, collate_fn=lambda number: {_NUMBER: number})

    def compute_loss(
        self,
        model: Any,
        inputs: Any,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Computes the method's loss on a micro-batch; on other inputs that of `Trainer`."""
        if _NUMBER not in inputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        self._wrapped.train(True)  # with batch statistics as they are
        place = inputs[_NUMBER] % self.args.gradient_accumulation_steps
        if place == 0:
            self._begin_step()
        unwrapped = self.accelerator.unwrap_model(model)
        with self.accelerator.autocast():
            loss = _through(model, unwrapped, lambda: self._loss(self._mine[place]))
        if not bool(torch.isfinite(loss)):
            step = self.state.global_step
            raise Diverged(
                {"loss": float(loss.detach())}, [], f"the loss is not finite at step {step}"
            )
        # `Trainer` divides by the first, and gradients are means over the second
        loss = loss * self.current_gradient_accumulation_steps * processes().num_processes
        return (loss, {}) if return_outputs else loss

    def _begin_step(self) -> None:
        """Draws the rows of a step's micro-batches in this process, and sums their weights."""
        accumulated = self.args.gradient_accumulation_steps
        self._mine = cut_micro_batches(self._parts(self.state.global_step), accumulated)
        self._weights = {} if accumulated == 1 else self._all_weights()
        self._logged_steps += 1

    def _parts(self, step: int) -> list[Part]:
        drawn = self._feed(self._row_seed, step)
        if not self._stage.by_modality:
            return [Part(1.0, drawn)]
        return split_by_modality(drawn, self._needs, {})

    def _terms(self, parts: Sequence[Part]) -> Iterator[tuple[_Key, float, Term]]:
        """Yields the terms on each part of a micro-batch, with the part's share."""
        for number, part in enumerate(parts):
            chosen = {role: rows for role, rows in part.drawn.items() if role in self._needs}
            batches = {role: self._wrapped.batch(rows) for role, rows in chosen.items() if rows}
            step = Step(
                self._wrapped,
                self._reference or NoReference(),
                batches,
                number=self.state.global_step,
                steps=self.state.max_steps,
                together=True,
            )
            for name, term in checked_terms(self._stage.loss(step)).items():
                yield (number, name), part.share, term

    @torch.no_grad()
    def _all_weights(self) -> dict[_Key, Tensor]:
        """Sums the weights of each term over the micro-batches of a step and over processes."""
        totals: dict[_Key, Tensor] = {}
        with self.accelerator.autocast():
            for parts in self._mine:
                for key, _, term in self._terms(parts):
                    weights = term.weights.sum()
                    totals[key] = totals[key] + weights if key in totals else weights
        return {key: summed(total) for key, total in totals.items()}

    def _loss(self, parts: Sequence[Part]) -> Tensor:
        """Sums a micro-batch's terms, each divided by its weights in the whole step."""
        values: list[Tensor] = []
        for key, share, term in self._terms(parts):
            weights = self._weights[key] if self._weights else summed(term.weights.sum())
            value, name = share * term.total / weights.clamp_min(1e-12), f"loss_{key[1]}"
            before = self._logged.get(name, torch.zeros_like(value))
            self._logged[name] = before + value.detach()
            values.append(value)
        return torch.stack(values).sum()

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs the mean of each term over the steps since the last log, beside `loss`."""
        if "loss" in logs and self._logged_steps:
            totals = {name: float(summed(total)) for name, total in self._logged.items()}
            logs |= {name: total / self._logged_steps for name, total in totals.items()}
            self._logged, self._logged_steps = {}, 0
        super().log(logs, start_time)


def _one_loss(name: str, hyperparameters: Mapping[str, Any]) -> Method:
    """Builds a method and refuses one whose steps are more than one loss."""
    chosen = method(name, **hyperparameters)
    if why := next(_more_than_a_loss(chosen), None):
        raise RecipeError(
            f"{name} is more than one loss a step: {why}",
            "method",
            f'use clearbench.unlearn(model, forget=..., retain=..., method="{name}")',
        )
    return chosen


def _only_stage(chosen: Method) -> Train:
    """Returns the single stage of a method that trains."""
    (stage,) = [stage for stage in chosen.stages() if isinstance(stage, Train)]
    return stage


def _more_than_a_loss(chosen: Method) -> Iterator[str]:
    """Yields what a method does besides one loss on each step's rows."""
    first, *later = chosen.stages()
    if chosen.from_base:
        yield "it trains the base anew, not the original"
    if chosen.artefact == "guard":
        yield "it puts a guard in front of the model"
    if later:
        yield f"it has {1 + len(later)} stages"
    if isinstance(first, Edit):
        yield "it edits the weights"
    elif isinstance(first, Train):
        yield from _around(chosen, first)


def _around(chosen: Method, stage: Train) -> Iterator[str]:
    """Yields what a single stage does around its loss."""
    if stage.rule or stage.tensor_rule:
        yield "it mixes the gradients of its terms by a rule"
    if stage.probe:
        yield "it takes a gradient before that of its loss"
    if stage.parameters:
        yield "it chooses the weights that are trained"
    if type(chosen).prepare is not Method.prepare:
        yield "it computes a state before the first step"
    if type(chosen).after_step is not Method.after_step:
        yield "its state changes with each step"
    yield from (f"it needs '{need}'" for need in chosen.needed if need in _AROUND)


def _through(wrapped: Any, module: Any, function: Callable[[], Tensor]) -> Tensor:
    """Calls a function as if it were a module's forward pass, so that what wraps it takes part.

    Replicas (DDP) and DeepSpeed only notice gradients of a pass that goes through them.
    """
    if wrapped is module:
        return function()
    with _replaced_forward(module, function):
        loss: Tensor = wrapped()
    return loss


@contextmanager
def _replaced_forward(module: Any, function: Callable[[], Tensor]) -> Iterator[None]:
    """Replaces a module's forward pass by a function, which itself sees the module's own."""
    held = vars(module).get("forward")

    def put_back() -> None:
        if held is None:
            vars(module).pop("forward", None)
        else:
            module.forward = held

    def once() -> Tensor:
        put_back()
        return function()

    module.forward = once
    try:
        yield
    finally:
        put_back()
