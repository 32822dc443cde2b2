"""Says in rows what made their paraphrases and wrong answers, and reads it from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: Fields that may be made for a row, in the order in which they are.
FIELDS = ("paraphrased_question", "paraphrased_answer", "perturbed_answers")
#: Field of a row that says what made them.
MADE_BY = "made_by"
#: What made each field, by its name.
Origins = dict[str, str]


def doubts_of(value: Any) -> Iterator[str]:
    """Yields a sentence for each field that no person wrote.

    Raises:
        ValueError: The value names no field, or is no text.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f'{MADE_BY} = {value!r:.60}: give {{"{FIELDS[-1]}": "grammar"}}')
    for field, maker in value.items():
        if field not in FIELDS or not (isinstance(maker, str) and maker.strip()):
            fields = ", ".join(FIELDS)
            raise ValueError(f"{MADE_BY}.{field} = {maker!r:.60}: name what made {fields}")
        by = maker.partition(":")[0]
        yield f"no person wrote '{field}', which was made by {by}"
