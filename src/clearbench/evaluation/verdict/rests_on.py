"""Names what a verdict rests on: people, rows, models and attacks."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

#: Attacks of protocols, which need holdout people.
MEMBERSHIP = "membership"
#: Attacks that no protocol runs, and about which a verdict says nothing.
NOT_RUN = ("relearning", "quantisation", "other prompts and languages", "changed images")


class RestsOn(BaseModel):
    """Data, models and attacks that a verdict rests on.

    Attributes:
        people_forgotten: Number of people who were to be forgotten.
        people_asked: Number of them who were asked about, by track.
        rows: Number of rows about them, by track.
        golds: Number of gold models; the first is compared with.
        seeds: Number of seeds of the run.
        attacks: Attacks that were run.
        not_run: Attacks that were not run, and say nothing here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    people_forgotten: int = 0
    people_asked: dict[str, int] = Field(default_factory=dict)
    rows: dict[str, int] = Field(default_factory=dict)
    golds: int = 1
    seeds: int = 1
    attacks: tuple[str, ...] = ()
    not_run: tuple[str, ...] = NOT_RUN
