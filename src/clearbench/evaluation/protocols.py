"""Named, versioned sets of aggregates over the per-row metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clearbench.errors import RecipeError, did_you_mean
from clearbench.evaluation.score import Score

Values = Mapping[str, float]


def harmonic_mean(numbers: list[float]) -> float:
    """The harmonic mean; 0 when any number is 0."""
    if any(number <= 0 for number in numbers):
        return 0.0
    return len(numbers) / sum(1 / number for number in numbers)


@dataclass(frozen=True)
class Protocol:
    """What a published table computes.

    Attributes:
        name: As in a recipe.
        version: Raised when a number changes its meaning.
        shows: What it is, in one sentence.
        parts: By aggregate key, the score keys whose harmonic mean it is.
    """

    name: str
    version: int
    shows: str
    parts: Mapping[str, tuple[str, ...]]

    def aggregates(self, scores: Values) -> dict[str, Score]:
        """The aggregates whose every part is there."""
        found = {}
        for key, parts in self.parts.items():
            if all(part in scores for part in parts):
                found[key] = Score(
                    value=harmonic_mean([scores[part] for part in parts]),
                    n=len(parts),
                    clusters=len(parts),
                    direction="gold" if "forget" in key else "up",
                    version=self.version,
                )
        return found


def _cells(splits: tuple[str, ...], track: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{split}.{track}.{name}" for split in splits for name in names)


_TEXT_REAL = ("real_authors", "real_world")
_THREE = ("rouge_l", "probability", "truth_ratio")
_TWO = ("probability", "truth_ratio")
_NAMES = ("name_probability", "name_truth_ratio")

CLEAR = Protocol(
    name="clear",
    version=1,
    shows="CLEAR as its paper defines it, with every defect of the published code mended",
    parts={
        "all.text.model_utility": _cells(("retain", *_TEXT_REAL), "text", _THREE),
        "all.text.clear_real": _cells(_TEXT_REAL, "text", _TWO),
        "all.text.clear_retain": _cells(("retain",), "text", _TWO),
        "all.text.clear_forget": _cells(("forget",), "text", _THREE),
        "all.text.clear_real_paper": _cells(_TEXT_REAL, "text", _THREE),
        "all.text.clear_retain_paper": _cells(("retain",), "text", _THREE),
        "all.text.clear_forget_paper": _cells(("forget",), "text", _THREE),
        "all.image.model_utility": (
            *_cells(("retain",), "image", _THREE),
            "real_faces.image.probability",
            "real_faces.image.name_truth_ratio",
            "real_faces.image.name_rouge_l",
            *_cells(("real_world",), "image", _THREE),
        ),
        "all.image.clear_real": (
            "real_faces.image.probability",
            "real_faces.image.name_truth_ratio",
            *_cells(("real_world",), "image", _TWO),
        ),
        "all.image.clear_retain": _cells(("retain",), "image", (*_TWO, *_NAMES)),
        "all.image.clear_forget": _cells(("forget",), "image", (*_TWO, *_NAMES)),
        "all.image.clear_real_paper": (
            "real_faces.image.probability",
            "real_faces.image.name_truth_ratio",
            "real_faces.image.name_rouge_l",
            *_cells(("real_world",), "image", _THREE),
        ),
        "all.image.clear_retain_paper": _cells(("retain",), "image", _THREE),
        "all.image.clear_forget_paper": _cells(("forget",), "image", _THREE),
    },
)

_PROTOCOLS = {each.name: each for each in (CLEAR,)}


def protocols() -> dict[str, Protocol]:
    """Every protocol by name."""
    return dict(_PROTOCOLS)


def protocol(name: str) -> Protocol:
    """A protocol by name."""
    if name not in _PROTOCOLS:
        raise RecipeError(f"unknown protocol '{name}'", "protocol", did_you_mean(name, _PROTOCOLS))
    return _PROTOCOLS[name]
