"""Answers that share a row are read as if each had a row of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clearbench.batches.batch import Batch
from clearbench.batches.collate import collate
from clearbench.batches.items import Encoded, Item, item
from clearbench.batches.trees import merge
from clearbench.evaluation import engine
from clearbench.models.base import Model, TokenStatistics
from clearbench.testing import tiny_dataset, tiny_model

SEQUENCES = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=8), min_size=1, max_size=6)


def named(count: int) -> list[Item]:
    return [Item("1", f"perturbed_{k}", "q", "a") for k in range(count)]


@given(SEQUENCES)
def test_a_tree_holds_its_sequences(tails: list[list[int]]) -> None:
    sequences = [(9, 8, *tail) for tail in tails]
    tree = merge(named(len(sequences)), [Encoded(each, 2) for each in sequences])
    seen = tree.ancestors()
    for sequence, path in zip(sequences, tree.paths, strict=True):
        assert tuple(tree.ids[path]) == sequence
        assert list(tree.depths[path]) == list(range(len(sequence)))
        for depth, node in enumerate(path):
            assert set(np.flatnonzero(seen[node])) == set(path[: depth + 1])
    prefixes = {each[:k] for each in sequences for k in range(1, len(each) + 1)}
    assert len(tree) == len(prefixes), "every common beginning is there once"


def test_a_tree_worked_out_by_hand() -> None:
    #  1 2 3 4      nodes 0 1 2 3
    #  1 2 3 5 6              2 4 5
    tree = merge(named(2), [Encoded((1, 2, 3, 4), 2), Encoded((1, 2, 3, 5, 6), 2)])
    assert tree.ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert tree.parents.tolist() == [-1, 0, 1, 2, 2, 4]
    batch = collate([tree], pad=0)
    assert batch.inputs["position_ids"].tolist() == [[0, 1, 2, 3, 3, 4]]
    assert batch.places.tolist() == [1, 2, 1, 2, 4]
    assert batch.targets.tolist() == [3, 4, 3, 5, 6]
    assert batch.owners.tolist() == [0, 0, 1, 1, 1]
    looks = (batch.inputs["attention_mask"][0, 0] == 0).int().tolist()
    assert looks[3] == [1, 1, 1, 1, 0, 0] and looks[5] == [1, 1, 1, 0, 1, 1]


def measured(model: Model) -> list[Item]:
    """Every answer variant of some rows, as the engine scores them."""
    rows = [row for split in tiny_dataset().evaluation.values() for row in split[:3]]
    return [
        e for row in rows for e in engine.variants(row, ["Ann Lee"]) if model.accepts(item(row))
    ]


def readings(model: Model, batches: Sequence[Batch]) -> dict[Item, TokenStatistics]:
    pairs = [zip(batch.items, model.statistics(batch), strict=True) for batch in batches]
    return {each: reading for pair in pairs for each, reading in pair}


@pytest.mark.parametrize("kind", ["language", "vision-language"])
def test_sharing_changes_no_reading(kind: str) -> None:
    model: Any = tiny_model(kind)
    chosen = measured(model)
    trees = model.trees(chosen)
    assert all(model.shortcuts.shared.values()) and model.shortcuts.shared, (
        "the self-test finds sharing exact"
    )
    assert len(trees) < len(chosen) / 3
    shared, alone = readings(model, model.collate(trees)), readings(model, model.batch(chosen))
    assert shared.keys() == alone.keys() == set(chosen)
    for each in chosen:
        for name in ("log_probs", "means", "variances"):
            ours, theirs = getattr(shared[each], name), getattr(alone[each], name)
            np.testing.assert_allclose(ours, theirs, atol=2e-5)
        assert (shared[each].hits == alone[each].hits).all()


def test_sharing_is_left_where_it_is_not_exact() -> None:
    model: Any = tiny_model()
    call = model._call

    def deaf(module: Any, batch: Any, inputs: Any, **options: Any) -> Any:
        """A model that takes positions from the columns."""
        return call(module, batch, {k: v for k, v in inputs.items() if k != "position_ids"})

    model._call = deaf
    chosen = measured(model)
    trees = model.trees(chosen)
    assert not any(model.shortcuts.shared.values())
    assert len(trees) == len(chosen)


def test_no_sequence_longer_than_a_window_is_shared() -> None:
    model: Any = tiny_model()
    chosen = measured(model)
    model.trees(chosen)
    model.core.config.sliding_window = 4
    assert len(model.trees(chosen)) == len(chosen)


def test_the_moments_are_those_of_the_models_own_distribution() -> None:
    model = tiny_model()
    (batch,) = model.batch(measured(model)[:3])
    answers = model.answers([batch])
    log_probs = answers.logits.detach().double().log_softmax(-1)
    means = (log_probs.exp() * log_probs).sum(-1)
    variances = (log_probs.exp() * (log_probs - means[:, None]) ** 2).sum(-1)
    for row, reading in enumerate(model.statistics(batch)):
        mine = answers.rows == row
        np.testing.assert_allclose(reading.means, means[mine], atol=1e-5)
        np.testing.assert_allclose(reading.variances, variances[mine], atol=1e-4)
        torch.testing.assert_close(
            torch.from_numpy(reading.log_probs), answers.log_probs[mine].detach()
        )
