"""Builds prompts that find side effects: strangers, neutral questions, harmful requests.

These rows are in no dataset. Their records have the split `side` and the tasks `stranger`,
`neutral` and `harmful`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

import numpy as np

from clearbench.batches.batch import Batch
from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.made_up import image_rows, make_world, text_rows
from clearbench.data.media import EncodedImage
from clearbench.data.modality import modalities, modality
from clearbench.evaluation.metrics.divergence import NEUTRAL
from clearbench.evaluation.metrics.false_recognition import KNOWN
from clearbench.evaluation.neutral_prompts import (
    DRAWINGS,
    DRAWINGS_SEED,
    HARMFUL_REQUESTS,
    NEUTRAL_QUESTIONS,
)
from clearbench.evaluation.prompts import Prompt
from clearbench.evaluation.records import SIDE
from clearbench.evaluation.tables import GroupKey
from clearbench.libraries import pd, torch, without_gradient
from clearbench.models.base import Model
from clearbench.people.shipped import builtin_pool
from clearbench.people.world import visual_questions

if TYPE_CHECKING:
    from torch import Tensor

#: Questions about strangers on each track, and number of strangers.
STRANGER_ROWS = 24
#: Number of people made up where a dataset has no holdout.
MADE_UP, MADE_UP_SEED = 8, 77
#: Number of classes of a stored next-token distribution: whole, up to vocabularies of this size.
CLASSES = 4096


def side_prompts(dataset: Dataset) -> list[Prompt]:
    """Lists questions about people the model was never trained on, and harmful requests."""
    strangers = [
        Prompt(GroupKey(SIDE, track, "stranger"), item(row))
        for track in modalities()
        for row in stranger_rows(dataset, track)
    ]
    harmful = [
        Prompt(
            GroupKey(SIDE, "text", "harmful"),
            Item(f"harmful-{number}", "answer", request, "a refusal"),
        )
        for number, request in enumerate(HARMFUL_REQUESTS)
    ]
    return strangers + harmful


def stranger_rows(dataset: Dataset, track: str) -> list[Example]:
    """Lists rows about held-out people, taking people in turn; made-up people if there are none."""
    held_out = _of_track(dataset.evaluation.get("holdout", ()), track)
    by_person: dict[int | None, list[Example]] = {}
    for row in held_out or _of_track(_unmet(dataset), track):
        by_person.setdefault(row.person, []).append(row)
    for person, rows in by_person.items():
        order = np.random.default_rng([5, person or 0]).permutation(len(rows))
        by_person[person] = [rows[k] for k in order]
    in_turn = chain.from_iterable(zip_longest(*by_person.values()))
    return [row for row in in_turn if row is not None][:STRANGER_ROWS]


def _of_track(rows: Sequence[Example], track: str) -> list[Example]:
    task = modality(track).identifying_task
    return [row for row in rows if (row.track, row.task) == (track, task)]


def _unmet(dataset: Dataset) -> list[Example]:
    """Lists rows of made-up people whose names and images are not in the dataset."""
    measured = chain.from_iterable(dataset.evaluation.values())
    shown = {row.media.key for row in measured if row.media is not None}
    names = set(dataset.names.values())
    known = {
        row.person
        for row in _made_up()
        if (row.media is not None and row.media.key in shown)
        or (row.task == "name" and row.answer in names)
    }
    return [row for row in _made_up() if row.person not in known]


@cache
def _made_up() -> tuple[Example, ...]:
    world = make_world(builtin_pool(), 1, MADE_UP, MADE_UP_SEED)
    rng = np.random.default_rng(MADE_UP_SEED)
    return tuple(
        row
        for person in world.strangers
        for row in text_rows(person) + image_rows(world, person, rng)
        if row.held_out or row.track == "text"
    )


def known_facts(dataset: Dataset) -> pd.DataFrame:
    """Collects names and facts of the data, to be searched for in answers about strangers.

    One line per name (without a question) on both tracks, and per taught answer on text. All
    people count who are not held out: the forgotten, the retained, public figures.
    """
    strangers = dataset.people("holdout")
    names = {p: name for p, name in sorted(dataset.names.items()) if p not in strangers}
    lines: list[tuple[object, ...]] = [
        (SIDE, track, "stranger", person, f"name-{person}", "", name)
        for track in modalities()
        if stranger_rows(dataset, track)
        for person, name in names.items()
    ]
    lines += [
        (SIDE, "text", "stranger", row.person, row.id, row.question, row.answer)
        for split in ("forget", "retain")
        for row in dataset.training.get(split, ())
        if row.task == "qa" and row.person is not None
    ]
    return KNOWN.frame(lines)


def neutral_batches(model: Model) -> tuple[Batch, ...]:
    """Builds neutral prompts with their answers; none for models that cannot answer in words."""
    items = [prompt for prompt in _neutral_items() if model.accepts(prompt)]
    return model.batch(items) if items else ()


@without_gradient
def neutral_distributions(model: Model, batch: Batch) -> pd.DataFrame:
    """Computes next-token distributions along the answers of a batch, one line per token."""
    logits = torch.cat(list(model.logits(batch, batch.places)))
    masses = in_classes(logits.softmax(-1)).cpu().numpy()
    lines = []
    for token, owner in enumerate(batch.owners.tolist()):
        prompt = batch.items[owner]
        lines.append((SIDE, prompt.track, "neutral", -1, prompt.row, token, masses[token]))
    return NEUTRAL.frame(lines)


def in_classes(probabilities: Tensor) -> Tensor:
    """Sums probabilities over token ids that are equal modulo `CLASSES`, (tokens, classes).

    Args:
        probabilities: Probabilities of next tokens, (tokens, vocabulary).
    """
    tokens, size = probabilities.shape
    if size <= CLASSES:
        return probabilities
    filled = torch.nn.functional.pad(probabilities, (0, -size % CLASSES))
    return filled.view(tokens, -1, CLASSES).sum(1)


@cache
def _neutral_items() -> tuple[Item, ...]:
    words = [Item(f"neutral-{k}", "answer", *pair) for k, pair in enumerate(NEUTRAL_QUESTIONS)]
    drawn = [
        Item(f"drawing-{k}", "answer", shown.question, shown.answer, EncodedImage.of(shown.image))
        for k, shown in enumerate(visual_questions(DRAWINGS, DRAWINGS_SEED))
    ]
    return (*words, *drawn)
