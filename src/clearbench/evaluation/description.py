"""Defines what is said of a metric or an attack in tables and lists."""

from __future__ import annotations

from dataclasses import dataclass

from clearbench.evaluation.score import Range


@dataclass(frozen=True)
class Description:
    """Title, group and meaning of a configured metric or attack, for tables and lists.

    Attributes:
        key: Last part of its score keys.
        title: Name in print.
        group: Heading under which a page lists it.
        shows: Paragraph on what it shows and what it does not.
        erratum: Published defect that it reproduces; empty for a right one.
    """

    key: str
    title: str
    group: str
    shows: str
    paper: str
    erratum: str
    range: Range
    version: int
