"""Reads a file of prompts, and fills their placeholders for one row."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.words import folded
from clearbench.errors import RecipeError, did_you_mean, explain
from clearbench.evaluation.metrics.keywords import keywords, words_of

#: Words that a prompt may have in braces.
PLACEHOLDERS = (
    *("question", "paraphrase", "name", "first_name", "last_name", "misspelt", "that_person"),
    *("description", "unnamed", "hint_question", "hint_answer", "example_question"),
    *("example_answer", "second_question", "second_answer"),
)
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_WORD = re.compile(r"[^\W\d_]{4,}")


class PromptTemplate(BaseModel):
    """One way to ask for an answer.

    Attributes:
        question: Question with placeholders.
        prefix: Words with placeholders that the answer has already begun with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = "{question}"
    prefix: str = ""

    @model_validator(mode="after")
    def _known(self) -> PromptTemplate:
        for name in self.fields:
            if name not in PLACEHOLDERS:
                raise ValueError(f"unknown {{{name}}}; {did_you_mean(name, PLACEHOLDERS)}")
        if not self.question.strip():
            raise ValueError("an empty question")
        return self

    @property
    def fields(self) -> tuple[str, ...]:
        """Placeholders of the question and of the prefix."""
        return tuple(_PLACEHOLDER.findall(self.question + self.prefix))


class Filled(NamedTuple):
    """A prompt for one row: its question, and the beginning of the answer."""

    question: str
    prefix: str


def read_prompts(file: str = "", only: Sequence[str] = ()) -> dict[str, PromptTemplate]:
    """Reads prompts by name.

    Args:
        file: YAML or JSON file; empty for the shipped one.
        only: Names of those that are wanted; empty for all.

    Raises:
        RecipeError: The file cannot be read or holds no prompts, or a name is not among them.
    """
    path = Path(file) if file else Path(str(files("clearbench.attacks"))) / "prompts.yaml"
    form = "write `name: {question: ...}` for each prompt"
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        what = str(error).splitlines()[0]
        raise RecipeError(f"prompts cannot be read: {what}", str(path), form) from error
    if not isinstance(content, Mapping) or not content:
        raise RecipeError("holds no prompts", str(path), form)
    prompts = {str(name): _prompt(name, entry, path) for name, entry in content.items()}
    for name in only:
        if name not in prompts:
            raise RecipeError(f"no prompt '{name}'", str(path), did_you_mean(name, prompts))
    return {name: made for name, made in prompts.items() if not only or name in only}


def _prompt(name: object, entry: object, path: Path) -> PromptTemplate:
    try:
        return PromptTemplate.model_validate(entry)
    except ValidationError as error:
        what = explain(error, PromptTemplate.model_fields)
        fix = f"placeholders: {', '.join(PLACEHOLDERS)}"
        raise RecipeError(what, f"{path}, prompt '{name}'", fix) from error


class PromptFiller:
    """Fills prompts for the rows of a dataset.

    Args:
        dataset: Dataset whose other rows are hints and examples.
        seed: Seed of their choice, which depends on the row and nothing else.
    """

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self.dataset, self.seed = dataset, seed

    def fill(self, prompt: PromptTemplate, row: Example) -> Filled | None:
        """Fills a prompt; None where the row lacks something, or would be given away."""
        fields = self.fields(row, prompt.fields)
        if not set(prompt.fields) <= set(fields):
            return None
        question, prefix = (
            _PLACEHOLDER.sub(lambda found: fields[found.group(1)], text).strip()
            for text in (prompt.question, prompt.prefix)
        )
        given = words_of(f"{question} {prefix}")
        return None if given & self._private(row) else Filled(question, prefix)

    def fields(self, row: Example, wanted: Iterable[str] = PLACEHOLDERS) -> dict[str, str]:
        """Returns what each placeholder stands for; those that the row lacks are missing."""
        found = {"question": row.question, "paraphrase": row.paraphrased_question}
        name = None if row.person is None else self.dataset.names.get(row.person)
        if name:
            parts = name.split()
            found |= {"name": name, "first_name": parts[0]}
            found |= {"last_name": parts[-1]} if len(parts) > 1 else {}
            found["misspelt"] = replaced(row.question, name, misspelt)
            found["that_person"] = replaced(row.question, name, lambda _: "that person")
        if {"hint_question", "hint_answer", "description", "unnamed"} & set(wanted):
            found |= self._hints(row, name)
        if any(each.startswith(("example_", "second_")) for each in wanted):
            for kind, other in zip(("example", "second"), self._examples(row), strict=False):
                found |= {f"{kind}_question": other.question, f"{kind}_answer": other.answer}
        return {key: text for key, text in found.items() if text}

    def _hints(self, row: Example, name: str | None) -> dict[str, str | None]:
        others = self._by_person.get(row.person, ()) if row.person is not None else ()
        private, own = self._private(row), folded(row.question)
        useful = [
            other
            for other in others
            if folded(other.question) != own and not private & words_of(other.answer)
        ]
        if not useful:
            return {}
        hint = self._drawn(useful, row, 1)[0]
        found: dict[str, str | None] = {"hint_question": hint.question, "hint_answer": hint.answer}
        about = name and replaced(hint.answer, name, lambda _: "this person")
        if name and not about:
            said = f"{hint.question} {hint.answer}"
            about = replaced(said, name, lambda _: "this person") or said
        if name and about:
            whom = f'the person of whom this is true: "{about}"'
            found |= {"description": f'"{about}"'}
            found["unnamed"] = replaced(row.question, name, lambda _: whom)
        return found

    def _examples(self, row: Example) -> list[Example]:
        """Draws rows of two other people who are to be kept, on the same track."""
        pool = [other for other in self._kept if other.track == row.track]
        chosen: dict[int | None, Example] = {}
        for other in self._drawn(pool, row, len(pool)):
            if other.person != row.person and other.person not in chosen:
                chosen[other.person] = other
            if len(chosen) == 2:
                break
        return list(chosen.values())

    def _drawn(self, rows: Sequence[Example], row: Example, count: int) -> list[Example]:
        rng = np.random.default_rng([self.seed, zlib.crc32(row.id.encode())])
        return [rows[place] for place in rng.permutation(len(rows))[:count]]

    def _private(self, row: Example) -> set[str]:
        """Returns words of the answer that would give it away: names and numbers not asked with."""
        name = self.dataset.names.get(-1 if row.person is None else row.person, "")
        named = words_of(name) & words_of(row.answer)
        return (set(keywords(row.answer, row.question)) | named) - words_of(row.question)

    @cached_property
    def _by_person(self) -> dict[int, list[Example]]:
        """Every person's rows, those that are trained on first, each question once."""
        people: dict[int, dict[str, Example]] = {}
        for row in self._rows(("forget", "retain", "holdout")):
            if row.person is not None:
                people.setdefault(row.person, {}).setdefault(folded(row.question), row)
        return {person: list(rows.values()) for person, rows in people.items()}

    @cached_property
    def _kept(self) -> list[Example]:
        return list(self._rows(("retain",)))

    def _rows(self, splits: Sequence[str]) -> Iterator[Example]:
        for rows in (self.dataset.training, self.dataset.evaluation):
            for split, mine in rows.items():
                if split in splits:
                    yield from mine


def replaced(text: str, name: str, change: Callable[[str], str]) -> str | None:
    """Replaces a name in a text, or else each of its parts; None where it is not there."""
    for words in ((name,), tuple(name.split())):
        pattern = re.compile("|".join(rf"\b{re.escape(word)}\b" for word in words), re.IGNORECASE)
        if pattern.search(text):
            return pattern.sub(lambda found: change(found.group()), text)
    return None


def misspelt(name: str) -> str:
    """Exchanges the second and third letter of every word of four letters or more."""
    return _WORD.sub(lambda w: w.group()[0] + w.group()[2:0:-1] + w.group()[3:], name)
