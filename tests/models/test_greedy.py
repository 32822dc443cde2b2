"""Greedy decoding against answers that are known, row by row."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from clearbench.batches.items import item
from clearbench.models.decoding import decode
from clearbench.testing import tiny_dataset
from clearbench.testing.world import copied, taught

END, WORDS = 1, 10
#: What each row would say without a limit, and the tokens of its prompt.
SAYS = ([5, 6, END], [7, END], [8, 8, 8, 8, 8], [END])
PROMPTS = (2, 3, 1, 2)


class Cache:
    """Knows which rows are still read."""

    def __init__(self) -> None:
        self.rows = list(range(len(SAYS)))
        self.read = [0] * len(SAYS)

    def batch_select_indices(self, chosen: Tensor) -> None:
        self.rows = [self.rows[place] for place in chosen.tolist()]

    def logits(self) -> Tensor:
        """The next token of every row that is read."""
        found = torch.zeros(len(self.rows), WORDS)
        for place, row in enumerate(self.rows):
            found[place, SAYS[row][self.read[row]]] = 1.0
            self.read[row] += 1
        return found


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ([5, 5, 3, 5], [[5, 6], [7], [8, 8, 8], []]),
        ([1, 1, 1, 1], [[5], [7], [8], []]),
        ([1, 5, 2, 5], [[5], [7], [8, 8], []]),
    ],
)
def test_every_row_says_its_own_tokens_up_to_its_limit(
    limits: list[int], expected: list[list[int]]
) -> None:
    """Each row is read under its own mask, at its own positions, after its own last token."""
    cache, length = Cache(), max(PROMPTS)
    mask = torch.tensor([[0] * (length - size) + [1] * size for size in PROMPTS])
    ids = torch.where(mask > 0, 9, 0)

    def prefill(inputs: dict[str, Any]) -> Tensor:
        positions = inputs["position_ids"]
        for row, size in enumerate(PROMPTS):
            assert positions[row, -size:].tolist() == list(range(size))
        return cache.logits()

    def forward(inputs: dict[str, Any]) -> Tensor:
        for place, row in enumerate(cache.rows):
            done = cache.read[row]
            assert inputs["input_ids"][place].tolist() == [SAYS[row][done - 1]]
            assert inputs["position_ids"][place].tolist() == [PROMPTS[row] + done - 1]
            assert inputs["attention_mask"][place].tolist() == mask[row].tolist() + [1] * done
            assert inputs["token_type_ids"][place].tolist() == [3]
        return cache.logits()

    inputs = {"input_ids": ids, "attention_mask": mask}
    found = decode(prefill, forward, inputs, cache, [END], limits, {"token_type_ids": 3})  # type: ignore[arg-type]
    assert found == expected


def test_answers_come_back_in_the_order_of_their_questions() -> None:
    """Whichever way they were grouped, and by the library's decoding too, with its limits."""
    model = copied(taught("language"))
    rows = [item(row) for row in tiny_dataset().train_rows("retain", ("text",))][:5]
    rows = [rows[place] for place in (3, 0, 4, 1, 2)]
    alone = [model.generate([row], 6)[0] for row in rows]
    assert len({*alone}) > 1 and model.generate(rows, 6) == alone
    model.shortcuts.own_decoding["text"] = False  # type: ignore[attr-defined]
    assert model.generate(rows, 6) == alone
    limits = [1, 6, 2, 6, 3]
    cut = [model.generate([row], limit)[0] for row, limit in zip(rows, limits, strict=True)]
    assert model.generate(rows, limits) == cut != alone


@pytest.mark.parametrize(("factor", "used"), [(1.0, True), (1.001, False)])
def test_equal_tokens_are_not_enough_for_our_own_decoding(
    factor: float, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Qwen-VL with positions of plain text: other logits, which may well be largest alike."""
    model: Any = taught("language").duplicate()
    plain = model._greedy

    def greedy(batch: Any, limits: Any, steps: list[Tensor]) -> list[list[int]]:
        answers: list[list[int]] = plain(batch, limits, steps)
        steps[:] = [logits * factor for logits in steps]
        return answers

    monkeypatch.setattr(model, "_greedy", greedy)
    rows = [item(row) for row in tiny_dataset().train_rows("forget") if row.media is None]
    model.generation_groups(rows)
    assert model.shortcuts.own_decoding == {"text": used}
