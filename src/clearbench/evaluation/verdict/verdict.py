"""Defines a verdict: the word on a run, with the findings that say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from clearbench.data.modality import tracks_of
from clearbench.evaluation.verdict.finding import Finding, Outcome
from clearbench.evaluation.verdict.rests_on import RestsOn
from clearbench.evaluation.verdict.words import reasons

Word = Literal["forgot", "did not", "undecided"]


class ShownAnswer(BaseModel):
    """An answer of a run beside the truth and gold's answer.

    Attributes:
        person: Number of the person; -1 for the world.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    person: int
    question: str
    truth: str
    answer: str
    gold: str


class Verdict(BaseModel):
    """The word on a run, and the tests that it was found by.

    Attributes:
        word: `forgot` if every test holds, `did not` if one fails, else `undecided`.
        version: Version of the tests and their thresholds.
        modality: Modality that the run was judged on.
        findings: Outcomes of the tests.
        worst: Worst answers beside gold's.
        people: Names of the people whom findings name, by number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    word: Word
    version: str
    modality: str
    findings: tuple[Finding, ...]
    reasons: tuple[str, ...] = ()
    rests_on: RestsOn = RestsOn()
    worst: tuple[ShownAnswer, ...] = ()
    people: dict[int, str] = Field(default_factory=dict)

    def of(self, outcome: Outcome) -> tuple[Finding, ...]:
        """Returns the findings with an outcome."""
        return tuple(finding for finding in self.findings if finding.outcome == outcome)

    @property
    def distance(self) -> float | None:
        """Mean distance to gold of what is judged by what is left: 0 is gold, 1 the original."""
        shares = [f.estimate for f in self.findings if f.kind == "left" and f.estimate is not None]
        return sum(map(abs, shares)) / len(shares) if shares else None

    @property
    def kept(self) -> dict[str, float]:
        """Ratios to the original's of what must survive."""
        return {
            finding.key: finding.estimate
            for finding in self.findings
            if finding.kind == "kept" and finding.estimate is not None
        }

    def on(self, modality: str, titles: Mapping[str, str]) -> Verdict:
        """Returns the verdict on a modality alone: a gold is judged like the runs beside it.

        Args:
            modality: Modality that the runs beside it were to forget.
            titles: Titles of scores by the last part of their keys, for the reasons.
        """
        tracks, own = tracks_of(modality), set(tracks_of(self.modality))
        if set(tracks) >= own:
            return self
        chosen = tuple(
            finding
            for finding in self.findings
            if not finding.key.startswith("forget.") or finding.key.split(".")[1] in tracks
        )
        about = {"word": word_of(chosen), "findings": chosen, "modality": modality}
        return self.model_copy(update=about | {"reasons": reasons(chosen, self.people, titles)})


def word_of(findings: Iterable[Finding]) -> Word:
    """Returns `did not` if a test fails, `undecided` if one is open, else `forgot`."""
    outcomes = {finding.outcome for finding in findings}
    if "fails" in outcomes:
        return "did not"
    return "undecided" if "open" in outcomes or not outcomes else "forgot"
