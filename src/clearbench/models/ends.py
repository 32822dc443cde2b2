"""Finds the tokens that end an answer: a model may have several, and none of them is the only one.

The tokenizer names one, the generation configuration some, and the chat template writes one behind
every finished turn. Whoever knows the first alone scores what follows the others.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from clearbench.errors import ModelError
from clearbench.models.chat import Chat


@dataclass(frozen=True)
class EndTokens:
    """Ids of tokens that end an answer.

    Attributes:
        known: Tokens of the vocabulary; the first is added where a template writes none.
        unknown: Ids that the vocabulary does not have, which are ignored.
        words: Text that a template writes between an answer and its end, or that nothing ends;
            empty for most.
    """

    known: tuple[int, ...]
    unknown: tuple[int, ...]
    words: str


def configured_ends(module: Any) -> tuple[int, ...]:
    """Returns the tokens that end an answer by a model's generation configuration.

    Raises:
        ModelError: They are no whole numbers.
    """
    given = getattr(getattr(module, "generation_config", None), "eos_token_id", None)
    ids = given if isinstance(given, list | tuple) else () if given is None else (given,)
    if any(isinstance(token, bool) or not isinstance(token, int) for token in ids):
        raise ModelError(
            f"ids of end tokens are whole numbers, not {given!r}",
            "generation_config.json, eos_token_id",
            "give a number or a list of numbers",
        )
    return tuple(ids)


def find_ends(
    tokenizer: Any, chat: Chat, control: Collection[int], configured: Sequence[int]
) -> EndTokens:
    """Finds every token that ends an answer.

    Args:
        tokenizer: Tokenizer of the model.
        chat: Chat template; the first control token behind an answer ends it.
        control: Control tokens of the vocabulary.
        configured: Ends of the generation configuration.
    """
    behind: Sequence[int] = ()
    if chat.template is not None and not chat.fault:
        behind = tokenizer(chat.frame("Who?").after, add_special_tokens=False).input_ids
    written = [token for token in behind if token in control][:1]
    named = dict.fromkeys((*_several(tokenizer.eos_token_id), *configured, *written))
    known = tuple(token for token in named if 0 <= token < len(tokenizer))
    unknown = tuple(token for token in named if token not in known)
    between = list(takewhile(lambda token: token not in known, behind))
    return EndTokens(known, unknown, tokenizer.decode(between).strip())


def _several(ids: int | Sequence[int] | None) -> tuple[int, ...]:
    if ids is None:
        return ()
    return (ids,) if isinstance(ids, int) else tuple(ids)
