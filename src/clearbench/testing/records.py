"""Records written by hand, small enough to work a metric out on paper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from clearbench.evaluation.metric import Metric, metrics
from clearbench.evaluation.records import ANSWER_COLUMNS, GENERATION_COLUMNS, Records

_TOKENS = ("hits", "means", "variances")


def records(rows: Sequence[Mapping[str, Any]]) -> Records:
    """Records from rows; number `k` is row `rk` of person `k` on `forget.text`, a `qa`.

    Args:
        rows: `p` gives token probabilities by answer variant; `hits`, `means` and `variances` are
            those of the answer's tokens; `said` is (truth, text) or (truth, text, question). The
            rest overrides `split`, `track`, `task`, `person` and `row`.
    """
    answers, spoken = [], []
    for number, row in enumerate(rows):
        about = {"split": "forget", "track": "text", "task": "qa", "person": number}
        about |= {"row": f"r{number}"} | {k: v for k, v in row.items() if k in ANSWER_COLUMNS[:5]}
        for variant, tokens in row.get("p", {}).items():
            line = about | {"variant": variant, "log_probs": [math.log(p) for p in tokens]}
            if variant == "answer":
                line |= {name: row[name] for name in _TOKENS if name in row}
            answers.append(line)
        if "said" in row:
            truth, text, *question = row["said"]
            asked = question[0] if question else ""
            spoken.append(about | {"question": asked, "truth": truth, "text": text})
    return Records(
        pd.DataFrame(answers, columns=ANSWER_COLUMNS),
        pd.DataFrame(spoken, columns=GENERATION_COLUMNS),
    )


def value(name: str, split: str = "forget", **row: Any) -> float:
    """A row metric's value of a single row, see `records`."""
    (cell,) = records([{"split": split, "p": {"answer": [0.5]}} | row]).cells().values()
    chosen = metrics()[name]
    if not issubclass(chosen, Metric):
        raise TypeError(f"{name} has no value per row")
    (found,) = chosen.per_row(cell, split)
    return float(found)
