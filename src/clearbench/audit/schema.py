"""Defines the content of `audit.json`: findings in words, with the numbers that they rest on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from clearbench.attacks.point import Point
from clearbench.audit.settings import AuditSettings
from clearbench.evaluation.score import Score
from clearbench.evaluation.verdict.verdict import Verdict
from clearbench.runs.stored import Stored, StoredFile

AUDIT = "audit.json"
#: What a finding is about: the sections of the page, in their order.
Topic = Literal[
    "conclusion", "told", "known", "recovery", "membership", "refusals", "lost", "side effects"
]
#: What a number is: a value of the model; its difference from gold's value, or from the original's;
#: its place between gold (0) and the original (1); its ratio to the original's value, or gold's.
Scale = Literal["value", "difference", "place", "ratio"]
#: What an interval is taken over.
Unit = Literal["people", "questions"]


class Number(Stored):
    """A measured number that a finding rests on.

    Attributes:
        low: Lower end of the interval; None where there is none.
        gold: Value of the model that never met the people, as the model's own before it was
            compared.
        original: Value of the model before unlearning, likewise.
        scale: What kind of number it is.
        unit: What the interval is taken over.
        detectable: Smallest difference that would be seen in four of five repetitions.
    """

    name: str
    value: float
    scale: Scale = "value"
    low: float | None = None
    high: float | None = None
    gold: float | None = None
    original: float | None = None
    rows: int = 0
    people: int = 0
    unit: Unit = "people"
    detectable: float | None = None


class Finding(Stored):
    """What was found on one question, in a word and a sentence.

    Attributes:
        track: Modality that it is about; empty where it is about the whole.
        word: Short answer, the same for every model that is alike in this.
        because: Sentences that say what it was found by.
        numbers: Numbers that it rests on.
    """

    topic: Topic
    track: str = ""
    word: str
    sentence: str
    because: tuple[str, ...] = ()
    numbers: tuple[Number, ...] = ()


class AuditedAnswer(Stored):
    """A question about a person, and what was answered.

    Attributes:
        told: Whether the answer holds the whole truth.
        garbled: Whether it is garbled, as the garbage rate counts it.
        gold: Gold's answer; None without gold.
        original: The original's answer; None without one.
    """

    track: str
    person: int
    name: str = ""
    question: str
    truth: str
    answer: str
    told: bool
    garbled: bool = False
    gold: str | None = None
    original: str | None = None


class AttackCurve(Stored):
    """Levels of one attack on one track."""

    key: str
    track: str
    points: tuple[Point, ...]


class MadeAttack(Stored):
    """An attack that was made, or the reason why it was not.

    Attributes:
        key: Key of its configuration.
        reason: Words on why it was not made, or gave nothing; empty where it gave scores.
        unit: What the intervals are taken over.
        scores: Scores by key.
        titles: Titles of the scores, by the last part of their keys.
    """

    key: str
    title: str
    group: str
    reason: str = ""
    unit: Unit = "people"
    scores: dict[str, Score] = Field(default_factory=dict)
    titles: dict[str, str] = Field(default_factory=dict)
    curves: tuple[AttackCurve, ...] = ()


class AuditedRows(Stored):
    """How much was asked of one split.

    Attributes:
        rows: Questions that there are; `asked` of them were asked.
    """

    people: int
    rows: int
    asked: int


class AuditedWith(Stored):
    """What was audited, by which program, and with which options.

    Attributes:
        names: Last part of each model's path or id, by role (model, gold, original), where known.
        program: Version of clearbench.
        attacks: Budget, or names of attacks.
        limit: Rows per split and task; None for all.
    """

    names: dict[str, str] = Field(default_factory=dict)
    program: str = ""
    attacks: str = ""
    limit: int | None = None


class Audit(StoredFile):
    """The content of `audit.json`.

    Attributes:
        model: Fingerprint of the audited model; `gold` and `original` likewise, where given.
        data: Fingerprint of the rows.
        made: What was audited, and with which options.
        settings: Thresholds of the words, and `version` their version.
        conclusion: What was found on the whole.
        findings: What was found on each question.
        open: Sentences on what cannot be concluded, and what would allow it.
        answers: Questions about the people, with all answers.
        others: Questions about the people who stay, likewise.
        verdict: The benchmark's verdict, where gold and original are given.
        scores: Scores by key.
    """

    file_name = AUDIT

    version: str
    settings: AuditSettings
    kind: str
    model: str
    data: str
    made: AuditedWith = Field(default_factory=AuditedWith)
    gold: str | None = None
    original: str | None = None
    asked: dict[str, AuditedRows] = Field(default_factory=dict)
    conclusion: Finding
    findings: tuple[Finding, ...]
    open: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    answers: tuple[AuditedAnswer, ...] = ()
    others: tuple[AuditedAnswer, ...] = ()
    attacks: tuple[MadeAttack, ...] = ()
    verdict: Verdict | None = None
    scores: dict[str, Score] = Field(default_factory=dict)

    def about(self, topic: Topic) -> tuple[Finding, ...]:
        """Returns the findings on one topic."""
        return tuple(finding for finding in self.findings if finding.topic == topic)
