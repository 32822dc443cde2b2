"""Lists the questions about people with the answers of all models, and counts what was asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clearbench.audit.measure import Subjects
from clearbench.audit.schema import AuditedAnswer, AuditedRows
from clearbench.data.dataset import Dataset
from clearbench.data.modality import modality
from clearbench.evaluation.metrics.leaks import WHOLE
from clearbench.evaluation.metrics.outputs import kind_of_output
from clearbench.evaluation.metrics.rouge import rouge
from clearbench.evaluation.records import Records
from clearbench.evaluation.wordings import WORDINGS


def asked_rows(records: Records, rows: Dataset, tracks: Sequence[str]) -> dict[str, AuditedRows]:
    """Counts people, rows that the model could read, and rows that were asked, by split."""
    answers = records.answers
    asked = {
        str(split): int(count) for split, count in answers.groupby("split")["row"].nunique().items()
    }
    readable = {
        split: [row for row in own if row.track in tracks] for split, own in rows.evaluation.items()
    }
    return {
        split: AuditedRows(
            people=len({row.person for row in own if row.person is not None}),
            rows=len(own),
            asked=asked[split],
        )
        for split, own in readable.items()
        if asked.get(split)
    }


def answered(subjects: Subjects, dataset: Dataset, split: str) -> Iterator[AuditedAnswer]:
    """Yields the questions about a split's people with all answers, those told first."""
    said = {name: _said(subject.records, split) for name, subject in subjects.every()}
    strange = set(_strange(subjects.audited.records, split))
    found = [
        AuditedAnswer(
            track=track,
            person=person,
            name=dataset.names.get(person, ""),
            question=question,
            truth=truth,
            answer=text,
            told=rouge(truth, text)["rouge_l"] >= WHOLE,
            garbled=kind_of_output(text, (track, row, task) in strange, truth) == "garbage",
            gold=_text(said, "gold", (track, row, task)),
            original=_text(said, "original", (track, row, task)),
        )
        for (track, row, task), (person, question, truth, text) in said["model"].items()
    ]
    yield from sorted(found, key=lambda answer: not answer.told)


Said = dict[tuple[str, str, str], tuple[int, str, str, str]]


def _said(records: Records, split: str) -> Said:
    """Collects the generated answers to the people's own questions, by track, row and task."""
    lines = records.generations[records.generations["split"] == split]
    names = ("track", "row", "task", "person", "question", "truth", "text")
    return {
        (track, row, task): (int(person), question, truth, text)
        for track, row, task, person, question, truth, text in zip(
            *(lines[name] for name in names), strict=True
        )
        if task in modality(track).tasks
    }


def _strange(records: Records, split: str) -> Iterator[tuple[str, str, str]]:
    """Yields the answers that have words by which they are garbled."""
    lines = records.table(WORDINGS)
    own = lines[(lines["split"] == split) & (lines["unknown_words"].map(len) > 0)]
    yield from zip(own["track"], own["row"], own["task"], strict=True)


def _text(said: dict[str, Said], name: str, place: tuple[str, str, str]) -> str | None:
    line = said.get(name, {}).get(place)
    return None if line is None else line[3]
