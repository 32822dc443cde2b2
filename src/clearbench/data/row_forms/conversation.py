"""Rows with a conversation: chat messages, ShareGPT's and LLaVA's turns."""

from __future__ import annotations

from typing import Any

from clearbench.data.row_form import Fields, RowForm
from clearbench.data.turns import PLACE, pairs


class Conversation(RowForm, name="messages (role, content) or conversations (from, value)"):
    r"""A row per question and its answer; a picture belongs to all of them.

    `{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", ...}]}`;
    `{"image": "a.jpg", "conversations": [{"from": "human", "value": "<image>\nWho?"}, ...]}`.
    """

    needs = (("messages", "conversations", "conversation"),)

    def examples(self, fields: Fields, doubts: list[str]) -> list[dict[str, Any]]:
        """Takes the turns apart."""
        (turns,) = self.taken(fields)
        return conversation(fields, turns, doubts)


def conversation(fields: Fields, turns: Any, doubts: list[str]) -> list[dict[str, Any]]:
    """Returns an example per pair of turns, with the picture of the row or of a turn.

    Raises:
        ValueError: Turns are none, or speak of another number of pictures than there is.
    """
    found, pictures, places = pairs(turns, doubts)
    given = fields.get("image")
    if len(pictures) + (given is not None) > 1:
        raise ValueError("has several pictures; a row has one at most")
    if places > 1:
        raise ValueError(f"has {places} places of a picture ({PLACE}); a row has one at most")
    if places and given is None and not pictures:
        raise ValueError(f"has a place of a picture ({PLACE}) but names no 'image'")
    seen = {"image": pictures[0]} if pictures else {}
    return [{"question": asked, "answer": answered} | seen for asked, answered in found]
