"""Names the colours of methods and anchors in figures and tables."""

from __future__ import annotations

from collections.abc import Sequence

#: Okabe and Ito's colours, then Tol's: distinct under every common kind of colour vision.
PALETTE = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9"),
    *("#7a68c2", "#a0446b", "#8a8a2a", "#44aa99", "#a6611a"),
)
GOLD, ORIGINAL = "#c8930c", "#7d8590"


def colours(methods: Sequence[str]) -> dict[str, str]:
    """Assigns one colour per method, the same in every figure."""
    palette = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(methods)}
    return {**palette, "gold": GOLD, "original": ORIGINAL}
