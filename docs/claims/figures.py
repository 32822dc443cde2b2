"""Computes the few figures of a run that claims are judged by, and their means over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from scipy import stats

from clearbench.evaluation.score import Score
from clearbench.runs.schema import Results, Row

#: Smallest gap between original and gold that distances are divided by; smaller ones are noise.
LEAST_GAP = 0.01
#: What the forgotten people are judged by, on each track.
FORGOTTEN = {
    "text": ("forget.text.probability",),
    "image": ("forget.image.probability", "forget.image.name_choice"),
}
#: The retain set; a run keeps the least ratio to the original's score.
RETAINED = (
    "retain.text.probability",
    "retain.text.rouge_l",
    "retain.image.probability",
    "retain.image.rouge_l",
    "retain.image.name_choice",
)
#: As CLEAR calls them.
NAMES = {
    "gradient_ascent": "GA",
    "gradient_difference": "GD",
    "kl_minimization": "KL",
    "retain_finetune": "Retain FT",
}
#: Figures are kept to so many decimals; smaller differences are none.
DECIMALS = 4
#: Fewer seeds than this give no interval.
MIN_SEEDS = 3

Values = tuple[float, ...]
#: Reads from a row the values that tell the settings of a recipe apart.
About = Callable[[Row], dict[str, Any]]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % interval, infinite under three seeds."""

    mean: float
    low: float
    high: float

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval is."""
        return round(self.low, DECIMALS) > 0

    @property
    def below_zero(self) -> bool:
        """Whether the whole interval is."""
        return round(self.high, DECIMALS) < 0


def name_of(method: str) -> str:
    """As CLEAR's tables call a method."""
    return NAMES.get(method, method.upper())


def scientific(value: float) -> str:
    """A rate or a strength: 1.5e-3."""
    return f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-")


def penalty(setting: Setting) -> str:
    """What a setting's L1 penalty is called: sum 1e-2."""
    strength = setting.about["strength"]
    return f"{setting.about['reduce']} {scientific(strength)}" if strength else "none"


def over_seeds(values: Sequence[float]) -> Estimate:
    """The mean and its t interval: other trainings of these people, not other people."""
    mean, count = fmean(values), len(values)
    if count < MIN_SEEDS:
        return Estimate(mean, -math.inf, math.inf)
    reach = float(stats.t.ppf(0.975, count - 1)) * stdev(values) / math.sqrt(count)
    return Estimate(mean, mean - reach, mean + reach)


@dataclass(frozen=True)
class Setting:
    """One setting of a recipe.

    Attributes:
        about: Values that tell it from the others.
        figures: By name, a value for each seed.
        diverged: Number of seeds that diverged.
        words: Word of each seed's verdict (docs/verdict.md); `diverged` where it has none.
    """

    about: Mapping[str, Any]
    figures: Mapping[str, Values]
    diverged: int = 0
    words: tuple[str, ...] = ()

    def values(self, name: str) -> Values:
        """A figure for each seed; `forgotten` and `distance` are means over the tracks."""
        if name in self.figures:
            return self.figures[name]
        tracks = (self.figures[f"{name}.{track}"] for track in FORGOTTEN)
        return tuple(fmean(both) for both in zip(*tracks, strict=True))

    def estimate(self, name: str) -> Estimate:
        """A figure over seeds."""
        return over_seeds(self.values(name))

    def less(self, other: Setting, name: str) -> Estimate:
        """This setting's figure minus another's, seed by seed."""
        pairs = zip(self.values(name), other.values(name), strict=True)
        return over_seeds([ours - theirs for ours, theirs in pairs])


@dataclass(frozen=True)
class Measured:
    """The figures of a recipe's run, as docs/claims.json holds them.

    Attributes:
        seeds: Seeds of the trainings.
        steps: Steps of every run.
        gold: The same figures of the retrained model.
        fixed: Commit since which the rules and the recipe are as they were run, and its date.
    """

    seeds: tuple[int, ...]
    steps: int
    gold: Setting
    settings: tuple[Setting, ...]
    fixed: str = ""

    def find(self, **about: Any) -> Setting:
        """The setting of which all this is true."""
        return next(self.all(**about))

    def all(self, **about: Any) -> Iterator[Setting]:
        """Every setting of which all this is true."""
        wanted = about.items()
        return (setting for setting in self.settings if wanted <= setting.about.items())

    def taken(self, name: str) -> list[Any]:
        """The values that a key takes over the settings, in their order."""
        return list(dict.fromkeys(setting.about[name] for setting in self.settings))

    def json(self) -> dict[str, Any]:
        """As plain content."""
        return {
            "fixed": self.fixed,
            "seeds": list(self.seeds),
            "steps": self.steps,
            "gold": self.gold.figures,
            "settings": [
                {
                    **setting.about,
                    "figures": setting.figures,
                    "diverged": setting.diverged,
                    "words": list(setting.words),
                }
                for setting in self.settings
            ],
        }


def from_json(content: Mapping[str, Any]) -> Measured:
    """Reads figures from plain content."""
    settings = [dict(entry) for entry in content["settings"]]
    return Measured(
        seeds=tuple(content["seeds"]),
        steps=content["steps"],
        gold=Setting({}, _tuples(content["gold"])),
        settings=tuple(
            Setting(
                figures=_tuples(entry.pop("figures")),
                diverged=entry.pop("diverged"),
                words=tuple(entry.pop("words")),
                about=entry,
            )
            for entry in settings
        ),
        fixed=content["fixed"],
    )


def _tuples(figures: Mapping[str, Sequence[float]]) -> dict[str, Values]:
    return {name: tuple(values) for name, values in figures.items()}


def measured(results: Results, about: About) -> Measured:
    """Computes the figures of every setting, its seeds side by side.

    Raises:
        SystemExit: A run failed, or a setting lacks a seed.
    """
    groups: dict[str, list[Row]] = {}
    for row in results.rows:
        if row.status == "failed":
            raise SystemExit(f"{row.id} failed: run the recipe again")
        if not row.is_anchor:
            groups.setdefault(repr(about(row)), []).append(row)
    rows = {row.id: row for row in results.rows}
    tried = [row for group in groups.values() for row in group]
    golds = [rows[id] for id in dict.fromkeys(row.gold for row in tried)]
    seeds = tuple(gold.seed for gold in golds)
    settings = [_setting(group, about(group[0]), rows) for group in groups.values()]
    for setting, group in zip(settings, groups.values(), strict=True):
        if tuple(row.seed for row in group) != seeds:
            raise SystemExit(f"{dict(setting.about)} does not have each of the seeds {seeds} once")
    steps = max(row.training.steps for row in tried)
    return Measured(seeds, steps, _setting(golds, {}, rows), tuple(settings))


def _setting(group: Sequence[Row], about: Mapping[str, Any], rows: Mapping[str, Row]) -> Setting:
    by_seed = [figures(row, rows[row.gold]) for row in group]
    joined = {name: tuple(seed[name] for seed in by_seed) for name in by_seed[0]}
    diverged = sum(row.status == "diverged" for row in group)
    words = tuple(_word(row) for row in group if not row.is_anchor)
    return Setting(about, joined, diverged, words)


def _word(row: Row) -> str:
    """The word of a run's verdict."""
    if not row.ok:
        return row.status
    if row.verdict is None:
        raise SystemExit(f"{row.id} has no verdict: run the recipe again")
    return row.verdict.word


def figures(row: Row, gold: Row) -> dict[str, float]:
    """Computes the figures of one run. A diverged one left no model: all its scores count as 0.

    Returns:
        `distance.TRACK` to gold: 0 is gold, 1 the original; `forgotten.TRACK`: the share of the way
        from the original to gold, 1 also past it; `ks.TRACK`: the p-value of forget quality;
        `kept`: the retain set; `garbage`: the share of such answers, on the worse track.
    """

    def read(key: str, default: float) -> float:
        return row.scores[key].value if row.ok else default

    numbers: dict[str, float] = {}
    for track, keys in FORGOTTEN.items():
        ways = [_way(read(key, 0.0), gold.scores[key]) for key in keys]
        numbers[f"distance.{track}"] = fmean(abs(1 - way) for way in ways)
        numbers[f"forgotten.{track}"] = fmean(min(way, 1.0) for way in ways)
        numbers[f"ks.{track}"] = read(f"forget.{track}.forget_quality", 0.0)
    numbers["kept"] = min(read(key, 0.0) / _original(gold.scores[key]) for key in RETAINED)
    numbers["garbage"] = max(read(f"forget.{track}.garbage_rate", 1.0) for track in FORGOTTEN)
    return {name: float(f"{value:.4g}") for name, value in numbers.items()}


def _original(gold: Score) -> float:
    if gold.original is None:
        raise SystemExit("gold's scores are without the original's: run the recipe again")
    return gold.original


def _way(value: float, gold: Score) -> float:
    """The share of the way from the original's value to gold's, of gold's score."""
    original = _original(gold)
    gap = original - gold.value
    return (original - value) / math.copysign(max(abs(gap), LEAST_GAP), gap)
