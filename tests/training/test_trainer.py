"""A method's loss in `transformers.Trainer`: that of our own loop, on the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback, TrainingArguments

from clearbench.batches.kind import Kind
from clearbench.data.modality import parse_modalities
from clearbench.errors import ClearbenchError, DataError, RecipeError
from clearbench.methods.base import method, methods
from clearbench.models.adapters import choose_parameters
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.world import PARTS
from clearbench.training.settings import TrainSettings
from clearbench.training.trainer import UnlearningTrainer
from clearbench.training.unlearn import unlearn

RATE, STEPS = 3e-3, 3


def arguments(folder: Path, **changes: Any) -> TrainingArguments:
    about: dict[str, Any] = {
        "max_steps": STEPS, "per_device_train_batch_size": 4, "learning_rate": RATE,
        "lr_scheduler_type": "constant", "logging_steps": 1, "save_strategy": "no",
        "report_to": "none", "use_cpu": True, "disable_tqdm": True, "seed": 0,
    }  # fmt: skip
    return TrainingArguments(output_dir=str(folder), **(about | changes))


def trainer(model: Model, args: TrainingArguments, **options: Any) -> UnlearningTrainer:
    rows = {"dataset": tiny_dataset(), "processing_class": model.processor}
    return UnlearningTrainer(model.module, args, **(rows | options))


def logged(made: UnlearningTrainer) -> list[dict[str, float]]:
    return [entry for entry in made.state.log_history if "loss" in entry]


def learning(kind: Kind) -> Model:
    model = tiny_model(kind)
    model.train_only(PARTS[kind])
    return model


@pytest.mark.parametrize(
    ("kind", "name", "modality", "accumulate"),
    [
        ("language", "npo", "text", 1),
        ("language", "gradient_difference", "text", 2),
        ("language", "satimp", "text", 4),
        ("vision-language", "kl_minimization", "both", 1),
        ("vision-language", "dpo", "both", 2),
        ("classifier", "gradient_difference", "image", 2),
    ],
)
def test_losses_and_weights_are_those_of_our_own_loop(
    kind: Kind, name: str, modality: str, accumulate: int, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Answers differ in length, so that a mean of the micro-batches' means would be another one."""
    ours, theirs = learning(kind), learning(kind)
    settings = TrainSettings.model_validate(
        {"steps": STEPS, "batch_size": 4, "learning_rate": RATE, "warmup": 0, "decay": "none"}
        | {"parts": PARTS[kind], "accumulate": accumulate}
    )
    data, tracks = tiny_dataset().for_kind(kind), parse_modalities(modality)
    history = unlearn(ours, data, method(name), tracks, settings)
    cut = {"per_device_train_batch_size": 4 // accumulate}
    args = arguments(tmp_path, gradient_accumulation_steps=accumulate, **cut)
    made = trainer(theirs, args, method=name, modality=modality)
    made.train()
    for expected, entry in zip(history, logged(made), strict=True):
        terms = expected.keys() - {"loss", "gradient_norm"}
        found = {term: entry[f"loss_{term}"] for term in terms}
        assert found | {"loss": entry["loss"]} == pytest.approx(
            {term: expected[term] for term in (*terms, "loss")}, rel=1e-6, abs=1e-6
        )
    for mine, other in zip(ours.trainable().values(), theirs.trainable().values(), strict=True):
        torch.testing.assert_close(other, mine, rtol=0, atol=1e-2 * RATE)
    assert "loss_" in capsys.readouterr().out


class _Stop(TrainerCallback):
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop = state.global_step == 2


def test_adapters_callbacks_and_checkpoints_are_those_of_the_trainer(tmp_path: Path) -> None:
    """Stopped after two of three steps and resumed: the same, against the original's answers."""

    def adapted() -> Model:
        model = tiny_model("language")
        choose_parameters(model, ("language",), 2, seed=0)
        return model

    whole, half, resumed = adapted(), adapted(), adapted()
    trainer(whole, arguments(tmp_path / "a")).train()
    saving = {"save_strategy": "steps", "save_steps": 2}
    trainer(half, arguments(tmp_path / "b", **saving), callbacks=[_Stop()]).train()
    trainer(resumed, arguments(tmp_path / "b", **saving)).train(resume_from_checkpoint=True)
    weights = [[*model.trainable().values()] for model in (whole, half, resumed)]
    assert {name.split(".")[-3] for name in whole.trainable()} == {"lora_A", "lora_B"}
    assert all(map(torch.equal, weights[0], weights[2]))
    assert not all(map(torch.equal, weights[0], weights[1]))


def test_an_epoch_shows_every_forget_row(tmp_path: Path) -> None:
    """Two people with two questions each are four rows of text: two steps of three rows."""
    args = arguments(tmp_path, max_steps=-1, num_train_epochs=2, per_device_train_batch_size=3)
    made = trainer(tiny_model("language"), args, modality="text", method="gradient_ascent")
    made.train()
    assert made.state.global_step == 4
    step = [row.row for k in range(2) for row in made._feed(0, k)["forget"]]
    assert {*step} == {"0-0", "0-1", "1-0", "1-1"}


REASONS = {
    "ssd": "it edits the weights", "retrain": "it trains the base anew",
    "task_vector": "it has 2 stages", "gradient_projection": "by a rule", "cmju": "by a rule",
    "npo_sam": "a gradient before that of its loss", "cf_k": "chooses the weights that are trained",
    "salun": "computes a state before", "pdu": "a state", "eco": "puts a guard",
    "boundary_expand": "it needs 'shadow'",
}  # fmt: skip


@pytest.mark.parametrize(("name", "why"), REASONS.items())
def test_what_is_more_than_a_loss_is_refused(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"(?s){name} is more.*{why}.*unlearn.*{name}"):
        trainer(tiny_model("language"), arguments(tmp_path), method=name)


def test_the_others_are_not_refused() -> None:
    from clearbench.training.trainer import _more_than_a_loss

    taken = {name for name, cls in methods().items() if not [*_more_than_a_loss(cls())]}
    assert {"gradient_ascent", "npo", "dpo", "simnpo", "idk", "undial", "scrub"} <= taken
    assert not taken & {*REASONS}


@pytest.mark.parametrize(
    ("options", "changes", "error", "what"),
    [
        ({"train_dataset": [1]}, {}, RecipeError, "'train_dataset' has no use"),
        ({"method": "nop"}, {}, RecipeError, "did you mean 'npo'"),
        ({"hyperparameters": {"beta": -1}}, {}, RecipeError, "beta"),
        ({"dataset": None}, {}, DataError, "there are no rows"),
        ({"forget": []}, {}, DataError, "given twice"),
        ({"processing_class": None}, {}, ClearbenchError, "needs its processor"),
        ({"modality": "image", "dataset": {"forget": [{"question": "Q?", "answer": "A."}]}}, {},
         RecipeError, "needs a retain set"),
        ({}, {"label_smoothing_factor": 0.1}, RecipeError, "under label smoothing"),
    ],
)  # fmt: skip
def test_what_a_trainer_cannot_do_is_refused(
    options: dict[str, Any], changes: dict[str, Any], error: type[Exception], what: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    with pytest.raises(error, match=what):
        trainer(tiny_model("language"), arguments(tmp_path, **changes), **options)


def test_a_loss_that_is_not_finite_ends_it_before_the_update(tmp_path: Path) -> None:
    model = tiny_model("language")
    made = trainer(model, arguments(tmp_path), method="gradient_ascent")
    with torch.no_grad():
        next(model.module.parameters()).fill_(float("inf"))
    rest = {n: p.clone() for n, p in [*model.module.named_parameters()][1:]}
    with pytest.raises(ClearbenchError, match="not finite at step 0"):
        made.train()
    assert all(torch.equal(rest[n], p) for n, p in [*model.module.named_parameters()][1:])
