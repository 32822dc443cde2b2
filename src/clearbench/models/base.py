"""Defines the interface of language models, vision-language models and classifiers."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from clearbench.batches.answers import Answers
from clearbench.batches.batch import Batch
from clearbench.batches.items import Item, by_medium, cut
from clearbench.batches.kind import Kind
from clearbench.batches.trees import Tree
from clearbench.data.modality import modalities
from clearbench.methods.guard import FittedGuard
from clearbench.models.cache import WorkCache
from clearbench.models.families.base import family_of
from clearbench.models.origin import Origin
from clearbench.models.token_statistics import TokenStatistics, read_tokens
from clearbench.models.weights import Weights, aliases, digest
from clearbench.storage import content_hash

#: Padded tokens that a GPU reads at once, unless they do not fit its memory.
GPU_TOKENS = 16384


class Model(Weights, ABC):
    """A `transformers` model with the operations that unlearning and measuring need.

    Attributes:
        module: The `torch` module that is trained and saved (with adapters, if there are any).
        kind: `language`, `vision-language` or `classifier`.
        forwards: Number of batches the network has read, for the cost of a run.
        backwards: Number of gradients taken, for the cost of a run.
        token_budget: Padded tokens that are read at once where nothing is learned; 512 are the
            fastest on a CPU (docs/performance.md). A GPU begins with `GPU_TOKENS` and halves them
            until they fit its memory.
        guards: Guards that change what it reads, the oldest first.
        origin: Where its weights were loaded from; None where they were made here.
        left_out: Names of tensors of its checkpoint that no layer of it reads.
        cache: Cache of encoded rows, media and tower features, its own unless `share` sets another.
    """

    kind: ClassVar[Kind]
    module: Any
    forwards: int = 0
    token_budget: int = 512
    backwards: int = 0
    guards: tuple[FittedGuard, ...] = ()
    origin: Origin | None = None
    left_out: tuple[str, ...] = ()

    def __init__(self, module: Any, processor: Any) -> None:
        self.module, self.processor = module, processor
        self.family = family_of(module.config)
        self.share(WorkCache(), "")

    def share(self, cache: WorkCache, source: str) -> None:
        """Uses a cache in common with other models.

        Args:
            cache: Cache with a bound, in common to all models of a process.
            source: Name of the base: models of one base and kind share encoded rows, which
                depend on the processor.
        """
        self.cache = cache

    @abstractmethod
    def tree(self, items: Sequence[Item]) -> Tree:
        """Encodes items with the same media, or without any, as one row."""

    @abstractmethod
    def collate(self, trees: Sequence[Tree]) -> tuple[Batch, ...]:
        """Pads rows into batches, one per medium."""

    @abstractmethod
    def answers(self, batches: Sequence[Batch]) -> Answers:
        """Computes logits on the answer tokens only, with gradient."""

    def answers_together(self, groups: Sequence[Sequence[Batch]]) -> list[Answers]:
        """Computes `answers` of each group; rows of one kind are one batch across groups."""
        every = [batch for group in groups for batch in group]
        if not all(batch.trees for batch in every):  # media that only the tensors hold
            return [self.answers(group) for group in groups]
        by_group: dict[int, Answers] = {}
        for medium in modalities():  # in this order, which decides the rounding of gradients
            alike = [k for k, batch in enumerate(every) if batch.medium == medium]
            if not alike:
                continue
            whole = self.answers(self.collate([t for k in alike for t in every[k].trees]))
            self.forwards += len(alike) - 1  # which counts them as if each were read alone
            sizes = [len(every[k].items) for k in alike], [len(every[k].targets) for k in alike]
            by_group |= zip(alike, whole.split(*sizes), strict=True)
        parts = iter(by_group[k] for k in range(len(every)))
        return [Answers.join([next(parts) for _ in group]) for group in groups]

    @abstractmethod
    def logits(self, batch: Batch, places: Tensor) -> Iterator[Tensor]:
        """Yields (tokens, vocabulary) logits at flat places, some tokens at a time."""

    @abstractmethod
    def accepts(self, item: Item) -> bool:
        """Whether the model can score an item."""

    def check(self, items: Sequence[Item]) -> None:
        """Raises an error that lists all items which the model cannot read or score.

        Raises:
            DataError: Texts that cannot be written, control tokens, or too many tokens.
            ModelError: The chat template loses questions or answers.
        """

    @property
    def reading(self) -> dict[str, Any]:
        """What decides how rows are read, besides the model's files; empty for a classifier."""
        return {}

    @abstractmethod
    def hidden(self, batch: Batch, layer: int) -> Tensor:
        """Computes hidden states after a layer; (rows, length, width) for token models."""

    @property
    @abstractmethod
    def depth(self) -> int:
        """Number of layers that `states` can give."""

    @abstractmethod
    def states(self, batches: Sequence[Batch], layer: int) -> Tensor:
        """Computes (tokens, width) hidden states at answer tokens after `layer`, counted from 1."""

    @abstractmethod
    def prompt_states(self, batch: Batch, layer: int | None = None) -> Tensor:
        """Computes each row's mean hidden state over its prompt, (rows, width), without gradient.

        Read after `layer`, counted from 1; None for the last, after its normalisation.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes weights (safetensors), configuration and processor."""

    def batch(self, items: Sequence[Item]) -> tuple[Batch, ...]:
        """Pads items into training batches, a row each."""
        return self.collate([self.tree([item]) for item in items])

    def trees(self, items: Sequence[Item]) -> list[Tree]:
        """Groups items by media, or by question without any, into a row per group."""
        groups: dict[str, list[Item]] = {}
        for item in items:
            key = item.question if item.media is None else item.media.key
            groups.setdefault(key, []).append(item)
        return [self.tree(group) for group in groups.values()]

    @torch.no_grad()
    def statistics(self, batch: Batch) -> list[TokenStatistics]:
        """Computes statistics of each item's answer; a context that items share is read once."""
        places, places_of = batch.places.unique(return_inverse=True)
        columns = torch.empty((4, len(batch.targets)), device=batch.targets.device)
        begin = 0
        for logits in self.logits(batch, places):
            mine = (places_of >= begin) & (places_of < begin + len(logits))
            columns[:, mine] = read_tokens(logits, places_of[mine] - begin, batch.targets[mine])
            begin += len(logits)
        sizes = torch.bincount(batch.owners, minlength=len(batch.items)).tolist()
        parts = columns.cpu().split(sizes, dim=1)
        return [
            TokenStatistics(p[0].numpy(), p[1].numpy() > 0, p[2].numpy(), p[3].numpy())
            for p in parts
        ]

    def scoring_groups(self, items: Sequence[Item]) -> list[list[Tree]]:
        """Cuts items into batches of similar length within `token_budget`, each item once."""
        groups: list[list[Tree]] = []
        for alike in by_medium(items).values():
            trees = self.trees(alike)
            cuts = cut([len(tree) for tree in trees], self.token_budget)
            groups += [[trees[k] for k in group] for group in cuts]
        return groups

    def score_group(self, group: Sequence[Tree]) -> dict[Item, TokenStatistics]:
        """Computes `statistics` of one of `scoring_groups`, in halves where memory is too small."""
        try:
            return self._score_at_once(group)
        except torch.OutOfMemoryError:
            if len(group) == 1:
                raise
        self.lower_budget()
        half = len(group) // 2
        return self.score_group(group[:half]) | self.score_group(group[half:])

    def lower_budget(self) -> None:
        """Halves the tokens that are read at once from now on; gives back memory where it can."""
        self.token_budget = max(1, self.token_budget // 2)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _score_at_once(self, group: Sequence[Tree]) -> dict[Item, TokenStatistics]:
        return {
            item: reading
            for batch in self.collate(group)
            for item, reading in zip(batch.items, self.statistics(batch), strict=True)
        }

    def score_items(self, items: Sequence[Item]) -> dict[Item, TokenStatistics]:
        """Computes `statistics` of any number of items, in any order."""
        groups = self.scoring_groups(items)
        return {item: found for g in groups for item, found in self.score_group(g).items()}

    def score(self, batch: Batch) -> list[Tensor]:
        """Computes the (tokens,) log-probabilities of each item's answer."""
        readings = self.statistics(batch.to(self.device))
        return [torch.from_numpy(item.log_probs) for item in readings]

    def generation_groups(self, items: Sequence[Item]) -> list[list[Item]]:
        """Cuts items into batches to generate together; none for models that generate no text."""
        return []

    def generate(
        self, items: Sequence[Item], max_new_tokens: int | Sequence[int] = 40
    ) -> list[str]:
        """Generates greedy answers to the items' questions.

        Args:
            items: Items in any order.
            max_new_tokens: Longest answer: one for all items, or one per item.
        """
        raise NotImplementedError(f"a {self.kind} does not generate text")

    def answer_length(self, item: Item) -> int:
        """Counts the tokens of the item's own answer, with the one that ends it."""
        raise NotImplementedError(f"a {self.kind} does not generate text")

    def answer_text(self, item: Item) -> str:
        """Returns the item's own answer as its scored tokens spell it."""
        return item.answer

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides its answers: weights and guards."""
        guards = [(guard.about, digest(dict(sorted(guard.state.items())))) for guard in self.guards]
        return content_hash([digest(self.module.state_dict()), guards])

    @property
    def place(self) -> str | None:
        """Where its weights can be loaded again, without adapters; None where nowhere."""
        return self.origin.place if self.origin and self.origin.holds(self.module) else None

    def duplicate(self, *, sharing: bool = False) -> Self:
        """Copies the model; changing one copy leaves the other as it is.

        Args:
            sharing: True for weights that stand in the same memory until they are replaced, as
                `adapters.copy_to_train` makes sure.
        """
        twin = copy.copy(self)
        twin.module = copy.deepcopy(self.module, aliases(self.module) if sharing else {})
        return twin

    @property
    def pixel_range(self) -> tuple[Tensor, Tensor]:
        """Network inputs of a black and of a white pixel, (channels, 1, 1) each."""
        raise NotImplementedError(f"a {self.kind} takes no pictures alone")

    @torch.no_grad()
    def entering(
        self, batches: Sequence[Batch], weights: Collection[str], *, everywhere: bool = False
    ) -> dict[str, Tensor]:
        """Records inputs of the linear layers of these weights, without gradient.

        Args:
            batches: Inputs of the model.
            weights: Names of parameters, each a layer's only matrix.
            everywhere: True for all positions, not only those that answers are read from.
                Positions of an image's patches are always all recorded.

        Returns:
            Inputs (places, inputs) by weight, for every weight that was used.
        """
        by_weight: dict[str, list[Tensor]] = {}
        entered: dict[str, Tensor] = {}
        layers = dict(self.module.named_modules())

        def recorded(name: str) -> RemovableHandle:
            def record(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
                entered[name] = inputs[0]

            layer: nn.Module = layers[name.rpartition(".")[0]]
            return layer.register_forward_pre_hook(record)

        handles = [recorded(name) for name in weights]
        try:
            for batch in batches:
                entered.clear()
                self.answers([batch.whole()])
                for name, values in entered.items():
                    patches = values.dim() > 2 and self.part_of(name) == "vision"
                    seen = batch.inputs.get("attention_mask") if everywhere else None
                    places = batch.places if seen is None else seen.flatten().nonzero()[:, 0]
                    rows = values.flatten(0, -2)
                    by_weight.setdefault(name, []).append(rows if patches else rows[places])
        finally:
            for handle in handles:
                handle.remove()
        return {name: torch.cat(parts) for name, parts in by_weight.items()}

    @abstractmethod
    def name_tokens(self, names: Sequence[str]) -> Tensor:
        """Returns ids of the tokens of people's names, (tokens,); on a classifier their labels."""

    def untrained(self, seed: int) -> Self:
        """Builds a model of the same shape with random weights, in evaluation mode and frozen."""
        twin, core = copy.copy(self), self.core
        twin.forwards, twin.guards = 0, ()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            twin.module = type(core)(core.config).to(self.device, core.dtype)
        twin.train_only(())
        twin.train(False)
        return twin
