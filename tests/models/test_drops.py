"""What a cache drops, and how a chat template may not treat a question or an answer."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from weakref import ref

import pytest
import torch
from torch import nn

from clearbench.errors import DataError
from clearbench.models.cache import OVERHEAD, WorkCache
from clearbench.models.chat import Chat, Frame
from clearbench.models.ends import find_ends
from clearbench.models.families.llava import _Weights
from clearbench.models.shadow import shadow_label


def test_what_was_read_last_is_dropped_last() -> None:
    """Three entries find room; the fourth takes that of the one not read for longest."""
    cache = WorkCache(3 * (OVERHEAD + 4))
    for key in ("a", "b", "c", "b", "d"):
        assert cache.get(key, lambda key=key: key * 4) == key * 4
    assert [key in cache for key in "abcd"] == [False, True, True, True]
    cache.get("c", lambda: "")
    cache.get("e", lambda: "eeee")
    assert [key in cache for key in "bcde"] == [False, True, True, True]
    assert len(cache) == 3 and cache.bytes == 3 * (OVERHEAD + 4)


def chat(write: Callable[[str], str] = str) -> Chat:
    """A template that writes `<u>question<a>answer<e>`, the answer in a way of its own."""

    def apply(turns: list[dict[str, Any]], **_: Any) -> str:
        asked, said = (turn["content"] for turn in turns)
        return f"<u>{asked}<a>{write(said)}<e>"

    return Chat(SimpleNamespace(chat_template="of a test", apply_chat_template=apply), False)


@pytest.mark.parametrize(
    "question", ["Who?", "Is Quixotry a word?", "Is Quixotryx one?", "Quixotry Quixotryxxx"]
)
def test_a_question_may_hold_any_mark_of_ours(question: str) -> None:
    found = chat()
    frame = found.frame(question)
    assert frame == Frame(f"<u>{question}<a>", "<e>")
    assert found.answered(question, "Ana.", frame) == "Ana."


@pytest.mark.parametrize(
    ("write", "answer", "kept"),
    [
        (str, "ana reads", True),
        (lambda said: f" {said}\n", "ana reads", True),
        (lambda said: said[:1].upper() + said[1:], "ana reads", False),
        (lambda said: said[:1].upper() + said[1:], "Ana reads", True),
        (lambda said: said.replace("READS", "reads"), "Ana READS", False),
        (lambda said: said.replace("reads", "writes"), "Ana reads", False),
    ],
)
def test_a_template_changes_no_letter_of_an_answer(
    write: Callable[[str], str], answer: str, kept: bool
) -> None:
    """Space around it alone: another case is another answer, and is scored as one."""
    found = chat(write)
    frame = found.frame("Who?")
    if kept:
        assert found.answered("Who?", answer, frame).strip() == answer
    else:
        with pytest.raises(DataError, match="the chat template changes"):
            found.answered("Who?", answer, frame)


@pytest.mark.parametrize(
    ("own", "configured", "known", "unknown"),
    [
        (1, (4,), (1, 4), ()),
        (1, (4, 5), (1, 4), (5,)),
        ([0, 4], (4, -1, 7), (0, 4), (-1, 7)),
        (None, (5,), (), (5,)),
    ],
)
def test_an_answer_ends_with_tokens_of_the_vocabulary(
    own: Any, configured: tuple[int, ...], known: tuple[int, ...], unknown: tuple[int, ...]
) -> None:
    """Of five tokens the last is number 4."""

    class Five:
        eos_token_id = own

        def __len__(self) -> int:
            return 5

        def decode(self, ids: list[int]) -> str:
            return "".join(map(str, ids))

    plain = Chat(SimpleNamespace(chat_template=None), False)
    found = find_ends(Five(), plain, (), configured)
    assert (found.known, found.unknown) == (known, unknown)


@pytest.mark.parametrize("width", [4, 64, 400])
def test_a_shadow_label_begins_like_a_row_of_a_new_layer(width: int) -> None:
    """Evenly within one over the root of the width: 2 / sqrt(12 width) is their deviation."""
    module: Any = nn.Module()
    module.classifier, module.config = nn.Linear(width, 3), SimpleNamespace(num_labels=3)
    before = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    model: Any = SimpleNamespace(module=module, family=SimpleNamespace(label_head="classifier"))
    with shadow_label(model, 5):
        row = module.classifier.weight[3].detach()
        assert module.classifier.weight.shape == (4, width) and module.classifier.out_features == 4
        assert float(row.abs().max()) <= width**-0.5
        assert float(row.square().mean()) > 1 / (12 * width)
        assert abs(float(module.classifier.bias[3].detach())) <= width**-0.5
    after = dict(module.named_parameters())
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_features_are_of_the_weights_as_they_were() -> None:
    """The same tensors, none changed in place since, and none besides."""
    first, second = torch.ones(2), torch.ones(2)
    held = [first, second]
    known = _Weights([ref(w) for w in held], [w._version for w in held], "digest")
    assert known.are(held)
    assert not known.are([second, first]) and not known.are([first])
    assert not known.are([first, torch.ones(2)])
    second.add_(1)
    assert not known.are(held)
