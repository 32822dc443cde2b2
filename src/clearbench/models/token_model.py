"""Language and vision-language models: models that answer in tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clearbench.batches.batch import Batch
from clearbench.batches.collate import collate
from clearbench.batches.items import Item, by_medium, cut
from clearbench.batches.trees import Tree, merge
from clearbench.models.assistants import AssistedCache
from clearbench.models.decoding import decode
from clearbench.models.families.base import accepted
from clearbench.models.guards import save_guards
from clearbench.models.token_states import TokenStates

#: Padded prompt tokens that are decoded together.
GENERATION_BUDGET = 4096
#: Number of equal tokens of two answers after which our own decoding is used.
SELF_TEST_TOKENS = 8


class TokenModel(TokenStates):
    """A causal model: `kind` decides whether it may take media.

    Our own decoding is used where a first-use self-test finds that it gives what `generate` gives,
    and always with a guard's assistant, which `generate` knows nothing of.
    """

    def answer_length(self, item: Item) -> int:
        """Counts the tokens of the item's own answer, with the one that ends it."""
        encoded = self.encoder.encode(item)
        return len(encoded.ids) - encoded.answer_start

    def answer_text(self, item: Item) -> str:
        """Returns the scored tokens as text, with the space that a prompt puts before them."""
        encoded = self.encoder.encode(item)
        scored = list(encoded.ids[encoded.answer_start :])
        return str(self.encoder.tokenizer.decode(scored, skip_special_tokens=True))

    def _prompt(self, item: Item) -> Tree:
        asked = self._guarded_item(item)
        return merge([item], [self.encoder.prompt(asked.question, asked.media, asked.track)])

    def generation_groups(self, items: Sequence[Item]) -> list[list[Item]]:
        """Groups items of one medium and of similar prompt length."""
        groups: list[list[Item]] = []
        for medium, mine in by_medium(items).items():
            cuts = cut([len(self._prompt(item)) for item in mine], GENERATION_BUDGET)
            groups += [[mine[k] for k in group] for group in cuts]
            if medium not in self.shortcuts.own_decoding and not self._assisting:
                self.shortcuts.own_decoding[medium] = self._decodes_alike(mine[:2])
        return groups

    @torch.no_grad()
    def generate(
        self, items: Sequence[Item], max_new_tokens: int | Sequence[int] = 40
    ) -> list[str]:
        """Generates greedy answers, left-padded, in batches of similar prompt length."""
        limits = (
            [max_new_tokens] * len(items) if isinstance(max_new_tokens, int) else max_new_tokens
        )
        longest = dict(zip(items, limits, strict=True))
        answers: dict[Item, str] = {}
        for group in self.generation_groups(list(longest)):
            texts = self._generate_batch(group, [longest[item] for item in group])
            answers |= zip(group, texts, strict=True)
        return [answers[item] for item in items]

    def _generate_batch(self, items: Sequence[Item], limits: Sequence[int]) -> list[str]:
        batch = self._left_padded(items)
        own = self._assisting or self.shortcuts.own_decoding[batch.medium]
        new = (self._greedy if own else self._library_greedy)(batch, limits)
        texts: list[str] = self.tokenizer.batch_decode(new, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _left_padded(self, items: Sequence[Item]) -> Batch:
        prompts = [self._prompt(item) for item in items]
        pad, blanks = self.tokenizer.pad_token_id, self.family.text_values
        return collate(prompts, pad, side="left", blanks=blanks).to(self.device)

    @torch.no_grad()
    def _decodes_alike(self, items: Sequence[Item]) -> bool:
        batch, limits = self._left_padded(items), [SELF_TEST_TOKENS] * len(items)
        try:
            ours = self._greedy(batch, limits)
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError):
            return False  # an architecture with another kind of cache
        theirs = self._library_greedy(batch, limits)
        return all(row[: len(item)] == item for row, item in zip(theirs, ours, strict=True))

    def _library_greedy(self, batch: Batch, limits: Sequence[int]) -> list[list[int]]:
        with self._reading(batch):
            out = self.core.generate(
                **accepted(self.core, batch.inputs),
                max_new_tokens=max(limits),
                do_sample=False,
                pad_token_id=self.tokenizer.pad_token_id,
                eos_token_id=self.tokenizer.eos_token_id,
            )
        new: list[list[int]] = out[:, batch.inputs["input_ids"].shape[1] :].tolist()
        return [row[:limit] for row, limit in zip(new, limits, strict=True)]

    def _greedy(self, batch: Batch, limits: Sequence[int]) -> list[list[int]]:
        options = {"use_cache": True, "logits_to_keep": 1}
        cache = AssistedCache(self.core.config.get_text_config(), len(self._assisting))

        def step(call: Callable[..., Any], inputs: dict[str, Any]) -> Tensor:
            def read(number: int) -> Tensor:
                own = inputs | {"past_key_values": cache.of(number)}
                logits: Tensor = call(own).logits
                return logits[:, -1]

            return self._composed(read)

        def prefill(inputs: dict[str, Any]) -> Tensor:
            return step(lambda own: self._call(self.core, batch, own, **options), inputs)

        def forward(inputs: dict[str, Any]) -> Tensor:
            return step(lambda own: self.core(**own, **options), inputs)

        end = self.tokenizer.eos_token_id
        values = {name: self.family.text_values.get(name, 0) for name in batch.extras}
        return decode(prefill, forward, batch.inputs, cache, end, limits, values)

    def save(self, folder: Path) -> None:
        """Writes safetensors weights (adapters alone where there are any), processor and guards."""
        self.module.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        save_guards(self, folder)


class LanguageModel(TokenModel):
    """A causal language model."""

    kind = "language"
