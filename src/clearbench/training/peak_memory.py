"""Foresees the peak memory of training from a model's outline, without its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from clearbench.batches.answers import Answers
from clearbench.batches.batch import Batch
from clearbench.batches.chunks import held_at_once
from clearbench.batches.items import Item
from clearbench.data.dataset import Dataset
from clearbench.methods.base import Method, Train
from clearbench.methods.retrain import Retrain
from clearbench.models.adapters import choose_parameters, is_adapted
from clearbench.models.base import Model
from clearbench.models.outline import KnownValues
from clearbench.training.adamw_8bit import moment_bytes
from clearbench.training.feed import Feed, unlearning_feed
from clearbench.training.finetune import teaching_feed
from clearbench.training.loop import StageContext, Updates
from clearbench.training.micro_batches import LargestMicroBatch
from clearbench.training.reference import FrozenReference
from clearbench.training.roles import Roles
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings
from clearbench.training.shares import Drawn
from clearbench.training.stages import schedule

#: Number of first steps of which the one with most tokens is foreseen.
STEPS = 8
#: Tensors of a chunk's logits: logits, their log-softmax, and a gradient of each.
LOGIT_COPIES = 4


@dataclass(frozen=True)
class PeakMemory:
    """Bytes that training holds at once. Libraries, encoded rows and fragments are left out.

    Attributes:
        weights: Weights that are there before, trained or frozen.
        adapters: Adapters.
        optimizer: Both moments of AdamW, and float32 copies of weights in half precision.
        gradients: Gradients; of each term apart where a step is cut.
        reference: Copy of what learns, for a reference without adapters.
        casts: Frozen matrices in bfloat16, where that is the precision.
        kept: What the largest micro-batch keeps for its gradient.
        logits: Logits that are held at once.
        operations: Multiplications and additions of the matrix products of all steps; no bytes.
    """

    weights: int
    adapters: int = 0
    optimizer: int = 0
    gradients: int = 0
    reference: int = 0
    casts: int = 0
    kept: int = 0
    logits: int = 0
    operations: int = 0

    @property
    def parts(self) -> dict[str, int]:
        """Bytes by what they are for."""
        return {name: value for name, value in vars(self).items() if name != "operations"}

    @property
    def total(self) -> int:
        """The peak: what stays, and the larger of all gradients and of what precedes the last."""
        stays = self.weights + self.adapters + self.optimizer + self.reference + self.casts
        last = min(self.gradients, self.learned)
        return stays + self.gradients - last + max(last, self.kept + self.logits)

    @property
    def learned(self) -> int:
        """Bytes of one gradient of everything that learns."""
        return self.adapters or self.weights

    def of_copy(self) -> int:
        """The peak of a copy that is trained while the model itself stays, as `api.unlearn`'s.

        Under adapters frozen weights are copied after the training.
        """
        whole = 2 * self.weights + self.adapters
        return max(self.total, whole) if self.adapters else self.total + self.weights


class _Unvalued:
    """Stands for a reference whose values are not known."""

    def __init__(self, model: Model) -> None:
        self._frozen = FrozenReference(model)

    def answers(self, batches: Sequence[Batch]) -> Answers:
        """Logits on the answer tokens."""
        return self._frozen.answers(batches)

    def states(self, batches: Sequence[Batch], layer: int) -> Tensor:
        """Hidden states, (tokens, width)."""
        return self._frozen.states(batches, layer)

    def sequence_log_probs(self, batches: Sequence[Batch]) -> Tensor:
        """Log-probabilities of whole answers, (rows,)."""
        return torch.zeros(sum(len(b.items) for b in batches), device=batches[0].places.device)


def unlearning_memory(
    model: Model,
    dataset: Dataset,
    chosen: Method,
    tracks: Sequence[str],
    settings: TrainSettings,
    seed: int = 0,
) -> PeakMemory:
    """Foresees what `unlearn` takes on an outline: the largest of its training stages.

    Args:
        model: Outline (`models.outline.outlined`), which is changed.
        dataset: Rows of the people to forget and to keep.
        chosen: Method.
        tracks: Tracks of the forget rows.
        settings: Schedule.
        seed: Seed of the row order.
    """
    if chosen.from_base:
        return teaching_memory(model, dataset, settings, seed, without=("forget",))
    weights = _bytes(model)
    with torch.device("meta"):
        choose_parameters(model, settings.parts, settings.lora_rank, seed, settings.lora_alpha)
    roles = Roles(model, dataset)
    feed = unlearning_feed(dataset, tracks, settings.rows, settings.replay, roles, chosen.needed)
    rows = TrainingRows(model, dataset, tracks, settings.batch_size, seed)
    trained = [stage for stage in chosen.stages() if isinstance(stage, Train)]
    found = []
    for stage in trained:
        context = StageContext(
            _Unvalued(model),
            _Unvalued(model),
            lambda: chosen.prepare(model, rows, seed),
        )
        own = schedule(stage, settings)
        needs = chosen.reads(stage)
        copied = "reference" in needs and not is_adapted(model)
        reading = replace(stage, needs=needs)
        found.append(_foreseen(model, reading, feed, own, seed, context, weights, copied))
    return max(found, key=lambda memory: memory.total, default=PeakMemory(weights))


def teaching_memory(
    model: Model,
    dataset: Dataset,
    settings: TrainSettings,
    seed: int = 0,
    without: tuple[str, ...] = (),
) -> PeakMemory:
    """Foresees what `finetune` takes on an outline, which is changed."""
    weights = _bytes(model)
    with torch.device("meta"):
        choose_parameters(model, settings.parts, settings.lora_rank, seed, settings.lora_alpha)
    splits = [split for split in ("forget", "retain") if split not in without]
    rows = [row for split in splits for row in dataset.train_rows(split)]
    feed = teaching_feed(rows, dataset.train_rows("replay"), settings, model.accepts)
    stage, context = Train(Retrain().loss), StageContext()
    return _foreseen(model, stage, feed, settings, seed, context, weights, copied=False)


def _foreseen(
    model: Model,
    stage: Train,
    feed: Feed,
    settings: TrainSettings,
    seed: int,
    context: StageContext,
    weights: int,
    copied: bool,
) -> PeakMemory:
    """Foresees one stage on a model whose trained weights are chosen."""
    plain = settings.model_copy(update={"gradient_checkpointing": False})
    updates = Updates(model, stage, plain, context)
    updates.begin(None)
    with KnownValues():
        updates.measure(feed(seed, 0))
    steps = [feed(seed, step) for step in range(min(STEPS, settings.steps))]

    def tokens(rows: Drawn) -> int:
        return sum(_tokens(model, row) for role in stage.roles for row in rows.get(role, ()))

    drawn = max(steps, key=tokens)
    with KnownValues():
        largest = updates.kept(drawn)
    learned = _bytes(model, trained=True)
    whole = 4 * sum(weight.numel() for weight in model.trainable().values())
    apart = largest.count > 1 or updates.stage.rule is not None or stage.tensor_rule is not None
    return PeakMemory(
        weights=weights,
        adapters=learned if is_adapted(model) else 0,
        optimizer=_moments(model, settings) + (whole if whole != learned else 0),
        gradients=learned * (largest.terms + 1 if apart else 1),
        reference=learned if copied else 0,
        casts=sum(cast.nbytes for cast in updates.autocast.casts) if updates.autocast else 0,
        kept=_kept(model, largest, settings),
        logits=_logits(model, largest),
        operations=_operations(model, tokens(drawn), settings.steps),
    )


def _bytes(model: Model, *, trained: bool = False) -> int:
    found = model.trainable().values() if trained else model.module.parameters()
    return sum(weight.nbytes for weight in found)


def _moments(model: Model, settings: TrainSettings) -> int:
    """Bytes of both moments of AdamW."""
    sizes = [weight.numel() for weight in model.trainable().values()]
    return sum(map(moment_bytes, sizes)) if settings.optimizer == "adamw_8bit" else 8 * sum(sizes)


def _tokens(model: Model, row: Item) -> int:
    return len(model.tree([row]))


def _operations(model: Model, tokens: int, steps: int) -> int:
    """Counts operations forth and back: on inputs, and where weights learn on them as well."""
    looked_up = (
        model.core.get_input_embeddings().weight.numel() if model.kind != "classifier" else 0
    )
    weights = sum(weight.numel() for weight in model.module.parameters()) - looked_up
    return 2 * int(weights) * tokens * steps * (2 if is_adapted(model) else 3)


def _kept(model: Model, largest: LargestMicroBatch, settings: TrainSettings) -> int:
    """Bytes that are kept; with checkpointing the inputs of all layers, and one layer's own."""
    if not settings.gradient_checkpointing:
        return largest.kept
    width = int(model.core.config.get_text_config().hidden_size)
    inputs = 4 * width * sum(_tokens(model, row) for row in largest.rows)
    return inputs * model.depth + largest.kept // model.depth


def _logits(model: Model, largest: LargestMicroBatch) -> int:
    """Bytes of the logits that are held at once."""
    if model.kind == "classifier":
        return 0
    trees = [model.tree([row]) for row in largest.rows]
    tokens = sum(len(tree.paths[0]) - tree.starts[0] for tree in trees)
    count = tokens * int(model.core.get_output_embeddings().out_features)
    return 4 * LOGIT_COPIES * min(count, held_at_once(model.foreseen_on or model.device))
