"""The report's tables as plain values: what stands in every cell, and the plain words beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clearbench.data.modality import modalities
from clearbench.evaluation.verdict import Verdict, judged_keys, must_keep
from clearbench.report.results import Group, Run, Score, label, run_label, shown, without_paths

_METRICS = {
    "probability": "probability",
    "name_choice": "name chosen",
    "name_choice_known": "name chosen",
    "rouge_l": "ROUGE-L",
    "mia_min_k_auc": "Min-K attack",
    "forget_quality": "forget quality (KS)",
    "forget_quality_js": "forget quality (JS)",
}
_NAMES = {
    "forget.text.probability": "Answer probability",
    "forget.image.probability": "Caption probability",
    "forget.image.name_probability": "Probability of the name",
    "forget.image.name_choice": "Right name chosen",
    "forget.image.name_choice_known": "Right name chosen",
    "forget.text.letter_choice": "Right letter given",
    "forget.image.letter_choice": "Right letter given for a picture",
    "retain.text.probability": "answers about others",
    "retain.image.probability": "captions of others",
    "retain.image.name_choice": "names of others",
    "retain.image.name_probability": "probability of others' names",
    "retain.image.name_choice_known": "names of others",
    "real_faces.image.probability": "well-known faces",
    "real_world.text.probability": "world facts",
}
_CARRIED = (
    *("forget.text.probability", "forget.image.probability"),
    *("forget.text.letter_choice", "forget.image.letter_choice"),
)
#: The end of a score's name under a control.
_CONTROLS = {"_blank": "blank picture", "_shuffled": "picture of another person"}
#: Side effects in the order of the report, by the last part of their keys.
SIDE_EFFECTS = {
    "over_refusal": "Declines for people who stay",
    "over_refusal_strangers": "Declines for strangers",
    "false_recognition": "Takes strangers for somebody",
    "calibration_error": "Calibration error",
    "kl_from_original": "KL from the original, nats",
    "harmful_refusal": "Declines harmful requests",
}
_RATES = {"garbage_rate": "garbled", "refusal_rate": "refused", "empty_rate": "empty"}
_LONGEST = 240
_AS_RETRAINED = "indistinguishable from retraining"
_ORIGIN = {"original": "Original", "gold": "Gold"}


@dataclass(frozen=True)
class Cell:
    """A score beside gold's and the original's, ready for a small drawing on a line from 0 to 1.

    Attributes:
        gap: The largest distance between two golds; None with one gold.
        judged: Whether the run is judged on it, rather than shown as carry-over.
    """

    score: Score
    gold: float | None
    original: float | None
    gap: float | None = None
    judged: bool = True

    @property
    def null_band(self) -> tuple[float, float] | None:
        """Where a score is as near to gold as another gold."""
        if self.gold is None or self.gap is None:
            return None
        return self.gold - self.gap, self.gold + self.gap

    @property
    def value(self) -> float | None:
        """The score itself."""
        return self.score.value

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval, if there is one."""
        low, high = self.score.low, self.score.high
        return None if low is None or high is None else (low, high)


@dataclass(frozen=True)
class TableRow:
    """One row of the main table.

    Attributes:
        kind: `gold`, `original` or `method`.
        outcome: `passed`, `not passed`, `diverged`, `failed`, or empty for anchors.
        why: The outcome in plain words.
    """

    name: str
    kind: str
    run: Run
    cells: tuple[Cell, ...]
    verdict: Verdict | None
    outcome: str = ""
    why: str = ""

    @property
    def distance(self) -> float | None:
        """Distance to gold: 0 is gold, 1 is the original."""
        return self.verdict.distance if self.verdict else None

    @property
    def null_distance(self) -> float | None:
        """The distance of gold to another gold; None with one gold."""
        return self.verdict.null_distance if self.verdict else None

    @property
    def kept(self) -> float | None:
        """The smallest share of the original's ability that is left."""
        ratios = self.verdict.kept.values() if self.verdict else ()
        return min(ratios, default=None)


def columns(group: Group) -> tuple[str, ...]:
    """The scores shown for a group: those it is judged on, the carry-over, then the controls."""
    judged = judged_keys(group.modality, group.model)
    carried = [key for key in _CARRIED if key not in judged and group.model != "classifier"]
    controlled = [f"{key}{control}" for key in judged for control in _CONTROLS]
    beside = [
        key
        for key in (*carried, *controlled)
        if any(run.value(key) is not None for run in group.runs)
    ]
    return (*judged, *beside)


def main_table(group: Group) -> tuple[TableRow, ...]:
    """Gold and original first, then every run, the best of those that passed on top."""
    anchors = [*group.golds, *((group.original,) if group.original else ())]
    rows = [_row(group, run) for run in group.runs]
    rows.sort(key=lambda row: (_ORDER[row.outcome], row.distance is None, row.distance or 0.0))
    return (*(_row(group, run) for run in anchors), *rows)


_ORDER = {"passed": 0, "not passed": 1, "diverged": 2, "failed": 3}


def _row(group: Group, run: Run) -> TableRow:
    cells = tuple(_cell(group, run, key) for key in columns(group))
    verdict = group.verdict(run) if run.ok else None
    if run.method in _ORIGIN:
        twin = run.method == "gold" and run is not group.gold
        name = f"{_ORIGIN[run.method]}, seed {run.seed}" if twin else _ORIGIN[run.method]
        return TableRow(name, run.method, run, cells, verdict)
    name = run_label(run, group.runs)
    return TableRow(name, "method", run, cells, verdict, _outcome(run, verdict), why(run, verdict))


def _cell(group: Group, run: Run, key: str) -> Cell:
    gold, original = (each.value(key) if each else None for each in (group.gold, group.original))
    judged = key in judged_keys(group.modality, group.model)
    return Cell(run.scores.get(key, Score()), gold, original, group.gaps.get(key), judged)


def _outcome(run: Run, verdict: Verdict | None) -> str:
    if verdict is None:
        return run.status if run.status in _ORDER else "failed"
    return "passed" if verdict.passed else "not passed"


def why(run: Run, verdict: Verdict | None) -> str:
    """A run's outcome in plain words, the gravest reason first."""
    if verdict is None:
        told = " ".join(without_paths(run.reason or "no reason was recorded").split())
        return told if len(told) <= _LONGEST else told[: _LONGEST - 1] + "…"
    reasons = _reasons(verdict) or ["forgot, and kept the rest"]
    same = [key for key, inside in verdict.indistinguishable.items() if inside]
    if same:
        reasons.append(f"{_names(same)}: {_AS_RETRAINED}")
    return "; ".join(reasons)


def _reasons(verdict: Verdict) -> list[str]:
    still = [key for key, nearer in verdict.nearer_to_gold.items() if not nearer]
    past = [key for key, over in verdict.overshoot.items() if over]
    told = []
    if verdict.missing:
        told.append(f"not measured: {', '.join(verdict.missing)}")
    if not verdict.garbage_ok:
        told.append("answers are garbled")
    if still:
        told.append(f"still nearer to the original on {_names(still)}")
    if verdict.damaged:
        told.append(_damage(verdict))
    if past:
        told.append(f"went past gold on {_names(past)}")
    return told


def _damage(verdict: Verdict) -> str:
    worst = min(verdict.damaged, key=lambda key: verdict.kept[key])
    left = f"{measure(worst)} ({verdict.kept[worst]:.0%} left)"
    others = len(verdict.damaged) - 1
    return f"damaged {left}" + (f" and {others} more" if others else "")


def _names(keys: list[str]) -> str:
    return listed([measure(key).lower() for key in keys])


def measure(key: str) -> str:
    """A score's key in words."""
    if key in _NAMES:
        return _NAMES[key]
    for control, words in _CONTROLS.items():
        if key.endswith(control):
            return f"{measure(key.removesuffix(control))}, {words}"
    *place, metric = key.split(".")
    return " ".join((*place, metric_words(metric))).replace("_", " ")


def metric_words(metric: str) -> str:
    """A metric's name in words."""
    return _METRICS.get(metric, metric.replace("_", " "))


def kept_columns(group: Group) -> tuple[str, ...]:
    """The abilities that must survive, as far as anything measured them."""
    runs = (*group.runs, *group.anchors)
    return tuple(
        key for key in must_keep(group.model) if any(run.value(key) is not None for run in runs)
    )


def side_columns(group: Group) -> dict[str, tuple[str, ...]]:
    """Keys of the measured side effects, by track."""
    runs = (*group.runs, *group.anchors)
    found = {
        track: tuple(
            key
            for name in SIDE_EFFECTS
            if any(run.value(key := f"side.{track}.{name}") is not None for run in runs)
        )
        for track in modalities()
    }
    return {track: keys for track, keys in found.items() if keys}


def rates(group: Group, run: Run) -> dict[str, float | None]:
    """The share of garbled, refused and empty answers; the worst of the judged tracks."""
    found = {
        name: [run.value(f"forget.{track}.{rate}") for track in group.tracks]
        for rate, name in _RATES.items()
    }
    return {
        name: max((each for each in values if each is not None), default=None)
        for name, values in found.items()
    }


def methods(all_groups: tuple[Group, ...]) -> tuple[str, ...]:
    """Every method tried, in the order of appearance."""
    return tuple(dict.fromkeys(run.method for group in all_groups for run in group.runs))


def scoreboard(all_groups: tuple[Group, ...]) -> dict[str, list[tuple[Group, list[TableRow]]]]:
    """For every method its rows in each group: who passed where, at a glance."""
    tables = [(group, main_table(group)) for group in all_groups]
    return {
        method: [
            (group, [row for row in table if row.run.method == method]) for group, table in tables
        ]
        for method in methods(all_groups)
    }


def sentence(group: Group) -> str:
    """Which methods passed and which did not, as a sentence."""
    rows = [row for row in main_table(group) if row.kind == "method"]
    passed = [row.name for row in rows if row.outcome == "passed"]
    others = [row for row in rows if row.outcome != "passed"]
    told = f"{listed(passed)} passed." if passed else "Nothing passed."
    if len(others) > _MANY:
        return f"{told} {_by_cause(others)}"
    reasons = [f"{row.name} ({_gravest(row)})" for row in others]
    return f"{told} Not passed: {listed(reasons)}." if others else told


#: More failures than this are told by cause, without their details.
_MANY = 6


def _by_cause(rows: list[TableRow]) -> str:
    causes: dict[str, list[str]] = {}
    for row in rows:
        causes.setdefault(_cause(row), []).append(row.name)
    return " ".join(f"{cause}: {listed(names)}." for cause, names in causes.items())


def _cause(row: TableRow) -> str:
    if row.verdict is None:
        return row.outcome.capitalize()
    if row.verdict.damaged:
        return "Harmed the rest"
    return "Forgot too little" if row.verdict.garbage_ok else "Answered with garbage"


def _gravest(row: TableRow) -> str:
    if row.verdict is None:
        return row.outcome
    reasons = row.why.split("; ")
    grave = [r for r in reasons if not (r.startswith("went past") or r.endswith(_AS_RETRAINED))]
    return "; ".join(grave)


def listed(names: list[str]) -> str:
    """Names joined as in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def person_words(names: list[str]) -> str:
    """Who was forgotten, as a sentence."""
    if not names:
        return "Nobody was named."
    return f"{listed(names)} {'was' if len(names) == 1 else 'were'} to be forgotten."


@dataclass(frozen=True)
class SeedRow:
    """One setting seed by seed.

    Attributes:
        single: Each seed with its distance to gold and its outcome.
    """

    row: TableRow
    single: tuple[tuple[int | None, float | None, str], ...]


def seed_table(group: Group, rows: Mapping[str, Run]) -> tuple[SeedRow, ...]:
    """Distance to gold and outcome of every seed behind the group's combined rows.

    Args:
        group: Of combined rows; others give nothing.
        rows: Every single run by id.
    """
    found = []
    for row in main_table(group):
        singles = [rows[id] for id in row.run.rows if id in rows]
        told = tuple(
            (
                one.seed,
                one.verdict.distance if one.verdict else None,
                _outcome(one, one.verdict),
            )
            for one in singles
        )
        if row.kind == "method" and told:
            found.append(SeedRow(row, told))
    return tuple(found)


def hyperparameters(run: Run) -> str:
    """A run's settings on one line."""
    found = {**run.variant, **run.hyperparameters}
    return ", ".join(
        f"{label(key).lower()} {without_paths(shown(value))}"
        for key, value in found.items()
        if value is not None
    )
