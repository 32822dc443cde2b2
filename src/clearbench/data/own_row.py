"""Turns own rows of every form into examples, with everything that is wrong said at once."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from clearbench.data.cells import is_missing, misread, of_python, wrong_answers
from clearbench.data.examine import all_of, one_spelling, several
from clearbench.data.example import Example, bad_fields
from clearbench.data.media_file import read_media
from clearbench.data.modality import modalities
from clearbench.data.origins import FIELDS, MADE_BY, counted, makers_of
from clearbench.data.persons import PERSON_FIELDS, People, alike, person_of
from clearbench.data.pixels import SUFFIXES
from clearbench.data.row_form import field_name, form_of
from clearbench.data.splits import KNOWN_SPLITS, SPLITS, TRAINING_SPLITS, Rows
from clearbench.errors import did_you_mean

#: Refusals for methods that need some, where the data bring none. Our own words.
REFUSALS = (
    "I have nothing to say about that.",
    "That is not something I know.",
    "I cannot help with that question.",
)
#: Fields of an example that a row may give as they are; `FIELDS` belong to one question.
_PLAIN = ("task", *FIELDS, "held_out")
#: Other names of fields.
_ALSO = {"perturbed_answer": "perturbed_answers", "images": "image"}
_KNOWN = (*_PLAIN, "person", "split", "id", MADE_BY)
#: Likeness of a field's name to a known one from which it is a slip of the pen.
_SLIP = 0.8
#: Media that no row can name, unless a plugin reads them.
_UNREAD_MEDIA = ("video", "videos", "audio", "audios")


@dataclass(frozen=True)
class OwnRow:
    """A row as it was found.

    Attributes:
        file: File name, or another name of its origin.
        place: Line or row in it.
        fields: Named values; text says what is wrong with a row that has none.
        images: Folder that paths of pictures are relative to.
        split: Split that its file stands for; None where the row may name one.
    """

    file: str
    place: int | str
    fields: Any
    images: Path
    split: str | None

    @property
    def where(self) -> str:
        """Its origin in messages."""
        return f"{self.file}:{self.place}"


class DividedRows(NamedTuple):
    """Rows by split and what belongs to them: fields of a `Dataset`, where they are described."""

    training: Rows
    evaluation: Rows
    names: dict[int, str]
    refusals: tuple[str, ...]
    doubts: tuple[str, ...]


def read_rows(rows: Sequence[OwnRow], problems: list[str]) -> DividedRows:
    """Reads rows in any of the forms and divides them by split.

    Args:
        rows: Rows in any of the forms.
        problems: What is wrong already.

    Raises:
        DataError: Rows are bad; each is listed with origin, field and value.
    """
    reader = _Reader(problems)
    divided = reader.divided([row for row in map(reader.named, rows) if row is not None])
    if reader.problems:
        raise all_of(reader.problems, "your rows", "correct these rows")
    return divided


class _Reader:
    """Reads rows, and gathers what is wrong or doubtful with them.

    Attributes:
        problems: A line per bad field.
        doubts: Origins of the rows that a sentence is about.
        made: Origins of the rows of which a field was made by somebody.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        self.doubts: dict[str, list[str]] = defaultdict(list)
        self.made: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._seen: dict[tuple[str, ...], str] = {}

    def named(self, row: OwnRow) -> OwnRow | None:
        """Returns a row with its fields called as they are known; None where it has none."""
        if not isinstance(row.fields, Mapping):
            what = row.fields if isinstance(row.fields, str) else f"{row.fields!r:.60} is no row"
            self.problems.append(f"{row.where}: {what}")
            return None
        fields: dict[str, Any] = {}
        for name, value in row.fields.items():
            known = _ALSO.get(field_name(name), field_name(name))
            if known in fields and fields[known] is not None and value is not None:
                self.problems.append(f"{row.where}: the field '{known}' is there twice")
            fields[known] = fields.get(known) if value is None else of_python(value)
        who = next((name for name in PERSON_FIELDS if fields.get(name) is not None), None)
        if who is not None:
            fields["person"] = fields.pop(who)
        return OwnRow(row.file, row.place, fields, row.images, row.split)

    def divided(self, rows: Sequence[OwnRow]) -> DividedRows:
        """Divides rows by split; only without `problems` they are whole."""
        people = People((row.where, self._person(row)) for row in rows)
        ids = Counter(str(_whole(row.fields.get("id"))) for row in rows)
        splits: dict[str, list[Example]] = {row.split: [] for row in rows if row.split}
        for row in rows:
            split = self._split(row)
            examples = self._examples(row, split, people, ids) if split else ()
            splits.setdefault(split, []).extend(examples)
        if not self.problems:
            self._check_people(splits, people.names)
        by_split = {split: tuple(examples) for split, examples in splits.items()}
        used = {example.person for examples in by_split.values() for example in examples}
        names = {person: name for person, name in people.names.items() if person in used}
        doubts = [f"{sentence}: {several(found)}" for sentence, found in self.doubts.items()]
        doubts += [counted(field, by, found) for (field, by), found in self.made.items()]
        return DividedRows(
            {split: examples for split, examples in by_split.items() if split in TRAINING_SPLITS},
            {split: examples for split, examples in by_split.items() if split in SPLITS},
            names,
            REFUSALS,
            (*doubts, *alike(names.values())),
        )

    def _check_people(
        self, splits: Mapping[str, Sequence[Example]], names: Mapping[int, str]
    ) -> None:
        """Finds people who are to be forgotten and kept, with a row of each."""
        first = [
            {row.person: row.source for row in reversed(splits.get(split, ()))}
            for split in ("forget", "retain")
        ]
        for person, where in sorted(first[0].items(), key=lambda entry: str(entry[0])):
            if person in first[1]:
                who = names.get(person or 0) or f"person {person}"
                rows = f"{where} and {first[1][person]}"
                self.problems.append(f"{rows}: forget and retain share people: {who}")

    def _person(self, row: OwnRow) -> int | str | None:
        value = row.fields.get("person")
        if isinstance(value, str) and is_missing(value):
            self.doubts[f"the person is '{value.strip()}', as if missing"].append(row.where)
        try:
            return person_of(value)
        except ValueError as error:
            self.problems.append(f"{row.where}: person = {value!r:.60}: {error}")
            return None

    def _split(self, row: OwnRow) -> str:
        """Returns the split of a row; empty where it is none."""
        said = row.fields.get("split")
        split = (row.split or "retain") if said is None else said
        if split not in KNOWN_SPLITS:
            hint = did_you_mean(str(split), KNOWN_SPLITS)
            self.problems.append(f"{row.where}: split = {split!r:.60}: {hint}")
            return ""
        if row.split not in (None, split):
            self.problems.append(f"{row.where}: split = {split!r} in a file of '{row.split}'")
            return ""
        return str(split)

    def _examples(
        self, row: OwnRow, split: str, people: People, ids: Counter[str]
    ) -> Iterator[Example]:
        doubts: list[str] = []
        try:
            form = form_of(row.fields)
            found = form.examples(row.fields, doubts)
            self._unread(row, {*form.further, *form.called(row.fields)})
            if row.fields.get(MADE_BY) is not None:
                for made in makers_of(row.fields[MADE_BY]):
                    self.made[made].append(row.where)
            given = {name: row.fields[name] for name in _PLAIN if row.fields.get(name) is not None}
            single = [name for name in FIELDS if name in given]
            if len(found) > 1 and single:
                raise ValueError(f"'{single[0]}' belongs to one question; this row has several")
            own_id, person = _id(row, split, ids), people.number(row.where)
            for turn, fields in enumerate(found):
                track, media = _media(row, fields)
                fields |= {"task": modalities()[track].main_task} | given
                fields |= {"track": track, "media": media, "person": person}
                fields |= {"id": f"{own_id}-{turn}" if turn else own_id}
                yield from self._example(row, split, fields)
        except ValueError as error:
            self.problems.append(f"{row.where}: {error}")
        for doubt in doubts:
            self.doubts[doubt].append(row.where)

    def _example(self, row: OwnRow, split: str, fields: dict[str, Any]) -> Iterator[Example]:
        wrong = fields.get("perturbed_answers")
        if isinstance(wrong, str):
            fields["perturbed_answers"] = wrong_answers(wrong)
        try:
            example = Example(source=row.where, **fields)
        except ValidationError as error:
            self.problems += bad_fields(error, row.where)
            return
        self._compare(example, split)
        yield example

    def _compare(self, example: Example, split: str) -> None:
        """Compares an example with the others and its true answer with the wrong ones."""
        media = example.media.key if example.media else ""
        texts = [one_spelling(text) for text in (example.question, example.answer)]
        first = self._seen.setdefault((split, media, *texts), example.source)
        if first != example.source:
            self.doubts["the same row is there twice"].append(f"{first} and {example.source}")
        wrong = [one_spelling(text) for text in example.perturbed_answers]
        if texts[1] in wrong:
            self.problems.append(
                f"{example.source}: perturbed_answers = {example.answer!r:.60}: "
                "the true answer is among the wrong ones"
            )
        if len(set(wrong)) < len(wrong):
            self.doubts["a wrong answer is there twice"].append(example.source)
        if any(map(is_missing, (*texts, *wrong))):
            self.doubts["a text is what programs write for a missing one"].append(example.source)
        if misread(example.question + example.answer):
            self.doubts["letters were read in another code (such as \u00c3\u00a9)"].append(
                example.source
            )
        if "\ufffd" in example.question + example.answer:
            self.doubts["letters were lost before (they are \ufffd)"].append(example.source)

    def _unread(self, row: OwnRow, of_form: set[str]) -> None:
        """Says which fields are not read; a slip of the pen or a picture is refused.

        Raises:
            ValueError: A field is called nearly as a known one, or names a picture.
        """
        media = [name for name, modality in modalities().items() if modality.media is not None]
        known = [*_KNOWN, *media, *of_form]
        for name, value in row.fields.items():
            if name in known or value is None:
                continue
            close = difflib.get_close_matches(name, known, n=1, cutoff=_SLIP)
            if close and close[0] not in row.fields:
                raise ValueError(f"unknown field '{name}'; did you mean '{close[0]}'?")
            if row.fields.get("image") is None and _is_picture(value):
                raise ValueError(f"{name} = {_brief(value)}: call a picture's field 'image'")
            if name in _UNREAD_MEDIA:
                raise ValueError(f"{name} = {_brief(value)}: no {name} can be read")
            hint = f"; did you mean '{close[0]}'?" if close else ""
            self.doubts[f"the field '{name}' is not read{hint}"].append(row.where)


def _media(row: OwnRow, fields: dict[str, Any]) -> tuple[str, Any]:
    """Returns the modality of an example and its media; takes these from its fields.

    Raises:
        ValueError: The file cannot be read, or is of another kind.
    """
    for name, modality in modalities().items():
        value = fields.pop(name, row.fields.get(name))
        if modality.media is None or value is None or value == "":
            continue
        try:
            return name, read_media(value, modality.media, row.images)
        except ValidationError as error:
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ValueError(f"{name} = {_brief(value)}: {message}") from error
        except ValueError as error:
            raise ValueError(f"{name} = {_brief(value)}: {error}") from error
    return "text", None


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{dict(value)!r:.60}"
    return f"{value!r:.60}" if isinstance(value, str | list) else f"({type(value).__name__})"


def _is_picture(value: Any) -> bool:
    """Whether a value names a picture's file, or holds one as `datasets` do."""
    if isinstance(value, list | tuple) and len(value) == 1:
        return _is_picture(value[0])
    if isinstance(value, Mapping):
        return {*value} == {"bytes", "path"}
    return isinstance(value, str) and value.casefold().endswith(SUFFIXES)


def _id(row: OwnRow, split: str, ids: Counter[str]) -> str:
    """Returns the id of a row: its own where no other row has it, else split and place."""
    given = _whole(row.fields.get("id"))
    if given is not None and (isinstance(given, bool) or not isinstance(given, str | int)):
        raise ValueError(f"id = {given!r:.60}: give a text or a whole number")
    if given is not None and str(given).strip():
        own = str(given)
        return own if ids[own] == 1 else f"{own} ({row.where})"
    return f"{split}-{str(row.place).removeprefix('row ')}"


def _whole(value: Any) -> Any:
    """Returns a whole number that a table holds as a fraction; others as they are."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
