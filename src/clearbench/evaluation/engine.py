"""One pass of a model over a dataset writes the records that every metric is computed from."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from clearbench.batches.items import Item, item
from clearbench.data.dataset import SPLITS, Dataset
from clearbench.data.example import Example
from clearbench.evaluation import side
from clearbench.evaluation.batchwise import OnBatch
from clearbench.evaluation.prompts import Asked, to_speak
from clearbench.evaluation.protocols import SPOKEN, Way
from clearbench.evaluation.records import (
    ANSWER_COLUMNS,
    GENERATION_COLUMNS,
    MATCH_COLUMNS,
    SIDE,
    Records,
)
from clearbench.evaluation.task import Task
from clearbench.evaluation.templates import matches
from clearbench.models.base import Model
from clearbench.models.token_statistics import TokenStatistics

KNOWN_NAMES = 5
#: All that can be measured: the splits of a dataset, and side effects.
MEASURED = (*SPLITS, SIDE)
#: What a row is asked where a good answer is as long as the true one.
STOPPED = ("answer", "paraphrased")


def sample(dataset: Dataset, limit: int | None, seed: int = 0) -> Dataset:
    """At most `limit` measured rows per split and task: whole people, at least one."""
    if limit is None:
        return dataset
    chosen: dict[str, tuple[Example, ...]] = {}
    for split, rows in dataset.evaluation.items():
        groups: dict[tuple[str, str], dict[int | str, list[Example]]] = {}
        for row in rows:
            who = row.id if row.person is None else row.person
            groups.setdefault((row.track, row.task), {}).setdefault(who, []).append(row)
        kept: set[str] = set()
        for people in groups.values():
            kept |= _whole_people(people, limit, seed)
        chosen[split] = tuple(row for row in rows if row.id in kept)
    return replace(dataset, evaluation=chosen)


def _whole_people(people: dict[int | str, list[Example]], limit: int, seed: int) -> set[str]:
    order = np.random.default_rng([seed, 3]).permutation(len(people))
    keys = list(people)
    kept: list[str] = []
    for place in order:
        rows = people[keys[place]]
        if not kept or len(kept) + len(rows) <= limit:
            kept += [row.id for row in rows]
    return set(kept)


def evaluate(
    model: Model,
    dataset: Dataset,
    *,
    limit: int | None = None,
    splits: Sequence[str] = MEASURED,
    asks: Sequence[Way] = (),
    spoken: Sequence[str] = SPOKEN,
    max_new_tokens: int = 40,
    stop_after: float | None = None,
    parts: Path | None = None,
    on_batch: OnBatch | None = None,
) -> Records:
    """Scores every answer variant of every measured row and generates answers.

    Under `accelerate launch` or `torchrun` every process calls this, measures its share of the
    batches and returns all the records.

    Args:
        model: Left as it was.
        dataset: Its measured splits.
        limit: Rows per split and task, whole people; None for all.
        splits: Which splits to measure; `side` is what unlearning may do to the rest.
        asks: Ways of asking beside a row's own question.
        spoken: Splits whose answers are generated; none where only likelihoods matter.
        max_new_tokens: Longest generated answer.
        stop_after: Ends the answer to a row at so many times the tokens of the true one; None lets
            it run to `max_new_tokens`. Side effects and answers that need not be as long as the
            truth (a letter, a word that was left out) are never ended so.
        parts: Where a long measurement keeps what is done and, after a kill, looks for it.
        on_batch: Told (batches done, batches in all) by each process.
    """
    whole, dataset = dataset, sample(dataset, limit)
    known = sorted(dataset.names[person] for person in dataset.people("retain"))
    plan = [
        (split, row, each)
        for split in splits
        for row in dataset.evaluation.get(split, ())
        if model.accepts(item(row))
        for each in variants(row, known)
        if model.accepts(each)
    ]
    speaks = model.kind != "classifier"
    beside = speaks and SIDE in splits
    said = [  # side effects apart, so that no other answer's batch depends on them
        _heard(model, to_speak(dataset, splits, spoken, asks)) if speaks else [],
        _heard(model, side.to_speak(whole)) if beside else [],
    ]
    rows, others = ([asked.item for asked in each] for each in said)
    longest = {each: _longest(model, each, max_new_tokens, stop_after) for each in rows}
    task = Task(
        model,
        tuple(dict.fromkeys(each for _, _, each in plan)),
        (longest, dict.fromkeys(others, max_new_tokens)),
        neutral=beside,
    )
    found = task.run(parts, on_batch)
    answers = [_line(split, row, each, found.readings[each]) for split, row, each in plan]
    generations = [
        _spoken(asked, texts[asked.item])
        for each, texts in zip(said, found.texts, strict=True)
        for asked in each
    ]
    records = Records(
        pd.DataFrame(answers, columns=ANSWER_COLUMNS),
        pd.DataFrame(generations, columns=GENERATION_COLUMNS),
        matches=pd.DataFrame(matches(model, dataset, splits), columns=MATCH_COLUMNS),
    )
    return replace(records, known=side.known(whole), neutral=found.neutral) if beside else records


def variants(row: Example, known_names: Sequence[str]) -> list[Item]:
    """Every answer of a row that is scored: true, paraphrased, perturbed, and known names."""
    items = [item(row)]
    if row.paraphrased_answer is not None and row.paraphrased_answer != row.answer:
        items.append(item(row, "paraphrase", row.paraphrased_answer))
    items += [item(row, f"perturbed_{k}", text) for k, text in enumerate(row.perturbed_answers)]
    if row.task == "name":
        others = [name for name in known_names if name != row.answer]
        rng = np.random.default_rng(zlib.crc32(row.id.encode()))
        drawn = rng.permutation(others)[:KNOWN_NAMES]
        items += [item(row, f"known_{k}", str(name)) for k, name in enumerate(drawn)]
    return items


def _line(split: str, row: Example, each: Item, found: TokenStatistics) -> tuple[object, ...]:
    about = (split, row.track, row.task, -1 if row.person is None else row.person)
    tokens = (found.log_probs, found.hits, found.means, found.variances)
    return (*about, row.id, each.variant, *(values.tolist() for values in tokens))


def _heard(model: Model, questions: Iterable[Asked]) -> list[Asked]:
    return [asked for asked in questions if model.accepts(asked.item)]


def _longest(model: Model, each: Item, most: int, stop_after: float | None) -> int:
    """How many tokens the answer to a row may have."""
    if stop_after is None or each.variant not in STOPPED:
        return most
    return min(most, math.ceil(stop_after * model.answer_length(each)))


def _spoken(asked: Asked, text: str) -> tuple[object, ...]:
    each = asked.item
    person = -1 if each.person is None else each.person
    return (*asked.place, person, each.row, each.question, each.answer, text)
