"""Tensors with a row per token, as Mllama's mask of what each token sees of a picture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from clearbench.batches.collate import collate
from clearbench.batches.items import Encoded, Item
from clearbench.batches.trees import Tree, merge


def tree(*sequences: tuple[int, ...], spans: Tensor) -> Tree:
    """Answers of one question, whose prompt has the rows of `spans`."""
    items = [Item("row", str(number), "", "") for number in range(len(sequences))]
    encoded = [Encoded(ids, spans.shape[1], spans={"seen": spans}) for ids in sequences]
    return merge(items, encoded)


def rows(*numbers: float) -> Tensor:
    """A tensor of tokens with two numbers each, (1, tokens, 2)."""
    return torch.tensor([[[number, -number] for number in numbers]])


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        ("right", [[1, 2, 3, 3, 3], [7, 8, 8, 0, 0]]),
        ("left", [[1, 2, 3, 3, 3], [0, 0, 7, 8, 8]]),
    ],
)
def test_tokens_after_the_prompt_have_its_last_row_and_padding_none(
    side: str, expected: list[list[float]]
) -> None:
    trees = [tree((4, 5, 6, 7, 8), spans=rows(1, 2, 3)), tree((4, 5, 6), spans=rows(7, 8))]
    seen = collate(trees, pad=0, side=side).inputs["seen"]
    assert seen[..., 0].tolist() == expected
    assert seen[..., 1].tolist() == [[-number for number in row] for row in expected]


def test_every_branch_has_the_last_row_of_the_prompt() -> None:
    (seen,) = collate([tree((4, 5, 6), (4, 5, 7, 8), spans=rows(1, 2))], pad=0).inputs["seen"]
    assert seen[:, 0].tolist() == [1, 2, 2, 2, 2]


def test_a_prompt_that_is_cut_loses_its_last_rows() -> None:
    (seen,) = collate([tree((4, 5), spans=rows(1, 2, 3)[:, :2])], pad=0).inputs["seen"]
    assert seen[:, 0].tolist() == [1, 2]


def test_numbers_of_tokens_may_differ_between_pictures() -> None:
    """A picture of one tile beside one of two: what the first has not is 0."""
    trees = [tree((4, 5), spans=rows(1)[..., :1]), tree((4, 5), spans=rows(2))]
    seen = collate(trees, pad=0).inputs["seen"]
    assert seen.tolist() == [[[1, 0], [1, 0]], [[2, -2], [2, -2]]]
