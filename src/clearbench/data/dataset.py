"""Datasets: rows for training and measuring, in splits that never share a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, get_args

from clearbench.data.example import Example
from clearbench.data.modality import modality, readable_by
from clearbench.errors import DataError
from clearbench.storage import content_hash

#: Splits that are trained on. `replay` holds rows about the world and other people that keep a
#: small model from losing what it knew before; none of them is ever measured.
TRAINING_SPLITS = ("forget", "retain", "replay")
#: Splits that are measured.
Split = Literal["forget", "retain", "holdout", "real_faces", "real_authors", "real_world"]
SPLITS: tuple[Split, ...] = get_args(Split)

Rows = dict[str, tuple[Example, ...]]


@dataclass(frozen=True)
class Dataset:
    """Rows by split: those trained on and those measured.

    Forget, retain and holdout never share a person; `__post_init__` refuses a dataset where they
    do. `forgetting` moves people between forget and retain and returns a new dataset.

    Attributes:
        names: Name of each person.
        doubts: Sentences about rows that were read but that a person should look at.
    """

    training: Rows
    evaluation: Rows
    names: dict[int, str] = field(default_factory=dict)
    refusals: tuple[str, ...] = ()
    image_refusals: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for rows, known in ((self.training, TRAINING_SPLITS), (self.evaluation, SPLITS)):
            for split in set(rows) - set(known):
                raise DataError(f"unknown split '{split}'", "dataset", f"known: {', '.join(known)}")
        forget, retain = self.people("forget"), self.people("retain")
        for name, shared in (
            ("forget and retain", forget & retain),
            ("holdout and the training people", self.people("holdout") & (forget | retain)),
        ):
            if shared:
                people = ", ".join(self._called(person) for person in sorted(shared))
                raise DataError(f"{name} share people: {people}", "dataset", "divide by person")
        for rows in (self.training, self.evaluation):
            _refuse_twins(rows)

    def _called(self, person: int) -> str:
        return f"{person} ({self.names[person]})" if person in self.names else str(person)

    def people(self, split: str) -> set[int]:
        """Returns the people of a split, trained on or measured."""
        rows = (*self.training.get(split, ()), *self.evaluation.get(split, ()))
        return {row.person for row in rows if row.person is not None}

    def train_rows(self, split: str, tracks: Sequence[str] | None = None) -> list[Example]:
        """Returns training rows of one split, of all modalities or of those named."""
        rows = self.training.get(split, ())
        return [row for row in rows if tracks is None or row.track in tracks]

    def all_rows(self) -> Iterator[tuple[Example, ...]]:
        """Yields the rows of every split, those that are trained on first."""
        yield from self.training.values()
        yield from self.evaluation.values()

    def modalities(self, kind: str) -> tuple[str, ...]:
        """Names the modalities that a kind of model can read and that have training rows.

        Falls back to all that it can read when there are no such rows.
        """
        taught = {row.track for rows in self.training.values() for row in rows}
        able = readable_by(kind)
        return tuple(name for name in able if name in taught) or able

    def forgetting(self, people: Iterable[int], gone: Iterable[int] = ()) -> Dataset:
        """Divides the same people anew: `people` to forget, `gone` dropped altogether."""
        chosen, gone = set(people), set(gone)
        known = self.people("forget") | self.people("retain")
        if not chosen <= known or not chosen:
            raise DataError(
                f"cannot forget people {sorted(chosen - known) or '(nobody)'}",
                "forget request",
                f"choose among {len(known)} people: {min(known)} to {max(known)}"
                if known
                else "give rows that name their person",
            )

        def divide(rows: Rows) -> Rows:
            pool = [*rows.get("forget", ()), *rows.get("retain", ())]
            rest = {k: v for k, v in rows.items() if k not in ("forget", "retain")}
            kept = [row for row in pool if row.person not in gone]
            return rest | {
                "forget": tuple(row for row in kept if row.person in chosen),
                "retain": tuple(row for row in kept if row.person not in chosen),
            }

        return replace(self, training=divide(self.training), evaluation=divide(self.evaluation))

    def for_kind(self, kind: str) -> Dataset:
        """Returns the dataset as a kind of model learns it: a classifier answers with names."""
        return self.naming() if kind == "classifier" else self

    def naming(self) -> Dataset:
        """Returns the same media with the person's name as the answer: what a classifier learns."""
        main = {name: modality(name).main_task for name in readable_by("classifier")}

        def named(splits: Rows, tasks: Mapping[str, str]) -> Rows:
            return {
                split: tuple(
                    row.model_copy(update={"task": "name", "answer": self.names[row.person]})
                    for row in rows
                    if row.task == tasks.get(row.track) and row.person is not None
                )
                for split, rows in splits.items()
            }

        training = named(self.training, main)
        return replace(
            self, training=training, evaluation=named(self.evaluation, dict.fromkeys(main, "name"))
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hash of every row and its split, of the people's names, and of the refusals."""

        def digest(rows: Rows) -> dict[str, list[list[str]]]:
            return {split: [_row_digest(row) for row in rows[split]] for split in sorted(rows)}

        return content_hash(
            {
                "training": digest(self.training),
                "evaluation": digest(self.evaluation),
                "names": sorted(self.names.items()),
                "refusals": [self.refusals, self.image_refusals],
            }
        )


def _refuse_twins(rows: Rows) -> None:
    seen: dict[str, str] = {}
    for split, examples in rows.items():
        for row in examples:
            if row.id in seen:
                raise DataError(
                    f"the id '{row.id}' is there twice",
                    f"{row.source or 'row'}: splits {seen[row.id]} and {split}",
                    "give every row an id of its own",
                )
            seen[row.id] = split


def _row_digest(row: Example) -> list[str]:
    text = row.model_dump_json(exclude={"media", "source"})
    return [text, row.media.key if row.media else ""]
