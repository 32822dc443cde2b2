"""Collects the page's content besides numbers: faces, truth ratios, and answers of all runs."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.modality import modalities
from clearbench.evaluation.records import Records
from clearbench.libraries import pd
from clearbench.runs.plan import Family, PlannedRow
from clearbench.runs.results import EndedRun
from clearbench.runs.schema import Details, ShownPerson, ShownQuestion, Wording

#: Questions about forgotten and about kept people, per track.
SHOWN_QUESTIONS, SHOWN_OF_KEPT = 6, 2
#: Forgotten people whose faces are shown, and kept people who are shown at all.
SHOWN_FACES, SHOWN_KEPT = 24, 8
#: Generations of the main tasks, by row id.
Spoken = Mapping[str, "pd.DataFrame"]


def details(
    dataset: Dataset, families: Sequence[Family], ended: EndedRun, wording: Wording
) -> Details:
    """Collects the content of `details.json`.

    Args:
        dataset: People of the run.
        families: All rows.
        ended: Stages of the run.
        wording: Words of the methods and scores.
    """
    forgotten = sorted({person for family in families for person in family.original.forget})
    kept = sorted(dataset.people("retain") - set(forgotten))
    rows = [row for family in families for row in family.rows if ended.ok(row.score)]
    scored = {row.id: ended.scored(row) for row in rows}
    spoken = _spoken(rows, ended)
    return Details(
        people={
            "forget": tuple(_people(dataset, forgotten)),
            "retain": tuple(_people(dataset, kept[:SHOWN_KEPT])),
        },
        truth_ratios={id: entry.truth_ratios for id, entry in scored.items() if entry},
        questions=tuple(_questions(dataset, spoken)) if spoken else (),
        wording=wording,
    )


def _people(dataset: Dataset, people: Sequence[int]) -> Iterator[ShownPerson]:
    """Yields people by name, the first of them with portraits."""
    for place, person in enumerate(people):
        shown = _person(dataset, person)
        yield shown if place < SHOWN_FACES else shown.model_copy(update={"portraits": ()})


def _person(dataset: Dataset, person: int) -> ShownPerson:
    rows = [row for split in dataset.training.values() for row in split if row.person == person]
    images = [row.image.encoded for row in rows if row.image is not None]
    return ShownPerson(
        id=str(person),
        name=dataset.names.get(person, str(person)),
        portraits=tuple(base64.b64encode(content).decode() for content in images[:2]),
    )


def _spoken(rows: Sequence[PlannedRow], ended: EndedRun) -> Spoken:
    spoken = {}
    for row in rows:
        frame = Records.load(ended.store.finished(row.measured.plain.key)).generations
        frame = frame[frame["task"].isin([entry.main_task for entry in modalities().values()])]
        if len(frame):
            spoken[row.id] = frame.set_index("row")
    return spoken


def _questions(dataset: Dataset, spoken: Spoken) -> Iterator[ShownQuestion]:
    rows = {row.id: row for split in dataset.evaluation.values() for row in split}
    for split, count in (("forget", SHOWN_QUESTIONS), ("retain", SHOWN_OF_KEPT)):
        for track, entry in modalities().items():
            for id in _spread(_answered(spoken, split, track, entry.main_task), count):
                yield _question(dataset, rows[id], split, track, spoken)


def _answered(spoken: Spoken, split: str, track: str, task: str) -> list[str]:
    """Lists ids of the rows that some run answered, in the order of the records."""
    chosen = (
        frame[(frame["split"] == split) & (frame["track"] == track) & (frame["task"] == task)]
        for frame in spoken.values()
    )
    return list(dict.fromkeys(str(id) for frame in chosen for id in frame.index))


def _question(
    dataset: Dataset, row: Example, split: str, track: str, spoken: Spoken
) -> ShownQuestion:
    return ShownQuestion(
        split=split,
        track=track,
        person=str(row.person),
        name=dataset.names.get(row.person or 0, ""),
        question=row.question,
        truth=row.answer,
        image=base64.b64encode(row.image.encoded).decode() if row.image else None,
        answers={
            id: str(frame.loc[row.id, "text"])
            for id, frame in spoken.items()
            if row.id in frame.index
        },
    )


def _spread(rows: list[str], count: int) -> list[str]:
    """Picks `count` rows spread evenly, so that several people and questions are among them."""
    places = {min(k * len(rows) // count + k % 3, len(rows) - 1) for k in range(count)}
    return [rows[place] for place in sorted(places) if rows]
