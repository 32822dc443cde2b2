"""Says in rows what made their paraphrases and wrong answers, and reads it from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clearbench.data.examine import several

#: Fields that may be made for a row, in the order in which they are.
FIELDS = ("paraphrased_question", "paraphrased_answer", "perturbed_answers")
#: Field of a row that says what made them.
MADE_BY = "made_by"
#: What made each field, by its name.
Origins = dict[str, str]


def makers_of(value: Any) -> Iterator[tuple[str, str]]:
    """Yields each field of a row that no person wrote, and what made it.

    Raises:
        ValueError: The value names no field, or is no text.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f'{MADE_BY} = {value!r:.60}: give {{"{FIELDS[-1]}": "grammar"}}')
    for field, maker in value.items():
        if field not in FIELDS or not (isinstance(maker, str) and maker.strip()):
            fields = ", ".join(FIELDS)
            raise ValueError(f"{MADE_BY}.{field} = {maker!r:.60}: name what made {fields}")
        yield field, maker.partition(":")[0]


def counted(field: str, by: str, rows: Sequence[str]) -> str:
    """Says of how many rows a field was made by whom."""
    count = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
    return f"no person wrote '{field}' of {count}, which was made by {by}: {several(rows)}"
