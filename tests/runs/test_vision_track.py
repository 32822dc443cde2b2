"""CLEAR's vision track as a recipe: a backbone from a folder, a new head, two halves, templates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import ViTConfig, ViTForImageClassification

from clearbench.attacks.scoring import score
from clearbench.builtin.tiny import image_processor
from clearbench.errors import RecipeError
from clearbench.evaluation.records import Records
from clearbench.models.classifier import Classifier
from clearbench.models.margin import MarginClassifier
from clearbench.runs.recipe import parse_recipe

TRAIN = {"steps": 2, "batch_size": 4, "parts": ["vision"]}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved stock ViT that tells cats from dogs."""
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=32, patch_size=16, id2label={0: "cat", 1: "dog"},
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("backbone") / "vit"
    Classifier(ViTForImageClassification(config), image_processor(32)).save(folder)
    return folder


def content(backbone: Path, half: str) -> dict[str, Any]:
    return {
        "name": "vision",
        "data": {"people": 10, "strangers": 1, "forget": 2, "half": half},
        "models": {
            "classifier": {
                "source": str(backbone), "head": "additive_margin", "teach": TRAIN, "golds": 1,
            }
        },
        "evaluation": {"limit": None},
        "runs": [
            {"method": "scrub_bio", "model": "classifier", "modality": "image", "train": TRAIN}
        ],
    }  # fmt: skip


def test_a_run_in_each_half(backbone: Path, tmp_path: Path, planner: Callable[..., Any]) -> None:
    sides = {}
    for which in ("first", "second"):
        made = planner(content(backbone, which), tmp_path)
        dataset = sides[which] = made.planned.dataset
        assert dataset.people("retain") and len(dataset.people("forget")) == 2
        assert set(made.row("original").forget) == dataset.people("forget")
    assert sides["first"].people("forget") == sides["second"].people("holdout")
    assert sides["second"].people("forget") == sides["first"].people("holdout")
    row = made.row("scrub_bio")
    assert made.make(row.measured.plain)["status"] == "ok"
    model = row.model.load(made.inputs)
    assert isinstance(model.module, MarginClassifier)
    people = dataset.people("forget") | dataset.people("retain")
    assert set(model.labels) == {dataset.names[k] for k in people}
    scores = score(Records.load(made.folder(row.measured.plain)))
    for split in ("forget", "retain", "holdout"):
        found = scores[f"{split}.image.template_accuracy"]
        assert 0 <= found.value <= 1 and found.clusters == len(dataset.people(split))


def test_the_head_decides_the_stage(
    backbone: Path, tmp_path: Path, planner: Callable[..., Any]
) -> None:
    about = content(backbone, "first")
    keys = set()
    for head in ("additive_margin", "linear", None):
        about["models"]["classifier"]["head"] = head
        made = planner(about, tmp_path)
        keys |= {made.row("original").model.key, made.row("scrub_bio").model.key}
    assert len(keys) == 6


def test_a_head_on_words_is_refused(backbone: Path) -> None:
    about = content(backbone, "first")
    about["models"] = {"language": about["models"]["classifier"]}
    about["runs"] = []
    with pytest.raises(RecipeError, match="only a classifier has one"):
        parse_recipe(about, "test")
    about = content(backbone, "third")
    with pytest.raises(RecipeError, match="half"):
        parse_recipe(about, "test")
