"""Finds what a tokenizer cannot write of a text, and control tokens that a text would become."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cached_property
from typing import Any

#: Categories of characters that a text cannot lose: letters, marks, numbers, symbols.
_KEPT = "LMNS"
#: First code point of scripts whose combining marks are vowels; below it they are accents, points
#: and tones, which uncased tokenizers drop.
_VOWEL_SIGNS = 0x0900
#: Variation selectors, which choose a picture of the character before them.
_SELECTORS = range(0xFE00, 0xFE10)
_SHOWN = 12


class Legible:
    """Checks texts of rows against a tokenizer.

    Args:
        tokenizer: Tokenizer of the model.
        template: Chat template; added tokens that it writes are control tokens.
        placeholders: Further control tokens: those that stand for media.
    """

    def __init__(
        self, tokenizer: Any, template: str = "", placeholders: tuple[str, ...] = ()
    ) -> None:
        self._tokenizer, self._template = tokenizer, template
        self._placeholders = placeholders

    @cached_property
    def control(self) -> dict[int, str]:
        """Control tokens by id, chosen as `transformers` does for `sanitize_control_tokens`."""
        added = getattr(self._tokenizer, "added_tokens_decoder", {})
        return {
            number: token.content
            for number, token in added.items()
            if token.special
            or token.content in self._placeholders
            or (token.content in self._template and not token.content.isspace())
        }

    def question_fault(self, text: str) -> str:
        """Describes why a question cannot be asked; empty if it can."""
        ids = self._ids(text)
        fault = self._control_fault(text, ids)
        if fault or not _letters(text):
            return fault
        return (
            "" if _letters(self._read(ids)) else f"the tokenizer can write nothing of {short(text)}"
        )

    def answer_fault(self, text: str) -> str:
        """Describes why an answer cannot be taught or scored; empty if it can."""
        ids = self._ids(text)
        fault = self._control_fault(text, ids)
        if fault:
            return fault
        if text and not ids:  # a model's own answer may be empty: its end alone
            return f"{short(text)} has no tokens"
        lost = _letters(text) - _letters(self._read(ids))
        if lost:
            return f"the tokenizer cannot write {_listed(lost)} of {short(text)}"
        unknown = self._tokenizer.unk_token_id
        if unknown is not None and unknown in ids:
            return f"the tokenizer writes a part of {short(text)} as the unknown token"
        return ""

    def control_fault(self, text: str) -> str:
        """Names a control token that a text would become; empty if there is none."""
        return self._control_fault(text, self._ids(text))

    def _control_fault(self, text: str, ids: list[int]) -> str:
        unknown = getattr(self._tokenizer, "unk_token_id", None)
        for token in dict.fromkeys(ids):
            name = self.control.get(token)
            if name is not None and (token != unknown or name in text):
                return f"{short(text)} holds the control token '{name}'"
        return ""

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def _read(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text


def _letters(text: str) -> Counter[str]:
    """Counts characters that carry the text, whatever their case, composition and accents."""
    return Counter(
        letter
        for letter in unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        if unicodedata.category(letter)[0] in _KEPT
        and not (unicodedata.combining(letter) and ord(letter) < _VOWEL_SIGNS)
        and ord(letter) not in _SELECTORS
    )


def _listed(lost: Counter[str]) -> str:
    letters = list(lost)
    more = f" and {len(letters) - _SHOWN} more" if len(letters) > _SHOWN else ""
    return f"'{''.join(letters[:_SHOWN])}'{more}"


def short(text: str) -> str:
    """Quotes the beginning of a text."""
    return repr(text) if len(text) <= 60 else f"{text[:57]!r}..."
