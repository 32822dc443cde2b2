"""Reads conversations: pairs of a question and its answer, in the order of the turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Who speaks, by the words that formats have for it.
_ASKS = ("user", "human")
_ANSWERS = ("assistant", "gpt", "model", "chatgpt", "bot")
_SYSTEM = ("system", "developer")
#: Fields of a turn.
_READ = {"role", "content", "from", "value"}
#: Place of a picture in a text.
PLACE = "<image>"


def pairs(turns: Any, doubts: list[str]) -> tuple[list[tuple[str, str]], list[Any], int]:
    """Returns questions with their answers, pictures that turns hold, and places of pictures.

    Args:
        turns: A list of turns: `role` and `content`, or `from` and `value`.
        doubts: List that gets a sentence about what is left out.

    Raises:
        ValueError: Turns are none, or do not alternate.
    """
    if not isinstance(turns, list | tuple) or not turns:
        raise ValueError("its turns are no list of turns")
    found: list[tuple[str, str]] = []
    pictures: list[Any] = []
    places, question = 0, None
    for number, turn in enumerate(turns, 1):
        doubts += _unread(turn)
        try:
            role, text, seen, places_here = _turn(turn)
            if role in _SYSTEM:
                doubts.append("system turns are left out")
            elif role in _ASKS and question is None:
                question = text
                pictures += seen
                places += places_here
            elif role in _ANSWERS and question is not None and not seen:
                found.append((question, text))
                question = None
            else:
                raise ValueError(_misplaced(role, question))
        except ValueError as error:
            raise ValueError(f"turn {number}: {error}") from error
    if question is not None:
        raise ValueError(f"turn {len(turns)}: nothing answers the last question; drop it")
    if len(found) > 1:
        doubts.append("each turn is a row of its own, without the turns before it")
    return found, pictures, places


def _unread(turn: Any) -> list[str]:
    """Says which fields of a turn are not read."""
    names = {*turn} - _READ if isinstance(turn, Mapping) else set()
    left = sorted(str(name) for name in names if turn[name] is not None)
    return [f"fields of turns are not read: {', '.join(left)}"] if left else []


def _either(turn: Mapping[str, Any], name: str, other: str) -> Any:
    """Returns the field that two formats call differently.

    Raises:
        ValueError: The turn has both, and they differ.
    """
    values = [turn[key] for key in (name, other) if turn.get(key) is not None]
    if len(values) > 1 and values[0] != values[1]:
        raise ValueError(f"'{name}' and '{other}' differ; keep one of them")
    return values[0] if values else None


def _misplaced(role: str, question: str | None) -> str:
    if role in _ASKS:
        return "a second question without an answer between them"
    if role in _ANSWERS:
        return "an answer to nothing" if question is None else "an answer with a picture"
    return f"the role '{role}' is not read; known: {', '.join((*_ASKS, *_ANSWERS, *_SYSTEM))}"


def _turn(turn: Any) -> tuple[str, str, list[Any], int]:
    """Returns the role, the text without places, the pictures and their number of places."""
    if not isinstance(turn, Mapping):
        raise ValueError(f"{turn!r:.40} is no turn with role and content")
    role, content = _either(turn, "role", "from"), _either(turn, "content", "value")
    if not isinstance(role, str):
        raise ValueError("no 'role' (or 'from')")
    parts = content if isinstance(content, list) else [content]
    texts, pictures, places = [], [], 0
    for part in parts:
        text, picture, is_place = _part(part)
        if text is not None:
            texts.append(text)
        if picture is not None:
            pictures.append(picture)
        places += is_place
    text = "\n".join(texts)
    speaker = role.casefold().strip()
    if speaker in _ASKS:
        places += text.count(PLACE)
        text = "\n".join(line.strip() for line in text.replace(PLACE, " ").split("\n")).strip()
    return speaker, text, pictures, places


def _part(part: Any) -> tuple[str | None, Any, bool]:
    """Returns the text or the picture of a part of a turn, and whether it is a picture's place."""
    if isinstance(part, str):
        return part, None, False
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return part["text"], None, False
    if kind in ("image", "image_url"):
        source = next((part[k] for k in ("image", "image_url", "path", "url") if part.get(k)), None)
        if isinstance(source, Mapping) and "url" in source:
            source = source["url"]
        return None, source, True
    raise ValueError(f"{part!r:.40} is neither text nor a picture")
