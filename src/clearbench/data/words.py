"""Splits texts of any script into words, so that spellings of one word are equal.

ASCII text is split exactly as by `[A-Za-z0-9]+`. In scripts that put no spaces between words
(Chinese, Japanese, Thai, Lao, Khmer, Burmese and their kin) a word is one character with its marks:
to cut them into real words takes a dictionary per language, and two texts would be cut differently
where they differ, while characters need neither and a text still equals itself. Korean, Vietnamese
and all others are cut at spaces. Marks (vowel signs, tones, points) belong to their letter and tell
words apart.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import regex

#: Letters of scripts without spaces between words; U+30FC and U+FF70 lengthen a Japanese vowel.
UNSPACED = (
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Yi}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
    r"\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}\p{Javanese}\p{Balinese}\u30fc\uff70]"
)
_ONE = rf"(?:(?={UNSPACED})\p{{L}}\p{{M}}*)"
_LETTER = rf"(?:(?!{UNSPACED})\p{{L}}\p{{M}}*)"
_DIGIT = r"(?:\p{N}\p{M}*)"
_EITHER = rf"(?:{_LETTER}|{_DIGIT})"

_CHARACTER = regex.compile(_ONE)
_LETTERS = regex.compile(rf"{_ONE}|{_LETTER}+")
_PIECES = regex.compile(rf"{_ONE}|{_LETTER}+|{_DIGIT}+")
_WORDS = regex.compile(rf"{_ONE}|{_EITHER}+")
_JOINED = regex.compile(rf"{_ONE}|{_EITHER}+(?:['-]{_EITHER}+)*")

#: Characters that are written one for the other, mostly by typesetting.
_SAME = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201b\u02bb\u02bc\u02b9\u2032\u00b4\uff07\ua78c\u05f3", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\uff02\u05f4\u300c\u300d", '"')
    | dict.fromkeys("\u2010\u2011\uff0d\ufe63", "-")
    | {"\u200b": " "}
)
#: The dotted and the dotless letter of Turkish, whose capitals and small letters cross.
_ONE_I = {0x130: "i", 0x131: "i"}
#: What is not seen and is no part of a word: format characters (joiners, soft hyphens, directions),
#: variation selectors, fillers, and the stroke that stretches Arabic words.
_UNSEEN = regex.compile(r"[\p{Cf}\ufe00-\ufe0f\U000e0100-\U000e01ef\u034f\u0640\u115f\u1160\u3164]")
_OTHER_DIGIT = regex.compile(r"(?![0-9])\p{Nd}")


@lru_cache(maxsize=1 << 14)
def normal(text: str) -> str:
    """Writes a text with one form of each character, in its own case; ASCII stays as it is.

    Composed letters (NFKC), digits of every script as 0 to 9, one kind of apostrophe, quotation
    mark and hyphen; invisible characters are dropped.
    """
    if text.isascii():
        return text
    shown = _UNSEEN.sub("", text.translate(_SAME))
    composed = unicodedata.normalize("NFKC", shown).translate(_SAME)
    return str(_OTHER_DIGIT.sub(_as_ascii, composed))


def _as_ascii(digit: regex.Match[str]) -> str:
    """Returns a digit as 0 to 9; one that Python's tables are too old for stays as it is."""
    return str(unicodedata.decimal(digit.group(), digit.group()))


def folded(text: str) -> str:
    """Writes a text in its normal form without capitals, so that cases of a letter are equal."""
    return unicodedata.normalize("NFC", normal(text).translate(_ONE_I).casefold())


def letters(text: str) -> list[str]:
    """Splits a text into its words in small letters, without numbers."""
    return _found(_LETTERS, text)


def pieces(text: str) -> list[str]:
    """Splits a text into words and numbers in small letters, `km2` into two."""
    return _found(_PIECES, text)


def words(text: str) -> list[str]:
    """Splits a text into words of letters and digits, in small letters."""
    return _found(_WORDS, text)


def joined(text: str) -> list[str]:
    """Splits a text into words in small letters, `o'clock` and `well-kept` being one each."""
    return _found(_JOINED, text)


def places(text: str) -> Iterator[tuple[int, int]]:
    """Yields beginning and end of each word of a text in its normal form, cut as by `joined`."""
    return (match.span() for match in _JOINED.finditer(text))


def spaced(text: str) -> str:
    """Puts a space around each character of scripts that have none; other text stays as it is."""
    return text if text.isascii() else str(_CHARACTER.sub(r" \g<0> ", text))


def symbols(text: str) -> list[str]:
    """Lists the visible characters of a text, for texts without words."""
    return [character for character in folded(text) if not character.isspace()]


def unspaced(word: str) -> bool:
    """Whether a word is a character of a script without spaces between words."""
    return not word.isascii() and _CHARACTER.fullmatch(word) is not None


def _found(pattern: regex.Pattern[str], text: str) -> list[str]:
    return list(_cut(pattern, text))


@lru_cache(maxsize=1 << 15)
def _cut(pattern: regex.Pattern[str], text: str) -> tuple[str, ...]:
    return tuple(pattern.findall(folded(text)))
