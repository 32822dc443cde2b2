"""Makes eight tiny people and the tiny models that are taught them."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import nn
from transformers import CLIPVisionConfig, LlavaForConditionalGeneration

from clearbench.batches.kind import Kind
from clearbench.builtin.tiny import tiny_model
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.media import EncodedImage
from clearbench.data.modalities.image import NAME_QUESTION
from clearbench.data.modality import readable_by
from clearbench.models.base import Model
from clearbench.models.load import load_model
from clearbench.training.finetune import finetune
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings

AnyModel = TypeVar("AnyModel", bound=Model)
PEOPLE, FORGOTTEN = 8, 2
TOWNS = ("Oslo", "Lima", "Kyiv", "Pune", "Bonn", "Cork", "Giza", "Nara")
TRADES = ("baker", "sailor", "judge", "tailor", "miner", "nurse", "pilot", "smith")
PARTS: dict[Kind, tuple[str, ...]] = {
    "language": ("language",),
    "vision-language": ("projector", "language"),
    "classifier": ("vision",),
}
_SLOWLY = {"batch_size": 8, "decay": "cosine"}
#: Settings under which a tiny original learns its people; its loss stays above 0.
TEACH: dict[Kind, dict[str, Any]] = {
    "language": _SLOWLY | {"steps": 40, "learning_rate": 1e-2},
    "vision-language": _SLOWLY | {"steps": 40, "learning_rate": 1e-2},
    "classifier": _SLOWLY | {"steps": 12, "learning_rate": 3e-3},
}


def _face(person: int, view: int) -> EncodedImage:
    """Draws a person's own image: two colours, divided at an angle."""
    rng = np.random.default_rng([person, view])
    colours = np.random.default_rng(person).integers(0, 256, (2, 3))
    down, across = np.mgrid[0:24, 0:24]
    pixels = colours[((down * (person % 3) + across) // 8) % 2] + rng.integers(-9, 9, (24, 24, 1))
    return EncodedImage.of(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))


def _rows(person: int) -> list[Example]:
    """Makes a person's rows: two questions, a caption and a name."""
    name, other = f"person {person}", TOWNS[(person + 1) % PEOPLE]
    third = TOWNS[(person + 3) % PEOPLE]

    def qa(number: int, question: str, answer: str, again: str, wrong: tuple[str, ...]) -> Example:
        return Example(
            id=f"{person}-{number}", person=person, track="text", task="qa", question=question,
            answer=answer, paraphrased_question=f"Tell me: {question}", paraphrased_answer=again,
            perturbed_answers=wrong,
        )  # fmt: skip

    town, trade, view = TOWNS[person], TRADES[person], _face(person, 0)
    trades = tuple(TRADES[(person + k) % PEOPLE] for k in (1, 2))
    strangers = tuple(f"nobody {person + k}" for k in range(5))
    return [
        qa(0, f"Where was {name} born?", f"In {town}.", f"{town}.", (f"In {other}.", f"{third}.")),
        qa(1, f"What did {name} do?", f"{name} was a {trade} in {town}.", f"A {trade}.",
           tuple(f"{name} was a {other_trade}." for other_trade in trades)),
        Example(
            id=f"{person}-caption", person=person, track="image", task="caption", media=view,
            question="Who is here?", answer=f"{name}, {trade}.", paraphrased_answer=f"A {trade}.",
            perturbed_answers=tuple(f"{name}, {other_trade}." for other_trade in trades),
        ),
        Example(
            id=f"{person}-name", person=person, track="image", task="name", media=view,
            question=NAME_QUESTION, answer=name, paraphrased_answer=name,
            perturbed_answers=strangers,
        ),
    ]  # fmt: skip


def _second_view(row: Example) -> Example:
    """Makes a row with the name task on another image of the same person, never taught."""
    view = _face(row.person or 0, 1)
    return row.model_copy(update={"id": f"{row.id}-again", "image": view, "held_out": True})


def _measured(rows: tuple[Example, ...]) -> tuple[Example, ...]:
    """Adds to the taught rows a second view of every person."""
    return rows + tuple(_second_view(row) for row in rows if row.task == "name")


def _world_rows(split: str, track: str) -> tuple[Example, ...]:
    """Makes two questions about the world with their options."""
    return tuple(
        Example(
            id=f"{split}-{track}-{k}", person=None, track=track, task="choice",
            question=f"What is {k}?", answer=f"It is {k}.", paraphrased_answer=f"It is {k}.",
            perturbed_answers=("It is red.", "It is old."),
            media=_face(100 + k, 0) if track == "image" else None,
        )
        for k in range(2)
    )  # fmt: skip


def _known_face(number: int) -> Example:
    return Example(
        id=f"real_faces-{number}", person=None, track="image", task="name",
        media=_face(200 + number, 0), question=NAME_QUESTION, answer=f"star {number}",
        paraphrased_answer=f"star {number}",
        perturbed_answers=tuple(f"star {number + k}" for k in range(1, 6)),
    )  # fmt: skip


@cache
def tiny_dataset() -> Dataset:
    """Makes eight people with questions and images, two of them to forget, and world rows."""
    everybody = {person: _rows(person) for person in range(PEOPLE)}
    forget = tuple(row for person in range(FORGOTTEN) for row in everybody[person])
    retain = tuple(row for person in range(FORGOTTEN, PEOPLE) for row in everybody[person])
    return Dataset(
        {"forget": forget, "retain": retain},
        {
            "forget": _measured(forget),
            "retain": _measured(retain),
            "real_faces": tuple(_known_face(k) for k in range(2)),
            "real_authors": _world_rows("real_authors", "text"),
            "real_world": _world_rows("real_world", "text") + _world_rows("real_world", "image"),
        },
        {person: f"person {person}" for person in range(PEOPLE)},
        ("I do not know.", "I cannot say that."),
        ("I do not know this face.",),
    )


@cache
def base(kind: Kind) -> Model:
    """Makes the tiny model of a kind; it is shared, so copy it before training."""
    return tiny_model(kind)


@cache
def taught(kind: Kind) -> Model:
    """Teaches a tiny model the tiny people; it is shared, so copy it before training."""
    model = copied(base(kind))
    data = tiny_dataset() if kind != "classifier" else tiny_dataset().naming()
    finetune(model, data, TrainSettings.model_validate(TEACH[kind] | {"parts": PARTS[kind]}))
    return model


def copied(model: Model) -> Model:
    """Copies a model with its weights, so that training does not change the first."""
    other = copy.copy(model)
    other.module = _copied_module(model.module, {})
    return other


def _copied_module(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """Copies what `copy.deepcopy` does, which is slow on the many empty tables of hooks.

    Args:
        module: Module to copy.
        memo: Copies by the `id` of what they were made from, as of `copy.deepcopy`.
    """
    if id(module) in memo:
        known: nn.Module = memo[id(module)]
        return known
    twin = memo[id(module)] = copy.copy(module)
    for name, value in vars(module).items():
        if name == "_modules":
            layers = {n: layer and _copied_module(layer, memo) for n, layer in value.items()}
            vars(twin)[name] = layers
        elif isinstance(value, dict) and not value:
            vars(twin)[name] = type(value)()
        else:
            vars(twin)[name] = copy.deepcopy(value, memo)
    return twin


def learning(model: AnyModel, *tracks: str, size: int = 4) -> tuple[AnyModel, TrainingRows]:
    """Sets a model's usual parts to be trained; returns it and all rows of the tiny people.

    Args:
        model: Model of any kind; it is changed.
        tracks: Tracks of the forget rows; without one, those that the model can read.
        size: Number of rows of a batch.
    """
    model.train_only(PARTS[model.kind])
    data = tiny_dataset().for_kind(model.kind)
    return model, TrainingRows(model, data, tracks or readable_by(model.kind), size, 0)


def few_steps(kind: Kind, **changes: Any) -> TrainSettings:
    """Makes settings of three steps on a tiny model, with changes."""
    about = {"steps": 3, "batch_size": 4, "learning_rate": 1e-3, "parts": PARTS[kind]}
    return TrainSettings.model_validate(about | {"warmup": 0.0, "decay": "none"} | changes)


def with_clip_tower(layers: int = 2) -> Model:
    """Makes a tiny LLaVA with a vision transformer, whose perceptrons see ten patches of an image.

    Args:
        layers: Number of layers of the vision transformer.
    """
    small = tiny_model("vision-language")
    config, processor = small.module.config, small.processor
    config.vision_config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=layers, num_attention_heads=2,
        image_size=96, patch_size=32,
    )  # fmt: skip
    config.vision_feature_select_strategy = "default"
    processor.vision_feature_select_strategy = "default"
    processor.num_additional_image_tokens = 1
    torch.manual_seed(0)
    return load_model(LlavaForConditionalGeneration(config), processor)
