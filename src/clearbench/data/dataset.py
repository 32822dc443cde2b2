"""Datasets: rows for training and measuring, in splits that never share a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from clearbench.data.examine import doubts_about
from clearbench.data.example import Example
from clearbench.data.modality import modality, readable_by
from clearbench.data.own_row import read_rows
from clearbench.data.rows_in_memory import named_splits, rows_in
from clearbench.data.splits import SPLITS, TRAINING_SPLITS, Rows, Split
from clearbench.errors import DataError
from clearbench.storage import content_hash

__all__ = ["SPLITS", "TRAINING_SPLITS", "Dataset", "Rows", "Split"]


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

    @classmethod
    def from_rows(
        cls,
        rows: Any = None,
        *,
        forget: Any = None,
        retain: Any = None,
        holdout: Any = None,
        images: str | Path | None = None,
    ) -> Self:
        """Reads a dataset from rows in memory.

        Each argument of rows is a list of mappings, a `datasets.Dataset`, a table of pandas, or a
        mapping of column names to lists. A row is a question with its answer in any of the forms
        of docs/own-rows.md; `person` (a name or a number) says whom it is about, `image` is a
        picture (`PIL`, bytes, or a path).

        Args:
            rows: Rows that may name their `split` (those that name none are kept), or a mapping of
                splits to rows. It takes the place of the other arguments.
            forget: Rows about the people to forget.
            retain: Rows about the people to keep.
            holdout: Rows about people whom no model was taught.
            images: Folder that paths of pictures are relative to; the current one by default.

        Returns:
            Dataset whose rows are trained on and measured, except `holdout`, which is only
            measured. What is doubtful in them stands in its `doubts`.

        Raises:
            DataError: There are no rows, they are none of these, or some are bad, about a person
                on both sides, or have a broken picture; all are listed.
        """
        own = {"forget": forget, "retain": retain, "holdout": holdout}
        given = {split: held for split, held in own.items() if held is not None}
        if rows is not None and given:
            raise DataError(
                f"rows are given twice: alone and as {' and '.join(given)}",
                "your rows",
                'give all of them as forget=, retain= and holdout=, or let each name its "split"',
            )
        found = rows_in(given or named_splits(rows), Path(images or ""))
        read = read_rows(found, [] if found else ["there are no rows"])
        return cls(**read._asdict()).examined("your rows")

    def examined(self, where: str) -> Self:
        """Returns the dataset with what is doubtful in its rows added to its `doubts`.

        Args:
            where: Source of the dataset, for the message.

        Raises:
            DataError: A picture breaks off, or a row stands in both forget and retain; all are
                listed.
        """
        doubts = doubts_about(self.training, self.evaluation, where)
        return replace(self, doubts=tuple(dict.fromkeys((*self.doubts, *doubts))))

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
        """Returns the same media with the person's name as the answer: what a classifier learns.

        Rows that ask for the name are measured, where there are some; else those that are learned.
        """
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

        asked = any(row.task == "name" for rows in self.evaluation.values() for row in rows)
        measured = dict.fromkeys(main, "name") if asked else main
        return replace(
            self,
            training=named(self.training, main),
            evaluation=named(self.evaluation, measured),
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
