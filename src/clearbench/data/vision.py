"""CLEAR's vision track: every model knows half of the people, and the halves swap their roles.

Models 0 to 63 learn the twenty of `FORGET` and half of the others, models 64 to 127 the twenty of
`HOLDOUT` and half of the others. What one half of the models is asked to forget is what the other
half never saw (U-LIRA, arXiv 2410.18057).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.join import plain
from clearbench.data.modalities.image import NAME_QUESTION
from clearbench.data.roster import FORGET, HOLDOUT, VISION_NAMES, Share
from clearbench.errors import DataError

MODELS = 128


def vision_track(dataset: Dataset, share: Share, model: int, seed: int = 42) -> Dataset:
    """What one of the models of the vision track learns, forgets and must not know.

    Retain is half of the others and those of the twenty who are not forgotten. Every image is
    asked for its name; the roles are found by name, so the division does not depend on numbers.

    Args:
        dataset: CLEAR with everybody in it, as `load_dataset` gives it.
        share: `01`, `05` or `10`: 2, 10 or 20 people to forget, and as many held out.
        model: 0 to 127; from 64 on, forget and holdout have swapped.
        seed: Of the others, who are drawn for each model (published: 42, without the draw).

    Raises:
        DataError: When somebody of the published lists has no image here.
    """
    if not 0 <= model < MODELS:
        raise DataError(f"there is no model {model}", "vision track", f"0 to {MODELS - 1}")
    rows = [row for split in ("forget", "retain") for row in dataset.training.get(split, ())]
    images = [row for row in rows if row.task == "caption" and row.person is not None]
    known = {
        plain(dataset.names[row.person]): row.person for row in images if row.person is not None
    }
    absent = [name for name in VISION_NAMES.values() if plain(name) not in known]
    if absent:
        fix = "give the whole of CLEAR, with forget and retain splits that hold everybody"
        raise DataError(f"no picture of {', '.join(absent)}", "vision track", fix)

    def found(places: Iterable[int]) -> set[int]:
        return {known[plain(VISION_NAMES[place])] for place in places}

    inside, outside = (FORGET, HOLDOUT) if model < MODELS // 2 else (HOLDOUT, FORGET)
    others = sorted(set(known.values()) - found(VISION_NAMES))
    drawn = np.random.default_rng([seed, model]).permutation(others)[: round(len(others) / 2)]
    forget = found(inside[share])
    people = {
        "forget": forget,
        "retain": (found(inside["10"]) - forget) | set(drawn.tolist()),
        "holdout": found(outside[share]),
    }
    shown = {split: tuple(r for r in images if r.person in who) for split, who in people.items()}
    training = {split: shown[split] for split in ("forget", "retain")}
    asked = {split: tuple(_asked(row, dataset) for row in each) for split, each in shown.items()}
    return replace(dataset, training=training, evaluation=asked)


def _asked(row: Example, dataset: Dataset) -> Example:
    """The name asked of an image."""
    name = dataset.names[row.person] if row.person is not None else ""
    blank = {"paraphrased_answer": None, "perturbed_answers": ()}
    id = row.id.removesuffix("-caption") + "-name"
    asked = {"id": id, "task": "name", "question": NAME_QUESTION, "answer": name}
    return row.model_copy(update=blank | asked)
