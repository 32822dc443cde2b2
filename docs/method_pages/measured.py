"""Chooses what the pages show of a run of all methods, and keeps it in docs/methods/measured.json.

A setting is one method on one kind of model for one modality; its runs differ in their seed only.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal

from claims.figures import Estimate, over_seeds
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from clearbench.evaluation.verdict.judged import shown_keys
from clearbench.evaluation.verdict.titles import metric_titles
from clearbench.evaluation.verdict.verdict import Verdict
from clearbench.evaluation.verdict.words import subject
from clearbench.runs.choose import shortfall
from clearbench.runs.schema import Cost, Results, Row
from clearbench.training.settings import TrainSettings

#: Rates about the forgotten people that are shown beside the scores, by the end of their key.
RATES = ("whole_truth", "near_truth", "garbage_rate")
#: In this order words are counted; the last three are those of runs without a verdict.
WORDS = ("forgot", "undecided", "did not", "not judged", "diverged", "failed")
#: The method that is gold, and gets neither word nor rank.
GOLD = "retrain"
DECIMALS = 6

#: A score of the run, of gold and of the original.
Three = tuple[float | None, float | None, float | None]


class Judged(BaseModel):
    """What is shown of a run that has a verdict.

    Attributes:
        shortfall: Distance plus twice the mean loss; None where no distance was measured.
        kept: Least ratio to the original among what must survive.
        failing: Titles of the tests that failed, in the verdict's order.
        scores: Scores and rates by key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    word: str
    shortfall: float | None
    distance: float | None
    kept: float | None
    failing: tuple[str, ...]
    scores: dict[str, Three]


class Run(BaseModel):
    """What is shown of one seed.

    Attributes:
        reason: Reason why it did not end well.
        judged: None where it diverged or failed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int
    status: Literal["ok", "diverged", "failed"]
    reason: str = ""
    cost: Cost
    judged: Judged | None = None

    @property
    def word(self) -> str:
        """The verdict's word, or how the run ended without one."""
        if self.judged is not None:
            return self.judged.word
        return "not judged" if self.status == "ok" else self.status

    @property
    def shortfall(self) -> float | None:
        """None where the run did not end well or no distance was measured."""
        return self.judged.shortfall if self.judged else None


class Setting(BaseModel):
    """What is shown of one method on one kind of model for one modality.

    Attributes:
        runs: One run a seed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    model: str
    modality: str
    hyperparameters: dict[str, float | int | str | bool] = Field(default_factory=dict)
    training: TrainSettings
    runs: tuple[Run, ...]

    @property
    def is_gold(self) -> bool:
        """Whether it is retraining."""
        return self.method == GOLD

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the runs."""
        return tuple(run.seed for run in self.runs)

    @property
    def words(self) -> str:
        """The words over the seeds: `undecided x2, did not x1`."""
        return counted(Counter(run.word for run in self.runs), "{word} x{count}")

    @property
    def shortfalls(self) -> tuple[float | None, ...]:
        """The shortfall of each seed."""
        return tuple(run.shortfall for run in self.runs)

    @property
    def judged(self) -> tuple[Judged, ...]:
        """The judged runs; none unless every seed has a shortfall, since means need them all."""
        found = tuple(run.judged for run in self.runs if run.judged and run.shortfall is not None)
        return found if len(found) == len(self.runs) else ()

    def estimate(self, name: Literal["shortfall", "distance"]) -> Estimate | None:
        """The mean over seeds with its 95 % interval, cut at 0; None unless all seeds have one."""
        values = [getattr(judged, name) for judged in self.judged]
        if not values:
            return None
        found = over_seeds(values)
        return Estimate(found.mean, max(0.0, found.low), found.high)

    @property
    def kept(self) -> float | None:
        """The least over the seeds."""
        kept = [judged.kept for judged in self.judged if judged.kept is not None]
        return min(kept, default=None)

    @property
    def seconds(self) -> float | None:
        """The mean time of training over the seeds."""
        known = [run.cost.seconds for run in self.runs if run.cost.seconds is not None]
        return fmean(known) if known else None

    @property
    def stopped(self) -> str:
        """Whether runs may stop early or are repaired: `no`, or what they do."""
        until = self.training.until
        if until is None:
            return "no"
        stops = any(share is not None for share in until.shares.values())
        parts = ["may stop"] * stops + [f"{until.repair} steps of repair"] * bool(until.repair)
        return ", ".join(parts) or "no"

    def scores(self, chosen: Callable[[str], bool]) -> dict[str, Three]:
        """The means over the seeds of the scores whose key is chosen."""
        keys = [key for key in self.judged[0].scores if chosen(key)] if self.judged else []
        return {key: self._three(key) for key in keys}

    def _three(self, key: str) -> Three:
        own = [judged.scores[key] for judged in self.judged if key in judged.scores]
        run, gold, original = (_mean(column, len(self.runs)) for column in zip(*own, strict=True))
        return run, gold, original


def _mean(values: Sequence[float | None], count: int) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == count else None


def counted(counts: Counter[str], form: str) -> str:
    """Writes how often each word was said, in the order of `WORDS`."""
    said = (word for word in WORDS if counts[word])
    return ", ".join(form.format(word=word, count=counts[word]) for word in said)


def measured(results: Results) -> tuple[Setting, ...]:
    """Chooses what is shown of each setting: its seeds' words, scores and costs, and the settings.

    Raises:
        SystemExit: A setting lacks a seed of the others, or a method has two settings.
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in results.rows:
        if not row.is_anchor:
            groups.setdefault((row.model, row.method, row.modality), []).append(row)
    settings = tuple(_setting(rows) for rows in groups.values())
    seeds = sorted({seed for setting in settings for seed in setting.seeds})
    for setting in settings:
        if list(setting.seeds) != seeds:
            name = f"{setting.method}, {setting.model}, {setting.modality}"
            raise SystemExit(f"{name}: does not have each of the seeds {seeds} once")
    return settings


def _setting(rows: Sequence[Row]) -> Setting:
    first = rows[0]
    return Setting(
        method=first.method,
        model=first.model,
        modality=first.modality,
        hyperparameters=first.hyperparameters,
        training=first.training,
        runs=tuple(_run(row) for row in sorted(rows, key=lambda row: row.seed)),
    )


def _run(row: Row) -> Run:
    cost = {k: round(v, 2) for k, v in row.cost.items().items() if not k.startswith("measuring_")}
    judged = _judged(row, row.verdict) if row.ok and row.verdict else None
    return Run(
        seed=row.seed, status=row.status, reason=row.reason, cost=Cost(**cost), judged=judged
    )


def _judged(row: Row, verdict: Verdict) -> Judged:
    return Judged(
        word=verdict.word,
        shortfall=rounded(shortfall(verdict)),
        distance=rounded(verdict.distance),
        kept=rounded(min(verdict.kept.values(), default=None)),
        failing=tuple(subject(finding, metric_titles()) for finding in verdict.of("fails")),
        scores=dict(_scores(row, verdict)),
    )


def _scores(row: Row, verdict: Verdict) -> Iterator[tuple[str, Three]]:
    """Yields the scores that stand for a run in tables, then the rates that its verdict names."""
    for key in shown_keys(row.modality, row.model):
        if key in row.scores:
            score = row.scores[key]
            yield key, (rounded(score.value), rounded(score.gold), rounded(score.original))
    for finding in verdict.findings:
        split, _, name = finding.key.split(".")
        if split == "forget" and name in RATES and finding.run is not None:
            yield finding.key, (
                rounded(finding.run), rounded(finding.gold), rounded(finding.original),
            )  # fmt: skip


def rounded(value: float | None) -> float | None:
    """Rounds a number to what is kept; None where there is none."""
    return None if value is None or not math.isfinite(value) else round(value, DECIMALS)


_KEPT = TypeAdapter(tuple[Setting, ...])


def dump(settings: Sequence[Setting], path: Path) -> None:
    """Writes settings as JSON, one a line."""
    content = _KEPT.dump_python(tuple(settings), mode="json", exclude_defaults=True)
    lines = ",\n".join(json.dumps(setting) for setting in content)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def load(path: Path) -> tuple[Setting, ...]:
    """Reads the settings of an earlier run; none without a file.

    Raises:
        SystemExit: The file is of an older form.
    """
    if not path.exists():
        return ()
    try:
        return _KEPT.validate_json(path.read_bytes())
    except ValidationError:
        again = "run recipes/all-methods.yaml, then: python docs/write_methods.py RUN"
        raise SystemExit(f"{path} is not what this version keeps; {again}") from None
