"""The interface of language models, vision-language models and classifiers."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from clearbench.batches.answers import Answers
from clearbench.batches.batch import Batch
from clearbench.batches.items import Item, Kind, by_medium, cut
from clearbench.batches.trees import Tree
from clearbench.data.modality import modalities
from clearbench.methods.guard import FittedGuard
from clearbench.models.cache import WorkCache
from clearbench.models.families.base import family_of
from clearbench.models.token_statistics import TokenStatistics, read_tokens
from clearbench.models.weights import Weights, digest
from clearbench.storage import content_hash


class Model(Weights, ABC):
    """A `transformers` model with what unlearning and measuring need from it.

    Attributes:
        module: The `torch` module that is trained and saved (with adapters, if there are any).
        kind: `language`, `vision-language` or `classifier`.
        forwards: Batches that the network has seen, for the cost of a run.
        backwards: Gradients taken, likewise.
        token_budget: Padded tokens that are read at once where nothing is learned; 512 are the
            fastest on a CPU (docs/performance.md), a GPU takes many more.
        guards: Guards that change what it reads, the oldest first.
        cache: Encoded rows, media and tower features, its own unless `share` gives another.
    """

    kind: ClassVar[Kind]
    module: Any
    forwards: int = 0
    token_budget: int = 512
    backwards: int = 0
    guards: tuple[FittedGuard, ...] = ()

    def __init__(self, module: Any, processor: Any) -> None:
        self.module, self.processor = module, processor
        self.family = family_of(module.config)
        self.share(WorkCache(), "")

    def share(self, cache: WorkCache, source: str) -> None:
        """Uses a cache in common with other models.

        Args:
            cache: Cache with a bound, in common to all models of a process.
            source: Name of the base: models of one base and kind share encoded rows, which
                depend on the processor, and results of self-tests, which depend on the
                architecture.
        """
        self.cache = cache

    @abstractmethod
    def tree(self, items: Sequence[Item]) -> Tree:
        """Items with the same media, or without any, encoded as one row."""

    @abstractmethod
    def collate(self, trees: Sequence[Tree]) -> tuple[Batch, ...]:
        """Padded batches, one for each medium of the rows."""

    @abstractmethod
    def answers(self, batches: Sequence[Batch]) -> Answers:
        """Logits on the answer tokens only, with gradient."""

    def answers_together(self, groups: Sequence[Sequence[Batch]]) -> list[Answers]:
        """`answers` of each group; rows of one kind are one batch, whichever group they are of."""
        every = [batch for group in groups for batch in group]
        if not all(batch.trees for batch in every):  # media that only the tensors hold
            return [self.answers(group) for group in groups]
        found: dict[int, Answers] = {}
        for medium in modalities():  # in this order, which decides the rounding of gradients
            alike = [k for k, batch in enumerate(every) if batch.medium == medium]
            if not alike:
                continue
            whole = self.answers(self.collate([t for k in alike for t in every[k].trees]))
            self.forwards += len(alike) - 1  # which counts them as if each were read alone
            found |= zip(alike, whole.split([len(every[k].items) for k in alike]), strict=True)
        parts = iter(found[k] for k in range(len(every)))
        return [Answers.join([next(parts) for _ in group]) for group in groups]

    @abstractmethod
    def logits(self, batch: Batch, places: Tensor) -> Iterator[Tensor]:
        """(tokens, vocabulary) logits at flat places, some tokens at a time."""

    @abstractmethod
    def accepts(self, item: Item) -> bool:
        """Whether the model can score an item."""

    @abstractmethod
    def hidden(self, batch: Batch, layer: int) -> Tensor:
        """Hidden states after a layer; (rows, length, width) for token models."""

    @property
    @abstractmethod
    def depth(self) -> int:
        """Number of layers that `states` can give."""

    @abstractmethod
    def states(self, batches: Sequence[Batch], layer: int) -> Tensor:
        """(tokens, width) hidden states after `layer` (from 1), from which the answers are read."""

    @abstractmethod
    def prompt_states(self, batch: Batch, layer: int | None = None) -> Tensor:
        """(rows, width) mean hidden state over each row's prompt, without gradient.

        After `layer`, counted from 1; None for the last, after its normalisation.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes weights (safetensors), configuration and processor."""

    def batch(self, items: Sequence[Item]) -> tuple[Batch, ...]:
        """Items as padded batches, a row each: what is trained on."""
        return self.collate([self.tree([item]) for item in items])

    def trees(self, items: Sequence[Item]) -> list[Tree]:
        """Items grouped by their media, or by their question without any, a row each group."""
        groups: dict[str, list[Item]] = {}
        for item in items:
            key = item.question if item.media is None else item.media.key
            groups.setdefault(key, []).append(item)
        return [self.tree(group) for group in groups.values()]

    @torch.no_grad()
    def statistics(self, batch: Batch) -> list[TokenStatistics]:
        """Statistics of each item's answer; a context that items share is read once."""
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
        """Items cut into batches of similar length within `token_budget`, each item once."""
        groups: list[list[Tree]] = []
        for alike in by_medium(items).values():
            trees = self.trees(alike)
            cuts = cut([len(tree) for tree in trees], self.token_budget)
            groups += [[trees[k] for k in group] for group in cuts]
        return groups

    def score_group(self, group: Sequence[Tree]) -> dict[Item, TokenStatistics]:
        """`statistics` of one of `scoring_groups`."""
        return {
            item: reading
            for batch in self.collate(group)
            for item, reading in zip(batch.items, self.statistics(batch), strict=True)
        }

    def score_items(self, items: Sequence[Item]) -> dict[Item, TokenStatistics]:
        """`statistics` of any number of items, in any order."""
        groups = self.scoring_groups(items)
        return {item: found for g in groups for item, found in self.score_group(g).items()}

    def score(self, batch: Batch) -> list[Tensor]:
        """Per item, the (tokens,) log-probabilities of its answer."""
        readings = self.statistics(batch.to(self.device))
        return [torch.from_numpy(item.log_probs) for item in readings]

    def generation_groups(self, items: Sequence[Item]) -> list[list[Item]]:
        """Items cut into batches that are answered together; none where nothing is said."""
        return []

    def generate(
        self, items: Sequence[Item], max_new_tokens: int | Sequence[int] = 40
    ) -> list[str]:
        """Greedy answers to the items' questions.

        Args:
            items: Items in any order.
            max_new_tokens: Longest answer, of all or of each.
        """
        raise NotImplementedError(f"a {self.kind} does not generate text")

    def answer_length(self, item: Item) -> int:
        """Tokens of the item's own answer, with the one that ends it."""
        raise NotImplementedError(f"a {self.kind} does not generate text")

    @property
    def fingerprint(self) -> str:
        """A hash of all that decides its answers: the weights, and the guards before them."""
        guards = [(guard.about, digest(guard.state)) for guard in self.guards]
        return content_hash([digest(self.module.state_dict()), guards])

    def duplicate(self) -> Self:
        """A second model with the same weights; changing one leaves the other as it is."""
        twin = copy.copy(self)
        twin.module = copy.deepcopy(self.module)
        return twin

    @property
    def pixel_range(self) -> tuple[Tensor, Tensor]:
        """Two (channels, 1, 1): what a black and what a white pixel is to the network."""
        raise NotImplementedError(f"a {self.kind} takes no pictures alone")

    @torch.no_grad()
    def entering(
        self, batches: Sequence[Batch], weights: Collection[str], *, everywhere: bool = False
    ) -> dict[str, Tensor]:
        """Inputs of the linear layers of these weights, without gradient.

        Args:
            batches: Inputs of the model.
            weights: Names of parameters, each a layer's only matrix.
            everywhere: All places, not only those from which answers are read. Of an image's
                patches it is always all.

        Returns:
            (places, inputs) for each weight that was used.
        """
        found: dict[str, list[Tensor]] = {}
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
                self.answers([batch])
                for name, values in entered.items():
                    patches = values.dim() > 2 and self.part_of(name) == "vision"
                    seen = batch.inputs.get("attention_mask") if everywhere else None
                    places = batch.places if seen is None else seen.flatten().nonzero()[:, 0]
                    rows = values.flatten(0, -2)
                    found.setdefault(name, []).append(rows if patches else rows[places])
        finally:
            for handle in handles:
                handle.remove()
        return {name: torch.cat(parts) for name, parts in found.items()}

    @abstractmethod
    def name_tokens(self, names: Sequence[str]) -> Tensor:
        """(tokens,) ids of the tokens of people's names; on a classifier their labels."""

    def untrained(self, seed: int) -> Self:
        """A model of the same shape with random weights, in evaluation mode and frozen."""
        twin, core = copy.copy(self), self.core
        twin.forwards, twin.guards = 0, ()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            twin.module = type(core)(core.config).to(self.device, core.dtype)
        twin.train_only(())
        twin.train(False)
        return twin

    @contextmanager
    def measured(self) -> Iterator[None]:
        """While entered, the module is in evaluation mode."""
        was_training = self.module.training
        self.train(False)
        try:
            yield
        finally:
            self.train(was_training)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """While entered, in evaluation mode with nothing left to learn."""
        learning = list(self.trainable().values())
        with self.measured():
            self.train_only(())
            try:
                yield
            finally:
                for parameter in learning:
                    parameter.requires_grad_(True)

    def train(self, mode: bool = True) -> None:
        """Training mode, with batch statistics kept frozen: they would follow the forget set."""
        self.module.train(mode)
        for layer in self.module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()
