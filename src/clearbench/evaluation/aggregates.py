"""Aggregates of the protocols: harmonic means of scores, described like metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clearbench.evaluation.description import Description
from clearbench.evaluation.protocol import Protocol
from clearbench.evaluation.protocols import protocols
from clearbench.evaluation.score import Direction


@dataclass(frozen=True)
class Aggregate:
    """A number made of scores, which each protocol lists in `parts`.

    Attributes:
        name: Last part of its keys, `all.<track>.<name>`.
        title: Name in print.
        direction: Direction in which it is better: `up`, or `gold` for gold's value.
        shows: Paragraph on what it shows and what it does not.
    """

    name: str
    title: str
    direction: Direction
    paper: str
    shows: str

    @property
    def description(self) -> Description:
        """Description in the form of a metric's."""
        return Description(
            key=self.name,
            title=self.title,
            group="Aggregates",
            shows=self.shows,
            paper=self.paper,
            erratum="",
            range=(0.0, 1.0),
            version=max(chosen.version for chosen, _ in self.versions()),
        )

    def versions(self) -> Iterator[tuple[Protocol, dict[str, tuple[str, ...]]]]:
        """Yields the protocols that have it, each with its keys and their parts."""
        for chosen in protocols().values():
            parts = {k: v for k, v in chosen.parts.items() if k.rpartition(".")[2] == self.name}
            if parts:
                yield chosen, parts


_CLEAR = "CLEAR, arXiv 2410.18057"
_FORGET = (
    "How much of the forgotten people is left, in one number. It holds the truth ratio, which "
    "rises when a model forgets well and falls again past gold (errata E79), so neither more nor "
    "less is better: hold it against gold's and read the parts."
)

AGGREGATES = (
    Aggregate(
        "model_utility",
        "Model utility",
        "up",
        "TOFU, arXiv 2401.06121",
        "What is left of all that nobody asked to forget: harmonic mean of ROUGE, probability and "
        "truth ratio on retained people, famous people and the world. One part near 0 pulls all of "
        "it down; two models of one utility may have lost different things.",
    ),
    Aggregate(
        "clear_real",
        "CLEAR's real",
        "up",
        _CLEAR,
        "What is left of famous people and the world, without ROUGE, as CLEAR's tables were "
        "computed (errata E03, E04: which parts CLEAR's code averages).",
    ),
    Aggregate(
        "clear_retain",
        "CLEAR's retain",
        "up",
        _CLEAR,
        "What is left of the retained people, without ROUGE, as CLEAR's tables were computed "
        "(errata E03, E04: which parts CLEAR's code averages).",
    ),
    Aggregate(
        "clear_forget",
        "CLEAR's forget",
        "gold",
        _CLEAR,
        f"As CLEAR's tables were computed. {_FORGET}",
    ),
    Aggregate(
        "clear_real_paper",
        "CLEAR's real, as the paper writes",
        "up",
        _CLEAR,
        "What is left of famous people and the world: harmonic mean of ROUGE, probability and "
        "truth ratio, as CLEAR's paper writes.",
    ),
    Aggregate(
        "clear_retain_paper",
        "CLEAR's retain, as the paper writes",
        "up",
        _CLEAR,
        "What is left of the retained people: harmonic mean of ROUGE, probability and truth ratio, "
        "as CLEAR's paper writes.",
    ),
    Aggregate(
        "clear_forget_paper",
        "CLEAR's forget, as the paper writes",
        "gold",
        _CLEAR,
        f"As CLEAR's paper writes. {_FORGET}",
    ),
)
