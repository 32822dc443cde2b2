"""Short rows are read apart from long ones, and every answer is what it is when read alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from clearbench.batches.items import Item, by_medium, cut_padding, item
from clearbench.methods.base import method
from clearbench.methods.guard import FittedGuard
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset
from clearbench.testing.world import base, copied


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([], []),
        ([7], [[0]]),
        ([5, 5, 5], [[0, 1, 2]]),
        ([9, 3, 9, 3], [[1, 3], [0, 2]]),
        ([20, 1, 10, 11], [[1, 2, 3], [0]]),  # 33 + 20 padded tokens; 20 + 40 and 1 + 60 otherwise
        ([100, 99, 98, 97], [[0, 1, 2, 3]]),  # 2 % is not worth a pass
        ([10, 10, 10, 8], [[3], [0, 1, 2]]),  # 38 of 40 padded tokens: just worth it
    ],
)
def test_rows_are_grouped_where_the_fewest_tokens_are_padded(
    lengths: list[int], expected: list[list[int]]
) -> None:
    assert cut_padding(lengths) == expected


def uneven(model: Model) -> list[Item]:
    """Rows with and without an image, long ones and short ones by turns."""
    data = tiny_dataset().for_kind(model.kind)
    rows = [item(row) for row in data.train_rows("retain", ("text", "image"))]
    found = []
    for alike in by_medium(row for row in rows if model.accepts(row)).values():
        by_length = sorted(alike, key=lambda row: len(model.tree([row])))
        pairs = zip(by_length[-6:], by_length[:6], strict=True)
        found += [row for pair in pairs for row in pair]
    return found


def passes(model: Any) -> tuple[list[int], Any]:
    """Records the number of rows of each pass through the network, until the handle is removed."""
    seen: list[int] = []

    def record(_: nn.Module, inputs: Any, named: dict[str, Any]) -> None:
        states = inputs[0] if inputs else named["hidden_states"]
        seen.append(len(states))

    return seen, model._layers[0].register_forward_pre_hook(record, with_kwargs=True)


@pytest.mark.parametrize("kind", ["language", "vision-language"])
def test_answers_are_those_of_each_row_alone(kind: str) -> None:
    model: Any = copied(base(kind))
    rows = uneven(model)
    batches = model.batch(rows)
    alone = {row.key: model.answers(model.batch([row])).logits for row in rows}
    seen, handle = passes(model)
    together = model.answers(batches)
    handle.remove()
    assert len(seen) > len(batches), "short rows are read apart"
    assert sum(seen) == len(rows)
    for place, row in enumerate(together.items):
        torch.testing.assert_close(
            together.logits[together.rows == place], alone[row.key], rtol=1e-4, atol=1e-5
        )
    assert sorted(row.key for row in together.items) == sorted(alone)
    with torch.no_grad():
        one_pass = model.answers([batch.whole() for batch in batches])
    torch.testing.assert_close(together.logits, one_pass.logits, rtol=1e-4, atol=1e-5)


def test_what_layers_read_is_recorded_in_one_pass() -> None:
    model: Any = copied(base("language"))
    batches = model.batch(uneven(model))
    (weight,) = [name for name in model.trainable() if name.endswith("layers.0.mlp.up_proj.weight")]
    (entered,) = model.entering(batches, [weight]).values()
    assert len(entered) == sum(len(batch.places) for batch in batches)


def test_a_guard_reads_all_rows_at_once() -> None:
    model: Any = copied(base("language"))
    batches = model.batch(uneven(model))
    width = model.prompt_states(batches[0]).shape[1]
    guard: Any = method("eco", zeroed=1.0)
    state = {"weight": torch.zeros(width), "bias": torch.tensor(-99.0)}
    model.guards = (FittedGuard(guard, state),)
    seen, handle = passes(model)
    with torch.no_grad():
        model.answers(batches)
    handle.remove()
    assert set(seen) == {len(batch.items) for batch in batches}
