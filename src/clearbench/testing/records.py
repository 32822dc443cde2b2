"""Builds records by hand, small enough to compute a metric on paper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from clearbench.evaluation.groups import ANSWERS, GENERATIONS, RecordGroup
from clearbench.evaluation.metric import Metric, metric
from clearbench.evaluation.records import Records
from clearbench.evaluation.tables import ROW_COLUMNS

_TOKENS = ("hits", "means", "variances")


def records(rows: Sequence[Mapping[str, Any]]) -> Records:
    """Builds records from rows; number `k` is row `rk` of person `k` on `forget.text`, a `qa`.

    Args:
        rows: `p` gives token probabilities by answer variant; `hits`, `means` and `variances` are
            those of the answer's tokens; `said` is (truth, text) or (truth, text, question). The
            rest overrides `split`, `track`, `task`, `person` and `row`.
    """
    answers, generations = [], []
    for number, row in enumerate(rows):
        about = {"split": "forget", "track": "text", "task": "qa", "person": number}
        about |= {"row": f"r{number}"} | {k: v for k, v in row.items() if k in ROW_COLUMNS}
        for variant, tokens in row.get("p", {}).items():
            line = about | {"variant": variant, "log_probs": [math.log(p) for p in tokens]}
            if variant == "answer":
                line |= {name: row[name] for name in _TOKENS if name in row}
            answers.append(line)
        if "said" in row:
            truth, text, *question = row["said"]
            prompt = question[0] if question else ""
            generations.append(about | {"question": prompt, "truth": truth, "text": text})
    return Records({ANSWERS: ANSWERS.frame(answers), GENERATIONS: GENERATIONS.frame(generations)})


def group(rows: Sequence[Mapping[str, Any]]) -> RecordGroup:
    """Returns the only group of records built by hand, see `records`."""
    (only,) = records(rows).groups().values()
    return only


def value(
    name: str, split: str = "forget", parameters: Mapping[str, Any] | None = None, **row: Any
) -> float:
    """Computes a row metric's value of a single row, see `records`."""
    chosen = metric(name, **(parameters or {}))
    if not isinstance(chosen, Metric):
        raise TypeError(f"{name} has no value per row")
    (result,) = chosen.per_row(group([{"split": split, "p": {"answer": [0.5]}} | row]))
    return float(result)
