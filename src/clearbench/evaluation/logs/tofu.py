"""Reads `eval_log_aggregated.json` of TOFU and CLEAR: a task per file, a field per number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clearbench.data.modality import modality
from clearbench.errors import DataError
from clearbench.evaluation.logs.fields import (
    ROWS_PER_PERSON,
    UNKNOWN,
    WORLD,
    RecordBuilder,
    agree,
    loss,
    numbers,
    rows,
    same_rows,
    share,
)
from clearbench.evaluation.records import Records
from clearbench.evaluation.tables import GroupKey

Log = Mapping[str, Any]

#: Split by task, and the kind of row where it is not the track's questions or captions.
TASKS: dict[str, tuple[str, str]] = {
    "eval_log_forget": ("forget", ""),
    "eval_log": ("retain", ""),
    "eval_real_author_wo_options": ("real_authors", "choice"),
    "eval_real_world_wo_options": ("real_world", "choice"),
    "eval_real_faces_wo_options": ("real_faces", "name"),
    "eval_forget_facerec": ("forget", "name"),
    "eval_retain_facerec": ("retain", "name"),
}
#: Tasks of CLEAR's multimodal logs, whose other tasks show an image, too.
PICTURED = ("eval_real_faces_wo_options", "eval_forget_facerec", "eval_retain_facerec")
LOSSES = ("avg_gt_loss", "avg_paraphrased_loss", "average_perturb_loss")
#: Sum of the losses of an answer's tokens, and their number, by its mean.
SUMS = {
    "avg_gt_loss": ("gt_loss", "num_token_gt"),
    "avg_paraphrased_loss": ("paraphrased_loss", "num_token_paraphrased"),
}
ROUGES = {"rougeL_recall": "rouge_l", "rouge1_recall": "rouge_1"}


def recognises(content: Log) -> bool:
    """Whether a task of TOFU or CLEAR is in the log."""
    return any(_task(key) in TASKS for key in content)


def is_task(content: Log) -> bool:
    """Whether the fields of a single task are the content, as in TOFU's file per task."""
    return any(name in content for name in LOSSES)


def _task(key: str) -> str:
    return key.removesuffix(".json")


def read(content: Log, where: str) -> Records:
    """Reads the records of a log. Fields that the published script does not use are not read.

    Raises:
        DataError: A field is missing, empty, or not made of finite numbers; it is named.
    """
    tasks = {_task(key): value for key, value in content.items() if _task(key) in TASKS}
    track = "image" if any(task in tasks for task in PICTURED) else "text"
    builder = RecordBuilder()
    for task, fields in tasks.items():
        split, kind = TASKS[task]
        place = GroupKey(split, track, kind or modality(track).main_task)
        with builder.gathering():
            if not isinstance(fields, Mapping):
                raise DataError(f"'{task}' holds no fields", where)
            _read_task(builder, place, task, fields, _names(split, tasks), where)
    return builder.records()


def _names(split: str, tasks: Log) -> dict[int, str]:
    """Numbers the persons of a multimodal split by row, from its face recognition task."""
    known = tasks.get(f"eval_{split}_facerec")
    texts = known.get("generated_text") if isinstance(known, Mapping) else None
    if not texts:
        return {}
    by_row = rows(texts, "generated_text", f"eval_{split}_facerec")
    return {row: str(value[-1]) for row, value in by_row.items() if isinstance(value, list)}


def _read_task(
    builder: RecordBuilder,
    place: GroupKey,
    task: str,
    fields: Log,
    names: Mapping[int, str],
    where: str,
) -> None:
    where = f"{where}: {task}"
    for name in LOSSES:
        if name not in fields:
            raise DataError(f"there is no field '{name}'", where, "make the log again")
    by_field = {name: rows(fields[name], name, where) for name in LOSSES}
    by_field |= {name: rows(fields[name], name, where) for name in _rouge_fields(fields, where)}
    people = {name: number for number, name in enumerate(dict.fromkeys(names.values()))}
    for row in same_rows(by_field, where):
        person = people.get(names.get(row, ""), UNKNOWN)
        if place.track == "text":
            person = row // ROWS_PER_PERSON
        if place.split.startswith("real_"):
            person = WORLD
        about = builder.about(place, person, f"{task}:{row}")
        with builder.gathering():
            values = {name: found[row] for name, found in by_field.items()}
            _read_row(builder, about, values, row, where)
            _check_means(fields, row, where)


def _check_means(fields: Mapping[str, Any], row: int, where: str) -> None:
    """Compares mean losses with their sums, which logs hold, too."""
    for name, (total, tokens) in SUMS.items():
        held = [fields.get(key) for key in (name, total, tokens)]
        found = [each.get(str(row)) for each in held if isinstance(each, Mapping)]
        values = [float(each) for each in found if isinstance(each, int | float)]
        if len(values) == len(held) and values[2]:
            mean, whole, count = values
            agree(mean, whole / count, name, f"{total} / {tokens}", row, where)


def _rouge_fields(fields: Log, where: str) -> list[str]:
    """Names the fields that give ROUGE; it is computed where the log has none.

    Errata E07: the logged ROUGE of multimodal tasks is empty.
    """
    named = [name for name in ("generated_text", *ROUGES) if fields.get(name)]
    if "generated_text" not in named and "rougeL_recall" not in named:
        raise DataError("there is no field 'rougeL_recall'", where, "or give 'generated_text'")
    return named


def _read_row(
    builder: RecordBuilder, about: dict[str, Any], values: Mapping[str, Any], row: int, where: str
) -> None:
    for variant, name in (("answer", LOSSES[0]), ("paraphrase", LOSSES[1])):
        builder.answer(about, variant, -loss(values[name], name, row, where))
    for k, each in enumerate(numbers(values[LOSSES[2]], LOSSES[2], row, where)):
        builder.answer(about, f"perturbed_{k}", -each)
    for name, metric in ROUGES.items():
        if name in values:
            own = f"name_{metric}" if about["task"] == "name" else metric
            builder.value(about, own, share(values[name], name, row, where))
    if "generated_text" in values:
        exchange = values["generated_text"]
        if not isinstance(exchange, list) or len(exchange) < 3:
            raise DataError(
                f"'generated_text' of row {row} is not [prompt, generated, truth]", where
            )
        question, text, truth = map(str, exchange[:3])
        builder.generation(about, question, truth, text)
