"""Defines one published defect."""

from __future__ import annotations

from dataclasses import dataclass

#: Pair of protocol and score key.
Shown = tuple[str, str]


@dataclass(frozen=True)
class Erratum:
    """One defect of published code or tables.

    Attributes:
        id: Number, stable for ever.
        where: Project and file.
        does: Behaviour of the published code.
        right: Behaviour that is right, and what we do.
        carried_by: Protocols that reproduce it; none where nobody should.
        shown: Pairs of (protocol, key) as published and as right, whose values on a real log show
            the effect.
        effect: Effect in words, where a log of answers cannot show it.
    """

    id: str
    where: str
    does: str
    right: str
    carried_by: tuple[str, ...] = ()
    shown: tuple[tuple[Shown, Shown], ...] = ()
    effect: str = ""


def same_key(key: str, published: str, right: str = "clear") -> tuple[Shown, Shown]:
    """Pairs one key under the protocol that carries a defect with the same under the right one."""
    return (published, key), (right, key)
