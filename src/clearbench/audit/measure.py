"""Measures and attacks the audited model, gold and the original alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import pandas as pd

from clearbench.attacks.base import ATTACKED, ATTACKS, Attack, Target, attack
from clearbench.audit.schema import MadeAttack
from clearbench.data.dataset import Dataset
from clearbench.errors import ClearbenchError, RecipeError, did_you_mean
from clearbench.evaluation.engine import evaluate, sample
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.evaluation.scoring import with_gold_and_original
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.models.base import Model

#: How much an audit may cost: no attacks; those on what was measured; all that train nothing; all.
Budget = Literal["none", "records", "light", "all"]
#: Function called with what is done, how much of it is done, and how much there is.
OnProgress = Callable[[str, int, int], None]
#: Inputs that the attacks of a budget may need.
_ALLOWED: dict[str, frozenset[str]] = {
    "none": frozenset(),
    "records": frozenset({"records"}),
    "light": frozenset({"records", "gradients", "media"}),
    "all": frozenset({"records", "gradients", "media", "training"}),
}
_MISSING = {
    "shadow_models": "they need shadow models, which an audit does not make",
    "gradients": "they need the model itself, and there are only its records",
    "media": "they need the model itself, and there are only its records",
    "training": "they need the model itself, and there are only its records",
}


@dataclass(frozen=True)
class Subject:
    """A model of an audit with its records, to which attacks add their tables.

    Attributes:
        model: Model; None where there are only records.
    """

    records: Records
    model: Model | None = None

    @property
    def fingerprint(self) -> str:
        """Hash of the model's weights; empty for records alone."""
        return "" if self.model is None else self.model.fingerprint


@dataclass(frozen=True)
class Subjects:
    """The audited model and those it is compared with."""

    audited: Subject
    gold: Subject | None = None
    original: Subject | None = None

    def every(self) -> Iterator[tuple[str, Subject]]:
        """Yields the models that were given, by their names."""
        named = (("model", self.audited), ("gold", self.gold), ("original", self.original))
        yield from ((name, subject) for name, subject in named if subject is not None)

    @property
    def collections(self) -> Collections:
        """Records of all models, as metrics and attacks read them."""
        golds, originals = (
            () if subject is None else (subject.records,) for subject in (self.gold, self.original)
        )
        return Collections(self.audited.records, golds, originals)

    def with_table(self, chosen: Attack, tables: dict[str, pd.DataFrame]) -> Subjects:
        """Adds an attack's table to the records of each model."""
        fields = {"model": "audited", "gold": "gold", "original": "original"}
        changed = {
            fields[name]: replace(
                subject, records=subject.records.joined(Records({chosen.written: tables[name]}))
            )
            for name, subject in self.every()
        }
        return replace(self, **changed)


def measured(
    model: Model | Records,
    dataset: Dataset,
    limit: int | None,
    on_progress: OnProgress,
    name: str = "model",
) -> Subject:
    """Asks a model every question of the measured splits, once.

    Args:
        model: Model, or its records.
        dataset: Dataset as the model's kind reads it.
        limit: Rows per split and task, whole people; None for all.
        on_progress: Function told of the progress.
        name: Role of the model in an audit.
    """
    if isinstance(model, Records):
        return Subject(model)
    settings = EvaluationSettings.of(limit=limit, max_new_tokens=40)
    records = evaluate(
        model,
        dataset,
        settings,
        on_batch=lambda done, total: on_progress(f"asking the {name}", done, total),
    )
    return Subject(records, model)


@dataclass(frozen=True)
class Attacked:
    """Models with the tables of all attacks among their records, and what the attacks gave."""

    subjects: Subjects
    attacks: tuple[MadeAttack, ...] = field(default=())

    def membership_lines(self) -> dict[str, pd.DataFrame]:
        """Returns the values of the membership attacks: of the model and of gold by row."""
        lines = self.subjects.audited.records.table(ATTACKED)
        gold = self.subjects.gold
        theirs = None if gold is None else gold.records.table(ATTACKED)
        found = {}
        for key, rows in lines.groupby("attack", sort=True):
            own = rows.rename(columns={"value": "run"}).reset_index(drop=True)
            if theirs is not None:
                values = theirs[theirs["attack"] == key].set_index(["split", "row"])["value"]
                places = pd.MultiIndex.from_frame(own[["split", "row"]])
                own["gold"] = values.reindex(places).to_numpy(float)
                own = own.dropna(subset=["gold"])
            found[str(key)] = own
        return found


def chosen_attacks(which: str | Sequence[str]) -> tuple[Attack, ...]:
    """Lists the configured attacks of a budget, or those that are named.

    Raises:
        RecipeError: There is no such budget and no attack of that name.
    """
    if isinstance(which, str):
        which = [word.strip() for word in which.split(",") if word.strip()]
    if len(which) == 1 and which[0] in get_args(Budget):
        every = (made for cls in ATTACKS.values() for made in cls.configured())
        return tuple(made for made in every if not made.description.erratum)
    known = [*get_args(Budget), *sorted(ATTACKS)]
    for name in which:
        if name not in ATTACKS:
            what = f"no attack or budget is called '{name}'"
            raise RecipeError(what, "--attacks", did_you_mean(name, known))
    return tuple(attack(name) for name in dict.fromkeys(which))


def allowed(which: str | Sequence[str]) -> frozenset[str]:
    """Returns the inputs that attacks may need: those of the budget, or all where they are named."""
    return _ALLOWED.get(which, _ALLOWED["all"]) if isinstance(which, str) else _ALLOWED["all"]


def attacked(
    subjects: Subjects,
    dataset: Dataset,
    which: str | Sequence[str],
    limit: int | None,
    on_progress: OnProgress,
) -> Attacked:
    """Makes every attack that fits the models and the budget, on all models alike.

    Args:
        subjects: Measured models.
        dataset: Dataset as the models' kind reads it.
        which: Budget, or names of attacks.
        limit: Rows per split and task, whole people; None for all.
        on_progress: Function told of the progress.
    """
    rows, made = sample(dataset, limit), []
    for chosen in chosen_attacks(which):
        reason = _unfit(chosen, subjects, which)
        if reason:
            made.append(_made(chosen, reason))
            continue
        try:
            tables = {
                name: chosen.table(_target(subjects, subject, rows, on_progress, name, chosen))
                for name, subject in subjects.every()
            }
            subjects = subjects.with_table(chosen, tables)
            made.append(_scored(chosen, subjects.collections))
        except ClearbenchError as error:
            made.append(_made(chosen, error.what))
    return Attacked(subjects, tuple(made))


def _unfit(chosen: Attack, subjects: Subjects, which: str | Sequence[str]) -> str:
    """Says why an attack is not made; nothing where it fits."""
    if "shadow_models" in chosen.needs:
        return _MISSING["shadow_models"]
    beyond = [need for need in chosen.needs if need not in allowed(which)]
    if beyond:
        return f"left out by the budget: --attacks {which}"
    with_model = [need for need in chosen.needs if need in _MISSING]
    if with_model and any(subject.model is None for _, subject in subjects.every()):
        return _MISSING[with_model[0]]
    return ""


def _target(
    subjects: Subjects,
    subject: Subject,
    rows: Dataset,
    on_progress: OnProgress,
    name: str,
    chosen: Attack,
) -> Target:
    collections = subjects.collections.of(subject.records)
    return Target(collections, subject.model, rows)


def _made(chosen: Attack, reason: str = "") -> MadeAttack:
    about = chosen.description
    return MadeAttack(key=about.key, title=about.title, group=about.group, reason=reason)


def _scored(chosen: Attack, collections: Collections) -> MadeAttack:
    def scores(given: Collections) -> dict[str, Score]:
        return {
            key: score
            for track in given.tracks
            for key, score in chosen.scores(given, track).items()
        }

    found = with_gold_and_original(collections, scores)
    reason = "" if found else "gave no number on these rows"
    return _made(chosen, reason).model_copy(update={"scores": found})
