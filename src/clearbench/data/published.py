"""Reads CLEAR as published: images that carry a name, joined to TOFU's questions by person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from clearbench.data.authors import authors, pair
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.join import Names, identity, plain
from clearbench.data.json_rows import Line
from clearbench.data.mapping import CAPTION, NAME, OPTIONS, QUESTION, example, image
from clearbench.data.modalities.image import CAPTION_QUESTIONS, NAME_QUESTION
from clearbench.data.persons import PERSON_FIELDS, alike
from clearbench.data.tables import Tables
from clearbench.data.tofu import (
    is_tofu,
    read_tofu,
    refusals,
    retain_split,
    unmeasured,
    without_wrong,
)

#: Hub id of the text of CLEAR's people, with paraphrases and wrong answers.
TOFU = "locuslab/TOFU"
#: Configurations about the real world, with the task of their rows.
REAL = {"real_faces": "name", "real_world": "choice"}
NAMELESS = "questions that name nobody on a picture count as people of their own"

Examples = tuple[Example, ...]


def is_clear(tables: Tables) -> bool:
    """Whether the tables are CLEAR's configurations: `+tofu` ones, or splits with captions."""
    splits = [name for name in tables.names if name.startswith(("forget", "retain"))]
    if any(name.endswith("+tofu") for name in splits):
        return True
    return not is_tofu(tables) and any("caption" in tables.columns(name) for name in splits)


def read_clear(
    tables: Tables, text: Tables | None, forget: str, retain: str | None = None
) -> Dataset:
    """Reads CLEAR: images from its own configurations, questions from TOFU.

    Args:
        tables: CLEAR's configurations.
        text: TOFU's; None for the questions in CLEAR's `+tofu` ones. These have neither
            paraphrases nor wrong answers, so that text gets a probability but no truth ratio.
        forget: A forget split, such as `forget10`.
        retain: A retain split; the one that goes with `forget` by default.

    Raises:
        DataError: Rows are bad, which are all listed, or a split is missing.
    """
    kept = retain or retain_split(forget)
    asked = [f"{forget}_perturbed", "retain_perturbed"]
    without = [name for name in asked if name not in tables.names]
    measured, shown = (
        name if name in tables.names else split
        for name, split in zip(asked, (forget, kept), strict=True)
    )
    reader = _Reader(tables, (forget, measured, kept, shown), shown)
    if text is None:
        questions = reader.own_questions(kept, forget)
    else:
        questions = read_tofu(text, forget, retain, names=reader.names)
        reader.join(questions)
    training = {"forget": reader.images(forget), "retain": reader.images(kept)}
    evaluation = {
        "forget": reader.images(measured, named=True),
        "retain": reader.images(shown, named=True),
        **{name: reader.real(name, task) for name, task in REAL.items()},
    }
    tables.refuse()
    configurations = {"forget": measured, "retain": shown, **{n: n for n in REAL}}
    bare = [
        without_wrong(name)
        for split, name in configurations.items()
        if name not in (forget, kept)
        and evaluation[split]
        and not any(row.perturbed_answers for row in evaluation[split])
    ]
    return Dataset(
        _both(training, questions.training),
        _both(evaluation, questions.evaluation),
        questions.names | reader.people,
        questions.refusals,
        doubts=(
            *map(unmeasured, without),
            *bare,
            *questions.doubts,
            *alike(reader.people.values()),
        ),
    )


def _both(images: dict[str, Examples], questions: dict[str, Examples]) -> dict[str, Examples]:
    splits = dict.fromkeys([*images, *questions])
    return {split: (*images.get(split, ()), *questions.get(split, ())) for split in splits}


class _Shot(NamedTuple):
    """A row with an image. Captions repeat, row numbers do not (errata E54: rows found by caption).

    Attributes:
        number: Place in the configuration.
        where: Origin of the row, `file:row`.
        line: The row.
        who: Identity of the name; None where neither name nor caption has one.
    """

    number: int
    where: str
    line: Line
    who: str | None


class _Reader:
    """Reads the images of some splits, and numbers the people in them.

    Attributes:
        retained: Split whose people are measured for what is kept.
        numbers: Number of each person, by the identity of the name.
    """

    def __init__(self, tables: Tables, splits: Iterable[str], retained: str) -> None:
        self.tables, self.retained = tables, retained
        rows = {split: list(self._captioned(split)) for split in splits}
        named = [line.get("name") for lines in rows.values() for _, _, line in lines]
        whole = next((name for name in ("default", "full") if name in tables.names), None)
        if whole is not None and not all(named):
            named += [line.get("name") for _, line in tables.rows(whole, ("name",))]
        self.names = Names(str(name) for name in named if name)
        self.shots = {
            split: [_Shot(*row, self._who(row[-1])) for row in lines]
            for split, lines in rows.items()
        }
        self.numbers: dict[str, int] = {}

    def _captioned(self, split: str) -> Iterator[tuple[int, str, Line]]:
        """Yields rows of a split that are not about text; `+tofu` has both kinds, but no names."""
        joint = f"{split}+tofu"
        name = joint if split not in self.tables.names and joint in self.tables.names else split
        for number, (where, line) in enumerate(self.tables.rows(name)):
            if line.get("question") is None:
                yield number, where, line

    def _who(self, line: Line) -> str | None:
        name = str(line.get("name") or "")
        if plain(name).strip():
            return identity(name)
        return self.names.find(str(line.get("caption") or ""))

    @property
    def people(self) -> dict[int, str]:
        """Names of the people who were found, by number."""
        return {number: self.names.spelled[who] for who, number in self.numbers.items()}

    def join(self, questions: Dataset) -> None:
        """Gives people the ids used in TOFU; people found only in images get the next free ids."""
        texts: dict[int, list[str]] = {}
        for rows in questions.training.values():
            for row in rows:
                if row.person is not None:
                    texts.setdefault(row.person, []).append(f"{row.question} {row.answer}")
        self._number(self.names.by_text(texts), 1 + max(questions.names, default=-1))

    def _number(self, known: dict[str, int], following: int) -> None:
        """Numbers the people; forgotten ones get the last numbers, as in TOFU."""
        self.numbers = dict(known)
        for shots in reversed(self.shots.values()):
            for who in (shot.who for shot in shots):
                if who is not None and who not in self.numbers:
                    self.numbers[who] = following
                    following += 1

    def own_questions(self, retain: str, forget: str) -> Dataset:
        """Reads the questions of the `+tofu` configurations; only people on images are measured."""
        splits = {
            split: [] if name not in self.tables.names else list(self._questions(name))
            for split, name in (("retain", f"{retain}+tofu"), ("forget", f"{forget}+tofu"))
        }
        whole = [*splits["retain"], *splits["forget"]]
        if "full+tofu" in self.tables.names:
            whole = list(self._questions("full+tofu"))
        lines = [line for _, line, _ in whole]
        splits_pairs = [[pair(line) for _, line, _ in rows] for rows in splits.values()]
        found = authors(lines, splits_pairs, self.tables.problems, self.names)
        self.tables.refuse()
        people = found.people
        self._number(dict(found.numbers), 1 + max(people, default=-1))
        owners = {text: person for (_, _, text), person in zip(whole, people, strict=True)}
        training = {split: tuple(self._taught(rows, owners)) for split, rows in splits.items()}
        shown = {self.numbers[s.who] for s in self.shots[self.retained] if s.who is not None}
        measured = tuple(row for row in training["retain"] if row.person in shown)
        return Dataset(
            training,
            {"forget": training["forget"], "retain": measured},
            {person: f"author {person}" for person in people} | dict(found.names),
            refusals(self.tables),
            doubts=() if found.known else (NAMELESS,),
        )

    def _questions(self, name: str) -> Iterator[tuple[str, Line, str]]:
        """Yields rows without an image: origin, row, and text."""
        for where, line in self.tables.rows(name, ("question", "answer", *PERSON_FIELDS)):
            if line.get("question") is not None:
                yield where, line, f"{line['question']} {line.get('answer')}"

    def _taught(
        self, rows: Iterable[tuple[str, Line, str]], owners: dict[str, int]
    ) -> Iterator[Example]:
        count: Counter[int] = Counter()
        for where, line, text in rows:
            person = owners.get(text)
            if person is None:
                self.tables.problems.append(f"{where}: question and answer are not in 'full+tofu'")
                continue
            about: dict[str, Any] = {"person": person, "track": "text", "task": "qa"}
            id = f"{person}-{count[person]}"
            count[person] += 1
            yield from example(line, QUESTION, where, self.tables.problems, id=id, **about)

    def images(self, split: str, named: bool = False) -> Examples:
        """Reads the captions of a split and, if `named`, the name questions on the same images."""
        return tuple(row for shot in self.shots[split] for row in self._shown(split, shot, named))

    def _shown(self, split: str, shot: _Shot, named: bool) -> Iterator[Example]:
        problems, before = self.tables.problems, len(self.tables.problems)
        seen = image(shot.line, shot.where, problems, self.tables.folder)
        if seen is None:
            if len(problems) == before and shot.line:
                problems.append(f"{shot.where}: image = None: a caption needs its picture")
            return
        about: dict[str, Any] = {
            "person": None if shot.who is None else self.numbers[shot.who],
            "track": "image",
            "image": seen,
        }
        asked = CAPTION_QUESTIONS[int(seen.key, 16) % len(CAPTION_QUESTIONS)]
        caption = {"id": f"{split}-{shot.number}-caption", "task": "caption", "question": asked}
        yield from example(shot.line, CAPTION, shot.where, problems, **about, **caption)
        if named and shot.line.get("name"):
            name = {"id": f"{split}-{shot.number}-name", "task": "name", "question": NAME_QUESTION}
            yield from example(shot.line, NAME, shot.where, problems, **about, **name)

    def real(self, name: str, task: str) -> Examples:
        """Reads real faces or the real world: an answer, wrong options, no question for faces."""
        examples: list[Example] = []
        rows = self.tables.rows(name) if name in self.tables.names else ()
        for number, (where, line) in enumerate(rows):
            seen = image(line, where, self.tables.problems, self.tables.folder)
            about: dict[str, Any] = {"id": f"{name}-{number}", "person": None, "task": task}
            about |= {"track": "image" if seen else "text", "image": seen}
            if task == "name":
                about["question"] = NAME_QUESTION
            examples += example(line, OPTIONS, where, self.tables.problems, **about)
        return tuple(examples)
