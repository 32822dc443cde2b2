"""Builds the rows of the main table: judged scores, distance to gold, and every outcome."""

from __future__ import annotations

from dataclasses import dataclass

from clearbench.evaluation.score import Score
from clearbench.evaluation.verdict.judged import shown_keys
from clearbench.evaluation.verdict.verdict import Verdict
from clearbench.report.groups import Group, run_label
from clearbench.report.measures import CONTROLS
from clearbench.report.private import without_paths
from clearbench.runs.schema import AnyRow

_CARRIED = (
    *("forget.text.probability", "forget.image.probability"),
    *("forget.text.letter_choice", "forget.image.letter_choice"),
)
_ANCHOR_NAMES = {"original": "Original", "gold": "Gold"}
_ORDER = {"forgot": 0, "undecided": 1, "did not": 2, "not judged": 3, "diverged": 4, "failed": 5}
#: Number of reasons beside a word; the details of the verdict have them all.
_REASONS = 2
#: Longest reason of a run that did not end well.
_LONGEST = 240


@dataclass(frozen=True)
class Cell:
    """A score with gold's and the original's value, for a small drawing on a line from 0 to 1.

    Attributes:
        score: Score of the run; None where it was not measured.
        gap: Largest distance between two golds; None with one gold.
        judged: True if the run was to forget it; False for carry-over.
    """

    score: Score | None
    gold: float | None
    original: float | None
    gap: float | None = None
    judged: bool = True

    @property
    def null_band(self) -> tuple[float, float] | None:
        """Range of scores that are as near to gold as another gold."""
        if self.gold is None or self.gap is None:
            return None
        return self.gold - self.gap, self.gold + self.gap

    @property
    def value(self) -> float | None:
        """Value of the score."""
        return self.score.value if self.score else None

    @property
    def chance(self) -> float | None:
        """Score of guessing, where one of several options is chosen."""
        return self.score.chance if self.score else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval, if there is one."""
        return interval(self.score)


@dataclass(frozen=True)
class TableRow:
    """One row of the main table.

    Attributes:
        kind: Kind `gold`, `original` or `method`.
        outcome: Word of the verdict, `diverged`, `failed` or `not judged`.
        why: Explanation of the outcome in plain words.
        retrained: True for retraining, which is gold by another name and no method's success.
    """

    name: str
    kind: str
    run: AnyRow
    cells: tuple[Cell, ...]
    verdict: Verdict | None
    outcome: str = ""
    why: str = ""
    retrained: bool = False

    @property
    def distance(self) -> float | None:
        """Distance to gold: 0 is gold, 1 is the original."""
        return self.verdict.distance if self.verdict else None

    @property
    def kept(self) -> float | None:
        """Smallest share of the original's ability that is left."""
        ratios = self.verdict.kept.values() if self.verdict else ()
        return min(ratios, default=None)


def interval(score: Score | None) -> tuple[float, float] | None:
    """Returns the 95 % interval of a score, if there is one."""
    if score is None or score.low is None or score.high is None:
        return None
    return score.low, score.high


def columns(group: Group) -> tuple[str, ...]:
    """Lists the scores shown for a group: what was to be forgotten, carry-over, controls."""
    judged = shown_keys(group.modality, group.model)
    carried = [key for key in _CARRIED if key not in judged and group.model != "classifier"]
    controlled = [f"{key}{control}" for key in judged for control in CONTROLS]
    measured = [
        key
        for key in (*carried, *controlled)
        if any(run.value(key) is not None for run in group.runs)
    ]
    return (*judged, *measured)


def main_table(group: Group) -> tuple[TableRow, ...]:
    """Lists gold and original first, then every run, by its word and its distance to gold."""
    anchors = [*group.golds, *((group.original,) if group.original else ())]
    rows = [_row(group, run) for run in group.runs]
    rows.sort(key=lambda row: (_ORDER[row.outcome], row.distance is None, row.distance or 0.0))
    return (*(_row(group, run) for run in anchors), *rows)


def outcome_of(run: AnyRow, verdict: Verdict | None) -> str:
    """Words the end of a run, in one or two words."""
    if verdict is None:
        return "not judged" if run.ok else run.status
    return verdict.word


def why(run: AnyRow, verdict: Verdict | None) -> str:
    """Explains a run's outcome in plain words, what failed first."""
    if verdict is not None:
        first, others = verdict.reasons[:_REASONS], verdict.reasons[_REASONS:]
        return "; ".join([*first, *([f"and {len(others)} more"] if others else [])])
    text = " ".join(without_paths(run.reason or "no reason was recorded").split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def row_name(group: Group, run: AnyRow) -> str:
    """Names a row within its group."""
    if not run.is_anchor:
        return run_label(run, group)
    twin = run.method == "gold" and run is not group.gold
    name = _ANCHOR_NAMES[run.method]
    return f"{name}, seed {run.first_seed}" if twin else name


def _row(group: Group, run: AnyRow) -> TableRow:
    cells = tuple(_cell(group, run, key) for key in columns(group))
    verdict = group.verdict(run) if run.ok else None
    name = row_name(group, run)
    outcome = outcome_of(run, verdict)
    if run.is_anchor:
        return TableRow(name, run.method, run, cells, verdict, outcome, why(run, verdict))
    retrained = group.wording.retrains(run.method)
    return TableRow(name, "method", run, cells, verdict, outcome, why(run, verdict), retrained)


def _cell(group: Group, run: AnyRow, key: str) -> Cell:
    gold, original = (row.value(key) if row else None for row in (group.gold, group.original))
    judged = key in shown_keys(group.modality, group.model)
    return Cell(run.scores.get(key), gold, original, group.gaps.get(key), judged)
