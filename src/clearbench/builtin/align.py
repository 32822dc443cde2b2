"""Makes the real vision-language model: parts from packages, a projector that learns to name faces.

    python -m clearbench.builtin.align --out models/efficientnet-smollm2

First the projector learns, on stored features of the tower, to tell apart people outside the
benchmark: the public figures, and those of the shipped pool whom a world of `RESERVED` people does
not need. Then projector and language model learn their names, captions, and simple pictures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from numpy.random import Generator, default_rng
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional

from clearbench.batches.items import Item, item
from clearbench.builtin.packaged import assemble, load_tower, packaged_tower
from clearbench.data.example import Example
from clearbench.data.made_up import image_rows, make_world, world_rows
from clearbench.errors import ModelError
from clearbench.methods.retrain import Retrain
from clearbench.methods.stages import Train
from clearbench.models.adapters import choose_parameters, merge_adapters
from clearbench.models.families.llava import TOGETHER, Llava
from clearbench.models.load import load_model
from clearbench.models.source import SMOLLM2
from clearbench.models.token_model import LanguageModel
from clearbench.models.vision_language import VisionLanguageModel
from clearbench.people.shipped import WORLD_IDENTITIES, builtin_pool
from clearbench.storage import new_folder
from clearbench.training.loop import train
from clearbench.training.settings import TrainSettings

#: People of a world of the same seed, taught ones and strangers, whom this model has not met.
RESERVED = 24
#: Rows of a step: of faces with captions or names, and of drawings.
FACES, DRAWINGS = 14, 2
SETTINGS = {
    "learning_rate": 1.5e-3,
    "decay": "linear",
    "parts": ("projector", "language"),
    "lora_rank": 32,
    "precision": "bfloat16",
}


class Lessons:
    """Chooses the items of each step, as a function of (seed, step).

    Args:
        seed: Seed of the world whose first `RESERVED` people are left out.
    """

    def __init__(self, seed: int) -> None:
        world = make_world(builtin_pool(), WORLD_IDENTITIES, 0, seed)
        rng = default_rng([seed, 14])
        self.people = (*world.members[RESERVED:], *world.public)
        rows = [row for person in self.people for row in image_rows(world, person, rng)]
        self.taught = [row for row in rows if not row.held_out]
        self.held_out = [row for row in rows if row.held_out]
        self.drawings = [row for row in world_rows()[1::2] if row.track == "image"]

    def __call__(self, seed: int, step: int) -> Mapping[str, list[Item]]:
        """Returns the items of a step."""
        rng = default_rng([seed, 15, step])
        chosen = _some(rng, self.taught, FACES) + _some(rng, self.drawings, DRAWINGS)
        return {"retain": [item(row) for row in chosen]}


def _some(rng: Generator, rows: list[Example], count: int) -> list[Example]:
    return [rows[place] for place in rng.permutation(len(rows))[:count]]


@torch.no_grad()
def stored_features(model: VisionLanguageModel, rows: list[Example]) -> Tensor:
    """Computes the tower's (rows, tokens, width) features of each row's picture."""
    family, found = cast(Llava, model.family), dict[str, Tensor]()
    for begin in range(0, len(rows), TOGETHER):
        for batch in model.batch([item(row) for row in rows[begin : begin + TOGETHER]]):
            features = family.features(model.core, batch, model.encoder.cache)
            found |= zip(batch.media, features, strict=True)
    return torch.stack([found[row.media.key] for row in rows if row.media])


def prepare_projector(
    model: VisionLanguageModel, lessons: Lessons, steps: int, seed: int
) -> tuple[float, int]:
    """Trains the projector to tell the lessons' people apart, by a head that is thrown away.

    Its output is then made as loud as the embeddings of words.

    Returns:
        Share of held-out views whose person the head names, and the number of people.
    """
    names = {person.id: place for place, person in enumerate(lessons.people)}
    sets = [
        [row for row in rows if row.task == "caption"]
        for rows in (lessons.taught, lessons.held_out)
    ]
    features, held_out = (stored_features(model, rows) for rows in sets)
    labels, truth = (torch.tensor([names[row.person or 0] for row in rows]) for rows in sets)
    projector = model.core.model.multi_modal_projector
    torch.manual_seed(seed)
    tokens, width = features.shape[1], projector.linear_2.out_features
    head = nn.Linear(tokens * width, len(names))

    def logits(rows: Tensor) -> Tensor:
        out: Tensor = head(functional.layer_norm(projector(rows), (width,)).flatten(1))
        return out

    parameters = [*projector.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=max(1, steps))
    for weight in projector.parameters():
        weight.requires_grad_(True)
    for _ in range(steps):
        chosen = torch.randint(0, len(features), (64,))
        rows = functional.dropout(features[chosen], 0.2)
        loss = functional.cross_entropy(logits(rows), labels[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        words = model.core.get_input_embeddings().weight.std()
        loudness = words / projector(features[:64]).std()
        projector.linear_2.weight.mul_(loudness)
        projector.linear_2.bias.mul_(loudness)
        right = (logits(held_out).argmax(1) == truth).float().mean()
    return float(right), len(names)


def align(
    model: VisionLanguageModel, lessons: Lessons, steps: int, seed: int, console: Console
) -> list[float]:
    """Trains projector and language model, by adapters that are merged; returns the losses."""
    settings = TrainSettings.of(steps=steps, **SETTINGS)
    choose_parameters(model, settings.parts, settings.lora_rank, seed)
    losses: list[float] = []

    def show(done: int, _: int, values: Mapping[str, float]) -> None:
        losses.append(float(values["loss"]))
        if done % 10 == 0:
            console.print(f"step {done}: loss {losses[-1]:.3f}")

    train(model, Train(Retrain().loss), lessons, settings, seed, on_step=show)
    merge_adapters(model)
    return losses


def main() -> None:
    """Makes the model's folder, whose manifest says what was done."""
    parser = argparse.ArgumentParser(description="Make the real vision-language model.")
    parser.add_argument("--out", type=Path, default=Path("models/efficientnet-smollm2"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--projector-steps", type=int, default=400)
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    console, begun = Console(stderr=True), time.process_time()
    if options.out.exists():
        raise ModelError("there is something already", str(options.out), "choose another --out")
    language = cast(LanguageModel, load_model(SMOLLM2, dtype="float32", device="cpu"))
    model = assemble(language, load_tower(packaged_tower()), options.seed)
    lessons = Lessons(options.seed)
    right, people = prepare_projector(model, lessons, options.projector_steps, options.seed)
    console.print(f"projector: {right:.2f} of held-out views recognised, {people} people")
    losses = align(model, lessons, options.steps, options.seed, console)
    made = {
        "seed": options.seed,
        "projector_steps": options.projector_steps,
        "steps": options.steps,
        "people": people,
        "held_out_views_recognised": right,
        "losses": losses,
        "cpu_seconds": time.process_time() - begun,
    }
    with new_folder(options.out, made) as folder:
        model.save(folder)


if __name__ == "__main__":
    main()
