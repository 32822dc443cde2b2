"""Heads trained at once become what each becomes alone, and under its backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from clearbench.batches.items import item
from clearbench.errors import ModelError, RecipeError
from clearbench.methods.base import Method, method
from clearbench.methods.losses import Term, cross_entropy, uniform
from clearbench.methods.retain_finetune import RetainFinetune
from clearbench.methods.step import Step
from clearbench.models.classifier import Classifier
from clearbench.models.embedding_heads import (
    EmbeddingHead,
    Features,
    HeadModel,
    StackedHeads,
    on_features,
)
from clearbench.models.heads import with_head
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training.finetune import finetune
from clearbench.training.heads import stacked
from clearbench.training.many import can_stack, clip_by_model, teach_many, unlearn_many
from clearbench.training.settings import Penalty, TrainSettings
from clearbench.training.unlearn import unlearn
from clearbench.training.watch import Diverged

TEACH = TrainSettings(steps=6, batch_size=4, learning_rate=1e-2, clip=0.5, parts=("projector",))
FORGET = TrainSettings(steps=4, batch_size=2, learning_rate=5e-3, parts=("projector",))
SEEDS = (3, 8, 11)
PEOPLE = [f"person {k}" for k in range(8)]


@pytest.fixture(scope="module")
def features() -> Features:
    backbone = tiny_model("classifier", labels=PEOPLE)
    model = with_head(backbone, PEOPLE, "projected_margin", 5)
    assert isinstance(model, Classifier)
    return Features(model, {})


@pytest.fixture(scope="module")
def taught(features: Features) -> list[HeadModel]:
    """Heads that were taught one by one."""
    heads = [HeadModel.new(features, seed) for seed in SEEDS]
    for head, seed in zip(heads, SEEDS, strict=True):
        finetune(head, tiny_dataset().for_kind("classifier"), TEACH, seed)
    return heads


def distance(alone: Sequence[HeadModel], together: HeadModel) -> float:
    weights = dict(together.module.named_parameters())
    return max(
        float((value - weights[name][place]).detach().abs().max())
        for place, head in enumerate(alone)
        for name, value in head.module.named_parameters()
    )


def test_taught_at_once(features: Features, taught: list[HeadModel]) -> None:
    together = stacked([HeadModel.new(features, seed) for seed in SEEDS])
    before = distance(taught, together)
    teach_many(together, tiny_dataset().for_kind("classifier"), TEACH, SEEDS)
    assert together.models == 3
    assert distance(taught, together) < 1e-5 < 1e-3 < before


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("retain_finetune", {}),
        ("neggrad_plus", {}),
        ("npo", {}),
        ("dpo", {"scaled": False}),
        ("scrub", {}),
        ("llmu", {}),
        ("l1_sparse", {}),
        ("twins", {}),
        ("undial", {}),
        ("maximise_entropy", {}),
    ],
)
def test_forgetting_at_once(taught: list[HeadModel], name: str, values: dict[str, Any]) -> None:
    chosen, dataset = method(name, **values), tiny_dataset().for_kind("classifier")
    assert can_stack(chosen, FORGET)
    alone = [head.duplicate() for head in taught]
    for head, seed in zip(alone, SEEDS, strict=True):
        unlearn(head, dataset, chosen, ("image",), FORGET, seed)
    together = stacked(taught)
    unlearn_many(together, dataset, chosen, ("image",), FORGET, SEEDS)
    assert distance(taught, together) > 1e-4
    assert distance(alone, together) < 1e-5


@pytest.mark.parametrize(
    "name",
    ["scrub_bio", "rmu", "fisher", "boundary_expand", "bad_teacher", "cf_k", "munba", "npo_sam"],
)
def test_methods_with_a_state_go_one_by_one(taught: list[HeadModel], name: str) -> None:
    assert not can_stack(method(name), FORGET)
    with pytest.raises(RecipeError, match="one by one"):
        dataset = tiny_dataset().for_kind("classifier")
        unlearn_many(stacked(taught), dataset, method(name), ("image",), FORGET, SEEDS)


@pytest.mark.parametrize(
    "setting",
    [{"rule": "projection"}, {"accumulate": 2}, {"saliency": 0.5}, {"max_retain_rise": 1.0}],
)
def test_settings_that_are_not_followed_go_one_by_one(setting: dict[str, Any]) -> None:
    assert not can_stack(method("npo"), FORGET.model_copy(update=setting))


def test_one_head_that_is_not_finite_is_said(features: Features) -> None:
    heads = [HeadModel.new(features, seed) for seed in SEEDS]
    with torch.no_grad():
        heads[1].module.projection.weight[0, 0] = float("nan")
    with pytest.raises(Diverged):
        teach_many(stacked(heads), tiny_dataset().for_kind("classifier"), TEACH, SEEDS)


class _Mixed(RetainFinetune):
    """A loss whose one value is the mean over all rows of a batch."""

    def loss(self, step: Step) -> dict[str, Term]:
        losses = cross_entropy(step.model.answers(step.retain)).values
        return {"retain": uniform(losses.square().mean().reshape(1))}


class _Norm(RetainFinetune):
    """A loss of all weights that is no sum over heads."""

    def loss(self, step: Step) -> dict[str, Term]:
        squares = [weight.square().sum() for weight in step.model.trainable().values()]
        return {"retain": uniform(torch.stack(squares).sum().sqrt().reshape(1))}


class _Broken(RetainFinetune):
    """A finite loss with a gradient that is none."""

    def loss(self, step: Step) -> dict[str, Term]:
        losses = cross_entropy(step.model.answers(step.retain)).values
        return {"retain": uniform(losses + (0 * losses).sqrt())}


@pytest.mark.parametrize("mixed", [_Mixed, _Norm])
def test_a_loss_that_mixes_heads_is_found(taught: list[HeadModel], mixed: type[Method]) -> None:
    together, before = stacked(taught), stacked(taught)
    dataset = tiny_dataset().for_kind("classifier")
    assert can_stack(mixed(), FORGET)
    with pytest.raises(RecipeError, match="mixes the rows"):
        unlearn_many(together, dataset, mixed(), ("image",), FORGET, SEEDS)
    for one, other in zip(together.module.parameters(), before.module.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_gradient_that_is_not_finite_is_said(taught: list[HeadModel]) -> None:
    dataset = tiny_dataset().for_kind("classifier")
    with pytest.raises(Diverged) as caught:
        unlearn_many(stacked(taught), dataset, _Broken(), ("image",), FORGET, SEEDS)
    assert "gradient_norm" in caught.value.what, "said in the step in which it was computed"


def test_settings_that_are_not_followed_are_refused_in_teaching(features: Features) -> None:
    together = stacked([HeadModel.new(features, seed) for seed in SEEDS])
    settings = TEACH.model_copy(update={"penalty": Penalty(strength=0.5, on="theta")})
    with pytest.raises(RecipeError, match="not followed"):
        teach_many(together, tiny_dataset().for_kind("classifier"), settings, SEEDS)


def test_clipping_is_each_model_s_own() -> None:
    weights = [torch.zeros(2, 2, requires_grad=True), torch.zeros(2, 1, 1, requires_grad=True)]
    weights[0].grad = torch.tensor([[3.0, 0.0], [0.1, 0.0]])
    weights[1].grad = torch.tensor([[[4.0]], [[0.0]]])
    assert clip_by_model(weights, 1.0).tolist() == pytest.approx([5.0, 0.1])
    torch.testing.assert_close(weights[0].grad, torch.tensor([[0.6, 0.0], [0.1, 0.0]]))
    torch.testing.assert_close(weights[1].grad, torch.tensor([[[0.8]], [[0.0]]]))


def test_a_term_of_several_models() -> None:
    term = Term(torch.tensor([1.0, 3.0, 5.0, 7.0]), torch.tensor([1.0, 1.0, 1.0, 3.0]))
    assert term.mean.item() == pytest.approx(5.0)
    assert term.by_model(2).mean.tolist() == [2.0, 6.5]
    whole = Term(torch.tensor([4.0]), torch.tensor([1.0]))
    assert whole.by_model(2) is whole


def test_training_on_features_is_training_under_a_frozen_backbone() -> None:
    dataset = tiny_dataset().for_kind("classifier")
    known: dict[str, Tensor] = {}
    backbone = tiny_model("classifier", labels=PEOPLE)
    models = [with_head(backbone, PEOPLE, "projected_margin", 5) for _ in range(2)]
    before = models[0].core.base_model.state_dict()
    finetune(models[0], dataset, TEACH, 1)
    with on_features(models[1], TEACH.parts, (), lambda digest: known) as learner:
        assert isinstance(learner, HeadModel)
        finetune(learner, dataset, TEACH, 1)
    for (name, one), other in zip(
        models[0].module.state_dict().items(), models[1].module.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4, msg=name)
    after = models[1].core.base_model.state_dict()
    assert known and all(bool((value == before[name]).all()) for name, value in after.items())
    assert set(models[1].trainable()) == {"projection.weight", "classifier.weight"}


@pytest.mark.parametrize(
    ("head", "parts", "needs"),
    [
        ("additive_margin", ("vision",), ()),
        ("projected_margin", ("vision", "projector"), ()),
        ("projected_margin", ("projector",), ("pixels",)),
    ],
)
def test_what_is_not_exact_is_trained_whole(head: Any, parts: Any, needs: Any) -> None:
    model = with_head(tiny_model("classifier", labels=PEOPLE), PEOPLE, head, 5)
    with on_features(model, parts, needs, lambda digest: {}) as learner:
        assert learner is model


def test_a_projection_is_the_projector(features: Features) -> None:
    model = features.backbone
    parts = {name: model.part_of(name) for name, _ in model.module.named_parameters()}
    assert {name for name, part in parts.items() if part == "projector"} == {
        "projection.weight", "classifier.weight",
    }  # fmt: skip
    head = HeadModel.of(model, features)
    assert set(head.parts) == {"projector"}
    with pytest.raises(ModelError, match="projection"):
        plain = with_head(tiny_model("classifier", labels=PEOPLE), PEOPLE, "additive_margin")
        assert isinstance(plain, Classifier)
        HeadModel.of(plain, features)


def test_a_head_gives_the_classifier_s_logits(features: Features) -> None:
    model, head = features.backbone, HeadModel.of(features.backbone, features)
    rows = tiny_dataset().for_kind("classifier").train_rows("retain")
    items = [item(row) for row in rows][:5]

    def logits(reader: Classifier) -> Tensor:
        with torch.no_grad(), reader.measured():
            return reader.answers(reader.batch(items)).logits

    torch.testing.assert_close(logits(head), logits(model), atol=1e-5, rtol=1e-5)
    both = stacked([head, HeadModel.new(features, 1)])
    assert isinstance(both.module, StackedHeads) and isinstance(head.module, EmbeddingHead)
    with torch.no_grad():
        found = both.answers(both.batch([*items, *items])).logits
    torch.testing.assert_close(found[:5], logits(model), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[5:], logits(HeadModel.new(features, 1)), atol=1e-5, rtol=1e-5)
