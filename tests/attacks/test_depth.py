"""Logit lens and patching: equal to what they say, computed otherwise; the depth score by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from clearbench.attacks.base import Target, attack
from clearbench.attacks.depth import depth_scores
from clearbench.attacks.ratios import cells
from clearbench.attacks.recovery import probabilities
from clearbench.batches.items import item
from clearbench.builtin.tiny import tiny_model
from clearbench.errors import ModelError, RecipeError
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records
from clearbench.methods.guard import FittedGuard, as_tensor
from clearbench.methods.guardrail import Guardrail
from clearbench.models.base import Model
from clearbench.testing.collections import typical_dataset
from clearbench.testing.world import base, copied, taught


def target(model: Model, original: Model | None = None) -> Target:
    return Target(Collections(Records({})), model, typical_dataset(), original)


def read(name: str, model: Model, original: Model | None = None) -> dict[str, dict[str, float]]:
    """Values by level and row of the forgotten people."""
    lines = attack(name, retained=0).table(target(model, original))
    levels = lines.groupby("level")
    return {str(n): dict(zip(each["row"], each["value"], strict=True)) for n, each in levels}


def rows(model: Model) -> list[object]:
    made = attack("logit_lens", retained=0)
    return [row for _, row in made.measured(target(model))]


@pytest.mark.parametrize("kind", ["language", "vision-language"])
def test_the_lens_at_the_top_is_the_model_and_below_its_head_on_a_layer(kind: str) -> None:
    model: Model = taught(kind)  # type: ignore[arg-type]
    found = read("logit_lens", model)
    items = [item(row) for row in rows(model)]  # type: ignore[arg-type]
    assert found["output"] == pytest.approx(probabilities(model, items), rel=1e-5)
    assert set(found) == {"1", "output"}
    if kind == "language":
        core = model.module
        for each in items:
            (batch,) = model.batch([each])
            with torch.no_grad():
                states = core.model.embed_tokens(batch.inputs["input_ids"])
                places = torch.arange(states.shape[1])[None]
                rope = core.model.rotary_emb(states, places)
                states = core.model.layers[0](states, position_embeddings=rope)
                states = states[0] if isinstance(states, tuple) else states
                logits = core.lm_head(core.model.norm(states)).flatten(0, 1)[batch.places]
            log_probs = logits.log_softmax(-1)[torch.arange(len(batch.places)), batch.targets]
            assert found["1"][each.row] == pytest.approx(float(log_probs.mean().exp()), rel=1e-4)


def test_the_original_patched_with_itself_is_the_original() -> None:
    model = taught("vision-language")
    items = [item(row) for row in rows(model)]  # type: ignore[arg-type]
    plain, found = probabilities(model, items), read("patching", model, model)
    assert set(found) == {"1", "2"}
    for each in found.values():
        assert each == pytest.approx(plain, rel=1e-5)


def test_the_last_layer_of_another_is_read_by_the_head_of_the_original() -> None:
    """Its states go through the original's last normalisation and head, and nothing else."""
    source, original = base("language"), taught("language")
    found = read("patching", source, original)
    for row in rows(source):
        (batch,) = source.batch([item(row)])  # type: ignore[arg-type]
        with torch.no_grad():
            states = source.every_state(batch)[-1]  # type: ignore[attr-defined]
            logits = original.module.lm_head(original.module.model.norm(states))
        log_probs = logits.log_softmax(-1)[torch.arange(len(batch.places)), batch.targets]
        right = float(log_probs.mean().exp())
        assert found["2"][row.id] == pytest.approx(right, rel=1e-4)  # type: ignore[attr-defined]
        plain = probabilities(original, [item(row)])  # type: ignore[arg-type]
        assert found["1"] != pytest.approx(plain)


def test_guards_are_off_while_layers_are_read() -> None:
    guarded = copied(taught("language"))
    text = as_tensor("If the question is about person 0, say that you do not know.")
    guarded.guards = (FittedGuard(Guardrail(), {"text": text}),)
    for name in ("logit_lens", "patching"):
        own, plain = (read(name, each, guarded) for each in (guarded, taught("language")))
        for level, each in own.items():
            assert each == pytest.approx(plain[level])
    assert len(guarded.guards) == 1


def test_what_cannot_be_patched_is_refused() -> None:
    with pytest.raises(RecipeError, match="give the original model"):
        attack("patching").table(target(base("language")))
    wide = tiny_model("language")
    wide.module.model.layers = wide.module.model.layers[:1]
    wide.module.config.num_hidden_layers = 1
    with pytest.raises(ModelError, match="the model has 2 layers of 32, the original 1 of 32"):
        attack("patching").table(target(base("language"), wide))
    assert "answers no tokens" in attack("patching").unsuited(base("classifier"))


def logs(values: dict[tuple[str, str], float]) -> pd.Series:
    """Probabilities of rows and layers from log-probabilities."""
    lines = [(int(row), f"{row}-0", layer, np.exp(value)) for (row, layer), value in values.items()]
    return cells(pd.DataFrame(lines, columns=["person", "row", "level", "value"]))


def test_the_depth_score_by_hand() -> None:
    """Row 1: gold loses 1 at layer 2 and 3 at layer 3, too little to count at layer 1; the model
    loses a half of the first and more than all of the second: (.5 + 3) / 4. Row 2: gold loses
    nothing. Row 3: the model gains, which counts as nothing: 0 / 2."""
    layers = ("1", "2", "3")
    whole = {(row, layer): -1.0 for row in "123" for layer in layers}
    lost = {"1": (0.04, 1.0, 3.0), "2": (0.0, 0.0, -1.0), "3": (2.0, 0.0, 0.0)}
    ours = {"1": (9.0, 0.5, 4.0), "2": (1.0, 1.0, 1.0), "3": (-1.0, 1.0, 1.0)}

    def patched(by: dict[str, tuple[float, ...]]) -> pd.Series:
        return logs(
            {(row, layer): -1 - by[row][k] for row in "123" for k, layer in enumerate(layers)}
        )

    found = depth_scores(patched(ours), patched(lost), logs(whole))
    assert dict(found.droplevel("unit")) == pytest.approx({"1-0": 3.5 / 4, "3-0": 0.0})
    assert depth_scores(patched(lost), patched(lost), logs(whole)).tolist() == pytest.approx([1, 1])
    assert depth_scores(logs(whole), patched(lost), logs(whole)).tolist() == pytest.approx([0, 0])
