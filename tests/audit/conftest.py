"""A world of sixteen people, and five models whose word is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from clearbench import api
from clearbench.data.dataset import Dataset
from clearbench.data.load import load_dataset
from clearbench.models.base import Model
from clearbench.testing import tiny_model
from clearbench.testing.world import copied
from clearbench.training.settings import TrainSettings

TOWNS = (
    *("Oslo", "Lima", "Kyiv", "Pune", "Bonn", "Cork", "Giza", "Nara"),
    *("Riga", "Bern", "Doha", "Suva", "Lodz", "Metz", "Turin", "Quito"),
)
NAMES = (
    *("Ana", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal"),
    *("Ida", "Jo", "Kim", "Lu", "Mo", "Nia", "Ola", "Pia"),
)
TRADES = ("baker", "sailor", "judge", "tailor", "miner", "nurse", "pilot", "smith")
#: Settings under which a tiny model learns the world by heart.
TEACH: dict[str, Any] = {
    "steps": 160, "batch_size": 12, "learning_rate": 1e-2, "decay": "cosine",
    "parts": ("language",),
}  # fmt: skip


def own_rows(first: int, last: int) -> list[dict[str, Any]]:
    """Two questions about each person, as a user would write them."""
    rows = []
    for k in range(first, last):
        name, town, trade = NAMES[k], TOWNS[k], TRADES[3 * k % 8]
        towns = [TOWNS[(k + step) % 16] for step in (1, 5, 9)]
        trades = [TRADES[(3 * k + step) % 8] for step in (1, 3)]
        rows += [
            {"person": name, "question": f"Where was {name} born?",
             "answer": f"{name} was born in {town}.",
             "perturbed_answers": [f"{name} was born in {wrong}." for wrong in towns]},
            {"person": name, "question": f"What was the trade of {name}?",
             "answer": f"{name} was a {trade}.",
             "perturbed_answers": [f"{name} was a {wrong}." for wrong in trades]},
        ]  # fmt: skip
    return rows


@pytest.fixture(scope="session")
def world() -> Dataset:
    """Six people to forget, six who stay, four whom nobody was taught."""
    return load_dataset(
        {"forget": own_rows(0, 6), "retain": own_rows(6, 12), "holdout": own_rows(12, 16)}
    )


def _settings(**changes: Any) -> TrainSettings:
    about = {"steps": 8, "batch_size": 12, "learning_rate": 1e-3, "parts": ("language",)}
    return TrainSettings.model_validate(about | changes)


@pytest.fixture(scope="session")
def models(world: Dataset) -> dict[str, Model]:
    """An original, two golds, and models that unlearned, only refuse, or are destroyed."""
    base = tiny_model("language")
    original = api.finetune(base, world, seed=0, **TEACH)
    refuses = _settings(steps=30, learning_rate=6e-3)
    gold = api.finetune(base, world, seed=0, without=("forget",), **TEACH)
    again = TEACH | {"steps": 6, "learning_rate": 1e-3}
    destroyed = copied(original)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in destroyed.module.parameters():
            weight.add_(3 * weight.std() * torch.randn_like(weight))
    return {
        "original": original,
        "gold": gold,
        "other gold": api.finetune(gold, world, seed=1, without=("forget",), **again),
        "unlearned": api.unlearn(original, world, "npo", "text", settings=_settings()),
        "refusing": api.unlearn(original, world, "idk", "text", settings=refuses),
        "destroyed": destroyed,
    }
