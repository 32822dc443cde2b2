"""Scores multiple-choice questions that are answered with a generated letter."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from string import ascii_uppercase
from typing import ClassVar

import numpy as np

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Metric
from clearbench.libraries import pd

_LETTER = re.compile(r"\b([A-Z])\b")
_OPTION = re.compile(r"^[A-Z]\. ", re.MULTILINE)


def lettered(answer: str, others: Sequence[str], row: str, seed: int = 0) -> tuple[str, str]:
    """Writes options as lines in an order drawn from the row's id, and the answer's letter.

    The true option is never at a fixed place (errata E129: the place of the true option).
    """
    options = [answer, *others]
    rng = np.random.default_rng([seed, zlib.crc32(row.encode())])
    order = rng.permutation(len(options))
    lines = [f"{letter}. {options[k]}" for letter, k in zip(ascii_uppercase, order, strict=False)]
    return "\n".join(lines), ascii_uppercase[int(np.flatnonzero(order == 0)[0])]


def chosen_letter(text: str) -> str | None:
    """Finds the first capital letter that is a word of its own; None where there is none."""
    letter = _LETTER.search(text)
    return letter.group(1) if letter else None


class LetterChoice(
    Metric,
    name="letter_choice",
    group="Generated answers",
    needs=("generated letter",),
    paper="MMUnlearner, arXiv 2502.11051; MLLMU-Bench, arXiv 2410.22108",
    shows=(
        "Whether the model can pick the answer; with five others, `chance` is 1/6. An answer "
        "without a letter counts as wrong, so a broken model falls below chance: read it beside "
        "the rates of refusal and garbage, and beside `name_choice`, which needs no obedience."
    ),
):
    """Share of rows whose generated letter is that of the true option."""

    tasks: ClassVar[tuple[str, ...]] = ("letter",)

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes 1 or 0 per row; a row's truth is a letter."""
        generated = group.generations
        pairs = zip(generated["truth"], generated["text"], strict=True)
        values = [float(chosen_letter(text) == truth) for truth, text in pairs]
        return pd.Series(values, index=generated["row"], dtype=float)

    def chance(self, group: RecordGroup) -> float | None:
        """Computes the mean over rows of one over the number of lettered options."""
        counts = (len(_OPTION.findall(question)) for question in group.generations["question"])
        shares = [1 / count for count in counts if count]
        return float(np.mean(shares)) if shares else None
