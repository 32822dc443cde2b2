"""Groups the rows of a run for comparison: one kind of model, one request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from clearbench.data.modality import modalities, tracks_of
from clearbench.evaluation.verdict.verdict import Verdict
from clearbench.report.private import without_paths
from clearbench.report.words import label, method_label, model_name, shown
from clearbench.runs.schema import AnyRow, CombinedRow, Results, Row, Wording


@dataclass(frozen=True)
class Group:
    """Compared runs: one kind of model that was to forget the same things, and its anchors.

    Attributes:
        golds: Models retrained without the forgotten people; the first is the reference.
        note: Words that distinguish it from groups of other shares.
        gaps: Largest distance between golds, by score key.
        wording: Words of methods and scores.
    """

    model: str
    modality: str
    original: AnyRow | None
    golds: tuple[AnyRow, ...]
    runs: tuple[AnyRow, ...]
    note: str = ""
    gaps: Mapping[str, float] = field(default_factory=dict)
    wording: Wording = field(default_factory=Wording)

    @property
    def key(self) -> str:
        """Name for use inside the page."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.model}-{self.modality}{self.note}".lower())

    @property
    def gold(self) -> AnyRow | None:
        """First gold, the reference."""
        return self.golds[0] if self.golds else None

    @property
    def title(self) -> str:
        """Kind of model and what it was to forget, in words."""
        known = modalities()
        nouns = (known[name].noun if name in known else name for name in self.tracks)
        return f"{model_name(self.model)} · {' and '.join(nouns)}{self.note}"

    @property
    def tracks(self) -> tuple[str, ...]:
        """Tracks the group is judged on."""
        return tracks_of(self.modality)

    @property
    def anchors(self) -> tuple[AnyRow, ...]:
        """Original and every gold, as far as they exist."""
        return (*((self.original,) if self.original else ()), *self.golds)

    @property
    def everything(self) -> tuple[AnyRow, ...]:
        """Golds, original and every run."""
        return (*self.golds, *((self.original,) if self.original else ()), *self.runs)

    def measured(self, key: str) -> bool:
        """Whether any run or anchor has a score."""
        return any(run.value(key) is not None for run in self.everything)

    @property
    def seeds(self) -> int:
        """Number of seeds of each row."""
        counts = (len(run.seeds) for run in self.runs if isinstance(run, CombinedRow))
        return max(counts, default=1)

    def verdict(self, run: AnyRow) -> Verdict | None:
        """Returns the verdict on a run by what this group was to forget; None where there is none.

        An anchor is judged on all that its model reads, and here on this group's part of it.
        """
        return None if run.verdict is None else run.verdict.on(self.modality, self.wording.titles)

    @property
    def null_distance(self) -> float | None:
        """Distance to gold of the farthest other gold; None with one gold."""
        verdicts = [self.verdict(gold) for gold in self.golds[1:]]
        found = [v.distance for v in verdicts if v is not None and v.distance is not None]
        return max(found, default=None)


def groups(results: Results, wording: Wording) -> tuple[Group, ...]:
    """Groups runs by kind of model, modality and forgotten share, in the order of the results.

    Where there were several seeds, the rows are those over the seeds.

    Args:
        results: Results of a run.
        wording: Words of its methods and scores.
    """
    rows: Sequence[AnyRow] = results.combined or results.rows
    tried = [row for row in rows if not row.is_anchor]
    keys = dict.fromkeys((row.model, row.modality, row.share) for row in tried)
    several = len({share for *_, share in keys}) > 1
    return tuple(
        replace(
            _group(results, rows, [row for row in tried if _key(row) == key], several),
            wording=wording,
        )
        for key in keys
    )


def _key(row: AnyRow) -> tuple[str, str, float]:
    return row.model, row.modality, row.share


def _group(
    results: Results, rows: Sequence[AnyRow], runs: Sequence[AnyRow], several_shares: bool
) -> Group:
    model, modality, share = _key(runs[0])
    same = [row for row in rows if row.model == model]
    golds = tuple(row for row in same if row.method == "gold")
    golds = tuple(gold for gold in golds if gold.share == share) or golds
    gaps = (results.null_gaps(gold.id) for gold in golds)
    return Group(
        model,
        modality,
        next((row for row in same if row.method == "original"), None),
        golds,
        tuple(runs),
        f" · share {share}" if several_shares else "",
        next((gap for gap in gaps if gap), {}),
    )


def run_label(run: AnyRow, group: Group) -> str:
    """Writes a run's method, and what distinguishes it from the group's other runs of that method.

    Args:
        run: Run, one of the group's or of a seed of one.
        group: Compared runs.
    """
    twins = [twin for twin in group.runs if twin.method == run.method and twin.id != run.id]
    words = [method_label(run.method, group.wording)]
    own, others = _settings(run), [_settings(twin) for twin in twins]
    words += [
        f"{label(key).lower()} {shown(value)}"
        for key, value in own.items()
        if value is not None and any(other.get(key) != value for other in others)
    ]
    if any(twin.share != run.share for twin in twins):
        words.append(f"share {run.share}")
    if any(twin.first_seed != run.first_seed for twin in twins):
        words.append(f"seed {run.first_seed}")
    return ", ".join(words)


def _settings(run: AnyRow) -> dict[str, Any]:
    """Returns everything that is set in a run, by name."""
    training = run.training.model_dump(mode="json")
    return run.variant.model_dump(mode="json") | run.hyperparameters | training


def curve_row(results: Results, run: AnyRow) -> Row | None:
    """Finds the single run whose training is drawn for a row: itself, or the first of its seeds."""
    return run if isinstance(run, Row) else results.row(run.id)


def settings_line(run: AnyRow) -> str:
    """Writes a run's variant, hyper-parameters and training settings on one line."""
    training = run.training.model_dump(mode="json", exclude_defaults=True)
    settings = run.variant.model_dump(mode="json") | run.hyperparameters | training
    return ", ".join(
        f"{label(key).lower()} {without_paths(shown(value))}"
        for key, value in settings.items()
        if value is not None
    )
