"""Encodes questions and answers as token sequences with a mask of the answer, each once."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

from PIL import ExifTags, Image
from torch import Tensor

from clearbench.batches.items import Encoded, Item, Tokens
from clearbench.batches.trees import common_prefix
from clearbench.data.media import EncodedImage, Media
from clearbench.data.modality import modalities, modality, modality_of
from clearbench.errors import DataError, ModelError
from clearbench.models.cache import WorkCache
from clearbench.models.chat import Chat, Frame
from clearbench.models.ends import EndTokens, find_ends
from clearbench.models.families.base import Family, split_outputs
from clearbench.models.legible import Legible

Value = TypeVar("Value")
#: Beginnings of answers that show which tokens of a prompt an answer leaves as they are.
_BEGINNINGS = ("Quixotry", "The", "A", "In", "1")
_REWRITE = "write it differently, or drop the row"


class Encoder:
    """Renders conversations with the model's own chat template and tokenises them, each pair once.

    The prompt is what stands before the answer in a finished turn, so that headers and blocks of
    thoughts which a template writes of its own accord are read and never scored; no template needs
    to be known here. The answer starts where the tokens of both part (errata E12: the published
    span is found from the end of the text), and ends with the first token that ends it.

    Args:
        processor: Processor or tokenizer of the model.
        family: Family of its architecture.
        takes: Arguments of the model's `forward`; extras outside it are dropped.
        ends: Tokens that end an answer by the model's generation configuration.
    """

    def __init__(
        self,
        processor: Any,
        family: Family | None = None,
        takes: Collection[str] | None = None,
        ends: Collection[int] = (),
    ) -> None:
        self.processor = processor
        self.tokenizer = getattr(processor, "tokenizer", processor)
        self.takes_media = processor is not self.tokenizer
        self.family = family or Family()
        self.chat = Chat(processor, self.takes_media, self.family.template)
        self._takes, self._configured_ends = takes, tuple(ends)
        self._text_extras = self._values_on_text()
        self.share(WorkCache(), "")

    def share(self, cache: WorkCache, source: str) -> None:
        """Uses a cache in common with other encoders of the same source and processor."""
        self.cache, self._scope = cache, ("encoded", source)

    def forget(self) -> None:
        """Drops encoded text (media stay), for streams of text that never repeat."""
        self.cache.drop(lambda key: isinstance(key, tuple) and key[:3] == (*self._scope, ""))

    @cached_property
    def end_tokens(self) -> EndTokens:
        """Tokens that end an answer, with those that cannot."""
        return find_ends(self.tokenizer, self.chat, self.legible.control, self._configured_ends)

    @property
    def ends(self) -> tuple[int, ...]:
        """Tokens that end an answer, the tokenizer's own first."""
        return self.end_tokens.known

    @property
    def pad(self) -> int:
        """Token for padding; any will do where there is none, since masks come from lengths."""
        own: int | None = self.tokenizer.pad_token_id
        return own if own is not None else next(iter(self.ends), 0)

    @cached_property
    def legible(self) -> Legible:
        """Checks of texts against the tokenizer."""
        names = (f"{shown.content}_token" for shown in modalities().values())
        tokens = (getattr(self.processor, name, None) for name in names)
        placeholders = tuple(token for token in tokens if isinstance(token, str))
        return Legible(self.tokenizer, self.chat.template or "", placeholders)

    def prompt(self, question: str, media: Media | None, track: str = "") -> Encoded:
        """Encodes the question alone, ready for an answer.

        Raises:
            DataError: The question holds control tokens; its row is not known here.
        """
        if fault := self.legible.control_fault(question):
            raise DataError(fault, "question", _REWRITE)
        tokens, tensors = self._prompt(question, media, track)
        return Encoded(tokens.ids, len(tokens.ids), tensors, tokens.extras, tokens.spans)

    def asking(self, question: str) -> tuple[int, ...]:
        """Tokenises a question as the template puts it to a model that is about to answer."""
        return tuple(self._plain_ids(self.chat.asking(question)))

    def encode(self, item: Item) -> Encoded:
        """Encodes an item's whole sequence; the token that ends it belongs to the answer.

        Raises:
            DataError: The texts hold control tokens, or letters that the tokenizer cannot write.
            ModelError: The template cannot be rendered, or the model takes no such media.
        """
        with _naming(item):
            self._refuse(item.question, "question")
            self._refuse(item.answer, item.variant)
            prompt, tensors = self._prompt(item.question, item.media, item.track)
            tokens = self._pair(item, prompt)
        start = common_prefix(prompt.ids, tokens.ids)
        return Encoded(tokens.ids, start, tensors, tokens.extras, prompt.spans)

    def ask(self, item: Item) -> Encoded:
        """Encodes an item's question alone, as `prompt`; an error names the row."""
        with _naming(item):
            return self.prompt(item.question, item.media, item.track)

    def length(self, item: Item) -> int:
        """Counts the tokens of `encode`, of pictures of one size only once, and checks the texts.

        Raises:
            DataError: As `encode`.
        """
        if item.media is None:
            return len(self.encode(item).ids)
        with _naming(item):
            self._refuse(item.question, "question")
            self._refuse(item.answer, item.variant)
            content = self._content(item.media, item.track)

            def counted() -> int:
                ids = self._plain_ids(self._said(item, content))
                return len(ids) + (ids[-1] not in self.ends)

            plain = self._cached(("length", item.question, item.answer, content), None, counted)
        return plain + self._media_tokens(item)

    def _said(self, item: Item, content: str) -> str:
        """Renders a conversation up to the end of its answer."""
        frame = self._frame(item.question, content)

        def said() -> str:
            return frame.before + self.chat.answered(item.question, item.answer, frame, content)

        return self._cached(("said", item.question, item.answer, content), None, said)

    def _media_tokens(self, item: Item) -> int:
        """Counts the tokens of an item's media, less the one of its placeholder."""
        media = item.media
        size = self._cached(("size",), media, lambda: _size(media))

        def counted() -> int:
            before = self._frame(item.question, self._content(media, item.track)).before
            ids = self._tokens(before, media, item.track)[0].ids
            return len(ids) - len(self._plain_ids(before))

        return self.cache.get((*self._scope, "size", item.track, size), counted)

    def _refuse(self, text: str, field: str) -> None:
        """Raises an error for a text that cannot be read as it is."""
        asked = field == "question"
        check = self.legible.question_fault if asked else self.legible.answer_fault
        fault = self._cached(("fault", str(asked), text), None, lambda: check(text))
        if fault:
            raise DataError(fault, field, _REWRITE)

    def _pair(self, item: Item, prompt: Tokens) -> Tokens:
        """Encodes question and answer up to the token that ends it."""
        media, track = item.media, item.track

        def whole() -> Tokens:
            content = self._content(media, track)
            frame = self._frame(item.question, content)
            said = self._said(item, content)
            tokens = self._answered(said + frame.after, prompt, media, track)
            start = common_prefix(prompt.ids, tokens.ids)
            stops = (k for k in range(start, len(tokens.ids)) if tokens.ids[k] in self.ends)
            stop = next(stops, None)
            if stop is not None:
                return tokens.first(stop + 1)
            if frame.after and not frame.after.strip():
                tokens = self._answered(said, prompt, media, track)
            return self._with_end(tokens)

        return self._cached(("pair", item.question, item.answer), media, whole)

    def _cached(
        self, texts: tuple[str, ...], media: Media | None, make: Callable[[], Value]
    ) -> Value:
        return self.cache.get((*self._scope, media.key if media else "", *texts), make)

    def _prompt(
        self, question: str, media: Media | None, track: str
    ) -> tuple[Tokens, dict[str, Tensor]]:
        """Encodes a question, and every tensor of its media: one set for all its questions."""
        made: dict[str, Tensor] = {}

        def encoded() -> Tokens:
            before = self._frame(question, self._content(media, track)).before
            tokens, tensors = self._tokens(before, media, track)
            made.update(tensors)
            return tokens.first(len(tokens.ids) - self._unsettled(before))

        tokens = self._cached(("prompt", question), media, encoded)
        if media is None:
            return tokens, {}

        def tensors() -> dict[str, Tensor]:
            if not made:
                encoded()
            return dict(made)

        shared = self.cache.get((*self._scope, media.key, "media"), tensors)
        return tokens, shared

    def _content(self, media: Media | None, track: str) -> str:
        """Returns the type of the part of a message that stands for media; empty for none."""
        if media is None:
            return ""
        if not self.takes_media:
            raise ModelError(
                f"a row has {_called(media, track)} but the model reads only text",
                "media",
                "use a vision-language model, or text rows only",
            )
        return str(_modality(media, track).content)

    def _frame(self, question: str, content: str) -> Frame:
        """Computes what the template writes around every answer to a question."""
        return self._cached(
            ("frame", question, content), None, lambda: self.chat.frame(question, content)
        )

    def _unsettled(self, before: str) -> int:
        """Counts the last tokens of a prompt that merge with an answer, or end the text."""
        alone = self._plain_ids(before)
        text = before if self.chat.template is not None else f"{before} "
        few = _BEGINNINGS if text[-1:].isspace() else _BEGINNINGS[:1]  # space merges with words
        return len(alone) - min(common_prefix(alone, self._plain_ids(text + w)) for w in few)

    def _tokens(
        self, text: str, media: Media | None, track: str
    ) -> tuple[Tokens, dict[str, Tensor]]:
        """Tokenises a text, and returns the tensors of its media that do not depend on it."""
        if media is None:
            ids = tuple(self._plain_ids(text))
            return Tokens(ids, self._of_text(len(ids))), {}
        shown = _modality(media, track)
        options = {} if self._adds_specials(text) else {"add_special_tokens": False}
        out = self.family.encode_media(self.processor, shown, media, text, **options)
        ids, extras, tensors = split_outputs(out)
        extras = self._of_text(len(ids)) | self._taken(extras)
        spans = {name: tensors.pop(name) for name in self.family.token_tensors if name in tensors}
        return Tokens(ids, extras, spans), tensors

    def _answered(self, text: str, prompt: Tokens, media: Media | None, track: str) -> Tokens:
        """Tokenises the whole text; a placeholder of media is expanded as in the prompt."""
        if media is None:
            return self._tokens(text, None, track)[0]
        token = getattr(self.processor, f"{_modality(media, track).content}_token")
        placeholder = self.tokenizer.convert_tokens_to_ids(token)
        plain = self._plain_ids(text)
        if plain.count(placeholder) != 1:
            return self._tokens(text, media, track)[0]
        place, count = plain.index(placeholder), prompt.ids.count(placeholder)
        ids = (*plain[:place], *([placeholder] * count), *plain[place + 1 :])
        known = common_prefix(ids, prompt.ids)
        if known < len(prompt.ids) - 1:  # the last token may merge with the answer's first
            return self._tokens(text, media, track)[0]
        extras = self._of_text(len(ids) - known, dict.fromkeys(prompt.extras, 0))
        return Tokens(ids, {n: (*v[:known], *extras[n]) for n, v in prompt.extras.items()})

    def _plain_ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(
            text, add_special_tokens=self._adds_specials(text)
        ).input_ids
        return ids

    def _adds_specials(self, text: str) -> bool:
        """Whether the tokenizer adds its own first token, as in `apply_chat_template`."""
        if self.chat.template is None:
            return True
        if not self.takes_media:
            return False
        begin = getattr(self.tokenizer, "bos_token", None)
        return not (begin and text.startswith(begin))

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
        if not self.ends:
            return tokens
        one = self._of_text(1, dict.fromkeys(tokens.extras, 0))
        extras = {name: (*values, *one[name]) for name, values in tokens.extras.items()}
        return Tokens((*tokens.ids, self.ends[0]), extras)


@contextmanager
def _naming(item: Item) -> Iterator[None]:
    """Adds the row to errors about one of its texts."""
    try:
        yield
    except DataError as error:
        raise DataError(error.what, f"row '{item.row}', {error.where}", error.fix) from error


def _modality(media: Media, track: str) -> Any:
    return modality(track) if track else modality_of(media)


def _called(media: Media, track: str) -> str:
    content = _modality(media, track).content
    return "a picture" if content == "image" else f"media of the kind {content}"


def _size(media: Media | None) -> tuple[object, ...]:
    """Returns what the number of a picture's tokens depends on; other media differ one by one."""
    if not isinstance(media, EncodedImage):
        return () if media is None else (media.key,)
    with Image.open(io.BytesIO(media.encoded)) as header:
        return (*header.size, header.getexif().get(ExifTags.Base.Orientation))
