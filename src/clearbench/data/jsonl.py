"""Reads own rows: JSON lines of questions and answers to forget and to keep.

A line has `question` and `answer`. It may have `person` (a number or a name), `split`, `task`,
`id`, `paraphrased_question`, `paraphrased_answer`, `perturbed_answers`, `held_out`, and a media
file's path under the name of its modality (`"image": "portraits/ana.jpg"`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from clearbench.data.dataset import SPLITS, TRAINING_SPLITS, Dataset, Rows
from clearbench.data.example import Example, bad_fields
from clearbench.data.media import Media
from clearbench.data.modality import modalities
from clearbench.errors import DataError, did_you_mean

#: Refusals for methods that need some, where the data bring none. Our own words.
REFUSALS = (
    "I have nothing to say about that.",
    "That is not something I know.",
    "I cannot help with that question.",
)
#: Fields that are copied unchanged.
_PLAIN = ("task", "paraphrased_question", "paraphrased_answer", "perturbed_answers", "held_out")
_SHOWN = 20


def read_pairs(forget: Path | None, retain: Path | None) -> Dataset:
    """Reads a dataset from a file of rows to forget and a file of rows to keep.

    Raises:
        DataError: Lines are bad; each is listed with file, line, field and value.
    """
    files = {"forget": forget, "retain": retain}
    return _dataset([(path, split) for split, path in files.items() if path is not None], False)


def read_own_rows(path: Path) -> Dataset:
    """Reads a dataset from a file whose rows name their split, or a folder with a file per split.

    Rows of a file that name no split are kept. Splits of the folder are called as its files:
    `forget.jsonl`, `retain.jsonl`, `holdout.jsonl`.

    Raises:
        DataError: Lines are bad; each is listed with file, line, field and value.
    """
    if path.is_file():
        return _dataset([(path, "retain")], True)
    names = dict.fromkeys((*TRAINING_SPLITS, *SPLITS))
    files = [(path / f"{name}.jsonl", name) for name in names]
    return _dataset([(file, name) for file, name in files if file.is_file()], True)


@dataclass(frozen=True)
class _Line:
    """One line: its file, its number from 1, and its fields."""

    path: Path
    number: int
    fields: Mapping[str, Any]

    @property
    def where(self) -> str:
        return f"{self.path.name}:{self.number}"


def _dataset(files: list[tuple[Path, str]], splits_in_rows: bool) -> Dataset:
    problems: list[str] = []
    lines = [(line, split) for path, split in files for line in _lines(path, problems)]
    people = _People([line for line, _ in lines])
    by_split: dict[str, list[Example]] = {split: [] for _, split in files}
    for line, default in lines:
        split = line.fields.get("split", default) if splits_in_rows else default
        if split not in (*TRAINING_SPLITS, *SPLITS):
            known = (*TRAINING_SPLITS, *SPLITS)
            problems.append(f"{line.where}: split = {split!r}: {did_you_mean(str(split), known)}")
            continue
        by_split.setdefault(split, []).extend(_row(line, split, people, problems))
    if problems:
        raise DataError("\n".join(problems[:_SHOWN]), "your rows", "correct these lines")
    rows = {split: tuple(examples) for split, examples in by_split.items()}
    training: Rows = {
        split: examples for split, examples in rows.items() if split in TRAINING_SPLITS
    }
    evaluation: Rows = {str(split): examples for split, examples in rows.items() if split in SPLITS}
    used = {row.person for examples in rows.values() for row in examples}
    names = {person: name for person, name in people.names.items() if person in used}
    return Dataset(training, evaluation, names, REFUSALS)


def _lines(path: Path, problems: list[str]) -> Iterator[_Line]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read: {error}", str(path), "give a UTF-8 file") from error
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            fields = json.loads(text)
            if not isinstance(fields, dict):
                raise ValueError(f"{text.strip()[:60]} is no object with question and answer")
            yield _Line(path, number, fields)
        except ValueError as error:
            problems.append(f"{path.name}:{number}: {error}")


class _People:
    """Assigns numbers: given ones, then named people in order, then rows without a person.

    A row without a person is about a person of its own, so that it can be forgotten alone and
    counts as one cluster.

    Attributes:
        names: Every person's name by number.
    """

    def __init__(self, lines: list[_Line]) -> None:
        given = [line.fields.get("person") for line in lines]
        numbers = [person for person in given if type(person) is int and person >= 0]
        self.names = {number: f"person {number}" for number in numbers}
        following = max(numbers, default=-1) + 1
        self._numbers: dict[str | tuple[Path, int], int] = {}
        named = dict.fromkeys(person for person in given if isinstance(person, str))
        alone = [line for line, person in zip(lines, given, strict=True) if person is None]
        for name in named:
            self._numbers[name] = following
            self.names[following] = name
            following += 1
        for line in alone:
            self._numbers[line.path, line.number] = following
            self.names[following] = f"the person of {line.where}"
            following += 1

    def number(self, line: _Line) -> Any:
        """Returns a line's person number; what is neither number nor name is returned unchanged."""
        person = line.fields.get("person")
        key = (line.path, line.number) if person is None else person
        return self._numbers.get(key, person) if isinstance(key, str | tuple) else person


def _row(line: _Line, split: str, people: _People, problems: list[str]) -> Iterator[Example]:
    try:
        track, media = _media(line)
        task = modalities()[track].main_task
        fields = {"task": task} | {k: line.fields[k] for k in _PLAIN if k in line.fields}
        yield Example(
            id=str(line.fields.get("id", f"{split}-{line.number}")),
            person=people.number(line),
            track=track,
            question=line.fields["question"],
            answer=line.fields["answer"],
            media=media,
            source=line.where,
            **fields,
        )
    except KeyError as error:
        problems.append(f"{line.where}: no field {error}")
    except ValidationError as error:
        problems.extend(bad_fields(error, line.where))
    except (OSError, ValueError) as error:
        problems.append(f"{line.where}: {error}")


def _media(line: _Line) -> tuple[str, Media | None]:
    """Returns the modality of a line and its media, from a file in the folder of the rows."""
    for name, modality in modalities().items():
        file = line.fields.get(name)
        if modality.media is None or file is None:
            continue
        if not isinstance(file, str) or Path(file).is_absolute() or ".." in Path(file).parts:
            raise ValueError(f"{name} = {file!r}: give a path inside the folder of the rows")
        return name, modality.media(encoded=(line.path.parent / file).read_bytes())
    return "text", None
