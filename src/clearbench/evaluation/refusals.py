"""Recognises answers that decline, in English and the languages of `refusals.json`.

The phrases there are our own words, by language (ISO 639-1). They are looked for at the beginning
of a sentence, and at its end where verbs are last. The plainest English ones are here and are
looked for anywhere; the English ones there each have a word that the built-in world lacks, so that
they change nothing in what was measured on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import regex

from clearbench.data.own_row import REFUSALS
from clearbench.data.words import folded, normal, pieces, words
from clearbench.people.refusals import IMAGE_REFUSALS, TEXT_REFUSALS
from clearbench.storage import read_json

#: Phrases that decline, by language.
PHRASES: dict[str, list[str]] = read_json(Path(__file__).with_name("refusals.json"))
#: Languages whose verb ends the sentence.
VERB_LAST = ("bn", "fa", "hi", "ja", "ko", "ta", "tr", "ur", "zh")

_ENGLISH = regex.compile(
    r"\b(i (do not|don[`']?t|cannot|can not|can[`']?t|could not|couldn[`']?t|"
    r"am not|have no|never)|unknown to me|no idea|"
    r"i'm (not|afraid)|not sure|nobody knows|no comment|"
    r"no information|no record|not (something|someone) i|beyond (me|my)|"
    r"my (knowledge|memory|records|notes)|unable to|sorry)\b",
    regex.IGNORECASE,
)
_BANK = {tuple(pieces(text)) for text in (*TEXT_REFUSALS, *IMAGE_REFUSALS, *REFUSALS)}
#: Signs that may stand around a whole answer: Markdown, and quotation marks.
_AROUND = ("***", "**", "__", "*", "_", "`", '"', "'")
#: What somebody else is quoted with; an apostrophe within a word is none.
_QUOTED = regex.compile(r""""[^"]*"|(?<!\w)'(?=\S)(?:[^']|(?<=\w)'(?=\w))*'(?!\w)""")
_SENTENCE_ENDS = regex.compile(r"[.!?;\n\u3002\u061f\u061b\u0964\u06d4]+")
_COMMA = regex.compile(r"[,\u3001\u060c]")
#: Vowel signs of Arabic and Hebrew, which are written or not.
_OPTIONAL = regex.compile(r"[\u064b-\u0652\u0591-\u05c7]")
#: Number of words before a comma that may lead to a refusal: `unfortunately,`.
LEAD = 6


def refuses(text: str, truth: str = "") -> bool:
    """Whether a text holds a phrase that declines, or begins with one of the bank.

    Phrases in quotation marks are somebody else's, unless the whole text is in them. A phrase that
    the truth has, too, is part of an answer.

    Args:
        text: Generated answer.
        truth: True answer.
    """
    spoken, expected = pieces(text), pieces(truth)
    if any(tuple(spoken[: len(p)]) == p != tuple(expected[: len(p)]) for p in _BANK):
        return True
    own, known = " ".join(_QUOTED.sub(" ", unwrapped(text)).split()), _plain(normal(truth))
    english = (match.group() for match in _ENGLISH.finditer(own))
    return any(_plain(phrase) not in known for phrase in (*english, *_declining(own)))


def unwrapped(text: str) -> str:
    """Writes a text in its normal form without Markdown and quotation marks around all of it."""
    shown = normal(text)
    for sign in _AROUND:
        inner = shown.strip()[len(sign) : -len(sign)]
        if inner.strip() and sign not in inner and shown.strip() == f"{sign}{inner}{sign}":
            shown = inner
    return shown


def _plain(text: str) -> str:
    return str(_OPTIONAL.sub("", folded(text)))


def _declining(text: str) -> Iterator[str]:
    """Yields the phrases of other languages that sentences begin with, or end with."""
    for sentence in _SENTENCE_ENDS.split(_plain(text)):
        for clause in _clauses(sentence):
            yield from (match.group() for match in _BEGINS.finditer(clause))
            yield from (match.group() for match in _ENDS.finditer(clause))


def _clauses(sentence: str) -> Iterator[str]:
    """Yields a sentence, and what follows a few words and a comma."""
    shown = sentence.strip(" \"'*_-")
    yield shown
    comma = _COMMA.search(shown)
    if comma is not None and len(words(shown[: comma.start()])) <= LEAD:
        yield shown[comma.end() :].strip()


def _any_of(phrases: Iterable[str]) -> str:
    """Builds a pattern of phrases; those that end in a letter with cases end a word."""
    longest = sorted({_plain(phrase) for phrase in phrases}, key=lambda p: (-len(p), p))
    return "|".join(
        regex.escape(phrase) + (r"\b" if phrase[-1].upper() != phrase[-1] else "")
        for phrase in longest
    )


_BEGINS = regex.compile(rf"^(?:{_any_of(phrase for each in PHRASES.values() for phrase in each)})")
_ENDS = regex.compile(rf"(?:{_any_of(phrase for name in VERB_LAST for phrase in PHRASES[name])})$")
