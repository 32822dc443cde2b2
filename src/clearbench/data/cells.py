"""Reads values as programs write them: lists in one text, missing values, other codes."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

#: What programs write where a value is missing, in small letters.
_MISSING = frozenset({"nan", "null", "none", "<na>", "n/a", "#n/a", "nat", "undefined"})
#: Two quoted texts with no comma between them, as numpy prints a list.
_NO_COMMA = re.compile(r"""['"]\s+['"]""")


def is_missing(text: str) -> bool:
    """Whether a text is what programs write for a missing one."""
    return text.strip().casefold() in _MISSING


def of_python(value: Any) -> Any:
    """Returns numbers, texts and lists of numpy as Python's own; others as they are."""
    return value.tolist() if type(value).__module__ == "numpy" else value


def wrong_answers(text: str) -> Any:
    """Reads wrong answers that a table holds in one text: a list, as JSON or Python writes it.

    Raises:
        ValueError: It begins and ends as a list and is none.
    """
    shown = text.strip()
    if not (shown.startswith(("['", '["')) and shown.endswith(("']", '"]'))):
        return (text,)
    try:
        return json.loads(shown)
    except ValueError:
        pass
    try:
        found = ast.literal_eval(shown)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if found is None or _NO_COMMA.search(shown):
        raise ValueError(f"perturbed_answers = {text!r:.60}: write a list as JSON does")
    return found


def misread(text: str) -> bool:
    """Whether a text is UTF-8 that was read in an 8-bit code, or has control codes of one."""
    if text.isascii():
        return False
    if any("\x7f" <= letter <= "\x9f" and letter != "\x85" for letter in text):
        return True
    for code in ("cp1252", "latin-1"):
        try:
            return text.encode(code).decode("utf-8") != text
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue
    return False
