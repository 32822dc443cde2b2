"""Side effects come out of `clearbench run` and stand in its report."""

from __future__ import annotations

import json
from pathlib import Path

from clearbench.evaluation.side_effects import STRANGER_ROWS

NAMES = {"over_refusal", "over_refusal_strangers", "false_recognition", "calibration_error",
         "kl_from_original"}  # fmt: skip


def test_every_row_has_what_its_kind_can_have(finished_run: Path) -> None:
    rows = json.loads((finished_run / "results.json").read_text())["rows"]
    for row in rows:
        found = {key for key in row["scores"] if key.startswith("side.")}
        if row["model"] == "classifier":
            assert found == {"side.image.calibration_error"}
            continue
        assert found == {
            f"side.{track}.{name}" for track in ("text", "image") for name in NAMES
        } | {"side.text.harmful_refusal"}
        kl = row["scores"]["side.text.kl_from_original"]
        assert kl["original"] == 0 and (kl["value"] == 0) == (row["method"] == "original")
        strangers = row["scores"]["side.text.false_recognition"]
        assert (strangers["n"], strangers["clusters"]) == (STRANGER_ROWS, 2)


def test_the_report_shows_them(finished_run: Path) -> None:
    page = (finished_run / "report.html").read_text()
    section = page[page.index('<section id="side">') : page.index('<section id="cost">')]
    assert "Takes strangers for somebody" in section and "KL from the original" in section
