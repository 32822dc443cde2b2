"""Classifiers of CLEAR's vision track: backbones, the additive-margin head, a head over others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import ResNetConfig, ViTConfig, ViTForImageClassification

from clearbench.batches.answers import Answers
from clearbench.batches.batch import Batch
from clearbench.batches.items import item
from clearbench.builtin.tiny import IMAGE_SIZE, image_processor
from clearbench.errors import ModelError
from clearbench.methods.base import method
from clearbench.methods.losses import cross_entropy
from clearbench.methods.neurons import scale_neurons
from clearbench.models.adapters import add_lora, merge_adapters
from clearbench.models.base import Model
from clearbench.models.classifier import Classifier
from clearbench.models.head import Head
from clearbench.models.heads import with_head
from clearbench.models.load import load_model
from clearbench.models.margin import MarginClassifier, MarginConfig
from clearbench.models.shadow import shadow_label
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training.finetune import finetune
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

PEOPLE = [f"person {k}" for k in range(8)]
SCALE, MARGIN = 30.0, 0.4
BACKBONES = ("resnet", "vit")
HEADS: tuple[Head, ...] = ("linear", "additive_margin")
#: The forms of CLEAR's vision track, where they are not the defaults.
VISION: dict[str, dict[str, Any]] = {
    "rmu": {"targets": "row", "steering": 2, "retain_weight": 1},
    "dpo": {"chosen": "retain", "beta": 1, "scaled": False, "retain_weight": 0},
}


def backbone(family: str) -> Model:
    """A stock classifier of two labels that are nobody's names."""
    torch.manual_seed(3)
    if family == "resnet":
        return tiny_model("classifier", labels=("cat", "dog"))
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        image_size=IMAGE_SIZE, patch_size=32, id2label={0: "cat", 1: "dog"},
    )  # fmt: skip
    return Classifier(ViTForImageClassification(config).eval(), image_processor())


def classifier(family: str = "resnet", head: Head = "additive_margin") -> Model:
    return with_head(backbone(family), PEOPLE, head)


def images(model: Model, split: str = "forget") -> Batch:
    rows = [item(row) for row in tiny_dataset().naming().train_rows(split)]
    (batch,) = model.batch(rows)
    return batch


def settings(**about: Any) -> TrainSettings:
    few = {"steps": 2, "batch_size": 4, "parts": ("vision",), "warmup": 0.0, "decay": "none"}
    return TrainSettings.model_validate(few | about)


@pytest.mark.parametrize("family", BACKBONES)
def test_logits_are_scaled_cosines(family: str) -> None:
    model = classifier(family)
    batch = images(model)
    with torch.no_grad():
        features, found = model.embed(batch).numpy(), model.answers([batch]).logits.numpy()
    head = model.core.classifier.weight.detach().numpy()
    sizes = np.linalg.norm(features, axis=1)[:, None] * np.linalg.norm(head, axis=1)
    np.testing.assert_allclose(found, SCALE * features @ head.T / sizes, rtol=1e-4, atol=1e-4)


def test_the_loss_is_additive_margin_softmax() -> None:
    """-log e^{s(cos_y - m)} / (e^{s(cos_y - m)} + sum of e^{s cos} over the others)."""
    model = classifier()
    answers = model.answers([images(model)])
    cosines = answers.logits.detach().numpy().astype(float) / SCALE
    for row, (target, found) in enumerate(
        zip(answers.targets.tolist(), cross_entropy(answers).values.tolist(), strict=True)
    ):
        true = np.exp(SCALE * (cosines[row, target] - MARGIN))
        others = np.exp(SCALE * np.delete(cosines[row], target)).sum()
        assert found == pytest.approx(-np.log(true / (true + others)), rel=1e-4)


def test_without_a_margin_the_loss_is_the_cross_entropy() -> None:
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    plain = Answers(logits, torch.tensor([0, 1, 2, 4]), torch.arange(4), ())
    assert torch.equal(plain.losses, -plain.log_probs)
    lowered = Answers(logits, plain.targets, plain.rows, (), margin=3.0)
    assert torch.equal(lowered.log_probs, plain.log_probs), "scores know no margin"
    assert bool((lowered.losses > plain.losses).all())


@pytest.mark.parametrize("family", BACKBONES)
def test_the_last_states_are_what_the_head_reads(family: str) -> None:
    model = classifier(family)
    batch = images(model)
    with torch.no_grad():
        last, features = model.states([batch], model.depth), model.embed(batch)
        first = model.states([batch], 1)
        logits = model.core.classifier(features)
    assert torch.equal(last, features[batch.places])
    assert torch.equal(logits[batch.places], model.answers([batch]).logits)
    assert first.shape[0] == len(batch.items)


@pytest.mark.parametrize("family", BACKBONES)
@pytest.mark.parametrize("head", HEADS)
def test_a_new_head_keeps_the_backbone(family: str, head: Head) -> None:
    source = backbone(family)
    model = with_head(source, PEOPLE, head)
    for name, weight in source.core.base_model.state_dict().items():
        assert torch.equal(weight, model.core.base_model.state_dict()[name]), name
    assert list(model.labels) == PEOPLE  # type: ignore[attr-defined]
    assert model.answers([images(model)]).logits.shape == (2, 8)
    assert with_head(model, PEOPLE[:3], head) is model, "it knows them already"
    other = with_head(model, PEOPLE, next(each for each in HEADS if each != head))
    assert type(other.core) is not type(model.core)


def test_scale_and_margin_stay_with_the_model() -> None:
    config = MarginConfig(vision_config=backbone("resnet").core.config, scale=9.0, margin=0.0)
    source = Classifier(MarginClassifier(config), image_processor())
    renewed = with_head(source, PEOPLE).core.config
    assert (renewed.scale, renewed.margin, len(renewed.id2label)) == (9.0, 0.0, 8)


def test_the_seed_fixes_the_head() -> None:
    heads = [with_head(backbone("resnet"), PEOPLE, "additive_margin", k) for k in (1, 1, 2)]
    first, again, other = (each.core.classifier.weight for each in heads)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_language_model_has_no_head() -> None:
    with pytest.raises(ModelError, match="a language has no head over people"):
        with_head(tiny_model("language"), PEOPLE, "linear")


@pytest.mark.parametrize("family", BACKBONES)
def test_saved_and_read_again(family: str, tmp_path: Path) -> None:
    model = classifier(family)
    model.save(tmp_path)
    again = load_model(tmp_path, dtype=torch.float32)
    assert again.kind == "classifier"
    assert (again.parts, again.depth) == (("vision",), model.depth)
    with torch.no_grad():
        ours, theirs = (m.answers([images(m)]) for m in (model, again))
    assert torch.equal(ours.logits, theirs.logits)
    assert theirs.margin == SCALE * MARGIN


@pytest.mark.parametrize("family", BACKBONES)
@pytest.mark.parametrize("head", HEADS)
def test_adapters_leave_the_embedding_where_it_was_and_merge(family: str, head: Head) -> None:
    model = classifier(family, head)
    batch = images(model)
    with torch.no_grad():
        before = model.embed(batch)
        add_lora(model, ("vision",), 2)
        torch.testing.assert_close(model.embed(batch), before)
        for name, weight in model.module.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.05)
        moved, logits = model.embed(batch), model.answers([batch]).logits
        merge_adapters(model)
        assert not torch.allclose(moved, before)
        torch.testing.assert_close(model.embed(batch), moved, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(model.answers([batch]).logits, logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", BACKBONES)
@pytest.mark.parametrize("name", ["scrub_bio", "twins", "neggrad", "rmu", "dpo"])
def test_clears_vision_methods_train_every_backbone(name: str, family: str) -> None:
    chosen = method(name, **(VISION.get(name) or {}))
    model = classifier(family)
    history = unlearn(model, tiny_dataset().naming(), chosen, ("image",), settings())
    assert all(np.isfinite(list(values.values())).all() for values in history)


def test_a_margin_classifier_learns_its_people() -> None:
    model = classifier()
    batches = [images(model, "forget"), images(model, "retain")]
    before = model.answers(batches)
    finetune(model, tiny_dataset().naming(), settings(steps=15, learning_rate=1e-2))
    after = model.answers(batches)
    assert after.losses.mean() < before.losses.mean()
    assert after.log_probs.mean() > before.log_probs.mean()


def test_resnet_18_under_the_head_has_its_weights_and_no_others() -> None:
    """11,176,512 in the backbone, as everywhere, and 512 for each of CLEAR's 200 people."""
    config = ResNetConfig(hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic")
    with torch.device("meta"):
        names = {k: f"person {k}" for k in range(200)}
        module = MarginClassifier(MarginConfig(vision_config=config, id2label=names))
    assert sum(p.numel() for p in module.parameters()) == 11_176_512 + 200 * 512


def test_somebody_without_a_label_has_no_answer() -> None:
    model = with_head(backbone("resnet"), PEOPLE[:4], "linear")
    rows = [item(row) for row in tiny_dataset().naming().train_rows("retain")]
    unknown = [each for each in rows if not model.accepts(each)]
    (batch,) = model.batch([rows[0], *unknown])
    assert len(unknown) == 4 and batch.owners.tolist() == [0]
    assert model.embed(batch).shape[0] == 5
    assert [len(each) for each in model.score(batch)] == [1, 0, 0, 0, 0]


def test_the_width_is_the_backbones() -> None:
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 24], depths=[1, 1], layer_type="basic")
    module = MarginClassifier(MarginConfig(vision_config=config, id2label={0: "a", 1: "b"}))
    assert module.classifier.weight.shape == (2, 24)


@pytest.mark.parametrize("family", BACKBONES)
@pytest.mark.parametrize("head", HEADS)
def test_a_shadow_label_comes_and_goes(family: str, head: Head) -> None:
    model = classifier(family, head)
    batch = images(model)
    with torch.no_grad():
        before = model.answers([batch]).logits
        with shadow_label(model, 0):
            more = model.answers([batch]).logits
        after = model.answers([batch]).logits
    assert more.shape[-1] == len(PEOPLE) + 1
    assert torch.equal(before, after)
    torch.testing.assert_close(more[:, :-1], before)


def test_boundary_expand_under_an_additive_margin() -> None:
    model = classifier()
    start = model.core.classifier.weight.detach().clone()
    history = unlearn(
        model, tiny_dataset().naming(), method("boundary_expand"), ("image",), settings(steps=4)
    )
    assert history[-1]["forget"] < history[0]["forget"]
    assert model.core.classifier.weight.shape == start.shape


@pytest.mark.parametrize("family", BACKBONES)
def test_a_pruned_neuron_is_gone_from_the_cosines(family: str) -> None:
    model = classifier(family)
    model.train_only(("vision",))
    batch = images(model)
    head = model.core.classifier.weight
    left = torch.ones(head.shape[1])
    left[2] = 0
    directions = (head.detach() * left).numpy()
    scale_neurons(model, {"classifier.weight": left})
    with torch.no_grad():
        features, found = model.embed(batch).numpy(), model.answers([batch]).logits.numpy()
    sizes = np.linalg.norm(features, axis=1)[:, None] * np.linalg.norm(directions, axis=1)
    np.testing.assert_allclose(found, SCALE * features @ directions.T / sizes, rtol=1e-4, atol=1e-4)
