"""Names the kinds of model."""

from __future__ import annotations

from typing import Literal

Kind = Literal["language", "vision-language", "classifier"]
