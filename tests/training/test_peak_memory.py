"""What training takes is foreseen from a configuration: the same sizes as with weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from clearbench.builtin.tiny import tiny_model
from clearbench.methods.base import method
from clearbench.models.outline import KnownValues, outlined, untaught
from clearbench.testing import tiny_dataset
from clearbench.training import loop
from clearbench.training.peak_memory import PeakMemory, teaching_memory, unlearning_memory
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

TEXT = ("text",)


def settings(**changes: Any) -> TrainSettings:
    about = {"steps": 2, "batch_size": 3, "parts": ("language",), "lora_rank": 2}
    return TrainSettings.model_validate(about | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without weights, as it lies on the hub before anything large is downloaded."""
    place = tmp_path_factory.mktemp("model")
    tiny_model("language").save(place)
    for weights in place.glob("*.safetensors"):
        weights.unlink()
    return place


def foreseen(folder: Path, name: str = "npo", **changes: Any) -> PeakMemory:
    data = tiny_dataset().for_kind("language")
    model = outlined(lambda: untaught(folder))
    return unlearning_memory(model, data, method(name), TEXT, settings(**changes))


@pytest.mark.parametrize("changes", [{}, {"lora_rank": None}, {"accumulate": 3}])
@pytest.mark.parametrize("name", ["npo", "kl_minimization"])
def test_what_is_foreseen_is_what_a_run_keeps(
    name: str, changes: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes of each micro-batch's graph, read in a run with weights."""
    found = foreseen(folder, name, **changes)
    model, kept = tiny_model("language"), list[int]()
    weights = sum(weight.nbytes for weight in model.module.parameters())
    update = loop.Updates.update

    def measured(updates: Any, step: int, stage: Any, drawn: Any) -> Any:
        kept.append(updates.kept(drawn).kept)
        return update(updates, step, stage, drawn)

    monkeypatch.setattr(loop.Updates, "update", measured)
    unlearn(model, tiny_dataset().for_kind("language"), method(name), TEXT, settings(**changes))
    learned = sum(weight.nbytes for weight in model.trainable().values())
    assert found.weights == weights
    assert found.adapters == (learned if settings(**changes).lora_rank else 0)
    assert found.optimizer == 2 * learned
    assert found.gradients == learned * (3 if "accumulate" in changes else 1)
    copied = name == "kl_minimization" and "lora_rank" in changes
    assert found.reference == (learned if copied else 0)
    assert min(kept) * 0.98 <= found.kept <= max(kept) * 1.02


def test_casts_of_frozen_matrices_are_foreseen(folder: Path) -> None:
    """The embedding, to which the head is tied, is none; all else is as in float32."""
    whole, halved = foreseen(folder), foreseen(folder, precision="bfloat16")
    model = tiny_model("language")
    matrices = {
        layer.weight for layer in model.module.modules() if type(layer) is torch.nn.Linear
    } - {model.module.get_input_embeddings().weight}
    assert halved.casts == 2 * sum(matrix.numel() for matrix in matrices)
    assert halved == replace(whole, casts=halved.casts)
    assert halved.total == whole.total + halved.casts


@pytest.mark.parametrize("family", ["vision-language", "gemma3", "idefics3"])
def test_pictures_are_foreseen_in_families_that_route_them_by_values(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks, tokens' places and paddings of pixels have values in an outline as well."""
    model, data, kept = tiny_model(family), tiny_dataset(), list[int]()
    model.save(tmp_path)
    tracks, chosen = ("text", "image"), method("npo")
    found = unlearning_memory(
        outlined(lambda: untaught(tmp_path)), data, chosen, tracks, settings()
    )
    update = loop.Updates.update

    def measured(updates: Any, step: int, stage: Any, drawn: Any) -> Any:
        kept.append(updates.kept(drawn).kept)
        return update(updates, step, stage, drawn)

    monkeypatch.setattr(loop.Updates, "update", measured)
    unlearn(model, data, chosen, tracks, settings())
    assert 0.94 * max(kept) <= found.kept <= 1.02 * max(kept)


def test_values_are_known_where_they_depend_on_no_weight() -> None:
    """Of indices, a mask and a picture, also after they were written to; not of a product."""
    weight = torch.ones(3, 2, device="meta")
    with KnownValues():
        tokens = torch.tensor([3, 1, 3], device="meta")
        mask = tokens == 3
        assert (mask.tolist(), int(mask.sum()), mask.nonzero().shape) == (
            [True, False, True],
            2,
            (2, 1),
        )
        tokens[1] = 3
        assert bool((tokens == 3).all())
        assert weight[mask].shape == (2, 2)
        product = torch.tensor([[1.0, 2.0, 3.0]], device="meta") @ weight
        assert product.shape == (1, 2)
        with pytest.raises((RuntimeError, NotImplementedError)):
            product.tolist()
        known = torch.zeros(1, 2, device="meta")
        assert known.tolist() == [[0.0, 0.0]]
        known += product
        with pytest.raises((RuntimeError, NotImplementedError)):
            known.tolist()


def test_teaching_is_foreseen_too(folder: Path) -> None:
    model, data = outlined(lambda: untaught(folder)), tiny_dataset().for_kind("language")
    found = teaching_memory(model, data, settings(lora_rank=None), without=("forget",))
    assert (found.optimizer, found.gradients) == (2 * found.weights, found.weights)
    assert found.kept > 0 and found.logits > 0 and found.operations > 0


def test_recomputed_layers_keep_their_inputs_and_one_of_them_whole(folder: Path) -> None:
    whole, cut = foreseen(folder), foreseen(folder, gradient_checkpointing=True)
    config = tiny_model("language").core.config
    least = whole.kept // config.num_hidden_layers
    assert least < cut.kept < least + 4 * config.hidden_size * config.num_hidden_layers * 6 * 100


def test_the_peak_is_that_of_what_is_there_at_once() -> None:
    """Gradients of the last backward pass come as what it needed goes."""
    plain = PeakMemory(weights=100, optimizer=200, gradients=100, kept=60, logits=10)
    assert (plain.total, plain.of_copy()) == (400, 500)
    long = PeakMemory(weights=100, optimizer=200, gradients=100, kept=160, logits=10)
    assert long.total == 470
    adapted = PeakMemory(100, adapters=10, optimizer=20, gradients=30, kept=5, logits=1)
    assert (adapted.total, adapted.of_copy()) == (100 + 10 + 20 + 20 + 10, 210)
    assert PeakMemory(100, 10, 20, 30, 0, 70, 40).of_copy() == 100 + 10 + 20 + 20 + 110
