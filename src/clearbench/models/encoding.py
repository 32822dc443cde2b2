"""Encodes questions and answers as token sequences with a mask of the answer, each once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from clearbench.batches.items import Encoded, Item
from clearbench.data.media import Media
from clearbench.data.modality import modality, modality_of
from clearbench.errors import ModelError
from clearbench.models.cache import WorkCache
from clearbench.models.families.base import Family, split_outputs


@dataclass(frozen=True)
class Tokens:
    """Token ids with their extras, and the media tensors that depend on the text."""

    ids: tuple[int, ...]
    extras: dict[str, tuple[int, ...]] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)


class Encoder:
    """Renders prompts with the model's own chat template and tokenises them, each pair once.

    The answer starts at the end of the longest common token prefix of the prompt alone and the
    whole conversation, so no template needs to be known here (errata E12: the published span is
    found from the end of the text).

    Args:
        processor: Processor or tokenizer of the model.
        family: Family of its architecture.
        takes: Arguments of the model's `forward`; extras outside it are dropped.
    """

    def __init__(
        self,
        processor: Any,
        family: Family | None = None,
        takes: Collection[str] | None = None,
    ) -> None:
        self.processor = processor
        self.tokenizer = getattr(processor, "tokenizer", processor)
        self.takes_media = processor is not self.tokenizer
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.family = family or Family()
        self._takes = takes
        self._text_extras = self._values_on_text()
        self.share(WorkCache(), "")

    def share(self, cache: WorkCache, source: str) -> None:
        """Uses a cache in common with other encoders of the same source and processor."""
        self.cache, self._scope = cache, ("encoded", source)

    def forget(self) -> None:
        """Drops encoded text (media stay), for streams of text that never repeat."""
        self.cache.drop(lambda key: isinstance(key, tuple) and key[:3] == (*self._scope, ""))

    def prompt(self, question: str, media: Media | None, track: str = "") -> Encoded:
        """Encodes the question alone, ready for an answer."""
        tokens, tensors = self._prompt(question, media, track)
        return Encoded(tokens.ids, len(tokens.ids), tensors, tokens.extras)

    def encode(self, item: Item) -> Encoded:
        """Encodes an item's whole sequence; the end-of-sequence token belongs to the answer."""
        media, track = item.media, item.track
        prompt, tensors = self._prompt(item.question, media, track)

        def whole() -> Tokens:
            text = self._render(item.question, item.answer, media, track)
            return self._with_end(self._answered(text, prompt, media, track))

        tokens = self._cached(("pair", item.question, item.answer), media, whole)
        start = _common_prefix(prompt.ids, tokens.ids)
        return Encoded(tokens.ids, start, tensors, tokens.extras)

    def _cached(
        self, texts: tuple[str, ...], media: Media | None, make: Callable[[], Tokens]
    ) -> Tokens:
        return self.cache.get((*self._scope, media.key if media else "", *texts), make)

    def _prompt(
        self, question: str, media: Media | None, track: str
    ) -> tuple[Tokens, dict[str, Tensor]]:
        """Encodes a question, and every tensor of its media: one set for all its questions."""
        made: dict[str, Tensor] = {}

        def encoded() -> Tokens:
            tokens, tensors = self._tokens(self._render(question, None, media, track), media, track)
            made.update(tensors)
            return tokens

        tokens = self._cached(("prompt", question), media, encoded)
        if media is None:
            return tokens, {}

        def tensors() -> dict[str, Tensor]:
            if not made:
                encoded()
            return dict(made)

        shared = self.cache.get((*self._scope, media.key, "media"), tensors)
        return tokens, shared | tokens.tensors

    def _render(self, question: str, answer: str | None, media: Media | None, track: str) -> str:
        if media is not None and not self.takes_media:
            raise ModelError(
                f"a row has {_called(media, track)} but the model reads only text",
                question[:60],
                "use a vision-language model, or text rows only",
            )
        if not self._templated:
            return f"Question: {question}\nAnswer:" + (f" {answer}" if answer is not None else "")
        parts: Any = [{"type": "text", "text": question}]
        if media is not None:
            parts = [{"type": _modality(media, track).content}, *parts]
        reply: Any = [{"type": "text", "text": answer}]
        if not self.takes_media:
            parts, reply = question, answer
        turns = [{"role": "user", "content": parts}]
        if answer is not None:
            turns.append({"role": "assistant", "content": reply})
        text: str = self.processor.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=answer is None
        )
        return text

    def _tokens(
        self, text: str, media: Media | None, track: str
    ) -> tuple[Tokens, dict[str, Tensor]]:
        """Tokenises a text, and returns the tensors of its media that do not depend on it."""
        if media is None:
            ids = tuple(self._plain_ids(text))
            return Tokens(ids, self._of_text(len(ids))), {}
        shown = _modality(media, track)
        out = self.family.encode_media(self.processor, shown, media, text)
        ids, extras, tensors = split_outputs(out)
        extras = self._of_text(len(ids)) | self._taken(extras)
        own = {name: tensors.pop(name) for name in self.family.text_tensors if name in tensors}
        return Tokens(ids, extras, own), tensors

    def _answered(self, text: str, prompt: Tokens, media: Media | None, track: str) -> Tokens:
        """Tokenises the whole text; a placeholder of media is expanded as in the prompt."""
        if media is None:
            return self._tokens(text, None, track)[0]
        token = getattr(self.processor, f"{_modality(media, track).content}_token")
        placeholder = self.tokenizer.convert_tokens_to_ids(token)
        plain = self._plain_ids(text)
        if plain.count(placeholder) != 1 or prompt.tensors:
            return self._tokens(text, media, track)[0]
        place, count = plain.index(placeholder), prompt.ids.count(placeholder)
        ids = (*plain[:place], *([placeholder] * count), *plain[place + 1 :])
        known = len(prompt.ids) - 1  # the last token may merge with the answer's first
        if ids[:known] != prompt.ids[:known]:
            return self._tokens(text, media, track)[0]
        extras = self._of_text(len(ids) - known, dict.fromkeys(prompt.extras, 0))
        return Tokens(ids, {n: (*v[:known], *extras[n]) for n, v in prompt.extras.items()})

    def _plain_ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=not self._templated).input_ids
        return ids

    @property
    def pad(self) -> int:
        """Token of the places beyond a row's end: any will do, since masks come from lengths."""
        token: int | None = self.tokenizer.pad_token_id
        return 0 if token is None else token

    @property
    def _templated(self) -> bool:
        return getattr(self.processor, "chat_template", None) is not None

    def _values_on_text(self) -> dict[str, int]:
        """Maps every extra that the model takes to its value on text."""
        if self.takes_media:
            return self._taken(self.family.extras_of_text(self.processor))
        return self._taken(dict(self.family.text_values))

    def _taken(self, extras: dict[str, Any]) -> dict[str, Any]:
        return {n: v for n, v in extras.items() if self._takes is None or n in self._takes}

    def _of_text(
        self, count: int, more: dict[str, int] | None = None
    ) -> dict[str, tuple[int, ...]]:
        """Returns extras of so many tokens of text."""
        values = (more or {}) | self._text_extras
        return {name: (value,) * count for name, value in values.items()}

    def _with_end(self, tokens: Tokens) -> Tokens:
        end = self.tokenizer.eos_token_id
        if end is None or end in tokens.ids[-2:]:
            return tokens
        one = self._of_text(1, dict.fromkeys(tokens.extras, 0))
        extras = {name: (*values, *one[name]) for name, values in tokens.extras.items()}
        return Tokens((*tokens.ids, end), extras, tokens.tensors)


def _modality(media: Media, track: str) -> Any:
    return modality(track) if track else modality_of(media)


def _called(media: Media, track: str) -> str:
    content = _modality(media, track).content
    return "a picture" if content == "image" else f"media of the kind {content}"


def _common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    for place, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return place
    return min(len(first), len(second))
