"""Masks, refused settings, and the watch over retain rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from clearbench.batches.items import item
from clearbench.errors import ClearbenchError, RecipeError
from clearbench.methods.base import METHODS, Method, method, methods
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.stages import Stage, Train
from clearbench.methods.statistics import MASK
from clearbench.methods.step import State, Step
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training.goal import EVERY
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn
from clearbench.training.watch import Diverged


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Methods defined in a test are forgotten after it."""
    monkeypatch.setattr(METHODS, "classes", methods())
    yield


def settings(**changes: Any) -> TrainSettings:
    about = {"steps": 4, "batch_size": 4, "learning_rate": 3e-3, "parts": ("language",)}
    return TrainSettings.model_validate(about | {"warmup": 0.0} | changes)


def run(model: Any, chosen: Method, **changes: Any) -> list[dict[str, float]]:
    where = {key: changes.pop(key) for key in ("checkpoints", "on_step") if key in changes}
    return unlearn(model, tiny_dataset(), chosen, ("text",), settings(**changes), **where)


def everything(model: Any) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.module.state_dict().items()}


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def made(about: dict[str, Any], stages: Callable[[Method], Sequence[Stage]]) -> Method:
    class Made(Method, name="made", paper="none", **({"needs": ("forget", "retain")} | about)):
        """Made in a test."""

        def stages(self) -> Sequence[Stage]:
            return stages(self)

    return Made()


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_masked_weights_stay_where_they_are(decay: float) -> None:
    """Weight decay and momentum would move them (errata E132)."""
    model = tiny_model()
    before = everything(model)
    run(model, method("npo"), saliency=0.25, weight_decay=decay)
    moved = [(w.detach() != before[n]).flatten() for n, w in model.trainable().items()]
    share = float(torch.cat(moved).float().mean())
    assert 0.1 < share <= 0.2501


def test_two_masks_let_learn_what_both_let() -> None:
    kept: list[State] = []

    class Watched(methods()["salun"], name="watched", paper="none"):  # type: ignore[misc]
        """SalUn, seen from inside."""

        def loss(self, step: Step) -> dict[str, Term]:
            kept.append(step.state)
            return super().loss(step)

    run(tiny_model(), Watched(share=0.5), saliency=0.2)
    masks = torch.cat([v.flatten() for n, v in kept[0].items() if n.startswith(MASK)])
    assert float(masks.float().mean()) == pytest.approx(0.2, abs=1e-3), "one lies in the other"


@pytest.mark.parametrize(
    "field",
    ["lora_rank", "saliency", "rule", "penalty", "prompt_decoupling", "until", "max_retain_rise"],
)
def test_settings_that_an_edit_ignores_are_refused(field: str) -> None:
    values: dict[str, Any] = {
        "lora_rank": 2,
        "saliency": 0.5,
        "rule": "pcgrad",
        "penalty": {"strength": 1, "on": "theta"},
        "prompt_decoupling": 0.5,
        "until": {"text": 1},
        "max_retain_rise": 1,
    }
    with pytest.raises(RecipeError, match=f"ssd trains nothing that '{field}'"):
        run(tiny_model(), method("ssd"), **{field: values[field]})


def test_a_rule_without_two_terms_is_refused() -> None:
    with pytest.raises(RecipeError, match="has not both a forget and a retain term"):
        run(tiny_model(), method("gradient_ascent"), rule="pcgrad")
    with pytest.raises(RecipeError, match="brings its own"):
        run(tiny_model(), method("gradient_projection"), rule="pcgrad")


def test_a_modality_that_is_not_claimed_is_refused() -> None:
    with pytest.raises(RecipeError, match="eco does not work on the modality 'both'"):
        unlearn(
            tiny_model("vision-language"), tiny_dataset(), method("eco"), ("text", "image"),
            settings(),
        )  # fmt: skip


def test_a_stage_that_finds_none_of_its_weights_is_refused() -> None:
    with pytest.raises(ClearbenchError, match="rmu finds none of its weights"):
        run(tiny_model("vision-language"), method("rmu"), parts=("projector",))


def test_only_rmus_matrices_learn_and_only_they_are_copied() -> None:
    model = tiny_model()
    before = everything(model)
    run(model, method("rmu", retain_weight=1))
    moved = {n for n, value in everything(model).items() if not torch.equal(value, before[n])}
    assert moved == {"model.layers.0.mlp.down_proj.weight"}


def loss_on(model: Any, split: str) -> float:
    rows = [item(row) for row in tiny_dataset().train_rows(split, ("text",))]
    with torch.no_grad():
        return -float(model.answers(model.batch(rows)).log_probs.mean())


def test_a_collapse_ends_the_run_as_diverged() -> None:
    model = tiny_model()
    start = loss_on(model, "retain")
    with pytest.raises(Diverged, match=r"the loss on retain rows is .* after .* steps") as caught:
        run(model, method("gradient_ascent"), steps=40, max_retain_rise=0.5)
    assert 0 < len(caught.value.history) < 40 and len(caught.value.history) % EVERY == 0
    assert loss_on(model, "retain") - start > 0.5
    assert len(run(tiny_model(), method("retain_finetune"), max_retain_rise=0.5)) == 4


def test_a_collapse_is_measured_from_the_start_in_every_stage() -> None:
    """Two stages that lose 0.3 and then nearly 0.5 lose more than 0.5 together."""

    def ruin(step: Step) -> dict[str, Term]:
        return {"retain": -1 * cross_entropy(step.model.answers(step.retain))}

    one, two = (made({}, lambda _, n=n: (Train(ruin),) * n) for n in (1, 2))
    model = tiny_model()
    start = loss_on(model, "retain")
    run(model, one, steps=6)
    once = loss_on(model, "retain") - start
    assert once > 0.1
    assert len(run(tiny_model(), one, steps=6, max_retain_rise=1.2 * once)) == 6
    with pytest.raises(Diverged, match="max_retain_rise") as caught:
        run(tiny_model(), two, steps=6, max_retain_rise=1.2 * once)
    assert len(caught.value.history) > 6


def test_without_retain_rows_nothing_can_collapse() -> None:
    alone = replace(tiny_dataset(), training={"forget": tiny_dataset().training["forget"]})
    with pytest.raises(RecipeError, match="no retain rows") as caught:
        unlearn(
            tiny_model(), alone, method("gradient_ascent"), ("text",), settings(max_retain_rise=1)
        )
    assert caught.value.where == "train.max_retain_rise"


def test_a_watch_changes_nothing_it_sees() -> None:
    first, second = tiny_model(), tiny_model()
    run(first, method("npo"))
    run(second, method("npo"), max_retain_rise=1e3)
    assert same(everything(first), everything(second))
