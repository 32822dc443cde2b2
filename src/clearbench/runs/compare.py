"""What the rows of a run say together: seeds combined, golds against golds, metrics by rank."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from statistics import fmean
from typing import Any

from clearbench.evaluation.score import Score
from clearbench.evaluation.statistics import Combined, combine, rank_correlations
from clearbench.evaluation.verdict import Verdict, judge
from clearbench.runs.recipe import TRACKS_OF

Row = Mapping[str, Any]
Rows = Sequence[Row]

#: Runs of one setting agree in these; only their seeds differ.
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
#: A rank correlation of fewer runs says nothing.
MIN_RANKED = 5


def null_gaps(bands: Rows, gold: str) -> dict[str, float]:
    """By key, the largest distance between golds, of the bands that a gold is part of."""
    found = (each["bands"] for each in bands if gold in each["golds"])
    return {key: band["gap"] for key, band in next(found, {}).items()}


def combined(rows: Rows) -> list[dict[str, Any]]:
    """One row for each setting that ran with several seeds, under the id of the first.

    Scores are means with an interval over seeds and people. The verdict is that of the means;
    its distance is the mean of the seeds', and what is indistinguishable is so with every seed.
    """
    anchors = _anchors(rows)
    settled = [row for row in rows if row["method"] != "gold" or row["id"] in anchors]
    found = []
    for _, group in groupby(sorted(settled, key=_setting), key=_setting):
        runs = list(group)
        if len({run["seed"] for run in runs}) > 1:
            found.append(_combined(runs))
    order = {row["id"]: place for place, row in enumerate(rows)}
    return sorted(found, key=lambda row: order[row["id"]])


def _anchors(rows: Rows) -> set[str]:
    """The golds that others are compared with."""
    return {row["gold"] for row in rows}


def _setting(row: Row) -> str:
    return repr([row[key] for key in SETTING])


def _combined(runs: Rows) -> dict[str, Any]:
    first, *_ = runs
    bad = [run for run in runs if run["status"] != "ok"]
    row = {key: first[key] for key in ("id", *SETTING, "protocol", "gold")}
    row |= {"seeds": [run["seed"] for run in runs], "rows": [run["id"] for run in runs]}
    row["cost"] = {
        key: fmean(run["cost"][key] for run in runs)
        for key in first["cost"]
        if all(key in run["cost"] for run in runs)
    }
    if bad:
        reason = "; ".join(f"seed {run['seed']}: {run['reason']}" for run in bad)
        return row | {"status": bad[0]["status"], "reason": reason, "scores": {}}
    scores = combine([_scores(run) for run in runs])
    row |= {
        "status": "ok",
        "reason": "",
        "scores": {key: each.model_dump(mode="json") for key, each in scores.items()},
    }
    verdicts = [Verdict.model_validate(run["verdict"]) for run in runs if "verdict" in run]
    if verdicts:
        row["verdict"] = _verdict(scores, verdicts, row).model_dump(mode="json")
        row["seeds_passed"] = sum(each.passed for each in verdicts)
    return row


def _verdict(scores: Mapping[str, Score], verdicts: Sequence[Verdict], row: Row) -> Verdict:
    values, gold, original = (
        {key: found for key, each in scores.items() if (found := getattr(each, field)) is not None}
        for field in ("value", "gold", "original")
    )
    shared = set.intersection(*(set(each.indistinguishable) for each in verdicts))
    return judge(values, gold, original, row["modality"], row["model"]).model_copy(
        update={
            "distance": _mean(each.distance for each in verdicts),
            "null_distance": _mean(each.null_distance for each in verdicts),
            "indistinguishable": {
                key: all(each.indistinguishable[key] for each in verdicts) for key in sorted(shared)
            },
        }
    )


def _mean(numbers: Iterable[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return fmean(known) if known else None


def _scores(row: Row) -> dict[str, Score]:
    return {key: _score(each) for key, each in row["scores"].items()}


def ranks(rows: Rows) -> list[dict[str, Any]]:
    """Spearman's correlations between metrics, over the runs that were to forget a track.

    Args:
        rows: Of `results.json`; with several seeds the combined ones, since seeds of one setting
            are no independent runs.

    Returns:
        Per kind of model and track, the metrics' keys and their square matrix, where at least five
        runs ended well.
    """
    tried = [row for row in rows if row["method"] not in ("original", "gold")]
    found = []
    for model in dict.fromkeys(row["model"] for row in tried):
        for track in TRACKS_OF["both"]:
            runs = [
                _ranked(row, track)
                for row in tried
                if row["model"] == model
                and row["status"] == "ok"
                and track in TRACKS_OF[row["modality"]]
            ]
            if len(runs) >= MIN_RANKED:
                about = {"model": model, "track": track, "runs": len(runs)}
                found += [about | table for table in _table(runs, track)]
    return found


def _keys(track: str) -> list[str]:
    return [f"{split}.{track}.{name}" for split, names in RANKED.items() for name in names]


def _ranked(row: Row, track: str) -> dict[str, Score]:
    return {key: _score(row["scores"][key]) for key in _keys(track) if key in row["scores"]}


def _table(runs: Sequence[Mapping[str, Score]], track: str) -> Iterator[dict[str, Any]]:
    """One table, or none where fewer than two metrics rank the runs."""
    found = rank_correlations(runs)
    metrics = [key for key in _keys(track) if key in found]
    if len(metrics) > 1:
        spearman = found.loc[metrics, metrics].to_numpy().tolist()
        yield {"metrics": metrics, "spearman": spearman}


def _score(found: Mapping[str, Any]) -> Score:
    return (Combined if "seeds" in found else Score).model_validate(found)
