"""Questions and answers become token sequences with a mask of the answer, each encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from clearbench.batches.items import Encoded, Item
from clearbench.data.example import EncodedImage
from clearbench.errors import ModelError

#: Token ids and the tensors of the image, if any.
Tokens = tuple[tuple[int, ...], dict[str, Tensor]]


class Encoder:
    """Renders prompts with the model's own chat template and tokenises them, each pair once.

    The answer starts at the end of the longest common token prefix of the prompt alone and the
    whole conversation, so no template needs to be known here (errata E12).
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer = getattr(processor, "tokenizer", processor)
        self.sees = processor is not self.tokenizer
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self._sequences: dict[tuple[str, str, str], Encoded] = {}
        self._prompts: dict[tuple[str, str], Tokens] = {}

    def forget(self) -> None:
        """Drops encoded text (images stay), for streams of text that never repeat."""
        self._sequences = {k: v for k, v in self._sequences.items() if k[-1]}
        self._prompts = {k: v for k, v in self._prompts.items() if k[-1]}

    def prompt(self, question: str, image: EncodedImage | None) -> Tokens:
        """Token ids and image tensors of the question, ready for an answer."""
        key = (question, image.key if image else "")
        if key not in self._prompts:
            self._prompts[key] = self._tokens(self._render(question, None, image), image)
        return self._prompts[key]

    def encode(self, each: Item) -> Encoded:
        """The whole sequence of an item; the end-of-sequence token belongs to the answer."""
        key = (each.question, each.answer, each.image.key if each.image else "")
        if key not in self._sequences:
            prompt, tensors = self.prompt(each.question, each.image)
            text = self._render(each.question, each.answer, each.image)
            ids = self._with_end(self._text_ids(text, prompt, each.image))
            start = _common_prefix(prompt, ids)
            self._sequences[key] = Encoded(ids, start, tensors)
        return self._sequences[key]

    def _render(self, question: str, answer: str | None, image: EncodedImage | None) -> str:
        if image is not None and not self.sees:
            raise ModelError(
                "a row has a picture but the model reads only text",
                question[:60],
                "use a vision-language model, or text rows only",
            )
        if getattr(self.processor, "chat_template", None) is None:
            return f"Question: {question}\nAnswer:" + (f" {answer}" if answer is not None else "")
        parts: Any = [{"type": "text", "text": question}]
        if image is not None:
            parts = [{"type": "image"}, *parts]
        reply: Any = [{"type": "text", "text": answer}]
        if not self.sees:
            parts, reply = question, answer
        turns = [{"role": "user", "content": parts}]
        if answer is not None:
            turns.append({"role": "assistant", "content": reply})
        text: str = self.processor.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=answer is None
        )
        return text

    def _tokens(self, text: str, image: EncodedImage | None) -> Tokens:
        if image is None:
            return tuple(self.tokenizer(text, add_special_tokens=not self._templated).input_ids), {}
        out = self.processor(text=[text], images=[[image.decode()]], return_tensors="pt")
        ids = tuple(out.pop("input_ids")[0].tolist())
        out.pop("attention_mask", None)
        return ids, {name: value for name, value in out.items() if isinstance(value, Tensor)}

    def _text_ids(
        self, text: str, prompt: tuple[int, ...], image: EncodedImage | None
    ) -> tuple[int, ...]:
        """Ids of the whole text; an image's placeholder is expanded as in the prompt."""
        if image is None:
            return self._tokens(text, None)[0]
        image_id = self.tokenizer.convert_tokens_to_ids(self.processor.image_token)
        plain = self.tokenizer(text, add_special_tokens=not self._templated).input_ids
        count = prompt.count(image_id)
        if plain.count(image_id) != 1:
            return self._tokens(text, image)[0]
        place = plain.index(image_id)
        whole = (*plain[:place], *([image_id] * count), *plain[place + 1 :])
        if whole[: len(prompt) - 1] != prompt[: len(prompt) - 1]:
            return self._tokens(text, image)[0]
        return whole

    @property
    def _templated(self) -> bool:
        return getattr(self.processor, "chat_template", None) is not None

    def _with_end(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        end = self.tokenizer.eos_token_id
        if end is None or end in ids[-2:]:
            return ids
        return (*ids, end)


def _common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    for place, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return place
    return min(len(first), len(second))
