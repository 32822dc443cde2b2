"""Recognises by enrolment: a template per person, and every other image's cosine to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clearbench.batches.items import item
from clearbench.data.dataset import Dataset
from clearbench.models.base import Model

#: Images of each person that make the template in CLEAR; half of them, where there are fewer
#: than ten.
ENROLLED = 5
#: Number of images whose embeddings are computed together.
IMAGES = 64

Floats = NDArray[np.floating]


def matches(model: Model, dataset: Dataset, splits: Sequence[str]) -> list[tuple[object, ...]]:
    """Matches a classifier's images of people, labelled or not, with every template.

    Returns:
        Lines of the table `MATCHES`; none for a model that is no classifier.
    """
    if model.kind != "classifier":
        return []
    rows = [(split, row) for split in splits for row in dataset.evaluation.get(split, ())]
    shown = [(split, row) for split, row in rows if row.media and row.person is not None]
    if not shown:
        return []
    items = [item(row) for _, row in shown]
    vectors = [
        model.prompt_states(batch).cpu().numpy()
        for begin in range(0, len(items), IMAGES)
        for batch in model.batch(items[begin : begin + IMAGES])
    ]
    people = np.array([row.person for _, row in shown])
    scored = match(np.concatenate(vectors), people)
    return [
        (split, row.track, row.task, row.person, row.id, float(own), float(other))
        for index, own, other in zip(*scored, strict=True)
        for split, row in (shown[index],)
    ]


def enrolled(people: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Marks the images that are among their person's first, (images,).

    Counted by identity (errata E55: enrolled images were named by position).
    """
    chosen = np.zeros(len(people), bool)
    for person in np.unique(people):
        mine = np.flatnonzero(people == person)
        chosen[mine[: min(ENROLLED, len(mine) // 2)]] = True
    return chosen


def match(
    vectors: Floats, people: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Matches every image that is not enrolled with the templates.

    Enrolled images are left out (errata E56: templates contain the images they match), and the
    images of somebody who has only one.

    Args:
        vectors: Embeddings, (images, width).
        people: Person on each image, (images,).

    Returns:
        Indices of the images, their cosine to their own person's template, and the
        largest to any other person's (-1 where there is no other person), all (scored,).
    """
    chosen = enrolled(people)
    kept = np.flatnonzero(np.isin(people, people[chosen]))
    scored = np.flatnonzero(~chosen[kept])
    if not len(scored):
        return scored, np.zeros(0), np.zeros(0)
    own, other = template_cosines(vectors[kept], people[kept])
    return kept[scored], own[scored], other[scored]


def template_cosines(
    vectors: Floats, people: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Computes every image's cosine to its own person's template and the largest to another's.

    A template is the mean of a person's enrolled embeddings, as they are, then brought to length 1.

    Args:
        vectors: Embeddings, (images, width).
        people: Person on each image, (images,); two images or more of each.

    Returns:
        Two arrays, (images,); -1 in the second where there is no other person.
    """
    precise: NDArray[np.float64] = vectors.astype(np.float64)
    chosen = enrolled(people)
    known, owners = np.unique(people, return_inverse=True)
    means = [precise[chosen & (people == person)].mean(axis=0) for person in known]
    cosines = _unit(precise) @ _unit(np.stack(means)).T
    places = (np.arange(len(people)), owners)
    own = cosines[places].copy()
    cosines[places] = -1.0
    return own, cosines.max(axis=1)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float64] = vectors / np.maximum(lengths, 1e-12)
    return unit
