"""Compares the rows of a run: means over seeds, golds with golds, and metrics by their ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from statistics import fmean

from clearbench.data.modality import modalities, tracks_of
from clearbench.evaluation.score import Score
from clearbench.evaluation.statistics import combine, rank_correlations
from clearbench.evaluation.verdict.seeds import over_seeds
from clearbench.runs.schema import AnyRow, CombinedRow, Cost, RankCorrelation, Row

#: Fields that are equal in the runs of one setting; only their seeds differ.
SETTING = ("method", "model", "modality", "share", "variant", "hyperparameters", "training")
#: Metrics whose rankings of runs are compared, by split.
RANKED = {
    "forget": (
        *("probability", "name_probability", "name_choice", "truth_ratio", "truth_probability"),
        *("rouge_l", "keyword_match", "exact_memorisation", "extraction_strength"),
        *("mia_min_k_auc", "forget_quality", "forget_quality_js"),
    ),
    "retain": ("probability", "rouge_l"),
    "all": ("model_utility",),
}
#: Number of runs below which a rank correlation is noise.
MIN_RANKED = 5


def combined(rows: Sequence[Row]) -> tuple[CombinedRow, ...]:
    """Combines the runs of each setting that ran with several seeds, under the id of the first.

    Scores are means with an interval over seeds and people. The word is the one that every seed
    has, else `undecided`. Golds that no run is compared with are left out.
    """
    anchors = {row.gold for row in rows}
    settled = [row for row in rows if row.method != "gold" or row.id in anchors]
    means = []
    for _, group in groupby(sorted(settled, key=_setting), key=_setting):
        runs = list(group)
        if len({run.seed for run in runs}) > 1:
            means.append(_combined(runs))
    order = {row.id: place for place, row in enumerate(rows)}
    return tuple(sorted(means, key=lambda row: order[row.id]))


def _setting(row: Row) -> str:
    return repr(row.model_dump(mode="json", include=set(SETTING)))


def _combined(runs: Sequence[Row]) -> CombinedRow:
    first, *_ = runs
    bad = next((run for run in runs if run.status != "ok"), None)
    scores = {} if bad else combine([run.scores for run in runs])
    verdicts = [] if bad else [run.verdict for run in runs if run.verdict is not None]
    reasons = [f"seed {run.seed}: {run.reason}" for run in runs if run.status != "ok"]
    return CombinedRow(
        **{field: getattr(first, field) for field in ("id", *SETTING, "protocol", "gold")},
        seeds=tuple(run.seed for run in runs),
        rows=tuple(run.id for run in runs),
        cost=_mean_cost(runs),
        status=bad.status if bad else "ok",
        reason="; ".join(reasons),
        scores=scores,
        verdict=over_seeds(verdicts) if verdicts else None,
        words=tuple(verdict.word for verdict in verdicts),
    )


def _mean_cost(runs: Sequence[Row]) -> Cost:
    """Computes the mean of every number that all runs have."""
    costs = [run.cost.items() for run in runs]
    shared = set.intersection(*(set(cost) for cost in costs))
    return Cost.model_validate({key: fmean(cost[key] for cost in costs) for key in shared})


def ranks(rows: Sequence[AnyRow]) -> tuple[RankCorrelation, ...]:
    """Computes Spearman's correlations between metrics, over the runs that were to forget a track.

    Args:
        rows: Rows of a run; with several seeds the combined ones, since seeds of one setting are
            no independent runs.

    Returns:
        One square matrix per kind of model and track with at least five runs that ended well.
    """
    tried = [row for row in rows if not row.is_anchor]
    tables: list[RankCorrelation] = []
    for model in dict.fromkeys(row.model for row in tried):
        for track in modalities():
            runs = [
                _ranked(row, track)
                for row in tried
                if row.model == model and row.ok and track in tracks_of(row.modality)
            ]
            if len(runs) >= MIN_RANKED:
                tables += _rank_table(runs, model, track)
    return tuple(tables)


def _keys(track: str) -> list[str]:
    return [f"{split}.{track}.{name}" for split, names in RANKED.items() for name in names]


def _ranked(row: AnyRow, track: str) -> dict[str, Score]:
    return {key: row.scores[key] for key in _keys(track) if key in row.scores}


def _rank_table(
    runs: Sequence[Mapping[str, Score]], model: str, track: str
) -> Iterator[RankCorrelation]:
    """Yields one table, or none where fewer than two metrics rank the runs."""
    correlations = rank_correlations(runs)
    metrics = tuple(key for key in _keys(track) if key in correlations)
    if len(metrics) > 1:
        keys = list(metrics)
        matrix = tuple(map(tuple, correlations.loc[keys, keys].to_numpy().tolist()))
        yield RankCorrelation(
            model=model, track=track, runs=len(runs), metrics=metrics, spearman=matrix
        )
