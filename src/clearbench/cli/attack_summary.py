"""Says in words, tables and JSON what an attack gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clearbench.cli.output import say, show_paragraphs, show_table

if TYPE_CHECKING:
    from clearbench.attacks.base import Attack
    from clearbench.attacks.point import Point
    from clearbench.attacks.run import Attacked
    from clearbench.evaluation.score import Score

#: AUC and accuracy of an attack that tells nothing.
CHANCE = 0.5
_ALL = "--json, or pipe it through `cat`"


def as_json_value(chosen: Attack, found: Attacked, out: Path | None) -> dict[str, Any]:
    """Builds what `--json` says of an attack."""
    about = chosen.description
    return {
        "name": chosen.name,
        "key": chosen.score_key,
        "title": about.title,
        "shows": about.shows,
        "rows": len(found.table),
        "scores": {key: score.model_dump(mode="json") for key, score in found.scores.items()},
        "curves": {
            key: [point.model_dump(mode="json") for point in points]
            for key, points in found.curves.items()
        },
        "words": list(sentences(chosen, found)),
        "folder": None if out is None else str(out / chosen.score_key),
    }


def print_attacked(chosen: Attack, found: Attacked) -> None:
    """Prints what an attack shows, what was found in words, its scores and its levels."""
    about = chosen.description
    show_paragraphs(
        [(f"{about.title} ({chosen.score_key})", [about.shows, *sentences(chosen, found)])]
    )
    if found.scores:
        rows = [
            (key, f"{score.value:.4g}", _interval(score), str(score.n), *_beside(score))
            for key, score in sorted(found.scores.items())
        ]
        _show_filled(("score", "value", "95 %", "n", "gold", "original"), rows)
    for key, points in found.curves.items():
        _show_levels(key, points)


def _show_levels(key: str, points: Sequence[Point]) -> None:
    rows = [
        (
            point.level,
            _interval(point.value, whole=True),
            *(_number(score.value if score else None) for score in (point.gold, point.original)),
            "" if point.recovery is None else _interval(point.recovery, whole=True),
        )
        for point in points
    ]
    _show_filled((f"{key}: level", "knows", "gold", "original", "recovery"), rows)


def _show_filled(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table without its empty columns."""
    shown = [k for k in range(len(columns)) if any(row[k] for row in rows)]
    show_table(
        [columns[k] for k in shown],
        [[row[k] for k in shown] for row in rows],
        dropped_first=("n", "original", "95 %", "gold"),
        all_of_it=_ALL,
    )
    say("")


def sentences(chosen: Attack, found: Attacked) -> Iterator[str]:
    """Yields what was found in words."""
    from clearbench.attacks.membership import MembershipAttack

    if not found.scores and not found.curves:
        yield "Found: it gave no number on these rows."
    elif found.curves:
        yield from _survival(found.curves)
    elif isinstance(chosen, MembershipAttack):
        yield from _membership(found.scores)
    else:
        yield from _other(found.scores)


def _membership(scores: Mapping[str, Score]) -> Iterator[str]:
    for key, score in sorted(scores.items()):
        if not key.endswith("auc"):
            continue
        whose = "the shadow models'" if key.endswith("_method_auc") else "the model's"
        goal = CHANCE if score.gold is None else score.gold
        name = "a half, which is chance" if score.gold is None else f"gold's {goal:.2f}"
        told = f"Found on {key.split('.')[1]}: {whose} AUC is {_interval(score, whole=True)}"
        if score.low is None or score.high is None:
            yield f"{told}; with fewer than five people on a side nothing is sure."
        elif score.low <= goal <= score.high:
            yield f"{told}, not surely other than {name}: on these rows it shows no trace."
        else:
            yield (
                f"{told}, surely {'above' if score.value > goal else 'below'} {name}: it can be "
                "told that the people were in the training data."
            )
        if score.gold is None and whose == "the model's":
            yield (
                "Without gold (--reference) nobody can say whether the two groups of people would "
                "differ for a model that never met either."
            )


def _survival(curves: Mapping[str, Sequence[Point]]) -> Iterator[str]:
    for key, points in curves.items():
        track = key.split(".")[1]
        known = max(points, key=lambda point: point.value.value)
        back = [(point.recovery.value, point) for point in points if point.recovery is not None]
        if back:
            _, most = max(back, key=lambda pair: pair[0])
            place = "" if most.recovery is None else _interval(most.recovery, whole=True)
            yield (
                f"Found on {track}: most is back at '{most.level}', {place} of the way from gold "
                "(0) to the original (1), all attacked alike."
            )
        else:
            end = points[0]
            given = (("--reference", end.gold), ("--original", end.original))
            options = ", ".join(option for option, score in given if score is None)
            yield (
                f"Found on {track}: most of the people is known at '{known.level}', "
                f"{_interval(known.value, whole=True)}. How much of that came back cannot be said: "
                f"{end.why or 'no recovery'}{f' ({options})' if options else ''}."
            )


def _other(scores: Mapping[str, Score]) -> Iterator[str]:
    for key, score in sorted(scores.items()):
        beside = (
            "no gold was given (--reference)"
            if score.gold is None
            else (f"gold's is {score.gold:.3g}")
        )
        yield f"Found: {key} is {_interval(score, whole=True)}; {beside}."


def _interval(score: Score, *, whole: bool = False) -> str:
    """Writes an interval; as a whole, after the value."""
    known = score.low is not None and score.high is not None
    ends = f"{score.low:.3f} to {score.high:.3f}" if known else ""
    if not whole:
        return ends
    return f"{score.value:.3f} ({ends})" if ends else f"{score.value:.3f}"


def _beside(score: Score) -> tuple[str, str]:
    """Writes the values of gold and of the original."""
    return _number(score.gold), _number(score.original)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
