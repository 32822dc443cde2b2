"""What cannot be concluded is said once for each modality, with its name."""

from __future__ import annotations

import pytest

from clearbench.audit.conclusion import limits
from clearbench.audit.evidence import Evidence
from clearbench.audit.schema import Finding, Number


def finding(topic: str, track: str, detectable: float) -> Finding:
    numbers = tuple(
        Number(name=name, value=0.0, people=6, detectable=detectable)
        for name in ("first", "second")
    )
    return Finding.model_validate(
        {"topic": topic, "track": track, "word": "none", "sentence": "None.", "numbers": numbers}
    )


@pytest.mark.parametrize(
    ("tracks", "begins"),
    [
        (("text",), ["With 6 people, a difference smaller than 40 points between what it tells"]),
        (
            ("text", "image"),
            [
                "Text: with 6 people, a difference smaller than 40 points",
                "Pictures: with 6 people, a difference smaller than 40 points",
            ],
        ),
    ],
)
def test_weak_power_is_said_with_its_modality(tracks: tuple[str, ...], begins: list[str]) -> None:
    evidence = Evidence({}, tracks, "vision-language", gold=True, original=True, people=6)
    findings = [finding("told", track, 0.4) for track in tracks]
    said = [line for line in limits(evidence, findings, {}) if "smaller than" in line]
    assert [line[: len(first)] for line, first in zip(said, begins, strict=True)] == begins
    assert not [
        line
        for line in limits(evidence, [finding("told", "text", 0.1)], {})
        if "smaller than" in line
    ]
