"""CF-k, EU-k and SCRUB+R: which layers learn, from where, and how far back a run goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from clearbench.batches.items import item
from clearbench.errors import RecipeError
from clearbench.methods.base import Method, method
from clearbench.methods.cf_k import last_layers
from clearbench.methods.stages import Train, snapshots
from clearbench.methods.stages import snapshot as kept
from clearbench.methods.step import State
from clearbench.testing import tiny_dataset
from clearbench.testing.bench import Bench
from clearbench.testing.by_hand import changed, snapshot
from clearbench.testing.world import copied, learning, taught


def run(model: Any, chosen: Method, **changes: Any) -> list[dict[str, float]]:
    bench = Bench(type(chosen), "classifier")
    return bench.run(model, chosen, **({"steps": 4, "learning_rate": 3e-3} | changes))


LLAMA = {
    "embed.weight": torch.zeros(3, 2),
    "layers.0.q.weight": torch.zeros(2, 2),
    "layers.0.down.weight": torch.zeros(2, 2),
    "layers.0.norm.weight": torch.zeros(2),
    "layers.1.conv.weight": torch.zeros(2, 2, 3, 3),
    "layers.1.normalization.bias": torch.zeros(2),
    "head.weight": torch.zeros(5, 2),
    "head.bias": torch.zeros(5),
}


@pytest.mark.parametrize(
    ("count", "first"),
    [
        (1, "head.weight"),
        (2, "layers.1.conv.weight"),
        (3, "layers.0.down.weight"),
        (9, "embed.weight"),
    ],
)
def test_the_last_layers_begin_at_a_matrix(count: int, first: str) -> None:
    names = list(LLAMA)
    assert last_layers(LLAMA, count) == set(names[names.index(first) :])


def test_both_halves_of_an_adapter_are_one_layer() -> None:
    names = ["a.lora_A.default.weight", "a.lora_B.default.weight", "b.lora_A.default.weight"]
    adapters = {name: torch.zeros(2, 2) for name in [*names, "b.lora_B.default.weight"]}
    assert last_layers(adapters, 1) == {names[2], "b.lora_B.default.weight"}


def test_cf_k_moves_only_the_last_layers() -> None:
    model = copied(taught("classifier"))
    before = snapshot(model)
    run(model, method("cf_k", k=2))
    last = "resnet.encoder.stages.3.layers.0.layer.1."
    assert changed(before, snapshot(model)) == {
        f"{last}convolution.weight", f"{last}normalization.weight", f"{last}normalization.bias",
        "classifier.1.weight", "classifier.1.bias",
    }  # fmt: skip


def test_cf_k_of_every_layer_is_retain_finetuning() -> None:
    ours, theirs = copied(taught("classifier")), copied(taught("classifier"))
    first, second = run(ours, method("cf_k", k=99)), run(theirs, method("retain_finetune"))
    assert first == second
    assert not changed(snapshot(ours), snapshot(theirs))


def test_eu_k_starts_its_layers_anew() -> None:
    model, rows = learning(copied(taught("classifier")))
    before = snapshot(model)
    method("eu_k", k=1).initialise(model, rows)  # type: ignore[attr-defined]
    fresh = dict(model.untrained(rows.seed).module.named_parameters())
    for name, weight in model.trainable().items():
        source = fresh[name] if name.startswith("classifier") else before[name]
        assert torch.equal(weight, source), name
    assert not torch.equal(before["classifier.1.weight"], fresh["classifier.1.weight"])


def test_eu_k_forgets_the_head_and_refuses_adapters() -> None:
    with pytest.raises(RecipeError, match="eu_k edits weights before it trains them"):
        run(copied(taught("classifier")), method("eu_k"), lora_rank=2)


class KilledError(Exception):
    """Stands for a kill."""


@torch.no_grad()
def forget_loss(model: Any) -> float:
    rows = [item(row) for row in tiny_dataset().naming().train_rows("forget")]
    answers = model.answers(model.batch(rows))
    return float(nn.functional.cross_entropy(answers.logits, answers.targets))


def rewound(level: float | None, **changes: Any) -> Any:
    model = copied(taught("classifier"))
    chosen = method("scrub", rewind_to=level, max_share=1.0, epochs=2)
    run(model, chosen, learning_rate=1e-2, **changes)
    return model


def test_scrub_rewinds_to_the_epoch_nearest_to_the_level() -> None:
    """Both epochs' weights as a run without rewinding passes them."""
    losses: list[float] = []
    model = copied(taught("classifier"))

    def watch(done: int, *_: object) -> None:
        if done % 2 == 0:
            losses.append(forget_loss(model))

    run(model, method("scrub", max_share=1.0), learning_rate=1e-2, on_step=watch)
    first, last = losses
    assert abs(first - last) > 1e-3
    middle = (first + last) / 2
    for level in (first, last, middle + 0.1 * (first - last), 1e6):
        nearest = min(losses, key=lambda loss: abs(loss - level))
        assert forget_loss(rewound(level)) == pytest.approx(nearest, abs=1e-6)


@pytest.mark.parametrize(
    ("steps", "parts", "ends"),
    [
        (6, 3, [2, 4]),
        (7, 3, [3, 5]),
        (5, 2, [3]),
        (3, 3, [1, 2]),
        (2, 5, [1]),
        (4, 1, []),
        (4, 0, []),
        (24, 12, [*range(2, 24, 2)]),
    ],
)
def test_the_weights_at_the_end_of_every_part_but_the_last_are_kept(
    steps: int, parts: int, ends: list[int]
) -> None:
    """A part ends with the first step that is past its share; the last is the model itself."""
    stage, weight, state = Train(lambda _: {}, snapshots=parts), torch.zeros(1), State()
    for done in range(1, steps + 1):
        weight.fill_(done)
        state |= kept(done, steps, stage, {"weight": weight})
    assert [float(each["weight"]) for each in snapshots(state)] == ends


def test_scrub_rewinds_after_a_kill_too(tmp_path: Path) -> None:
    def stop(done: int, *_: object) -> None:
        if done == 3:
            raise KilledError

    about = {"checkpoints": tmp_path, "checkpoint_seconds": 1e-9}
    with pytest.raises(KilledError):
        rewound(1e-6, on_step=stop, **about)
    first, second = rewound(1e-6), rewound(1e-6, **about)
    assert not changed(snapshot(first), snapshot(second))


def test_scrub_without_a_level_keeps_nothing() -> None:
    (stage,) = method("scrub").stages()
    assert stage.snapshots == 0  # type: ignore[union-attr]
