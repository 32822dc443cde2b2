"""The plain baseline of `evaluation.py`: one loop as evaluation suites write it.

It is slow only where profiles of published suites are (OpenUnlearning's default TOFU evaluation):
a forward pass per metric and per answer variant, rows in file order, batches of 32, the whole
vocabulary's logits in float32, the model's own loss computed and thrown away, generation that waits
for the slowest row of each batch. It starts from sequences that are tokenised already, which those
suites do row by row each time, so tokenising is free for both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from clearbench.batches.collate import collate
from clearbench.batches.items import Encoded, Item
from clearbench.batches.trees import merge
from clearbench.models.token_model import TokenModel

BATCH = 32
#: Metrics that each send the true answers to forget rows through the model; other rows go once.
OWN_PASS = ("probability", "extraction_strength", "min_k")


def chunks(forget: Sequence[Item], retain: Sequence[Item]) -> Iterator[list[Item]]:
    """Batches in file order: a pass a metric and answer variant."""
    for items, metrics in ((forget, OWN_PASS), (retain, OWN_PASS[:1])):
        by_variant: dict[str, list[Item]] = {}
        for each in items:
            by_variant.setdefault(each.variant, []).append(each)
        true_answers = by_variant.pop("answer")
        for rows in (*(true_answers for _ in metrics), *by_variant.values()):
            yield from (rows[k : k + BATCH] for k in range(0, len(rows), BATCH))


@torch.no_grad()
def read(model: TokenModel, chunk: Sequence[Item]) -> dict[str, Tensor]:
    """Per item, the log-probabilities of its answer's tokens."""
    (batch,) = model.batch(chunk)
    labels = torch.full_like(batch.inputs["input_ids"], -100).flatten()
    labels[batch.places + 1] = batch.targets
    labels = labels.view_as(batch.inputs["input_ids"])
    logits = model.module(**batch.inputs, labels=labels).logits.float()
    log_probs = logits[:, :-1].log_softmax(-1)
    shifted = labels[:, 1:]
    tokens = log_probs.gather(-1, shifted.clamp_min(0)[..., None])[..., 0]
    return {each.key: tokens[row][shifted[row] != -100] for row, each in enumerate(batch.items)}


@torch.no_grad()
def generate(model: TokenModel, items: Sequence[Item], new_tokens: int) -> list[str]:
    """Greedy answers by the library's own `generate`."""
    pad, texts = model.tokenizer.pad_token_id, list[str]()
    for k in range(0, len(items), BATCH):
        prompts = []
        for each in items[k : k + BATCH]:
            prompt = model.encoder.prompt(each.question, each.image)
            ids, tensors = prompt.ids, prompt.tensors
            prompts.append(merge([each], [Encoded(ids, len(ids), tensors)]))
        batch = collate(prompts, pad, side="left")
        out = model.module.generate(
            **batch.inputs, max_new_tokens=new_tokens, do_sample=False, pad_token_id=pad,
            eos_token_id=model.tokenizer.eos_token_id,
        )  # fmt: skip
        new = out[:, batch.inputs["input_ids"].shape[1] :]
        texts += model.tokenizer.batch_decode(new, skip_special_tokens=True)
    return [text.strip() for text in texts]
