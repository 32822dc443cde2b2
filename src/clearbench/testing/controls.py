"""Builds records of models whose verdict is known, from those of an original and two golds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from clearbench.evaluation.groups import ANSWERS, GENERATIONS
from clearbench.evaluation.records import Records
from clearbench.evaluation.tables import Table
from clearbench.evaluation.verdict.verdict import Word
from clearbench.evaluation.wordings import WORDINGS
from clearbench.people.refusals import TEXT_REFUSALS

_NONSENSE = "blumar vex vex ottle ottle grand"


@dataclass(frozen=True)
class ControlModel:
    """A model whose verdict is known.

    Attributes:
        word: The right word on it.
        unseen: Modality that it did nothing to; alone, that says nothing of it.
    """

    name: str
    records: Records
    word: Word
    unseen: str = ""


def control_models(original: Records, gold: Records, other: Records) -> Iterator[ControlModel]:
    """Yields models that forgot, did not, or only seem to have, with the right word on each.

    Args:
        original: Records of the model before unlearning.
        gold: Records of the gold that the models are compared with.
        other: Records of a gold of another seed.
    """
    generates = bool(len(original.generations))
    yield ControlModel("gold", gold, "forgot")
    yield ControlModel("gold of another seed", other, "forgot")
    yield ControlModel("original", original, "did not")
    yield ControlModel("destroyed", destroyed(original), "did not")
    yield ControlModel("leaks one person", mixed(other, original, _one_person), "did not")
    if generates:
        said = original.generations
        refusals = [TEXT_REFUSALS[k % len(TEXT_REFUSALS)] for k in range(len(said))]
        lies = mixed(original, other, _texts_alone)
        silent = _saying(other, [""] * len(said))
        yield ControlModel("says nothing", silent, "did not")
        beside = other.with_table(WORDINGS, _beside_the_question(other.table(WORDINGS)))
        yield ControlModel("answers other questions", beside, "did not", "image")
        yield ControlModel("refuses", _saying(original, refusals), "did not")
        yield ControlModel("knows and lies", lies, "did not")
        yield ControlModel("lies like gold", mixed(original, other, _forgotten), "forgot")
    if {"name", "caption"} <= set(original.answers["task"]):
        half = mixed(original, other, _names)
        yield ControlModel("forgot the names but not the faces", half, "did not", "text")


def mixed(
    first: Records, second: Records, choose: Callable[[Table, pd.DataFrame], pd.Series]
) -> Records:
    """Joins the lines of `first` with those of `second` where they are chosen.

    Args:
        first: Records of one model.
        second: Records of another model on the same rows.
        choose: Function from a table and its lines to True for those of `second`.
    """
    tables = {}
    for table, ours in first.declarations().items():
        theirs = second.table(table)
        if table.row_key is None or ours.empty:
            tables[table] = ours
            continue
        parts = [ours[~choose(table, ours)], theirs[choose(table, theirs)]]
        tables[table] = pd.concat(parts, ignore_index=True)
    return Records(tables)


def destroyed(original: Records) -> Records:
    """Makes every answer equally unlikely, and every generated answer nonsense."""
    rng = np.random.default_rng(0)
    answers = original.answers.copy()
    answers["log_probs"] = [
        list(rng.normal(-6.0, 1.0, size=len(tokens))) for tokens in answers["log_probs"]
    ]
    records = original.with_table(ANSWERS, answers)
    texts = [_NONSENSE] * len(original.generations)
    return _saying(records, texts, ("blumar", "vex", "ottle"), splits=None)


def _saying(
    records: Records,
    texts: list[str],
    unknown: tuple[str, ...] = (),
    splits: tuple[str, ...] | None = ("forget",),
) -> Records:
    """Replaces generated answers, on some splits or on all."""
    said, wordings = records.generations.copy(), records.table(WORDINGS).copy()
    chosen = np.ones(len(said), bool) if splits is None else said["split"].isin(splits).to_numpy()
    said["text"] = np.where(chosen, texts, said["text"])
    if len(wordings):
        kept = wordings["unknown_words"]
        wordings["unknown_words"] = [
            list(unknown) if new else old for new, old in zip(chosen, kept, strict=True)
        ]
        wordings["topic"] = wordings["topic"].where(~chosen | wordings["topic"].isna(), 0.0)
    return records.with_table(GENERATIONS, said).with_table(WORDINGS, wordings)


def _beside_the_question(wordings: pd.DataFrame) -> pd.DataFrame:
    """Makes about half of the answers about the forgotten people ones to other questions."""
    beside = (wordings["split"] == "forget") & (
        np.random.default_rng(0).random(len(wordings)) < 0.5
    )
    return wordings.assign(topic=wordings["topic"].where(~beside, 0.1 * wordings["topic"]))


def _forgotten(table: Table, lines: pd.DataFrame) -> pd.Series:
    return pd.Series(lines["split"] == "forget")


def _texts_alone(table: Table, lines: pd.DataFrame) -> pd.Series:
    generated = table.name in (GENERATIONS.name, WORDINGS.name)
    return pd.Series(_forgotten(table, lines) & generated)


def _one_person(table: Table, lines: pd.DataFrame) -> pd.Series:
    forgotten = _forgotten(table, lines)
    return pd.Series(forgotten & (lines["person"] == lines["person"][forgotten].min()))


def _names(table: Table, lines: pd.DataFrame) -> pd.Series:
    return pd.Series(_forgotten(table, lines) & (lines["task"] != "caption"))
