"""Names the kinds of head of a classifier, and what shadow models of one train and write."""

from __future__ import annotations

from typing import Literal

#: Linear layer of the stock class; CLEAR's additive margin; the same over a linear layer.
Head = Literal["linear", "additive_margin", "projected_margin"]
#: Head of the classifiers whose frozen backbone shadow heads are on, and the part that they train.
SHADOW_HEAD: Head = "projected_margin"
SHADOW_PARTS = ("projector",)
#: File of the stacked weights of many heads.
WEIGHTS = "heads.safetensors"
