"""Language and vision-language models: anything that answers in tokens."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clearbench.data.batches import Answers, Batch, Encoded, Item, collate, cut
from clearbench.models.base import Model
from clearbench.models.encoding import Encoder

#: The fast path must agree with the plain forward pass to this (absolute, on logits).
SELF_TEST_TOLERANCE = 1e-4


class TokenModel(Model):
    """A causal model: `kind` decides whether it may see pictures.

    Logits are computed on answer tokens only and without a padding mask where a first-use
    self-test finds them equal to the plain forward pass; else the plain pass is used.
    """

    def __init__(self, module: Any, processor: Any) -> None:
        self.module = module
        self.processor = processor
        self.encoder = Encoder(processor)
        self._fast: dict[bool, bool] = {}

    @property
    def tokenizer(self) -> Any:
        """The tokenizer."""
        return self.encoder.tokenizer

    def accepts(self, each: Item) -> bool:
        """Pictures need eyes."""
        return each.picture is None or self.encoder.sees

    def length(self, each: Item) -> int:
        """Tokens of the whole sequence."""
        return len(self.encoder.encode(each).ids)

    def batch(self, items: Sequence[Item]) -> tuple[Batch, ...]:
        """One batch of the items with a picture, one of the others; right-padded."""
        groups = [
            [each for each in items if each.picture is None],
            [each for each in items if each.picture is not None],
        ]
        return tuple(self._collate(group) for group in groups if group)

    def _collate(self, items: Sequence[Item]) -> Batch:
        encoded = [self.encoder.encode(each) for each in items]
        return collate(items, encoded, self.tokenizer.pad_token_id).to(self.device)

    def answers(self, batches: Sequence[Batch]) -> Answers:
        """Logits on the answer tokens of every batch."""
        self.forwards += len(batches)
        return Answers.join([self._gather(batch, self._logits(batch)) for batch in batches])

    def _logits(self, batch: Batch) -> Tensor:
        sees = bool(batch.pictures)
        if sees not in self._fast:
            self._fast[sees] = self._self_test(batch)
        return self._fast_logits(batch) if self._fast[sees] else self._plain_logits(batch)

    def _gather(self, batch: Batch, logits: Tensor) -> Answers:
        mask = batch.answer[:, 1:]
        targets = batch.inputs["input_ids"][:, 1:][mask]
        return Answers(logits, targets, mask.nonzero()[:, 0], batch.items)

    def _plain_logits(self, batch: Batch) -> Tensor:
        logits: Tensor = self._call(self._core, batch, batch.inputs).logits
        return logits[:, :-1][batch.answer[:, 1:]].float()

    def _fast_logits(self, batch: Batch) -> Tensor:
        inputs = {k: v for k, v in batch.inputs.items() if k != "attention_mask"}
        hidden = self._call(self._core.base_model, batch, inputs).last_hidden_state
        head = self._core.get_output_embeddings()
        logits: Tensor = head(hidden[:, :-1][batch.answer[:, 1:]])
        return logits.float()

    @torch.no_grad()
    def _self_test(self, batch: Batch) -> bool:
        plain, fast = self._plain_logits(batch), self._fast_logits(batch)
        return bool((plain - fast).abs().max() < SELF_TEST_TOLERANCE)

    @property
    def _core(self) -> Any:
        """The `transformers` model under any adapters."""
        peft_core = getattr(self.module, "get_base_model", None)
        return peft_core() if callable(peft_core) else self.module

    def _call(self, module: Any, batch: Batch, inputs: dict[str, Tensor], **options: Any) -> Any:
        known = inspect.signature(module.forward).parameters
        with self._eyes(batch):
            return module(**{k: v for k, v in inputs.items() if k in known}, **options)

    def _eyes(self, batch: Batch) -> AbstractContextManager[None]:
        """What holds while the model looks at this batch's pictures."""
        return nullcontext()

    def embed(self, batch: Batch) -> Tensor:
        """Mean last hidden state over each row's tokens."""
        hidden = self._call(self._core.base_model, batch, batch.inputs).last_hidden_state
        weight = batch.inputs["attention_mask"].unsqueeze(-1).to(hidden)
        pooled: Tensor = (hidden * weight).sum(1) / weight.sum(1)
        return pooled

    def hidden(self, batch: Batch, layer: int) -> Tensor:
        """Hidden states after `layer` (0 is the embedding)."""
        out = self._call(self._core.base_model, batch, batch.inputs, output_hidden_states=True)
        states: Tensor = out.hidden_states[layer]
        return states

    def inputs(self, batch: Batch) -> Tensor:
        """Pixels where there is a picture, token embeddings otherwise, as a leaf."""
        source = batch.inputs.get("pixel_values")
        if source is None:
            source = self._core.get_input_embeddings()(batch.inputs["input_ids"])
        return source.detach().clone().requires_grad_(True)

    @torch.no_grad()
    def generate(self, items: Sequence[Item], max_new_tokens: int = 40) -> list[str]:
        """Greedy answers, left-padded, in batches of similar prompt length."""
        answers = [""] * len(items)
        prompts = [self.encoder.prompt(each.question, each.picture) for each in items]
        lengths = [len(ids) + (10_000 if tensors else 0) for ids, tensors in prompts]
        for group in cut(lengths, budget=64 * max(lengths, default=1)):
            for kind in (False, True):
                chosen = [i for i in group if bool(prompts[i][1]) is kind]
                if chosen:
                    texts = self._generate([items[i] for i in chosen], max_new_tokens)
                    for index, text in zip(chosen, texts, strict=True):
                        answers[index] = text
        return answers

    def _generate(self, items: Sequence[Item], max_new_tokens: int) -> list[str]:
        encoded = []
        for each in items:
            ids, tensors = self.encoder.prompt(each.question, each.picture)
            encoded.append(Encoded(ids, len(ids), tensors))
        batch = collate(items, encoded, self.tokenizer.pad_token_id, side="left").to(self.device)
        with self._eyes(batch):
            out = self._core.generate(
                **batch.inputs,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                pad_token_id=self.tokenizer.pad_token_id,
                eos_token_id=self.tokenizer.eos_token_id,
            )
        new = out[:, batch.inputs["input_ids"].shape[1] :]
        texts: list[str] = self.tokenizer.batch_decode(new, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def save(self, folder: Path) -> None:
        """Weights as safetensors (adapters alone where there are any) and the processor."""
        self.module.save_pretrained(folder)
        self.processor.save_pretrained(folder)


class LanguageModel(TokenModel):
    """A causal language model."""

    kind = "language"
