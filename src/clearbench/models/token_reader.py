"""Runs forward passes of causal models: encoding, batching, logits and hidden states."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from clearbench.batches.answers import Answers
from clearbench.batches.batch import Batch
from clearbench.batches.collate import collate
from clearbench.batches.items import Item, cut_padding
from clearbench.batches.projected import Projected
from clearbench.batches.trees import Tree, merge
from clearbench.data.modality import modalities, modality
from clearbench.methods.guard import FittedGuard
from clearbench.models.assistants import composed
from clearbench.models.base import Model
from clearbench.models.cache import WorkCache
from clearbench.models.chat import DAY
from clearbench.models.encoding import Encoder
from clearbench.models.ends import configured_ends
from clearbench.models.families.base import accepted, family_of
from clearbench.models.hooks import on_prompts, question_tokens
from clearbench.models.positions import attention_window, only_attends, position_limit
from clearbench.models.projection import projecting_head
from clearbench.models.row_checks import check_items, refuse_long, refuse_template
from clearbench.models.shortcuts import Shortcuts, agrees
from clearbench.models.visual_tokens import attention_paid, before_layer, visual_tokens

#: Least number of tokens whose logits are held at once while measuring; an eighth of the budget.
HEAD_CHUNK = 128
#: Longest row that answers share: its mask has the square of as many numbers.
MOST_SHARED = 4096


class TokenReader(Model):
    """A causal model without hidden states (`TokenStates`) and generation (`TokenModel`).

    Short cuts are taken where a first-use self-test on a few rows finds them equal to the plain
    forward pass: logits are computed on answer tokens only and without a padding mask, answers to
    the same question share one row, and layers above the requested one are left out. Which rows are
    tested while measuring does not depend on what was done before a kill.
    """

    def __init__(self, module: Any, processor: Any) -> None:
        for config in (module.config, module.config.get_text_config()):
            config.return_dict = True  # of tuples, not even the library's own classes make sense
        takes = inspect.signature(module.forward).parameters
        family, ends = family_of(module.config), configured_ends(module)
        self.encoder = Encoder(processor, family, takes, ends)
        super().__init__(module, processor)

    def share(self, cache: WorkCache, source: str) -> None:
        """Uses a common cache, as in `Model`."""
        super().share(cache, source)
        self.encoder.share(cache, f"{self.kind} {source}")
        self.shortcuts = Shortcuts()

    def duplicate(self, *, sharing: bool = False) -> Self:
        """Copies the model, which takes no short cut before it is tested again."""
        twin = super().duplicate(sharing=sharing)
        twin.shortcuts = Shortcuts()
        return twin

    def untrained(self, seed: int) -> Self:
        """Builds a model with random weights, as in `Model`."""
        twin = super().untrained(seed)
        twin.shortcuts = Shortcuts()
        return twin

    @property
    def reading(self) -> dict[str, Any]:
        """Day of dated prompts, end tokens, and the short cuts that were tested."""
        names = self.tokenizer.convert_ids_to_tokens
        told = {"prompt_day": DAY.date().isoformat()} if self.encoder.chat.is_dated else {}
        ends = {"end_tokens": names(list(self.encoder.ends))}
        return told | ends | {"shortcuts": self.shortcuts.outcomes}

    @cached_property
    def positions(self) -> int | None:
        """Largest number of tokens of a row; None where there is no limit."""
        return position_limit(self.core)

    def check(self, items: Sequence[Item]) -> None:
        """Raises an error for all rows that cannot be read, as `row_checks.check_items`."""
        asked = [self._guarded_item(item) for item in dict.fromkeys(items)]
        check_items(self.encoder, asked, self.positions)

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.encoder.tokenizer

    def accepts(self, item: Item) -> bool:
        """Whether it can score an item: text, or media that its processor has a placeholder for."""
        if item.media is None:
            return True
        content = modality(item.track).content
        return self.encoder.takes_media and hasattr(self.processor, f"{content}_token")

    def tree(self, items: Sequence[Item]) -> Tree:
        """Merges the items' sequences by their common beginnings."""
        refuse_template(self.encoder)
        encoded = [self.encoder.encode(self._guarded_item(item)) for item in items]
        for item, sequence in zip(items, encoded, strict=True):
            refuse_long(item, len(sequence.ids), self.positions)
        return merge(items, encoded)

    def _guarded_item(self, item: Item) -> Item:
        """Replaces the item's question by the one that the guards return."""
        for guard in self.guards:
            item = guard.ask(item)
        return item

    def trees(self, items: Sequence[Item]) -> list[Tree]:
        """Builds one tree per media or question; one per item where sharing would not be exact."""
        whole = super().trees(items)
        for medium, mine in _by_medium(whole).items():
            if medium not in self.shortcuts.head_only:
                every = [item for tree in mine for item in tree.items]
                self.shortcuts.head_only[medium] = self._head_test(every)
            branching = [tree for tree in mine if not tree.is_chain and self._is_small(tree)]
            if branching and not self.guards:
                self._test_sharing(medium, branching)
        if self.guards:  # what is the question's must be one span
            return [self.tree([item]) for item in items]
        return [
            part
            for tree in whole
            for part in ([tree] if self._may_share(tree) else map(self.tree, zip(tree.items)))
        ]

    def _may_share(self, tree: Tree) -> bool:
        """Whether a tree is read exactly: chains always, others up to the size that was tested."""
        exact = self.shortcuts.shared.get(tree.medium, False)
        longest = self.shortcuts.longest.get(tree.medium, 0)
        return tree.is_chain or (exact and len(tree) <= longest and self._is_small(tree))

    def _is_small(self, tree: Tree) -> bool:
        """Whether a row is within the window of attention, and its mask small.

        Windows are counted in tokens of the row: a local mask knows nothing of branches.
        """
        window = attention_window(self.core.config.get_text_config())
        return len(tree) <= min(window or MOST_SHARED, MOST_SHARED)

    def _test_sharing(self, medium: str, branching: Sequence[Tree]) -> None:
        """Tests the smallest and the longest row, and longer ones once they come."""
        tested, longest = self.shortcuts, max(branching, key=len)
        first = medium not in tested.shared
        exact = self._sharing_test(min(branching, key=len)) if first else tested.shared[medium]
        if exact and len(longest) > tested.longest.get(medium, 0):
            exact = self._sharing_test(longest)
            tested.longest[medium] = len(longest)
        tested.shared[medium] = exact

    def collate(self, trees: Sequence[Tree]) -> tuple[Batch, ...]:
        """Pads the trees of each medium to one batch, on the right."""
        pad, blanks = self.encoder.pad, self.family.text_values
        return tuple(
            collate(group, pad, blanks=blanks).to(self.device)
            for group in _by_medium(trees).values()
        )

    def answers(self, batches: Sequence[Batch]) -> Answers:
        """Computes logits on the answer tokens of every batch."""
        self.forwards += len(batches)
        parts = []
        for batch in batches:
            read = self._answer_reading(batch)
            parts.append(Answers(read, batch.targets, batch.owners, batch.items))
        return Answers.join(parts)

    def _answer_reading(self, batch: Batch) -> Tensor | Projected:
        """Computes answer logits, or where they are many the states that they are made of."""
        alone = not (self.is_sharded or self._assisting) and self._is_fast(batch)
        head = projecting_head(self.core, len(batch.places)) if alone else None
        if head is None:
            return self._by_length(batch, self._logits)
        states = self._by_length(batch, lambda part, places: self._states(part)[places])
        return Projected(states, head.weight, head.bias)

    def _by_length(self, batch: Batch, read: Callable[[Batch, Tensor], Tensor]) -> Tensor:
        """Reads (tokens, ...) at answer tokens; short rows are read apart from long ones."""
        apart = not self.guards and all(len(tree.items) == 1 for tree in batch.trees)
        lengths = [len(tree.paths[0]) - tree.starts[0] for tree in batch.trees]
        apart = apart and sum(lengths) == len(batch.places)
        groups = cut_padding([len(tree) for tree in batch.trees]) if apart else []
        if len(groups) < 2 or not self._is_fast(batch):
            return read(batch, batch.places)
        tokens = torch.arange(sum(lengths)).split(lengths)
        parts = []
        for group in groups:
            (part,) = self.collate([batch.trees[row] for row in group])
            parts.append(read(part, part.places))
        order = torch.cat([tokens[row] for group in groups for row in group]).argsort()
        return torch.cat(parts)[order.to(batch.places.device)]

    def logits(self, batch: Batch, places: Tensor) -> Iterator[Tensor]:
        """Yields (tokens, vocabulary) logits at flat places, some tokens at a time."""
        self.forwards += 1
        if self._assisting or not self._is_fast(batch):
            yield self._logits(batch, places)
            return
        states = self._states(batch)[places]
        head = self.core.get_output_embeddings()
        for part in states.split(max(HEAD_CHUNK, self.token_budget // 8)):
            yield head(part).float()

    def _logits(self, batch: Batch, places: Tensor) -> Tensor:
        read = self._fast_logits if self._is_fast(batch) else self._plain_logits
        return self._composed(lambda _: read(batch, places))

    @property
    def _assisting(self) -> tuple[FittedGuard, ...]:
        """The guards that compose logits, their assistants where the model's weights are."""
        if any(guard.assists for guard in self.guards):
            like = next(self.core.parameters())
            self.guards = tuple(guard.to(like) for guard in self.guards)
        return tuple(guard for guard in self.guards if guard.assists)

    def _composed(self, read: Callable[[int], Tensor]) -> Tensor:
        """Computes logits with the guards' assistants, as `assistants.composed`."""
        return composed(self, self._assisting, read)

    def _is_fast(self, batch: Batch) -> bool:
        tested, medium = self.shortcuts.head_only, batch.medium
        if medium not in tested:
            tested[medium] = self._head_test(batch.items)
        return tested[medium]

    @torch.no_grad()
    def _head_test(self, items: Sequence[Item]) -> bool:
        """Whether answer logits alone are exact on the longest and the shortest item, padded."""
        by_length = sorted(
            items, key=lambda item: len(self.encoder.encode(self._guarded_item(item)).ids)
        )
        (few,) = self.batch([by_length[0], by_length[-1]])
        plain = self._plain_logits(few, few.places)
        return agrees(lambda: self._fast_logits(few, few.places), plain)

    def _plain_logits(self, batch: Batch, places: Tensor) -> Tensor:
        logits: Tensor = self._call(self.core, batch, batch.inputs).logits
        return logits.flatten(0, 1)[places].float()

    def _fast_logits(self, batch: Batch, places: Tensor) -> Tensor:
        logits: Tensor = self.core.get_output_embeddings()(self._states(batch)[places])
        return logits.float()

    def _states(self, batch: Batch) -> Tensor:
        """Computes (rows * length, width) last hidden states; unmasked where rows are chains."""
        branching = "position_ids" in batch.inputs
        inputs = {k: v for k, v in batch.inputs.items() if branching or k != "attention_mask"}
        states: Tensor = self._call(self._backbone, batch, inputs).last_hidden_state
        return states.flatten(0, 1)

    @torch.no_grad()
    def _sharing_test(self, tree: Tree) -> bool:
        """Whether a tree is read like its sequences one by one."""
        if not only_attends(self.core.config.get_text_config()):
            return False  # however little it shows in numbers
        (shared,) = self.collate([tree])
        alone = [self.collate([self.tree([item])])[0] for item in tree.items]
        plain = torch.cat([self._plain_logits(batch, batch.places) for batch in alone])
        return agrees(lambda: self._plain_logits(shared, shared.places), plain)

    def _call(self, module: Any, batch: Batch, inputs: dict[str, Tensor], **options: Any) -> Any:
        with self._reading(batch):
            return module(**accepted(module, inputs), **options)

    @property
    def _backbone(self) -> Any:
        """The module that gives hidden states, which Llama 4 does not name as its base model."""
        base = self.core.base_model
        return base if base is not self.core else getattr(base, "model", base)

    @contextmanager
    def _reading(self, batch: Batch) -> Iterator[None]:
        """Installs stored features and guards for this batch while entered."""
        with self.family.stored_media(self.core, batch, self.cache), self._guarded(batch):
            yield

    @contextmanager
    def _guarded(self, batch: Batch) -> Iterator[None]:
        """Lets the guards change what the model reads of this batch's questions while entered."""
        changing = [guard for guard in self.guards if guard.changes]
        steering = [guard for guard in self.guards if guard.layer is not None]
        seeing = [guard for guard in self.guards if guard.sees]
        if not changing and not steering and not seeing:
            yield
            return
        prompts = question_tokens(batch)
        changes = list[Callable[[Tensor, Tensor], Tensor]]()
        if changing:  # before any hook is in place
            states = self.prompt_states(batch)
            changes = [partial(guard.change, prompt_states=states) for guard in changing]
        handles = self._looked_at(batch, prompts, seeing) if seeing else []
        for guard in steering:
            layer = self._layers[(guard.layer or 1) - 1]
            handles.append(on_prompts(layer, prompts, guard.steer))
        for change in changes:
            handles.append(on_prompts(self.core.get_input_embeddings(), prompts, change))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _looked_at(
        self, batch: Batch, prompts: Tensor, seeing: Sequence[FittedGuard]
    ) -> list[RemovableHandle]:
        """Lets guards change the visual tokens; each knows the attention of the unchanged model."""
        visual = visual_tokens(self.core, batch)
        if not visual.any():
            return []
        attention = attention_paid(self.core, batch, prompts & ~visual)
        return [
            before_layer(
                self._layers[0], visual, partial(guard.see, visual=visual, attention=attention)
            )
            for guard in seeing
        ]

    @property
    def _layers(self) -> nn.ModuleList:
        """Layers of the language part."""
        for name, module in self.core.named_modules():
            mine = self.part_of(name) == "language"
            if mine and isinstance(module, nn.ModuleList) and len(module) == self.depth:
                return module
        raise RuntimeError("no list of layers")


def _by_medium(trees: Sequence[Tree]) -> dict[str, list[Tree]]:
    """Groups trees by medium, in the order of the modalities."""
    groups: dict[str, list[Tree]] = {}
    for tree in trees:
        groups.setdefault(tree.medium, []).append(tree)
    return {name: groups[name] for name in modalities() if name in groups}
