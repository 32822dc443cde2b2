"""What a model keeps apart: images, answers, weights, modes; and what it refuses to read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from clearbench.batches.items import item
from clearbench.batches.kind import Kind
from clearbench.errors import ModelError
from clearbench.models.load import load_model
from clearbench.models.model_files import UNSAFE
from clearbench.models.weights import digest
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.world import copied, taught

KINDS: tuple[Kind, ...] = ("language", "vision-language", "classifier")


def test_one_question_with_two_images_and_without_is_three_questions() -> None:
    model = copied(taught("vision-language"))
    first, second = (
        next(row for row in tiny_dataset().training[split] if row.task == "caption")
        for split in ("forget", "retain")
    )
    assert first.question == second.question
    asked = [item(first), replace(item(second), answer=first.answer), replace(item(first))]
    asked[2] = replace(asked[2], media=None, track="text")
    encoded = [model.encoder.encode(each) for each in asked]  # type: ignore[attr-defined]
    assert encoded[0].ids == encoded[1].ids != encoded[2].ids and not encoded[2].tensors
    images = [each.tensors["pixel_values"] for each in encoded[:2]]
    assert not torch.equal(*images)
    again = model.encoder.encode(asked[0]).tensors["pixel_values"]  # type: ignore[attr-defined]
    assert torch.equal(again, images[0])
    found = model.score_items(asked)
    assert len({float(reading.log_probs.sum()) for reading in found.values()}) == 3


def test_two_answers_to_one_question_are_two_sequences() -> None:
    model = tiny_model("language")
    row = tiny_dataset().train_rows("forget", ("text",))[0]
    own, wrong = item(row), item(row, "perturbed_0", row.perturbed_answers[0])
    first, second = (model.encoder.encode(each) for each in (own, wrong))
    assert first.ids != second.ids and first.answer_start == second.answer_start
    said = model.tokenizer.decode(second.ids[second.answer_start :], skip_special_tokens=True)
    assert said.strip() == wrong.answer


def test_every_name_of_an_image_is_its_own_label() -> None:
    model = copied(taught("classifier"))
    row = tiny_dataset().naming().train_rows("forget", ("image",))[0]
    names = ["person 0", "person 3", "person 5"]
    asked = [item(row, f"known_{k}", name) for k, name in enumerate(names)]
    (batch,) = model.collate([model.tree(asked)])
    assert batch.targets.tolist() == [model.labels[name] for name in names]  # type: ignore[attr-defined]
    found = [float(reading.log_probs[0]) for reading in model.score_items(asked).values()]
    (logits,) = model.logits(batch, torch.zeros(1, dtype=torch.long))
    expected = logits.log_softmax(-1)[0, batch.targets].tolist()
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_digest_knows_every_value_and_the_name_of_each() -> None:
    one, two = torch.zeros(2, 3), torch.ones(3)
    found = [
        digest({"a": one, "b": two}),
        digest({"a": two, "b": one}),
        digest({"a": one, "c": two}),
        digest({"a": one, "b": two + torch.tensor([0, 0, 1e-7])}),
        digest({"a": one}),
    ]
    assert len({*found}) == 5 and digest({"a": one.clone(), "b": two.clone()}) == found[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_fingerprint_knows_the_last_weight_and_the_guards(kind: Kind) -> None:
    model = tiny_model(kind)
    before = model.fingerprint
    assert model.duplicate().fingerprint == before
    weight = list(model.module.parameters())[-1]
    with torch.no_grad():
        weight.view(-1)[-1] += 1e-3
    changed = model.fingerprint
    assert changed != before
    if kind != "classifier":
        from clearbench.methods.base import method
        from clearbench.testing.world import few_steps
        from clearbench.training.unlearn import unlearn

        unlearn(model, tiny_dataset(), method("guardrail"), ("text",), few_steps(kind))
        assert model.guards and model.fingerprint != changed


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_named_parts_learn(kind: Kind) -> None:
    model = tiny_model(kind)
    for part in model.parts:
        model.train_only((part,))
        learning = model.trainable()
        assert learning and {model.part_of(name) for name in learning} == {part}
    model.train_only(())
    assert not model.trainable()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_measured_in_evaluation_mode_and_left_in_its_own(
    kind: Kind, training: bool
) -> None:
    model = tiny_model(kind)
    model.train(training)
    with model.measured():
        assert not any(module.training for module in model.module.modules())
    assert model.module.training is training
    norms = [m for m in model.module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert bool(norms) == (kind != "language")
    assert not any(norm.training for norm in norms), "batch statistics are frozen"


@pytest.mark.parametrize("suffix", UNSAFE)
def test_weights_as_a_pickle_are_refused(suffix: str, tmp_path: Path) -> None:
    tiny_model("language").save(tmp_path)
    weights = next(tmp_path.glob("*.safetensors"))
    weights.rename(weights.with_name(f"pytorch_model{suffix}"))
    with pytest.raises(ModelError, match="pickle"):
        load_model(tmp_path)


def test_tokens_without_an_embedding_are_refused() -> None:
    model = tiny_model("language")
    model.tokenizer.add_tokens(["quux"])
    with pytest.raises(ModelError, match="embeddings"):
        load_model(model.module, model.processor)
