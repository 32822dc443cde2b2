"""Defines protocols: versioned sets of metrics and aggregates, as published tables have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Any, Literal

from clearbench.data.dataset import Split
from clearbench.errors import DataError
from clearbench.evaluation.metric import METRICS, Comparison, Metric, metric
from clearbench.evaluation.score import Score

#: Forms in which a row is asked besides its own question; each is the task of its records.
PromptForm = Literal["letter", "paraphrased", "cloze"]
#: Splits whose answers are generated unless a protocol needs more; strangers are only scored.
GENERATED: tuple[Split, ...] = ("forget", "retain", "real_faces", "real_authors", "real_world")


def harmonic_mean(numbers: list[float]) -> float:
    """Computes the harmonic mean; 0 when any number is 0."""
    if any(number <= 0 for number in numbers):
        return 0.0
    return len(numbers) / sum(1 / number for number in numbers)


@dataclass(frozen=True)
class Protocol:
    """Scores of a published table. The defects it carries are in `errata.carried(name)`.

    Attributes:
        name: Name in a recipe.
        version: Number that is raised when a score changes its meaning.
        shows: Paragraph on what it is and when to use it.
        parts: Score keys by aggregate key, which is their harmonic mean.
        entries: Metrics as in a recipe: name, parameters, and the key of the publication's number
            where it is another; None for every metric that is right, under its own key.
        attacks: Membership attacks as metrics are listed; None for every attack that is right.
        required: Patterns of its main keys; where none of them can be computed the records are
            refused. Those of forget quality need gold.
        names: Names in the publication by score key.
        asks: Forms of prompts that its metrics need besides the rows' own questions.
        generated: Splits whose answers are generated.
        max_new_tokens: Longest generated answer of the publication, in tokens, all of them greedy;
            None where whoever measures says it.
    """

    name: str
    version: int
    shows: str
    parts: Mapping[str, tuple[str, ...]]
    entries: tuple[Mapping[str, Any], ...] | None = None
    attacks: tuple[Mapping[str, Any], ...] | None = ()
    required: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    asks: tuple[PromptForm, ...] = ()
    generated: tuple[Split, ...] = GENERATED
    max_new_tokens: int | None = None

    def metrics(self) -> tuple[Metric | Comparison, ...]:
        """Returns its configured metrics."""
        return self._listed if self.entries is not None else _every_right_metric()

    @cached_property
    def _listed(self) -> tuple[Metric | Comparison, ...]:
        return tuple(metric(**entry) for entry in self.entries or ())

    def aggregates(self, scores: Mapping[str, float]) -> dict[str, Score]:
        """Computes the aggregates whose every part is there."""
        return {
            key: Score(
                value=harmonic_mean([scores[part] for part in parts]),
                n=len(parts),
                clusters=len(parts),
                direction="gold" if "forget" in key else "up",
                version=self.version,
            )
            for key, parts in self.parts.items()
            if all(part in scores for part in parts)
        }

    def check(self, scores: Mapping[str, Score], with_gold: bool) -> None:
        """Refuses records that have nothing of what the protocol is made of.

        Raises:
            DataError: Nothing is there, or gold's records give no forget quality; every score that
                is missing is named.
        """
        wanted = [key for key in self.required if with_gold or "forget_quality" not in key]
        missing = [key for key in wanted if not _has(scores, key)]
        unmet = any("forget_quality" in key for key in missing)
        absent = [part for part in self._parts_of(missing) if part not in scores]
        if absent and (unmet or len(missing) == len(wanted)):
            places = sorted({key.rpartition(".")[0] for key in scores})
            raise DataError(
                f"protocol '{self.name}' needs what is not there: {', '.join(absent)}",
                f"there are {', '.join(places) or 'no scores at all'}",
                "give a log with these splits, or another --protocol",
            )

    def gaps(self, scores: Mapping[str, Score], with_gold: bool) -> list[str]:
        """Says in words which of its numbers cannot be computed, and for want of what."""
        keys = [key for key, parts in self.parts.items() if any(part in scores for part in parts)]
        missing = [key for key in dict.fromkeys((*keys, *self.required)) if not _has(scores, key)]
        unmet = [key for key in missing if "forget_quality" in key]
        said = []
        for key in (key for key in missing if key not in unmet):
            absent = [part for part in self.parts.get(key, ()) if part not in scores]
            why = f"there is no {', '.join(absent)}" if absent else "the log lacks what it needs"
            said.append(f"{key} is left out: {why}")
        if unmet and not with_gold:
            named = ", ".join(unmet)
            said.append(f"{named}, a main number of '{self.name}', needs gold: give a reference")
        return said

    def _parts_of(self, keys: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(part for key in keys for part in self.parts.get(key, (key,))))


def _has(scores: Mapping[str, Score], pattern: str) -> bool:
    return any(fnmatchcase(known, pattern) for known in scores)


def _every_right_metric() -> tuple[Metric | Comparison, ...]:
    """Lists each metric in the configurations it declares, without those of published defects."""
    return _right_ones(tuple(METRICS.values()))


@lru_cache(maxsize=8)
def _right_ones(classes: tuple[Any, ...]) -> tuple[Metric | Comparison, ...]:
    return tuple(
        chosen for cls in classes for chosen in cls.configured() if not chosen.description.erratum
    )
