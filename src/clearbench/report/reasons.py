"""Explains why a run passed or not, in words."""

from __future__ import annotations

from clearbench.evaluation.verdict import Verdict
from clearbench.report.measures import measure, measures
from clearbench.report.private import without_paths
from clearbench.runs.schema import AnyRow

#: Ending of the remark on scores inside the null band.
AS_RETRAINED = "indistinguishable from retraining"
#: Beginning of the remark on scores beyond gold.
WENT_PAST = "went past gold on"
_LONGEST = 240


def why(run: AnyRow, verdict: Verdict | None) -> str:
    """Explains a run's outcome in plain words, the gravest reason first."""
    if verdict is None:
        text = " ".join(without_paths(run.reason or "no reason was recorded").split())
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    reasons = _reasons(verdict) or ["forgot, and kept the rest"]
    same = [key for key, inside in verdict.indistinguishable.items() if inside]
    if same:
        reasons.append(f"{measures(same)}: {AS_RETRAINED}")
    return "; ".join(reasons)


def _reasons(verdict: Verdict) -> list[str]:
    still = [key for key, nearer in verdict.nearer_to_gold.items() if not nearer]
    past = [key for key, over in verdict.overshoot.items() if over]
    reasons = []
    if verdict.missing:
        reasons.append(f"not measured: {', '.join(verdict.missing)}")
    if not verdict.garbage_ok:
        reasons.append("answers are garbled")
    if still:
        reasons.append(f"still nearer to the original on {measures(still)}")
    if verdict.damaged:
        reasons.append(_damage(verdict))
    if past:
        reasons.append(f"{WENT_PAST} {measures(past)}")
    return reasons


def _damage(verdict: Verdict) -> str:
    worst = min(verdict.damaged, key=lambda key: verdict.kept[key])
    left = f"{measure(worst)} ({verdict.kept[worst]:.0%} left)"
    others = len(verdict.damaged) - 1
    return f"damaged {left}" + (f" and {others} more" if others else "")
