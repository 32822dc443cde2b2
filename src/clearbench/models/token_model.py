"""Language and vision-language models: models that answer in tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from clearbench.batches.batch import Batch
from clearbench.batches.collate import collate
from clearbench.batches.items import Item, by_medium, cut
from clearbench.batches.trees import Tree, merge
from clearbench.models.adapters import save_module
from clearbench.models.assistants import AssistedCache
from clearbench.models.decoding import decode
from clearbench.models.families.base import accepted
from clearbench.models.guards import save_guards
from clearbench.models.row_checks import refuse_long, refuse_template
from clearbench.models.shortcuts import agrees
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
        refuse_template(self.encoder)
        prompt = self.encoder.ask(self._guarded_item(item))
        refuse_long(item, len(prompt.ids) + 1, self.positions)
        return merge([item], [prompt])

    def generation_groups(self, items: Sequence[Item]) -> list[list[Item]]:
        """Groups items of one medium and of similar prompt length."""
        groups: list[list[Item]] = []
        for medium, mine in by_medium(items).items():
            cuts = cut([len(self._prompt(item)) for item in mine], GENERATION_BUDGET)
            groups += [[mine[k] for k in group] for group in cuts]
            if medium not in self.shortcuts.own_decoding and not self._assisting:
                self.shortcuts.own_decoding[medium] = self._decodes_alike((mine * 2)[:2])
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
        """Generates answers together, or in halves where memory is too small."""
        try:
            return self._generate_at_once(items, limits)
        except torch.OutOfMemoryError:
            if len(items) == 1:
                raise
        self.lower_budget()
        half = len(items) // 2
        first = self._generate_batch(items[:half], limits[:half])
        return first + self._generate_batch(items[half:], limits[half:])

    def _generate_at_once(self, items: Sequence[Item], limits: Sequence[int]) -> list[str]:
        prompts = [self._prompt(item) for item in items]
        room, longest = self.positions, max(map(len, prompts))
        if room is not None and longest + max(limits) > room:
            limits = [min(k, room - len(p)) for k, p in zip(limits, prompts, strict=True)]
            if len(items) > 1 and longest + max(limits) > room:  # padding takes positions, too
                pairs = zip(items, limits, strict=True)
                return [text for i, k in pairs for text in self._generate_batch([i], [k])]
        batch = self._left_padded(prompts)
        own = self._assisting or self.shortcuts.own_decoding[batch.medium]
        new = (self._greedy if own else self._library_greedy)(batch, limits)
        texts: list[str] = self.tokenizer.batch_decode(new, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _left_padded(self, prompts: Sequence[Tree]) -> Batch:
        pad, blanks = self.encoder.pad, self.family.text_values
        return collate(prompts, pad, side="left", blanks=blanks).to(self.device)

    @torch.no_grad()
    def _decodes_alike(self, items: Sequence[Item]) -> bool:
        """Whether our decoding gives the tokens and the logits of `generate` while rows last."""
        prompts = [self._prompt(item) for item in items]
        room = min((self.positions or SELF_TEST_TOKENS + len(p)) - len(p) for p in prompts)
        batch, most = self._left_padded(prompts), min(SELF_TEST_TOKENS, room)
        limits = [most] + [max(1, most // 2)] * (len(items) - 1)  # rows leave the batch, too
        steps: list[Tensor] = []
        try:
            ours = self._greedy(batch, limits, steps)
        except Exception:  # an architecture with another kind of cache may raise anything
            return False
        out = self._library_generated(batch, limits, output_logits=True)
        same = self._new_tokens(batch, limits, out.sequences) == ours
        return same and all(
            agrees(lambda mine=mine: mine, theirs)  # type: ignore[misc]
            for mine, theirs in zip(steps, out.logits, strict=False)
            if len(mine) == len(theirs)
        )

    def _library_greedy(self, batch: Batch, limits: Sequence[int]) -> list[list[int]]:
        return self._new_tokens(batch, limits, self._library_generated(batch, limits).sequences)

    def _library_generated(self, batch: Batch, limits: Sequence[int], **options: Any) -> Any:
        """Generates by `transformers`; its output's `sequences` begin with the prompts."""
        plain = GenerationConfig(
            max_new_tokens=max(limits),
            do_sample=False,
            pad_token_id=self.encoder.pad,
            eos_token_id=list(self.encoder.ends) or None,
            return_dict_in_generate=True,
            **options,
        )
        own, self.core.generation_config = self.core.generation_config, plain  # as penalties
        try:
            with self._reading(batch):
                return self.core.generate(**accepted(self.core, batch.inputs))
        finally:
            self.core.generation_config = own

    def _new_tokens(self, batch: Batch, limits: Sequence[int], out: Tensor) -> list[list[int]]:
        """Returns each row's new tokens up to its limit and its end."""
        new: list[list[int]] = out[:, batch.inputs["input_ids"].shape[1] :].tolist()
        return [self._ended(row[:limit]) for row, limit in zip(new, limits, strict=True)]

    def _ended(self, tokens: list[int]) -> list[int]:
        """Cuts generated tokens before the first that ends an answer."""
        stops = (place for place, token in enumerate(tokens) if token in self.encoder.ends)
        return tokens[: next(stops, len(tokens))]

    def _greedy(
        self, batch: Batch, limits: Sequence[int], steps: list[Tensor] | None = None
    ) -> list[list[int]]:
        """Decodes by ourselves; `steps` is filled with the logits of each step."""
        options = {"use_cache": True, "logits_to_keep": 1}
        cache = AssistedCache(self.core.config.get_text_config(), len(self._assisting))

        def step(call: Callable[..., Any], inputs: dict[str, Any]) -> Tensor:
            def read(number: int) -> Tensor:
                own = inputs | {"past_key_values": cache.of(number)}
                logits: Tensor = call(own).logits
                return logits[:, -1]

            logits = self._composed(read)
            if steps is not None:
                steps.append(logits)
            return logits

        def prefill(inputs: dict[str, Any]) -> Tensor:
            return step(lambda own: self._call(self.core, batch, own, **options), inputs)

        def forward(inputs: dict[str, Any]) -> Tensor:
            return step(lambda own: self.core(**own, **options), inputs)

        ends = self.encoder.ends
        values = {name: self.family.text_values.get(name, 0) for name in batch.extras}
        return decode(prefill, forward, batch.inputs, cache, ends, limits, values)

    def save(self, folder: Path) -> None:
        """Writes safetensors weights (adapters alone where there are any), processor and guards."""
        save_module(self.module, folder)
        self.processor.save_pretrained(folder)
        save_guards(self, folder)


class LanguageModel(TokenModel):
    """A causal language model."""

    kind = "language"
