"""Names the kinds of head of a classifier."""

from __future__ import annotations

from typing import Literal

#: Linear layer of the stock class; CLEAR's additive margin; the same over a linear layer.
Head = Literal["linear", "additive_margin", "projected_margin"]
