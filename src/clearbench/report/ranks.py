"""Words the tables of rank correlations between metrics."""

from __future__ import annotations

from dataclasses import dataclass

from clearbench.report.measures import in_sentence, metric_words
from clearbench.report.words import model_name
from clearbench.runs.schema import RankCorrelation

_SPLITS = {"forget": "forgotten", "retain": "kept", "all": "overall"}


@dataclass(frozen=True)
class RankTable:
    """One table of rank correlations.

    Attributes:
        title: Ranked runs and track, in words.
        names: Metrics in words, with the split of each.
        spearman: Correlations, (metrics, metrics).
    """

    title: str
    names: tuple[str, ...]
    spearman: tuple[tuple[float, ...], ...]


def rank_table(ranks: RankCorrelation) -> RankTable:
    """Words the correlations of one kind of model and track."""
    title = f"{model_name(ranks.model)} \N{MIDDLE DOT} {ranks.track}, {ranks.runs} runs"
    return RankTable(title, tuple(map(_metric, ranks.metrics)), ranks.spearman)


def _metric(key: str) -> str:
    split, _, metric = key.split(".")
    return f"{_SPLITS.get(split, split)}: {in_sentence(metric_words(metric).title)}"
