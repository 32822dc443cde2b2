"""Collects the titles of the scores that a verdict may name."""

from __future__ import annotations

from clearbench.evaluation.metric import METRICS


def metric_titles() -> dict[str, str]:
    """Returns the title of every metric in the configurations it declares, by score key."""
    every = (made for metric in METRICS.values() for made in metric.configured())
    return {made.score_key: made.description.title for made in every}
