"""Audits a model: measures it, attacks it, and says in words what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from clearbench.attacks.base import OnProgress, unreported
from clearbench.attacks.scoring import undefined_leaks
from clearbench.audit import knowledge, losses, membership, recovery
from clearbench.audit.conclusion import conclude, limits
from clearbench.audit.evidence import Evidence, misplaced
from clearbench.audit.fluency import Fluency
from clearbench.audit.intervals import attacks_as_found, scores_as_found
from clearbench.audit.measure import (
    Attacked,
    Subject,
    Subjects,
    attacked,
    chosen_attacks,
    measured,
)
from clearbench.audit.questions import answered, asked_rows
from clearbench.audit.schema import Audit, AuditedWith, Finding
from clearbench.audit.settings import AuditSettings
from clearbench.audit.vocabulary import garbled_marked
from clearbench.batches.items import item
from clearbench.data.dataset import Dataset
from clearbench.data.load import load_dataset
from clearbench.data.modality import modality, readable_by, spell_modalities
from clearbench.errors import DataError, RecipeError
from clearbench.evaluation import scoring
from clearbench.evaluation.checks import check_records
from clearbench.evaluation.comparable import check_no_copy, check_same_questions, swapped
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.protocols import protocol
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.evaluation.verdict.evidence import evidence as paired
from clearbench.evaluation.verdict.evidence import worst_answers
from clearbench.evaluation.verdict.judge import judge
from clearbench.evaluation.verdict.verdict import ShownAnswer, Verdict
from clearbench.models.base import Model
from clearbench.models.load import load_model
from clearbench.models.pictures import check_pictures

#: What is found about the people on each modality, in the order of the page.
_ABOUT = (
    knowledge.told,
    knowledge.known,
    recovery.recovery,
    membership.membership,
    knowledge.refusals,
)
#: What is found about others.
_BESIDES = (losses.lost, losses.side_effects)


def audit(
    model: Model | Records | Any,
    dataset: Dataset | Any,
    reference: Model | Records | Any | None = None,
    original: Model | Records | Any | None = None,
    *,
    attacks: str | Sequence[str] = "all",
    limit: int | None = None,
    settings: AuditSettings | None = None,
    out: str | Path | None = None,
    names: Mapping[str, str] | None = None,
    fluency: Fluency | None = None,
    on_progress: OnProgress = unreported,
) -> Audit:
    """Finds all that can be said of a model and the people whom it should not know.

    Args:
        model: Audited model, its records, or what `load_model` takes; left as it was.
        dataset: Dataset with forget rows, or what `load_dataset` takes; its retain rows show what
            was lost, its holdout rows (people never taught) whether the people can be told apart.
        reference: Gold, a model that never met the people; without it nobody can say that the
            model does not know them.
        original: Model before unlearning; without it nobody can say how much is left.
        attacks: Budget (`none`, `records`, `light`, `all`) or names of attacks.
        limit: Rows per split and task, whole people; None for all.
        settings: Thresholds of the words.
        out: Folder for `audit.json` and `audit.html`.
        names: Places of the models by role (model, gold, original), whose last parts are shown;
            without them those of models that are given by their places.
        fluency: What fluent answers look like to the original; measured here by default.
        on_progress: Function called with what is done, how much of it, and of how much.

    Returns:
        Findings with their numbers and intervals, and conclusions in words (docs/audit.md).

    Raises:
        RecipeError: There is nobody to forget, or the models are of different kinds.
    """
    chosen_attacks(attacks)
    dataset = load_dataset(dataset)
    places = names or _places(model=model, gold=reference, original=original)
    models = {
        name: given if given is None or isinstance(given, Model | Records) else load_model(given)
        for name, given in (("model", model), ("gold", reference), ("original", original))
    }
    kind = kind_of(models)
    if not dataset.evaluation.get("forget"):
        raise RecipeError("nobody is to be forgotten", "audit", "give --forget FILE")
    rows = dataset.for_kind(kind)
    check_different(models)
    _check(models, rows)
    measured_models = _measured(models, rows, limit, on_progress)
    fluency = fluency or _fluency(measured_models, rows)
    subjects, doubts = garbled_marked(measured_models, rows, fluency)
    chosen = settings or AuditSettings()
    found = attacked(subjects, rows, attacks, limit, chosen.people, on_progress)
    about = AuditedWith(
        names={role: PurePath(place).name for role, place in places.items()},
        program=version("clearbench"),
        attacks=attacks if isinstance(attacks, str) else ",".join(attacks),
        limit=limit,
    )
    made = _audit(found, dataset, kind, chosen, doubts).model_copy(update={"made": about})
    if out is not None:
        from clearbench.audit.html import write_audit

        write_audit(made, Path(out))
    return made


def _places(**given: Any) -> dict[str, str]:
    return {role: str(place) for role, place in given.items() if isinstance(place, str | Path)}


def kind_of(models: Mapping[str, Model | Records | None]) -> str:
    """Returns the kind of models; refuses models of different kinds."""
    kinds = {name: each.kind for name, each in models.items() if isinstance(each, Model)}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{name}: {kind}" for name, kind in kinds.items())
        raise RecipeError("the models are of different kinds", listed, "give models of one kind")
    for records in models.values():
        if not kinds and isinstance(records, Records):
            tracks = {key.track for key in records.groups()}
            if not len(records.generations):
                return "classifier"
            media = [track for track in tracks if modality(track).media is not None]
            return "vision-language" if media else "language"
    return next(iter(kinds.values()))


def check_different(models: Mapping[str, Model | Records | None]) -> None:
    """Refuses a gold that is the audited model itself, or the original."""
    gold = models["gold"]
    for name, whom in (("model", "the audited model"), ("original", "the model before unlearning")):
        other = models[name]
        if isinstance(gold, Model) and isinstance(other, Model):
            same = gold is other or gold.fingerprint == other.fingerprint
        else:
            same = gold is other is not None
        if same:
            what = f"gold is {whom}: it has the same weights, so that nothing could be compared"
            raise RecipeError(what, "--reference", "give a model that never met the people")
        if isinstance(gold, Records) and isinstance(other, Records):
            check_no_copy(other, gold, "--reference", "reference")


def _check(models: dict[str, Model | Records | None], rows: Dataset) -> None:
    """Refuses rows that the model cannot read, pictures it cannot take, and other questions."""
    model, forget = models["model"], rows.evaluation.get("forget", ())
    if isinstance(model, Model):
        if not any(model.accepts(item(row)) for row in forget):
            what = f"a {model.kind} model can answer none of the rows to forget"
            raise DataError(what, "audit", "give rows of a modality that it reads")
        check_pictures(model, (item(row) for split in rows.evaluation.values() for row in split))
    ours = models["model"]
    for role, given in models.items():
        if isinstance(given, Records):
            check_records(given, role)
            if isinstance(ours, Records) and given is not ours:
                check_same_questions(ours, given, role)


def _measured(
    models: dict[str, Model | Records | None],
    rows: Dataset,
    limit: int | None,
    on_progress: OnProgress,
) -> Subjects:
    subjects: dict[str, Subject] = {
        name: measured(given, rows, limit, on_progress, name)
        for name, given in models.items()
        if given is not None
    }
    return Subjects(subjects["model"], subjects.get("gold"), subjects.get("original"))


def _fluency(subjects: Subjects, rows: Dataset) -> Fluency | None:
    """Measures what fluent answers look like to the original, where it is a model."""
    original = subjects.original
    if original is None or original.model is None:
        return None
    return Fluency.of(original.model, rows, original.records.generations["text"].tolist())


def _audit(
    found: Attacked, dataset: Dataset, kind: str, settings: AuditSettings, doubts: Sequence[str]
) -> Audit:
    subjects, rows = found.subjects, dataset.for_kind(kind)
    collected = _evidence(found, kind, settings)
    findings = tuple(_findings(collected, kind))
    asked = asked_rows(subjects.audited.records, rows, readable_by(kind))
    fingerprints = {name: subject.fingerprint for name, subject in subjects.every()}
    scores, problems = _scores(subjects)
    return Audit(
        version=settings.version,
        settings=settings,
        kind=kind,
        model=fingerprints["model"],
        gold=fingerprints.get("gold"),
        original=fingerprints.get("original"),
        data=dataset.fingerprint,
        asked=asked,
        conclusion=conclude(collected, findings),
        findings=findings,
        open=limits(collected, findings, asked),
        doubts=(
            *_compared(subjects, collected),
            *doubts,
            *dataset.doubts,
            *(line for made in found.attacks for line in undefined_leaks(made.scores)),
            *problems,
        ),
        answers=tuple(answered(subjects, dataset, "forget")),
        others=tuple(answered(subjects, dataset, "retain"))[::-1],
        attacks=attacks_as_found(found.attacks, findings),
        verdict=_verdict(collected, subjects, dataset),
        scores=scores_as_found(scores, collected),
    )


def _evidence(found: Attacked, kind: str, settings: AuditSettings) -> Evidence:
    subjects = found.subjects
    ours, nothing = subjects.audited.records, Records({})
    gold, original = (
        nothing if subject is None else subject.records
        for subject in (subjects.gold, subjects.original)
    )
    table = paired(ours, gold, original, kind)
    about = {key for key in ours.groups() if key.split == "forget"}
    return Evidence(
        rows={str(key): lines for key, lines in table.groupby("key", sort=False)},
        tracks=tuple(name for name in readable_by(kind) if name in {key.track for key in about}),
        kind=kind,
        gold=subjects.gold is not None,
        original=subjects.original is not None,
        people=len(set(ours.answers.loc[ours.answers["split"] == "forget", "person"])),
        settings=settings,
        attacks=found.attacks,
        attacked=found.membership_lines(),
    )


def _compared(subjects: Subjects, collected: Evidence) -> Iterator[str]:
    """Yields what is doubtful about gold and the original: that they are in another's place."""
    gold, audited, original = subjects.gold, subjects.audited, subjects.original
    if gold is not None:
        whose = "the audited model"
        yield from (sentence for _, sentence in swapped(audited.records, gold.records, whose))
    if original is not None and original.fingerprint == audited.fingerprint != "":
        yield "the model before unlearning is the audited model itself: nothing was unlearned"
    yield from misplaced(collected)


def _findings(collected: Evidence, kind: str) -> Iterator[Finding]:
    for finders, tracks in ((_ABOUT, collected.tracks), (_BESIDES, readable_by(kind))):
        for find, track in product(finders, tracks):
            found = find(collected, track)
            if found is not None:
                yield found.model_copy(update={"track": track})


def _scores(subjects: Subjects) -> tuple[dict[str, Score], list[str]]:
    """Computes the scores of metrics and aggregates; those of attacks stand with the attacks.

    Returns:
        Scores, and a sentence for every metric of a plugin that failed.
    """
    chosen, failures = protocol("clear"), dict[str, str]()

    def compute(given: Collections) -> dict[str, Score]:
        scores, failed = scoring.measured(given, chosen.metrics())
        failures.update(failed)
        return scores | chosen.aggregates({key: score.value for key, score in scores.items()})

    scores = scoring.with_gold_and_original(subjects.collections, compute)
    said = [f"metric '{name}' failed: {reason}" for name, reason in failures.items()]
    return dict(sorted(scores.items())), said


def _verdict(collected: Evidence, subjects: Subjects, dataset: Dataset) -> Verdict | None:
    if subjects.gold is None or subjects.original is None or not collected.tracks:
        return None
    table = pd.concat(collected.rows.values(), ignore_index=True)
    found = worst_answers(subjects.audited.records, subjects.gold.records, table)
    worst = {key: [ShownAnswer(**line) for line in lines] for key, lines in found.items()}
    modalities = spell_modalities(collected.tracks)
    return judge(table, modalities, collected.kind, worst=worst, names=dataset.names)
