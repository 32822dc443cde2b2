"""Measures and attacks the audited model, gold and the original alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import pandas as pd

from clearbench.attacks.base import ATTACKED, ATTACKS, Attack, OnProgress, Target, attack
from clearbench.attacks.removal import Removal
from clearbench.audit.schema import AttackCurve, MadeAttack, Unit
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
_READS = frozenset({"records", "model", "original", "gold", "gradients", "media"})
#: Inputs that the attacks of a budget may need.
_ALLOWED: dict[str, frozenset[str]] = {
    "none": frozenset(),
    "records": frozenset({"records"}),
    "light": _READS,
    "all": _READS | {"training"},
}
_MISSING = {
    "gold": "they need a model that never met the people",
    "original": "they need the model before unlearning",
}
_SHADOWS = "they need shadow models, which an audit does not make"
NO_STRANGERS = "they need rows about people never taught"
NOT_THERE = "not applicable: this model has nothing that could be taken off"
_NO_MODEL = "they need the models themselves, and there are only records"


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
    """Returns the inputs that attacks may need: those of the budget, or all for named ones."""
    return _ALLOWED.get(which, _ALLOWED["all"]) if isinstance(which, str) else _ALLOWED["all"]


def attacked(
    subjects: Subjects,
    dataset: Dataset,
    which: str | Sequence[str],
    limit: int | None,
    people: int,
    on_progress: OnProgress,
) -> Attacked:
    """Makes every attack that fits the models and the budget, on all models alike.

    Args:
        subjects: Measured models.
        dataset: Dataset as the models' kind reads it.
        which: Budget, or names of attacks.
        limit: Rows per split and task, whole people; None for all.
        people: Least number of people for intervals over people.
        on_progress: Function told of the progress.
    """
    rows = sample(dataset, limit)
    unit: Unit = "people" if len(rows.people("forget")) >= people else "questions"
    made = []
    reasons = {chosen: _unfit(chosen, subjects, which) for chosen in chosen_attacks(which)}
    fitting = [chosen for chosen, reason in reasons.items() if not reason]
    for chosen, unfit in reasons.items():
        reason = unfit
        if not unfit:
            number = fitting.index(chosen) + 1
            doing = f"attack {number} of {len(fitting)}, {chosen.description.title}"
            try:
                tables = _tables(chosen, subjects, rows, on_progress, doing)
                subjects = subjects.with_table(chosen, tables)
                made.append(_scored(chosen, subjects.collections, unit))
                continue
            except ClearbenchError as error:
                reason = error.what
        made.append(_made(chosen, unit, reason))
    return Attacked(subjects, tuple(made))


def _unfit(chosen: Attack, subjects: Subjects, which: str | Sequence[str]) -> str:
    """Says why an attack is not made; nothing where it fits."""
    if "shadow_models" in chosen.needs:
        return _SHADOWS
    beyond = [need for need in chosen.needs if need not in allowed(which)]
    if set(beyond) - _ALLOWED["all"]:
        return f"they need what an audit does not have: {', '.join(beyond)}"
    if beyond:
        return f"left out by the budget: --attacks {which}"
    given = {name for name, _ in subjects.every()}
    missing = [words for name, words in _MISSING.items() if {name} & {*chosen.needs} - given]
    if missing:
        return missing[0]
    with_model = set(chosen.needs) - _ALLOWED["records"]
    if with_model and any(subject.model is None for _, subject in subjects.every()):
        return _NO_MODEL
    audited = subjects.audited.model
    if isinstance(chosen, Removal) and audited is not None and not chosen.has(audited):
        return NOT_THERE
    return ""


def _tables(
    chosen: Attack, subjects: Subjects, rows: Dataset, on_progress: OnProgress, doing: str
) -> dict[str, pd.DataFrame]:
    models = {name: subject.model for name, subject in subjects.every()}
    tables = {}
    for name, subject in subjects.every():
        on_progress(f"{doing}: {name}", 0, 1)
        tables[name] = chosen.table(
            Target(
                subjects.collections.of(subject.records),
                subject.model,
                rows,
                original=models.get("original"),
                gold=models.get("gold"),
                on_progress=on_progress,
            )
        )
    return tables


def _made(chosen: Attack, unit: Unit, reason: str = "") -> MadeAttack:
    about = chosen.description
    return MadeAttack(key=about.key, title=about.title, group=about.group, unit=unit, reason=reason)


def _scored(chosen: Attack, collections: Collections, unit: Unit) -> MadeAttack:
    def scores(given: Collections) -> dict[str, Score]:
        return {
            key: score
            for track in given.tracks
            for key, score in chosen.scores(given, track).items()
        }

    given = collections if unit == "people" else _by_question(collections)
    found = with_gold_and_original(given, scores)
    curves = tuple(
        AttackCurve(key=key, track=track, points=tuple(points))
        for track in given.tracks
        for key, points in chosen.curves(given, track).items()
    )
    reason = "" if found or curves else "gave no number on these rows"
    if reason and chosen.written == ATTACKED and not _holdout(given.model):
        reason = NO_STRANGERS
    return _made(chosen, unit, reason).model_copy(
        update={
            "scores": found,
            "titles": {key: about.title for key, about in chosen.numbers().items()},
            "curves": curves,
        }
    )


def _holdout(records: Records) -> bool:
    return any(key.split == "holdout" for key in records.groups())


def _by_question(collections: Collections) -> Collections:
    """Makes every row one of its own person, so that intervals are over questions."""

    def apart(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(person=-1) if {"person", "row"} <= set(frame) else frame

    return replace(
        collections,
        model=collections.model.changed(apart),
        golds=tuple(records.changed(apart) for records in collections.golds),
        originals=tuple(records.changed(apart) for records in collections.originals),
    )
