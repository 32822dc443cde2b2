"""Asks a vision-language model in plain `transformers`, as its documentation does.

Nothing here is shared with the code that is checked against it, but the wording of a row.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from clearbench.batches.items import Item


def conversation(item: Item, *, answered: bool) -> list[dict[str, Any]]:
    """Returns the messages of a row, with its answer or without."""
    seen = [{"type": "image", "image": item.media.decode()}] if item.media else []
    asked = {"role": "user", "content": [*seen, {"type": "text", "text": item.question}]}
    said = {"role": "assistant", "content": [{"type": "text", "text": item.answer}]}
    return [asked, said] if answered else [asked]


def finished(processor: Any, item: Item) -> dict[str, Tensor]:
    """Encodes a row with its answer, up to the end of the conversation."""
    if processor.chat_template is None:
        return _prefixed(processor, item, suffix=[item.answer])
    turns = conversation(item, answered=True)
    encoded = processor.apply_chat_template(
        turns, tokenize=True, return_dict=True, return_tensors="pt"
    )
    return dict(encoded)


def asked(processor: Any, item: Item) -> dict[str, Tensor]:
    """Encodes a question for a model that is about to answer.

    Where a template then writes something else than it does before the answer of a finished turn,
    as LLaVA-OneVision's does by a space, that of the finished turn is taken.
    """
    if processor.chat_template is None:
        return _prefixed(processor, item)
    texts = [
        processor.apply_chat_template(
            conversation(item, answered=whole), tokenize=False, add_generation_prompt=not whole
        )
        for whole in (False, True)
    ]
    text = texts[0] if texts[1].startswith(texts[0]) else texts[1].partition(item.answer)[0]
    begin = processor.tokenizer.bos_token
    options = {"add_special_tokens": False} if begin and text.startswith(begin) else {}
    images = [[item.media.decode()]] if item.media else None
    return dict(processor(text=[text], images=images, return_tensors="pt", **options))


def _prefixed(processor: Any, item: Item, **suffix: Any) -> dict[str, Tensor]:
    """Encodes a row as PaliGemma's documentation does, which has no conversations."""
    images = [item.media.decode()] if item.media else None
    text = [f"{processor.image_token}{item.question}"]
    encoded = dict(processor(text=text, images=images, return_tensors="pt", **suffix))
    encoded.pop("labels", None)
    return encoded


@torch.no_grad()
def log_probs(module: Any, processor: Any, item: Item, ids: tuple[int, ...], start: int) -> Tensor:
    """Computes log-probabilities of the tokens from `start` on that the conversation has, too."""
    inputs = finished(processor, item)
    logs = module(**inputs).logits[0].float().log_softmax(-1)
    places = [k for k in range(start, len(ids)) if k <= len(logs)]
    return torch.stack([logs[place - 1, ids[place]] for place in places])


@torch.no_grad()
def answer(module: Any, processor: Any, item: Item, longest: int) -> str:
    """Generates a greedy answer by `generate`."""
    inputs = asked(processor, item)
    out = module.generate(**inputs, max_new_tokens=longest, do_sample=False)
    new = out[0, inputs["input_ids"].shape[1] :]
    return str(processor.tokenizer.decode(new, skip_special_tokens=True)).strip()
