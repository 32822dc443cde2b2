"""CLEAR's vision track as a recipe: a backbone from a folder, a new head, two halves, templates."""

from __future__ import annotations

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
from clearbench.runs import work
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.run import planned

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


def test_a_run_in_each_half(backbone: Path, tmp_path: Path) -> None:
    sides = {}
    for which in ("first", "second"):
        recipe = parse_recipe(content(backbone, which), "test")
        dataset, (family,) = planned(recipe, tmp_path)
        sides[which] = dataset
        assert dataset.people("retain") and len(dataset.people("forget")) == 2
        assert set(family.original.forget) == dataset.people("forget")
    assert sides["first"].people("forget") == sides["second"].people("holdout")
    assert sides["second"].people("forget") == sides["first"].people("holdout")
    root = tmp_path / "stages"
    jobs = (family.original, *family.unlearned)
    for job in jobs:
        assert work.make_model(root, job, lambda *_: None) == "ok"
        work.measure(root, job, recipe.evaluation, lambda *_: None)
    model = work.stage_model(root, jobs[1])
    assert isinstance(model.module, MarginClassifier)
    people = dataset.people("forget") | dataset.people("retain")
    assert set(model.labels) == {dataset.names[k] for k in people}  # type: ignore[attr-defined]
    scores = score(Records.load(root / jobs[1].records(recipe.evaluation)))
    for split in ("forget", "retain", "holdout"):
        found = scores[f"{split}.image.template_accuracy"]
        assert 0 <= found.value <= 1 and found.clusters == len(dataset.people(split))


def test_the_head_decides_the_stage(backbone: Path, tmp_path: Path) -> None:
    about = content(backbone, "first")
    stages = set()
    for head in ("additive_margin", "linear", None):
        about["models"]["classifier"]["head"] = head
        _, (family,) = planned(parse_recipe(about, "test"), tmp_path)
        stages |= {family.original.stage, family.unlearned[0].stage}
    assert len(stages) == 6


def test_a_head_on_words_is_refused(backbone: Path) -> None:
    about = content(backbone, "first")
    about["models"] = {"language": about["models"]["classifier"]}
    about["runs"] = []
    with pytest.raises(RecipeError, match="only a classifier has one"):
        parse_recipe(about, "test")
    about = content(backbone, "third")
    with pytest.raises(RecipeError, match="half"):
        parse_recipe(about, "test")
