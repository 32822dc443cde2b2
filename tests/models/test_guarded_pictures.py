"""A guard reads a question while its image is being looked at."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from clearbench.batches.items import item
from clearbench.methods.base import method
from clearbench.methods.guard import FittedGuard
from clearbench.testing import tiny_dataset
from clearbench.testing.world import base, copied


@pytest.mark.parametrize("flagged", [False, True])
def test_the_tower_is_whole_after_a_guarded_image(flagged: bool) -> None:
    model: Any = copied(base("vision-language"))
    model.train_only(("projector", "language"))
    shown = [item(row) for row in tiny_dataset().evaluation["forget"] if row.task == "caption"]
    batch = model.batch(shown)
    with torch.no_grad():
        plain = model.answers(batch).logits
        bias = torch.tensor(99.0 if flagged else -99.0)
        width = model.prompt_states(batch[0]).shape[1]
        guard: Any = method("eco", zeroed=1.0)
        model.guards = (FittedGuard(guard, {"weight": torch.zeros(width), "bias": bias}),)
        guarded = model.answers(batch).logits
        model.guards = ()
        assert "forward" not in vars(model.core.model.vision_tower)
        torch.testing.assert_close(model.answers(batch).logits, plain)
    assert torch.equal(guarded, plain) is not flagged
