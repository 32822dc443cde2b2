"""Joins questions with the answers of all runs, and marks words that reveal the truth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clearbench.report.private import image
from clearbench.report.sections import Section
from clearbench.runs.schema import ShownQuestion

#: Splits in words.
SPLITS = {
    "forget": "to be forgotten",
    "retain": "to be kept",
    "holdout": "never taught",
    "real_faces": "well known",
    "real_authors": "well known",
    "real_world": "world knowledge",
    "side": "side effects",
    "all": "several splits in one number",
}
_COMMON = {"this", "that", "with", "from", "were", "been", "have", "which", "their", "about"}
_ORDER = {"original": 0, "gold": 1, "method": 2}


@dataclass(frozen=True)
class Answer:
    """The answer of one run.

    Attributes:
        pieces: Pieces of the text, each with whether it reveals the truth.
    """

    name: str
    kind: str
    outcome: str
    method: str
    pieces: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class AnsweredQuestion:
    """One question with the answers of every group that was asked.

    Attributes:
        image: Address of the data, if there is an image.
        about: Split in words.
    """

    question: ShownQuestion
    image: str | None
    about: str
    answers: tuple[tuple[Section, tuple[Answer, ...]], ...]


def answered_questions(
    questions: Sequence[ShownQuestion], sections: Sequence[Section]
) -> list[AnsweredQuestion]:
    """Joins questions with the answers of all groups; questions without answers are left out."""
    joined = [_answered(question, sections) for question in questions]
    return [question for question in joined if question.answers]


def _answered(question: ShownQuestion, sections: Sequence[Section]) -> AnsweredQuestion:
    answers = ((section, _answers(question, section)) for section in sections)
    return AnsweredQuestion(
        question=question,
        image=image(question.image),
        about=SPLITS.get(question.split, question.split),
        answers=tuple((section, given) for section, given in answers if given),
    )


def _answers(question: ShownQuestion, section: Section) -> tuple[Answer, ...]:
    """Lists the original's answer, gold's, then the methods'; none without a method's answer."""
    rows = [row for row in section.rows if row.run.id in question.answers]
    rows = [row for row in rows if row.kind != "gold" or row.run is section.group.gold]
    if not any(row.kind == "method" for row in rows):
        return ()
    rows.sort(key=lambda row: _ORDER[row.kind])
    return tuple(
        Answer(row.name, row.kind, row.outcome, row.run.method, revealed(question, row.run.id))
        for row in rows
    )


def revealed(question: ShownQuestion, run_id: str) -> tuple[tuple[str, bool], ...]:
    """Cuts an answer into words of the truth that the question did not contain, and the rest.

    Args:
        question: Question with its truth and answers.
        run_id: Id of the run whose answer is cut.
    """
    return marked(question.answers[run_id], question.truth, question.question)


def marked(answer: str, truth: str, question: str) -> tuple[tuple[str, bool], ...]:
    """Cuts an answer into words of the truth that the question did not contain, and the rest.

    Args:
        answer: Text that is cut.
        truth: True answer.
        question: Question.
    """
    secret = _words(truth) - _words(question)
    pieces: list[tuple[str, bool]] = []
    for piece in re.split(r"(\w+)", answer):
        hit = piece.casefold() in secret
        joins = bool(pieces) and (pieces[-1][1] == hit or (pieces[-1][1] and piece.isspace()))
        if joins:
            pieces[-1] = (pieces[-1][0] + piece, pieces[-1][1])
        elif piece:
            pieces.append((piece, hit))
    return tuple(pieces)


def _words(text: str) -> set[str]:
    """Returns the words that carry meaning: numbers, and words of four letters or more."""
    words = re.findall(r"\w+", text.casefold())
    return {word for word in words if len(word) > 3 or any(c.isdigit() for c in word)} - _COMMON
