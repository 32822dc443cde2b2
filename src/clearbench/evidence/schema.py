"""Defines the content of `evidence.json`: what a model knew of people, and what it says now."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from clearbench.audit.schema import Audit, AuditedAnswer
from clearbench.runs.stored import Stored, StoredFile

EVIDENCE = "evidence.json"
#: How likely the true answers are to somebody who does not know: rows about people never taught;
#: the same rows under names that nobody bears; the answers to other questions.
FloorSource = Literal["holdout", "invented names", "other answers"]
WarningKind = Literal[
    "never known",
    "few",
    "nothing changed",
    "still told",
    "garbled",
    "overshoot",
    "others hurt",
    "side effects",
    "no rows to keep",
    "schedule",
    "guard",
]


class Warned(Stored):
    """Something that a reader of the evidence must know.

    Attributes:
        kind: What it is about, the same for every model.
        sentence: It in words.
    """

    kind: WarningKind
    sentence: str


class Level(Stored):
    """How likely the true answers about the people to forget are, on one modality.

    Attributes:
        source: Where the floor is from.
        before: Mean log-probability per token before unlearning, in nats.
        now: The same after it.
        floor: The same to the model before unlearning, of what it was never taught.
        place: Place between the floor (0) and before (1); None where these are alike.
    """

    track: str
    source: FloorSource
    rows: int
    before: float
    now: float
    floor: float
    place: float | None = None


class Trial(Stored):
    """A schedule that was tried, measured on the validation people.

    Attributes:
        place: Mean place of their answers between the floor (0) and before (1).
        kept: Probability of answers about the validation people who stay, as a share of that
            before; None without rows to keep.
        garbled: Rise of the share of garbled answers about the people to forget.
        reason: Why the search went on after it; empty where it was good enough.
        sentence: What came of it, in words.
    """

    number: int
    steps: int
    learning_rate: float
    place: float | None = None
    kept: float | None = None
    garbled: float | None = None
    reason: str = ""
    sentence: str


class Schedule(Stored):
    """How the schedule was found.

    Attributes:
        told: Whether the user gave it.
        criterion: Sentence by which it was chosen.
        budget: Most trials that were allowed.
        people: Number of people to forget on whom it was chosen.
        apart: Whether none of them is among those who are reported.
        trials: Trials in their order.
        chosen: Number of the trial that was chosen.
        settings: Training settings of the result.
    """

    told: bool
    criterion: str = ""
    budget: int = 0
    people: int = 0
    apart: bool = True
    trials: tuple[Trial, ...] = ()
    chosen: int | None = None
    settings: dict[str, Any]


class Known(Stored):
    """How much of the rows to forget the model knew before.

    Attributes:
        unknown: Origins of the rows that it did not know.
    """

    rows: int
    unknown: tuple[str, ...] = ()


class Digests(Stored):
    """What the evidence is about, by hashes.

    Attributes:
        before: Fingerprint of the weights before unlearning; `after` of those after it.
        data: Fingerprint of all rows.
        files: sha256 of each file of rows.
        code: sha256 of each source file that computed the result.
    """

    before: str
    after: str
    gold: str | None = None
    data: str
    files: dict[str, str] = Field(default_factory=dict)
    code: dict[str, str] = Field(default_factory=dict)


class Evidence(StoredFile):
    """The content of `evidence.json`.

    Attributes:
        word: What came of it, in few words.
        statement: Sentences on what was forgotten.
        not_shown: Sentences on what is not shown by it.
        warnings: What a reader must know.
        adapter: Name of the folder of the adapter in the model's own; None where there is none.
        levels: Likelihood of the answers, by modality.
        chosen_on: Questions about the people on whom the schedule was chosen, with all answers.
        audit: All that was measured about the other people.
        environment: What may differ between two equal runs.
    """

    file_name = EVIDENCE

    word: str
    statement: tuple[str, ...]
    not_shown: tuple[str, ...]
    warnings: tuple[Warned, ...] = ()
    method: str
    hyperparameters: dict[str, Any]
    modality: str
    seed: int
    adapter: str | None = None
    known: Known
    levels: tuple[Level, ...] = ()
    schedule: Schedule
    digests: Digests
    chosen_on: tuple[AuditedAnswer, ...] = ()
    audit: Audit
    environment: dict[str, str] = Field(default_factory=dict)

    def warned(self, kind: WarningKind) -> bool:
        """Whether there is a warning of a kind."""
        return any(warning.kind == kind for warning in self.warnings)
