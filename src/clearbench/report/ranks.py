"""Words the tables of rank correlations between metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clearbench.evaluation.description import Description
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


def rank_table(ranks: RankCorrelation, known: Mapping[str, Description]) -> RankTable:
    """Words the correlations of one kind of model and track."""
    title = f"{model_name(ranks.model)} \N{MIDDLE DOT} {ranks.track}, {ranks.runs} runs"
    names = tuple(_metric(key, known) for key in ranks.metrics)
    return RankTable(title, names, ranks.spearman)


def _metric(key: str, known: Mapping[str, Description]) -> str:
    split, _, metric = key.split(".")
    return f"{_SPLITS.get(split, split)}: {in_sentence(metric_words(metric, known).title)}"
