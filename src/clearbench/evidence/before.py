"""Measures a model before it forgets, and finds what is doubtful about forgetting with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clearbench.attacks.base import OnProgress
from clearbench.audit.fluency import Fluency
from clearbench.audit.measure import measured
from clearbench.batches.items import item
from clearbench.data.dataset import Dataset
from clearbench.data.examine import origin
from clearbench.data.example import Example
from clearbench.data.modality import modality
from clearbench.evaluation.metrics.leaks import WHOLE
from clearbench.evaluation.metrics.rouge import rouge
from clearbench.evaluation.records import Records
from clearbench.evidence.division import Division
from clearbench.evidence.floors import Floor, log_probs, measured_floor
from clearbench.evidence.schema import Known, Level, Warned
from clearbench.evidence.validation import place_of
from clearbench.evidence.warnings import before_work
from clearbench.models.base import Model

#: Rows per split and task that are asked at least, where the rows to forget are fewer.
LIMIT = 200
#: Times by which a true answer must be likelier per token than a guess, to count as known.
LIKELIER = 2.0


@dataclass(frozen=True)
class Before:
    """What a model was before it forgot.

    Attributes:
        records: Its answers to the rows that are reported.
        floors: Likelihood of the answers to somebody who does not know, by modality.
        log_probs: Mean log-probability per token of the true answers that are reported, by row.
        fluency: What fluent answers look like to it; None for models that write no words.
        limit: Rows per split and task that were asked.
    """

    division: Division
    records: Records
    floors: Mapping[str, Floor]
    log_probs: Mapping[str, float]
    known: Known
    no_retain: bool
    fluency: Fluency | None
    limit: int

    @property
    def rows(self) -> list[Example]:
        """Rows to forget that are reported and have a likelihood."""
        own = self.division.reported.train_rows("forget")
        return [row for row in own if row.id in self.log_probs]

    def doubts(self) -> Iterator[Warned]:
        """Yields what is doubtful before any work."""
        people = len(self.division.reported.people("forget"))
        return before_work(self.known, self.no_retain, people)

    def levels(self, model: Model) -> tuple[Level, ...]:
        """Measures how likely the true answers are to the model after it forgot."""
        return tuple(
            _level(floor, [row for row in self.rows if row.track == track], self.log_probs, model)
            for track, floor in self.floors.items()
            if any(row.track == track for row in self.rows)
        )


def _level(
    floor: Floor, rows: Sequence[Example], before: Mapping[str, float], model: Model
) -> Level:
    values = [before[row.id] for row in rows]
    first, now = float(np.mean(values)), float(np.mean(log_probs(model, map(item, rows))))
    level = float(np.mean([floor.of(row) for row in rows]))
    return Level(
        track=rows[0].track,
        source=floor.source,
        rows=len(rows),
        before=first,
        now=now,
        floor=level,
        place=place_of(first, now, level),
    )


def measured_before(
    model: Model,
    dataset: Dataset,
    tracks: Sequence[str],
    division: Division,
    limit: int | None,
    on_progress: OnProgress,
) -> Before:
    """Asks a model all that it will be asked again after it forgot.

    Args:
        model: Model before unlearning.
        dataset: Dataset as the model's kind reads it.
        tracks: Modalities to forget.
        division: Who is reported.
        limit: Rows per split and task; None for all rows to forget, and 200 of others.
        on_progress: Function told of the progress.
    """
    asked = limit or max(LIMIT, len(dataset.evaluation.get("forget", ())))
    records = measured(model, division.reported, asked, on_progress, "model before").records
    floors: dict[str, Floor] = {}
    values: dict[str, float] = {}
    reported = {row.id for row in division.reported.evaluation.get("forget", ())}
    main = [row for row in _main(dataset, model, tracks) if row.id in reported]
    for track in tracks:
        rows = [row for row in main if row.track == track]
        if rows:
            floors[track] = measured_floor(model, dataset, _main(dataset, model, (track,)))
            found = log_probs(model, map(item, rows))
            values |= {row.id: value for row, value in zip(rows, found, strict=True)}
    unknown = tuple(
        origin(row)
        for row in main
        if values[row.id] < floors[row.track].of(row) + math.log(LIKELIER)
        and row.id not in _told(records)
    )
    known = Known(rows=len(main), unknown=unknown)
    no_retain = not dataset.training.get("retain")
    fluency = Fluency.of(model, dataset, records.generations["text"].tolist())
    return Before(division, records, floors, values, known, no_retain, fluency, asked)


def _main(dataset: Dataset, model: Model, tracks: Sequence[str]) -> list[Example]:
    """Selects questions and captions to forget that the model can read."""
    return [
        row
        for row in dataset.train_rows("forget", tracks)
        if row.task == modality(row.track).main_task
        and not row.held_out
        and model.kind != "classifier"
        and model.accepts(item(row))
    ]


def _told(records: Records) -> set[str]:
    """Collects the rows whose true answers are told in full."""
    lines = records.generations
    columns = (lines[name] for name in ("split", "row", "truth", "text"))
    return {
        row
        for split, row, truth, text in zip(*columns, strict=True)
        if split == "forget" and rouge(truth, text)["rouge_l"] >= WHOLE
    }
