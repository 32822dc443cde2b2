"""Reads `TOFU_EVAL.json` of OpenUnlearning: a metric per key, with its values by row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from clearbench.errors import DataError
from clearbench.evaluation.logs.fields import (
    ROWS_PER_PERSON,
    WORLD,
    RecordBuilder,
    agree,
    loss,
    number,
    rows,
    same_rows,
    share,
)
from clearbench.evaluation.records import Records
from clearbench.evaluation.tables import GroupKey

Log = Mapping[str, Any]
ROWS = "value_by_index"

#: Split of the rows and metrics that the protocol is computed from, by prefix of the keys.
SPLITS: dict[str, tuple[GroupKey, tuple[str, ...]]] = {
    "forget": (GroupKey("forget", "text", "qa"), ("Prob", "PARA_Prob", "PERT_Prob", "ROUGE")),
    "retain": (GroupKey("retain", "text", "qa"), ("Prob", "PARA_Prob", "PERT_Prob", "ROUGE")),
    "ra": (GroupKey("real_authors", "text", "choice"), ("Prob", "PERT_Prob", "ROUGE")),
    "wf": (GroupKey("real_world", "text", "choice"), ("Prob", "PERT_Prob", "ROUGE")),
}
#: Metrics of TOFU's rows by their names in the log.
TOFU_METRICS = {
    f"{prefix}_Q_A_{metric}" for prefix, (_, metrics) in SPLITS.items() for metric in metrics
}
ROUGES = {"rougeL_recall": "rouge_l", "rougeL_f1": "rouge_l_f1", "rouge1_recall": "rouge_1"}
#: Metrics of forget rows that need more than a log holds, by our name.
FORGET_SCORES = {
    "extraction_strength": "extraction_strength_floor",
    "exact_memorization": "exact_memorisation",
}
ATTACKS = {
    "mia_loss": "loss",
    "mia_zlib": "zlib",
    "mia_min_k": "min_k",
    "mia_min_k_plus_plus": "min_k_plus_plus",
}


def recognises(content: Log) -> bool:
    """Whether the log's keys are metrics with values by row."""
    return any(isinstance(value, Mapping) and ROWS in value for value in content.values())


def _check_tofu(content: Log, where: str) -> None:
    """Refuses logs of other benchmarks, whose metrics have other names."""
    measured = {key for key, value in content.items() if isinstance(value, Mapping)}
    if measured.isdisjoint(TOFU_METRICS) and measured - {*FORGET_SCORES, *ATTACKS}:
        raise DataError(
            f"this is a log of another benchmark than TOFU: its metrics are {', '.join(content)}",
            where,
            "give a TOFU_EVAL.json, whose metrics are forget_Q_A_Prob and others",
        )


def read(content: Log, where: str) -> Records:
    """Reads the records of a log.

    Raises:
        DataError: A metric or field is missing, empty, or not made of finite numbers; it is named.
    """
    _check_tofu(content, where)
    builder = RecordBuilder()
    for prefix, (place, metrics) in SPLITS.items():
        present = [metric for metric in metrics if f"{prefix}_Q_A_{metric}" in content]
        keys = {metric: content[f"{prefix}_Q_A_{metric}"] for metric in present}
        held = {k: v[ROWS] for k, v in keys.items() if isinstance(v, Mapping) and ROWS in v}
        with builder.gathering():
            if len(held) == len(keys):
                named = {f"{prefix}_Q_A_{k}": rows(v, k, where) for k, v in held.items() if v}
                same_rows(named, where) if named else None
        for metric in present:
            if metric == "PERT_Prob" and {"Prob", "PARA_Prob"}.intersection(metrics) - {*present}:
                continue  # a truth ratio needs both, and must not be taken of the answer instead
            with builder.gathering():
                _read_metric(builder, place, metric, keys[metric], where, prefix)
    with builder.gathering():
        _read_normalised(builder, content, where)
    for key, metric in FORGET_SCORES.items():
        if key in content:
            with builder.gathering():
                _read_scores(builder, SPLITS["forget"][0], metric, content[key], f"{where}: {key}")
    for key, metric in ATTACKS.items():
        if key in content:
            with builder.gathering():
                _read_attack(builder, metric, content[key], f"{where}: {key}")
    return builder.records()


def _read_attack(builder: RecordBuilder, metric: str, content: Any, where: str) -> None:
    """Reads an attack's scores of members and others; it needs both, or has its mean alone."""
    if not isinstance(content, Mapping):
        raise DataError("it holds no fields", where, "give the log with values by row")
    there = [split for split in ("forget", "holdout") if split in content]
    if len(there) == 1:
        raise DataError(f"there is '{there[0]}' alone", where, "an attack needs both splits")
    for split in there:
        place, named = GroupKey(split, "text", "qa"), f"{where}.{split}"
        _read_scores(builder, place, metric, content[split], named)


def _about(builder: RecordBuilder, place: GroupKey, row: int) -> dict[str, Any]:
    person = WORLD if place.split.startswith("real_") else row // ROWS_PER_PERSON
    return builder.about(place, person, f"{place.split}:{row}")


def _by_row(content: Any, where: str) -> dict[int, Log]:
    """Returns the rows of a metric; rows that the evaluation skipped are null and left out."""
    if not isinstance(content, Mapping) or ROWS not in content:
        raise DataError(f"there is no field '{ROWS}'", where, "give the log with values by row")
    by_row = rows(content[ROWS], ROWS, where)
    kept = {row: value for row, value in by_row.items() if value is not None}
    for row, value in kept.items():
        if not isinstance(value, Mapping):
            raise DataError(f"row {row} of '{ROWS}' holds no fields", where)
    return kept


def _field(fields: Log, name: str, row: int, where: str) -> Any:
    if name not in fields:
        raise DataError(f"row {row} has no field '{name}'", where)
    return fields[name]


def _read_metric(
    builder: RecordBuilder, place: GroupKey, metric: str, content: Any, where: str, prefix: str
) -> None:
    named = f"{where}: {prefix}_Q_A_{metric}"
    for row, fields in _by_row(content, named).items():
        about = _about(builder, place, row)
        with builder.gathering():
            if metric == "ROUGE":
                _read_rouge(builder, about, fields, row, named)
            else:
                _read_losses(builder, about, metric, fields, row, named)


def _read_losses(
    builder: RecordBuilder, about: dict[str, Any], metric: str, fields: Log, row: int, where: str
) -> None:
    losses = _field(fields, "avg_loss", row, where)
    losses = losses if isinstance(losses, list) else [losses]
    numbers = [loss(each, "avg_loss", row, where) for each in losses]
    if not numbers:
        raise DataError(f"'avg_loss' of row {row} is empty", where)
    if metric == "PERT_Prob":
        for k, each in enumerate(numbers):
            builder.answer(about, f"perturbed_{k}", -each)
        return
    if len(numbers) == 1 and isinstance(fields.get("prob"), float):
        probability = share(fields["prob"], "prob", row, where)
        agree(probability, math.exp(-numbers[0]), "prob", "exp(-avg_loss)", row, where)
    variant = "answer" if metric == "Prob" else "paraphrase"
    builder.answer(about, variant, -sum(numbers) / len(numbers))
    if metric == "Prob" and not about["split"].startswith("real_") and "prob" in fields:
        probability = share(fields["prob"], "prob", row, where)
        builder.value(about, "probability_open", probability)


def _read_rouge(
    builder: RecordBuilder, about: dict[str, Any], fields: Log, row: int, where: str
) -> None:
    _field(fields, "rougeL_recall", row, where)
    for name, metric in ROUGES.items():
        if name in fields:
            builder.value(about, metric, share(fields[name], name, row, where))
    if "generation" in fields and "ground_truth" in fields:
        question, truth, text = (
            str(fields.get(name, "")) for name in ("input", "ground_truth", "generation")
        )
        builder.generation(about, question, truth, text)


def _read_normalised(builder: RecordBuilder, content: Log, where: str) -> None:
    for prefix in ("ra", "wf"):
        key = f"{prefix}_Q_A_Prob_normalised"
        if key in content:
            place, named = SPLITS[prefix][0], f"{where}: {key}"
            _read_scores(builder, place, "probability_open", content[key], named, "prob")


def _read_scores(
    builder: RecordBuilder,
    place: GroupKey,
    metric: str,
    content: Any,
    where: str,
    name: str = "score",
) -> None:
    for row, fields in _by_row(content, where).items():
        value = _field(fields, name, row, where)
        if value is not None:
            checked = number if metric in ATTACKS.values() else share
            builder.value(_about(builder, place, row), metric, checked(value, name, row, where))
