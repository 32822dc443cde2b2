"""Answers of batches, items and merged sequences, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from clearbench.batches.answers import Answers
from clearbench.batches.collate import collate
from clearbench.batches.items import Encoded, Item, item
from clearbench.batches.trees import merge
from clearbench.testing import tiny_dataset


def answers(*rows: int, items: int, margin: float = 0.0) -> Answers:
    """One token per entry of `rows`, whose target has the logit log(k + 1) beside two of 0."""
    logits = torch.zeros(len(rows), 3)
    logits[:, 1] = torch.tensor([math.log(k + 1) for k in range(len(rows))])
    names = tuple(Item(str(k), "answer", "q", "a") for k in range(items))
    targets = torch.ones(len(rows), dtype=torch.long)
    return Answers(logits, targets, torch.tensor(rows), names, margin)


def test_a_token_has_the_log_of_its_share() -> None:
    """Shares 1/3 and 2/4; the margin takes from the target's logit in teaching alone."""
    plain = answers(0, 0, items=1)
    assert plain.log_probs.exp().tolist() == pytest.approx([1 / 3, 1 / 2])
    assert plain.losses.tolist() == pytest.approx((-plain.log_probs).tolist())
    lowered = answers(0, items=1, margin=math.log(2))
    assert lowered.log_probs.exp().tolist() == pytest.approx([1 / 3])
    assert lowered.losses.neg().exp().tolist() == pytest.approx([0.5 / 2.5])


def test_sums_are_of_each_answer() -> None:
    found = answers(0, 0, 2, items=3)
    assert found.per_row(torch.tensor([1.0, 2.0, 4.0])).tolist() == [3.0, 0.0, 4.0]
    assert found.ordinals.tolist() == [0, 1, 0]


def test_joined_answers_stay_apart_and_split_again() -> None:
    first, second = answers(0, 0, 1, items=2), answers(0, 1, 1, items=2)
    both = Answers.join([first, second])
    assert both.rows.tolist() == [0, 0, 1, 2, 3, 3] and len(both.items) == 4
    parts = both.split([2, 2], [3, 3])
    for part, own in zip(parts, (first, second), strict=True):
        assert torch.equal(part.logits, own.logits) and torch.equal(part.rows, own.rows)
        assert part.items == own.items


def test_an_item_has_the_answer_that_it_is_given() -> None:
    row = tiny_dataset().train_rows("forget", ("text",))[0]
    own, wrong = item(row), item(row, "perturbed_0", row.perturbed_answers[0])
    assert (own.answer, own.variant, own.question) == (row.answer, "answer", row.question)
    assert (wrong.answer, wrong.key) == (row.perturbed_answers[0], f"{row.id}/perturbed_0")
    assert (wrong.person, wrong.track) == (row.person, "text")


def encoded(*ids: int, start: int = 1, types: tuple[int, ...] = ()) -> Encoded:
    return Encoded(ids, start, {}, {"token_type_ids": types} if types else {})


def test_tokens_are_one_where_their_extras_are() -> None:
    items = [Item("r", f"known_{k}", "q", "a") for k in range(2)]
    alike = merge(items, [encoded(1, 2, 3, types=(0, 0, 1)), encoded(1, 2, 4, types=(0, 0, 1))])
    assert alike.ids.tolist() == [1, 2, 3, 4]
    apart = merge(items, [encoded(1, 2, 3, types=(0, 0, 1)), encoded(1, 2, 3, types=(0, 1, 1))])
    assert apart.ids.tolist() == [1, 2, 3, 2, 3]
    assert apart.extras["token_type_ids"].tolist() == [0, 0, 1, 1, 1]
    assert apart.parents.tolist() == [-1, 0, 1, 0, 3]


@pytest.mark.parametrize("side", ["right", "left"])
def test_every_answer_token_is_read_from_the_place_before_it(side: str) -> None:
    """Two rows of 4 and 2 tokens: places, targets and owners of both answers."""
    rows = [Item(str(k), "answer", "q", "a") for k in range(2)]
    trees = [merge(rows[:1], [encoded(5, 6, 7, 8, start=2)]), merge(rows[1:], [encoded(5, 9)])]
    batch = collate(trees, pad=0, side=side)
    assert batch.targets.tolist() == [7, 8, 9] and batch.owners.tolist() == [0, 0, 1]
    shift = 0 if side == "right" else 2
    assert batch.places.tolist() == [1, 2, 4 + shift]
    mask = [1, 1, 0, 0] if side == "right" else [0, 0, 1, 1]
    assert batch.inputs["attention_mask"].tolist() == [[1, 1, 1, 1], mask]
    assert batch.begins.tolist() == [True, False, True]


def test_branches_are_blind_to_each_other_and_count_from_the_question() -> None:
    """A question of one token with the answers (2, 3) and (4): a tree of four nodes."""
    items = [Item("r", f"known_{k}", "q", "a") for k in range(2)]
    tree = merge(items, [encoded(1, 2, 3), encoded(1, 4)])
    batch = collate([tree], pad=0)
    seen = (batch.inputs["attention_mask"][0, 0] == 0).int().tolist()
    assert seen == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 1]]
    assert batch.inputs["position_ids"].tolist() == [[0, 1, 2, 1]]
    assert batch.places.tolist() == [0, 1, 0] and batch.targets.tolist() == [2, 3, 4]
