"""Names the files of a run's folder besides results, details and stages."""

from __future__ import annotations

RECIPE, PAGE = "recipe.yaml", "report.html"
