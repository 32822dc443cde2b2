"""Collects what a verdict rests on: values of a run, its gold and its original, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from clearbench.data.modality import modalities, modality
from clearbench.evaluation.intervals import clusters
from clearbench.evaluation.metric import METRICS, Metric, main_group, scored_groups
from clearbench.evaluation.metrics.rouge import rouge
from clearbench.evaluation.metrics.truth_ratio import ratios
from clearbench.evaluation.records import Records
from clearbench.evaluation.tables import GroupKey
from clearbench.libraries import pd, stats

#: Columns of evidence: score key, row, its person (each row about the world is one of its own), and
#: the values of the three models, not a number where a model was not measured.
COLUMNS = ("key", "row", "person", "run", "gold", "original")
#: Last parts of the keys that no metric has: likelihood of each answer, and its rank among gold's.
LIKELIHOOD, ORDER = "likelihood", "order"
#: Scores of how an answer is said, which the verdict also reads where a name is asked for.
SPOKEN = ("garbage_rate", "refusal_rate", "empty_rate")
#: Split of evidence that joins real people, real authors and facts of the world.
REAL = "real"
#: Number of answers that are shown for each score, and with a verdict.
SHOWN = 3


def evidence(ours: Records, gold: Records, original: Records, kind: str) -> pd.DataFrame:
    """Collects the values that the verdict on a model tests, paired by row.

    Args:
        ours: Records of the model that is judged.
        gold: Records of the model that was never trained on the forgotten people.
        original: Records of the model before unlearning.
        kind: Kind of model, which decides what is tested.

    Returns:
        Data frame with `COLUMNS`, a line per score key and row.
    """
    parts = [
        _paired(key, [_values(records, key, values) for records in (ours, gold, original)], ours)
        for key, values in _tested(kind)
    ]
    for track in modalities():
        parts += [_order(ours, gold, original, track)]
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(COLUMNS))


def _tested(kind: str) -> Iterator[tuple[str, Metric | None]]:
    """Yields score keys and their metrics; None for the likelihood of the answers."""
    for name, entry in modalities().items():
        if kind not in entry.kinds:
            continue
        keys = (entry.judged_keys, entry.kept_keys, entry.unharmed_keys)
        for key in chain.from_iterable(listed(kind) for listed in keys):
            yield key, _row_metric(key.rpartition(".")[2])
        yield f"forget.{name}.{LIKELIHOOD}", None


def _row_metric(key: str) -> Metric:
    """Finds the metric whose scores have this last part of their keys."""
    every = (made for cls in METRICS.values() for made in cls.configured())
    return next(made for made in every if isinstance(made, Metric) and made.score_key == key)


def _values(records: Records, key: str, chosen: Metric | None) -> pd.Series:
    """Computes the values of a key's rows: those of its score, and of all tasks for None."""
    split, track, _ = key.split(".")
    identifying = modality(track).identifying_task
    groups = records.groups()
    scored = groups if chosen is None else scored_groups(chosen, groups)
    found = []
    for place, group in groups.items():
        if not _within(place, split, track):
            continue
        if chosen is None:
            values = np.exp(group.mean_log_prob("answer"))
        elif place in scored or (chosen.name in SPOKEN and place.task == identifying):
            values = chosen.values(group)
        else:
            continue
        if len(values):
            found.append(values)
    return pd.concat(found) if found else pd.Series(dtype=float)


def _paired(key: str, values: list[pd.Series], records: Records) -> pd.DataFrame:
    names = ("run", "gold", "original")
    frame = pd.DataFrame(dict(zip(names, values, strict=True))).dropna(subset=["run"])
    people = _people(records, key)
    frame.insert(0, "person", clusters(frame["run"], people))
    frame.insert(0, "row", frame.index.astype(str))
    frame.insert(0, "key", key)
    return frame.reset_index(drop=True)


def _people(records: Records, key: str) -> dict[str, int]:
    split, track, _ = key.split(".")
    people: dict[str, int] = {}
    for place, group in records.groups().items():
        if _within(place, split, track):
            people |= group.people
    return people


def _within(place: GroupKey, split: str, track: str) -> bool:
    """Whether rows belong to a split; `real` is every split about the real world."""
    return place.track == track and (
        place.split == split or (split == REAL and place.split.startswith(f"{REAL}_"))
    )


def _order(ours: Records, gold: Records, original: Records, track: str) -> pd.DataFrame:
    """Computes how often a truth ratio lies above one of gold's, row by row.

    Each row's value is its own part of the two-sample statistic and gold's part of the same row
    (DeLong, DeLong and Clarke-Pearson 1988), so that their mean is the statistic and their spread
    over people its uncertainty.
    """
    groups = [main_group(records, "forget", track) for records in (ours, gold, original)]
    samples = [pd.Series(dtype=float) if group is None else ratios(group) for group in groups]
    run, reference, first = samples
    shared = run.index.intersection(reference.index)
    if shared.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    values = [
        _placements(sample.reindex(shared), reference.reindex(shared))
        if len(sample.index.intersection(shared)) == len(shared)
        else pd.Series(dtype=float)
        for sample in (run, first)
    ]
    half = pd.Series(0.5, index=shared)
    return _paired(f"forget.{track}.{ORDER}", [values[0], half, values[1]], ours)


def _placements(sample: pd.Series, reference: pd.Series) -> pd.Series:
    count = len(sample)
    both = stats.rankdata(np.concatenate([sample, reference]))
    of_sample = (both[:count] - stats.rankdata(sample)) / count
    of_reference = 1 - (both[count:] - stats.rankdata(reference)) / count
    mean = float(of_sample.mean())
    return pd.Series(of_sample + of_reference - mean, index=sample.index)


def worst_answers(
    ours: Records, gold: Records, table: pd.DataFrame
) -> dict[str, list[dict[str, Any]]]:
    """Finds, by score key, the generated answers that are worst beside gold's, as `ShownAnswer`s.

    Args:
        ours: Records of the model that is judged.
        gold: Records of gold.
        table: Evidence of the model.
    """
    texts = _texts(ours, gold)
    found: dict[str, list[dict[str, Any]]] = {}
    for key, rows in table.groupby("key", sort=True):
        split, track, name = str(key).split(".")
        if split != "forget" or not name.endswith(("_truth", "_facts", "_rate", "_said")):
            continue
        identifying = (modality(track).identifying_task,) if name in SPOKEN else ()
        tasks = (*_row_metric(name).tasks, *identifying)
        excess = dict(zip(rows["row"], rows["run"] - rows["gold"].fillna(0.0), strict=True))
        lines = [
            (excess[row], line)
            for (row, task), line in texts.get(track, {}).items()
            if task in tasks and excess.get(row, 0.0) > 0
        ]
        lines.sort(key=lambda entry: (-entry[0], -_nearness(entry[1])))
        found[str(key)] = [{"key": key} | line for _, line in lines[:SHOWN]]
    return found


def _nearness(line: dict[str, Any]) -> float:
    return rouge(line["truth"], line["answer"])["rouge_l"]


def _texts(ours: Records, gold: Records) -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
    """Collects questions with the truth and both answers, by track, then by row and task."""
    columns = ["track", "row", "task", "person", "question", "truth", "text"]
    said, theirs = (
        records.generations[records.generations["split"] == "forget"] for records in (ours, gold)
    )
    places = zip(theirs["track"], theirs["row"], theirs["task"], strict=True)
    answered = dict(zip(places, theirs["text"], strict=True))
    found: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    lines = zip(*(said[name] for name in columns), strict=True)
    for track, row, task, person, question, truth, text in lines:
        found.setdefault(track, {})[row, task] = {
            "person": int(person),
            "question": question,
            "truth": truth,
            "answer": text,
            "gold": answered.get((track, row, task), ""),
        }
    return found
