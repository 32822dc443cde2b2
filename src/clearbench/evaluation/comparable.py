"""Compares what two models were asked: other questions, a copy, or models in each other's place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from clearbench.data.words import folded
from clearbench.errors import DataError
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import main_group
from clearbench.evaluation.metrics.probability import probability
from clearbench.evaluation.metrics.rouge import RougeL
from clearbench.evaluation.records import SIDE, Records
from clearbench.evaluation.tables import GroupKey

#: Share of its probability on retained people from which a model knows the forgotten ones as well.
AS_WELL = 0.98
#: Probability from which a model was taught, and share of it below which another model was not.
TAUGHT, LESS = 0.5, 0.5
#: Share from which it is worth a word.
NEARLY = 0.9
#: Share of equal likelihoods from which two logs are of one model; difference that rounding makes.
COPIED, ROUNDED = 0.9, 1e-6
#: Question and true answer of a row.
Asked = tuple[str, str]


def check_same_questions(ours: Records, other: Records, role: str) -> None:
    """Refuses records that answer other questions than ours in a split that both have.

    Args:
        ours: Records of the scored model.
        other: Records of the model that it is compared with.
        role: Name of the other model: reference, or original.

    Raises:
        DataError: Names every split with the number of rows that differ.
    """
    wrong = []
    theirs = other.groups()
    for key, group in ours.groups().items():
        if key.split == SIDE:
            continue
        if key not in theirs:
            if key.split == "forget" and not any(each.split == "forget" for each in theirs):
                wrong.append(f"{_named(key)}: none of {len(_rows(group))} rows is there")
            continue
        differing, count = _differing(group, theirs[key])
        if differing:
            wrong.append(f"{_named(key)}: {differing} of {count} rows differ")
    if wrong:
        raise DataError(
            f"the {role} was asked other questions than the log",
            "; ".join(wrong),
            f"give a {role} that was measured on the same rows",
        )


def _named(key: GroupKey) -> str:
    return f"{key.split}.{key.track} ({key.task})"


def _rows(group: RecordGroup) -> dict[str, Asked | None]:
    """Returns the question and truth of each row; None where nothing was generated."""
    found: dict[str, Asked | None] = {
        str(row): None for name, frame in group.items() if "row" in frame for row in frame["row"]
    }
    columns = (group.generations[name] for name in ("row", "question", "truth"))
    for row, question, truth in zip(*columns, strict=True):
        found[str(row)] = (_spelled(question), _spelled(truth))
    return found


def _spelled(text: str) -> str:
    return " ".join(folded(str(text)).split())


def _differing(first: RecordGroup, second: RecordGroup) -> tuple[int, int]:
    """Counts rows that only one has, or that ask something else, and all rows.

    Rows of one name are compared with each other; where no name is shared (two formats of logs)
    questions are. Truths alone decide where all of them agree and tell the rows apart: then the
    questions differ in the template around them.
    """
    ours, theirs = _rows(first), _rows(second)
    shared, count = ours.keys() & theirs.keys(), max(len(ours), len(theirs))
    if shared:
        pairs = [(a, b) for row in shared if (a := ours[row]) and (b := theirs[row])]
        other = sum(a != b for a, b in pairs)
        if _tell_apart([a[1] for a, _ in pairs]) and all(a[1] == b[1] for a, b in pairs):
            other = 0
        return count - len(shared) + other, count
    asked, asked_too = (Counter(each.values()) for each in (ours, theirs))
    if None in asked or None in asked_too:
        return count, count
    truths, truths_too = ([a[1] for a in each.values() if a] for each in (ours, theirs))
    if Counter(truths) == Counter(truths_too) and _tell_apart(truths):
        return 0, count
    return count - sum((asked & asked_too).values()), count


def _tell_apart(truths: list[str]) -> bool:
    return len(truths) > 1 and len(set(truths)) > len(truths) / 2


def check_no_copy(ours: Records, other: Records, name: str, role: str) -> None:
    """Refuses a log that holds the same values as ours on nearly every forgotten row.

    Likelihoods decide, of every track and task that both logs have: a run that forgot faces may
    leave every text as it was. Where no likelihoods are shared, generated texts do, and all of them
    have to be equal. A likelihood of 1 says nothing of the model.

    Raises:
        DataError: Names the number of values.
    """
    likely: list[bool] = []
    said: list[bool] = []
    for key, group in ours.groups().items():
        if key.split == "forget" and key in other.groups():
            equal, texts = _equal(_values(group), _values(other.groups()[key]))
            if sum(equal) < COPIED * len(equal):
                return
            likely += equal
            said += texts
    if likely or (said and all(said)):
        same = sum(likely) + sum(said)
        part = f"all {same}" if all((*likely, *said)) else f"{same} of {len(likely) + len(said)}"
        raise DataError(
            f"{role} and log are the same: {part} values about forgotten people are equal",
            name,
            f"a model is no {role} for itself; give the log of another model",
        )


def _equal(
    values: dict[Asked, float | str], others: dict[Asked, float | str]
) -> tuple[list[bool], list[bool]]:
    """Compares likelihoods and generated texts of the rows that both have."""
    shared = [(value, others[row]) for row, value in values.items() if row in others]
    numbers = [(a, b) for a, b in shared if isinstance(a, float) and isinstance(b, float)]
    likely = [abs(a - b) <= ROUNDED for a, b in numbers if max(abs(a), abs(b)) > ROUNDED]
    return likely, [a == b for a, b in shared if isinstance(a, str)]


def _values(group: RecordGroup) -> dict[Asked, float | str]:
    """Returns the likelihood of each answer and each generated text."""
    frame = group.answers
    means = frame if frame.empty else group.answer_means()
    variants = [] if frame.empty else list(means)
    found: dict[Asked, float | str] = {
        (str(row), str(variant)): float(value)
        for variant in variants
        for row, value in means[variant].dropna().items()
    }
    spoken = zip(group.generations["row"], group.generations["text"], strict=True)
    return found | {(str(row), "text"): str(text) for row, text in spoken}


@dataclass(frozen=True)
class Knowledge:
    """Mean probability and ROUGE-L of the forgotten and the retained people's answers."""

    forget: float
    retain: float
    told_of_forgotten: float
    told_of_retained: float

    @classmethod
    def of(cls, records: Records, track: str) -> Knowledge | None:
        """Computes the means of a track; None where one split was not measured."""
        means = []
        for split in ("forget", "retain"):
            group = main_group(records, split, track)
            values = None if group is None else probability(group)
            if group is None or values is None or values.empty:
                return None
            said = RougeL().values(group)
            means.append((float(values.mean()), float(said.mean()) if len(said) else np.nan))
        (forget, told), (retain, told_too) = means
        return cls(forget, retain, told, told_too)


def swapped(ours: Records, gold: Records, whose: str = "the log") -> Iterator[tuple[bool, str]]:
    """Yields tracks on which the reference looks taught the forgotten people, unlike the log.

    A gold never met them, so that it finds their answers less likely than those of people whom it
    was taught. Sure is what cannot be otherwise: the reference tells the forgotten people's answers
    as well as the others', and the log finds them half as likely at most.

    Args:
        ours: Records of the scored model.
        gold: Records of the reference.
        whose: Words for the scored model in the sentence.

    Yields:
        Whether it is sure, and a sentence.
    """
    for track in sorted({key.track for key in ours.groups()}):
        log, other = Knowledge.of(ours, track), Knowledge.of(gold, track)
        if log is None or other is None or other.forget <= log.forget:
            continue
        if other.forget < NEARLY * other.retain:
            continue
        sure = (
            other.forget >= max(TAUGHT, AS_WELL * other.retain)
            and other.told_of_forgotten >= AS_WELL * other.told_of_retained
            and log.forget <= LESS * other.forget
            and log.forget < log.retain
        )
        levels = (
            f"{other.forget:.3g} (those who stay: {other.retain:.3g}; {whose}: {log.forget:.3g})"
        )
        yield (
            sure,
            f"the reference knows the forgotten people as well as those who stay, and better than "
            f"{whose} does: {track} probability {levels}; a gold never met them, so {whose} and "
            "the reference may be in each other's place",
        )


def check_not_swapped(ours: Records, gold: Records) -> None:
    """Refuses a reference that surely was taught the forgotten people, where the log was not.

    Raises:
        DataError: Says how well both know them.
    """
    for sure, sentence in swapped(ours, gold):
        if sure:
            raise DataError(sentence, "reference", "exchange them, or give another reference")
