"""Reading what a run left behind: rows grouped as they are compared, and their words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from clearbench.data.modality import modalities, parse_modalities
from clearbench.errors import RecipeError
from clearbench.evaluation.verdict import Verdict, judge
from clearbench.methods.base import methods

ANCHORS = ("original", "gold")
_MODELS = {
    "language": "Language",
    "vision-language": "Vision-language",
    "classifier": "Classifier",
}
_IMAGES = {"/9j/": "jpeg", "iVBOR": "png", "UklGR": "webp"}
_LONGEST_NAME = 32
_PRIVATE = {
    *("host", "hostname", "node", "user", "username", "home", "cwd", "path", "folder", "dir"),
    *("directory", "prefix", "executable", "out", "ip", "address"),
}
_PATH = re.compile(r"(?:(?<![\w.:/])(?:~|[A-Za-z]:)?[\\/]|file://)(?:[^\s'\"\\/:,;]+[\\/])+")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]


class _Read(BaseModel):
    """What is read is kept as it is; keys of later versions are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Score(_Read):
    """One measured number with its 95 % interval, and what guessing gives, where there is one."""

    value: Number = None
    low: Number = None
    high: Number = None
    chance: Number = None
    n: int | None = None
    clusters: int | None = None


class Point(_Read):
    """One step of training."""

    step: int
    forget: Number = None
    retain: Number = None
    loss: Number = None
    gradient_norm: Number = None


class Cost(_Read):
    """What a run took."""

    seconds: Number = None
    peak_memory_bytes: Number = None
    trainable_parameters: Number = None
    forwards: Number = None
    backwards: Number = None


class Band(_Read):
    """How far two golds of different seeds lie apart on one score."""

    gap: float


class Run(_Read):
    """One row of `results.json`, or one setting over several seeds.

    Attributes:
        verdict: As stored; the report judges what has none.
        seeds: Of a row that combines several runs; empty for a single run.
        rows: The ids of those runs.
        seeds_passed: How many of them passed.
    """

    id: str
    method: str
    model: str
    modality: str
    share: Any = None
    seed: int | None = None
    variant: dict[str, Any] = Field(default_factory=dict)
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    status: str = "ok"
    reason: str | None = None
    scores: dict[str, Score] = Field(default_factory=dict)
    curve: tuple[Point, ...] = ()
    cost: Cost = Cost()
    verdict: Verdict | None = None
    seeds: tuple[int, ...] = ()
    rows: tuple[str, ...] = ()
    seeds_passed: int = 0

    @property
    def ok(self) -> bool:
        """Whether the run ended as it should."""
        return self.status == "ok"

    def value(self, key: str) -> float | None:
        """A score's value, if it was measured."""
        return self.scores[key].value if key in self.scores else None

    def values(self) -> dict[str, float]:
        """Every measured score."""
        return {key: each.value for key, each in self.scores.items() if each.value is not None}


class Person(_Read):
    """A fictitious person with some of their portraits, in base64."""

    id: str
    name: str
    portraits: tuple[str, ...] = ()


class Question(_Read):
    """One question and what every run answered, by row id."""

    split: str
    track: str
    question: str
    truth: str
    person: str | None = None
    name: str | None = None
    image: str | None = None
    answers: dict[str, str] = Field(default_factory=dict)


class Details(_Read):
    """`details.json`: people, truth ratios by row and split, questions with answers."""

    people: dict[str, tuple[Person, ...]] = Field(default_factory=dict)
    truth_ratios: dict[str, dict[str, tuple[Number, ...]]] = Field(default_factory=dict)
    questions: tuple[Question, ...] = ()

    def ratios(self, run: Run, track: str) -> list[float]:
        """A run's finite truth ratios on the forgotten people."""
        found = self.truth_ratios.get(run.id, {}).get(f"forget.{track}", ())
        return [each for each in found if each is not None]


@dataclass(frozen=True)
class Group:
    """Runs that compare: one kind of model asked to forget the same things, and its anchors."""

    model: str
    modality: str
    original: Run | None
    golds: tuple[Run, ...]
    runs: tuple[Run, ...]
    note: str = ""
    gaps: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A name for use inside the page."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.model}-{self.modality}{self.note}".lower())

    @property
    def gold(self) -> Run | None:
        """The reference: the first gold."""
        return self.golds[0] if self.golds else None

    @property
    def title(self) -> str:
        """Which model forgot what, in words."""
        known = modalities()
        asked = " and ".join(known[n].noun if n in known else n for n in self.tracks)
        return f"{model_name(self.model)} · {asked}{self.note}"

    @property
    def tracks(self) -> tuple[str, ...]:
        """The tracks the group is judged on."""
        try:
            return parse_modalities(self.modality)
        except RecipeError:  # a modality of a plugin that is not loaded here
            return tuple(self.modality.split("+"))

    @property
    def anchors(self) -> tuple[Run, ...]:
        """The original and every gold, as far as they are there."""
        return (*((self.original,) if self.original else ()), *self.golds)

    def verdict(self, run: Run) -> Verdict:
        """A run of this group judged against its gold, original and null band."""
        if run.verdict is not None:
            return run.verdict
        gold, original = (each.values() if each else {} for each in (self.gold, self.original))
        return judge(run.values(), gold, original, self.modality, self.model, self.gaps)

    @property
    def seeds(self) -> int:
        """How many seeds stand behind each row."""
        return max((len(run.seeds) or 1 for run in self.runs), default=1)


def read_rows(results: Mapping[str, Any]) -> tuple[Run, ...]:
    """The rows of `results.json`, one for each seed."""
    return tuple(Run.model_validate(row) for row in results.get("rows", ()))


def read_runs(results: Mapping[str, Any]) -> tuple[Run, ...]:
    """The combined rows where there were several seeds, with the curve of the first; else all."""
    rows = {row["id"]: row for row in results.get("rows", ())}
    over_seeds = results.get("combined", ())
    found = tuple(Run.model_validate({**rows.get(row["id"], {}), **row}) for row in over_seeds)
    return found or read_rows(results)


def null_gaps(results: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """By gold, the largest distance of each score between golds, where there are several."""
    return {
        gold: {key: Band.model_validate(band).gap for key, band in each["bands"].items()}
        for each in results.get("null_bands", ())
        for gold in each["golds"]
    }


def groups(results: Mapping[str, Any]) -> tuple[Group, ...]:
    """Runs by kind of model, modality and forgotten share, in the order in which they appear."""
    runs, gaps = read_runs(results), null_gaps(results)
    tried = [run for run in runs if run.method not in ANCHORS]
    several = len({str(run.share) for run in tried}) > 1
    keys = dict.fromkeys((run.model, run.modality, str(run.share)) for run in tried)
    return tuple(
        _group(runs, gaps, model, modality, share, f" · share {share}" if several else "")
        for model, modality, share in keys
    )


def _group(
    runs: tuple[Run, ...],
    gaps: Mapping[str, Mapping[str, float]],
    model: str,
    modality: str,
    share: str,
    note: str,
) -> Group:
    same = [run for run in runs if run.model == model]
    original = next((run for run in same if run.method == "original"), None)
    golds = tuple(run for run in same if run.method == "gold")
    golds = tuple(gold for gold in golds if str(gold.share) == share) or golds
    chosen = [run for run in same if run.method not in ANCHORS and run.modality == modality]
    return Group(
        model,
        modality,
        original,
        golds,
        tuple(run for run in chosen if str(run.share) == share),
        note,
        next((gaps[gold.id] for gold in golds if gold.id in gaps), {}),
    )


def model_name(kind: str) -> str:
    """A kind of model in words."""
    return _MODELS.get(kind, kind)


def method_label(name: str) -> str:
    """A method's name as one would print it, of an unknown method as well as can be."""
    known = methods().get(name)
    return label(name) if known is None else known.title()


def label(name: str) -> str:
    """A name as one would print it: `kl_weight` is `KL weight`."""
    words = [w.upper() if len(w) <= 3 else w for w in name.replace("-", "_").split("_")]
    text = " ".join(words)
    text = text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"
    return text[:1].upper() + text[1:]


def run_label(run: Run, among: tuple[Run, ...]) -> str:
    """A run's method, and whatever tells it from other runs of that method."""
    twins = [each for each in among if each.method == run.method and each.id != run.id]
    told = [method_label(run.method)]
    if any(each.variant != run.variant for each in twins):
        told += [f"{key} {shown(value)}" for key, value in run.variant.items() if value is not None]
    if any(each.share != run.share for each in twins):
        told.append(f"share {run.share}")
    if any(each.seed != run.seed for each in twins):
        told.append(f"seed {run.seed}")
    return ", ".join(told)


def shown(value: object) -> str:
    """A setting's value; a list as a sum."""
    return " + ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def image(encoded: str | None) -> str | None:
    """A data address for a base64 image; anything else gives nothing."""
    if not encoded or not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", encoded):
        return None
    kinds = (kind for start, kind in _IMAGES.items() if encoded.startswith(start))
    kind = next(kinds, None)
    return f"data:image/{kind};base64,{encoded}" if kind else None


def without_paths(text: str) -> str:
    """Text in which every file is named without its folders."""
    return _PATH.sub("", text)


def public_facts(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flattens an environment or recipe, leaving out whatever tells whose machine it was."""
    for key, value in facts.items():
        if _PRIVATE & set(re.split(r"[^a-z]+", str(key).lower())):
            continue
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from public_facts(value, f"{name} · ")
        elif value not in (None, "", [], {}):
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            yield name, without_paths(shown)
