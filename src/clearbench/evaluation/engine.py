"""Measures a model once over a dataset; every metric is computed from these records."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, zip_longest
from pathlib import Path

import numpy as np

from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.evaluation import side_effects
from clearbench.evaluation.batchwise import OnBatch
from clearbench.evaluation.groups import ANSWERS, ASKED, GENERATIONS
from clearbench.evaluation.measurement import Measurement
from clearbench.evaluation.metrics.divergence import NEUTRAL
from clearbench.evaluation.metrics.false_recognition import KNOWN
from clearbench.evaluation.metrics.surprise import SPELLED
from clearbench.evaluation.metrics.template_accuracy import MATCHES
from clearbench.evaluation.prompts import Prompt, generation_prompts
from clearbench.evaluation.records import SIDE, Records
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.evaluation.templates import matches
from clearbench.evaluation.wordings import WORDINGS, Wordings
from clearbench.models.base import Model
from clearbench.models.token_statistics import TokenStatistics

KNOWN_NAMES = 5
#: Variants whose good answer is as long as the true one: only these are cut by `stop_after`.
STOPPED = ("answer", "paraphrased")


def sample(dataset: Dataset, limit: int | None, seed: int = 0) -> Dataset:
    """Draws at most `limit` measured rows per split and task, evenly over people."""
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
            kept |= _in_turn(people, limit, seed)
        chosen[split] = tuple(row for row in rows if row.id in kept)
    return replace(dataset, evaluation=chosen)


def _in_turn(people: dict[int | str, list[Example]], limit: int, seed: int) -> set[str]:
    """Takes rows of people in turn, in an order drawn for the people and for each one's rows."""
    order = np.random.default_rng([seed, 3]).permutation(len(people))
    keys = list(people)
    shuffled = []
    for index in order:
        rows = people[keys[index]]
        rng = np.random.default_rng([seed, 4, int(index)])
        shuffled.append([rows[place].id for place in rng.permutation(len(rows))])
    turns = chain.from_iterable(zip_longest(*shuffled))
    return set(islice((row for row in turns if row is not None), limit))


@dataclass(frozen=True)
class _Plan:
    """Items and prompts of one measurement.

    Attributes:
        scored: Split, row and answer of every line of the answers.
        prompts: Questions about measured rows that are answered in words.
        side_prompts: Prompts for side effects, apart, so that no other answer's batch depends on
            them.
        side: True if side effects are measured.
    """

    scored: tuple[tuple[str, Example, Item], ...]
    prompts: tuple[Prompt, ...]
    side_prompts: tuple[Prompt, ...]
    side: bool


def _planned(model: Model, whole: Dataset, dataset: Dataset, settings: EvaluationSettings) -> _Plan:
    known = sorted(dataset.names[person] for person in dataset.people("retain"))
    scored = tuple(
        (split, row, answer)
        for split in settings.splits
        for row in dataset.evaluation.get(split, ())
        if model.accepts(item(row))
        for answer in variants(row, known)
        if model.accepts(answer)
    )
    if model.kind == "classifier":
        return _Plan(scored, (), (), False)
    side = SIDE in settings.splits
    prompts = generation_prompts(
        dataset, settings.splits, settings.generated_splits, settings.prompt_forms
    )
    side_prompts = side_effects.side_prompts(whole) if side else []
    return _Plan(scored, _accepted(model, prompts), _accepted(model, side_prompts), side)


def _accepted(model: Model, prompts: Iterable[Prompt]) -> tuple[Prompt, ...]:
    return tuple(prompt for prompt in prompts if model.accepts(prompt.item))


def evaluate(
    model: Model,
    dataset: Dataset,
    settings: EvaluationSettings,
    images: str | None = None,
    *,
    parts: Path | None = None,
    on_batch: OnBatch | None = None,
) -> Records:
    """Scores every answer variant of every measured row and generates answers.

    Under `accelerate launch` or `torchrun` every process calls this, measures its share of the
    batches and returns all the records.

    Args:
        model: Measured model; left as it was.
        dataset: Dataset whose measured splits are used.
        settings: Settings, of which `settings.measured` decides the records.
        images: Name of the control whose images the rows have; None for their own.
        parts: Folder that keeps finished batches of a long measurement, for after a kill.
        on_batch: Function called with (batches done, batches in all) by each process.
    """
    rows = sample(dataset, settings.limit)
    plan = _planned(model, dataset, rows, settings)
    model.check([answer for _, _, answer in plan.scored])
    most = settings.max_new_tokens
    longest = {p.item: _longest(model, p.item, most, settings.stop_after) for p in plan.prompts}
    results = Measurement(
        model,
        tuple(dict.fromkeys(answer for _, _, answer in plan.scored)),
        (longest, dict.fromkeys((prompt.item for prompt in plan.side_prompts), most)),
        neutral=plan.side,
    ).run(parts, on_batch)
    generations = [
        _generation(prompt, texts[prompt.item])
        for prompts, texts in zip((plan.prompts, plan.side_prompts), results.texts, strict=True)
        for prompt in prompts
    ]
    wordings = Wordings.of(dataset, (prompt.item.question for prompt in plan.side_prompts))
    tables = {
        ANSWERS: ANSWERS.frame(
            _answer(split, row, answer, results.statistics[answer])
            for split, row, answer in plan.scored
        ),
        GENERATIONS: GENERATIONS.frame(generations),
        WORDINGS: WORDINGS.frame(map(wordings.line, generations)),
        SPELLED: SPELLED.frame(
            (split, row.track, row.task, _person(row.person), row.id, model.answer_text(answer))
            for split, row, answer in plan.scored
            if answer.variant == "answer"
        ),
        ASKED: ASKED.frame(
            (*key, most, settings.stop_after, images or "", settings.limit)
            for key in dict.fromkeys(prompt.key for prompt in (*plan.prompts, *plan.side_prompts))
        ),
    }
    if model.kind == "classifier":
        tables[MATCHES] = MATCHES.frame(matches(model, rows, settings.splits))
    if plan.side:
        tables |= {KNOWN: side_effects.known_facts(dataset), NEUTRAL: results.neutral}
    return Records(tables)


def variants(row: Example, known_names: Sequence[str]) -> list[Item]:
    """Lists the answers of a row that are scored: true, paraphrased, perturbed, known names."""
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


def _person(number: int | None) -> int:
    return -1 if number is None else number


def _answer(split: str, row: Example, answer: Item, tokens: TokenStatistics) -> tuple[object, ...]:
    key = (split, row.track, row.task, _person(row.person))
    columns = (tokens.log_probs, tokens.hits, tokens.means, tokens.variances)
    return (*key, row.id, answer.variant, *(values.tolist() for values in columns))


def _longest(model: Model, prompt: Item, most: int, stop_after: float | None) -> int:
    """Computes the longest answer of a prompt in tokens."""
    if stop_after is None or prompt.variant not in STOPPED:
        return most
    return min(most, math.ceil(stop_after * model.answer_length(prompt)))


def _generation(prompt: Prompt, text: str) -> tuple[object, ...]:
    row = prompt.item
    return (*prompt.key, _person(row.person), row.row, row.question, row.answer, text)
