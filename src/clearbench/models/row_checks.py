"""Refuses rows that a causal model cannot read or score, all at once and before any work."""

from __future__ import annotations

from collections.abc import Sequence

from clearbench.batches.items import Item
from clearbench.errors import DataError, ModelError
from clearbench.models.chat import MEND
from clearbench.models.encoding import Encoder
from clearbench.models.legible import short

#: Number of rows that an error lists; the rest is counted.
SHOWN = 20
_SHORTEN = "shorten these rows, drop them, or use a model with more positions"


def check_items(encoder: Encoder, items: Sequence[Item], positions: int | None) -> None:
    """Raises an error that lists every item which cannot be read as it is.

    Args:
        encoder: Encoder of the model.
        items: Items to check, as the model would be asked.
        positions: Largest number of tokens of a row; None where there is no limit.

    Raises:
        DataError: Texts hold control tokens, cannot be written, or are longer than the model's
            positions.
        ModelError: The template is at fault, whatever the row.
    """
    refuse_template(encoder)
    found: dict[str, DataError] = {}
    for item in items:
        try:
            refuse_long(item, encoder.length(item), positions)
        except DataError as error:
            found[f"{error.where}: {error.what}"] = error
    if len(found) == 1:
        raise next(iter(found.values()))
    if found:
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise DataError(
            "\n".join([f"{len(found)} texts cannot be read:", *list(found)[:SHOWN], *more]),
            "rows",
            "; ".join(dict.fromkeys(error.fix for error in found.values())),
        )


def refuse_template(encoder: Encoder) -> None:
    """Refuses a template that loses questions or answers, or puts words behind an answer.

    Raises:
        ModelError: The template does so, whatever the row.
    """
    encoder.chat.refuse_fault()
    if words := encoder.end_tokens.words:
        raise ModelError(
            f"the chat template writes {short(words)} behind an answer, before any end token",
            "chat_template",
            f"{MEND}, or add what ends a turn to its tokens",
        )


def refuse_long(item: Item, tokens: int, positions: int | None) -> None:
    """Raises an error for a row with more tokens than the model has positions."""
    if positions is not None and tokens > positions:
        raise DataError(
            f"{tokens} tokens, longer than the {positions} positions of the model",
            f"row '{item.row}', {item.variant}",
            _SHORTEN,
        )
