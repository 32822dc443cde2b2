"""Reads `TOFU_EVAL.json` of OpenUnlearning: a metric per key, with its values by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clearbench.errors import DataError
from clearbench.evaluation.logs.fields import ROWS_PER_PERSON, WORLD, RecordBuilder, number, rows
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


def read(content: Log, where: str) -> Records:
    """Reads the records of a log.

    Raises:
        DataError: A metric or field is missing, empty, or not made of finite numbers; it is named.
    """
    builder = RecordBuilder()
    for prefix, (place, metrics) in SPLITS.items():
        if any(key.startswith(f"{prefix}_Q_A_") for key in content):
            for metric in metrics:
                _read_metric(builder, place, metric, f"{prefix}_Q_A_{metric}", content, where)
    _read_normalised(builder, content, where)
    for key, metric in FORGET_SCORES.items():
        if key in content:
            _read_scores(builder, SPLITS["forget"][0], metric, content[key], f"{where}: {key}")
    for key, metric in ATTACKS.items():
        for split in ("forget", "holdout"):
            if key in content and split in content[key]:
                place, named = GroupKey(split, "text", "qa"), f"{where}: {key}.{split}"
                _read_scores(builder, place, metric, content[key][split], named)
    return builder.records()


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
    builder: RecordBuilder, place: GroupKey, metric: str, key: str, content: Log, where: str
) -> None:
    if key not in content:
        raise DataError(f"there is no metric '{key}'", where, "evaluate again with it")
    for row, fields in _by_row(content[key], f"{where}: {key}").items():
        about, named = _about(builder, place, row), f"{where}: {key}"
        if metric == "ROUGE":
            _read_rouge(builder, about, fields, row, named)
        else:
            _read_losses(builder, about, metric, fields, row, named)


def _read_losses(
    builder: RecordBuilder, about: dict[str, Any], metric: str, fields: Log, row: int, where: str
) -> None:
    losses = _field(fields, "avg_loss", row, where)
    losses = losses if isinstance(losses, list) else [losses]
    numbers = [number(loss, "avg_loss", row, where) for loss in losses]
    if metric == "PERT_Prob":
        for k, loss in enumerate(numbers):
            builder.answer(about, f"perturbed_{k}", -loss)
        return
    variant = "answer" if metric == "Prob" else "paraphrase"
    builder.answer(about, variant, -sum(numbers) / len(numbers))
    if metric == "Prob" and not about["split"].startswith("real_") and "prob" in fields:
        probability = number(fields["prob"], "prob", row, where)
        builder.value(about, "probability_open", probability)


def _read_rouge(
    builder: RecordBuilder, about: dict[str, Any], fields: Log, row: int, where: str
) -> None:
    _field(fields, "rougeL_recall", row, where)
    for name, metric in ROUGES.items():
        if name in fields:
            builder.value(about, metric, number(fields[name], name, row, where))
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
            builder.value(_about(builder, place, row), metric, number(value, name, row, where))
