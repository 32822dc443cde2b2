"""One key of a score stands for one task: the main one of a split, where it is measured."""

from __future__ import annotations

import math
from typing import Any

import pytest

from clearbench.attacks.scoring import score
from clearbench.data.example import Example
from clearbench.evaluation.metric import metric
from clearbench.evaluation.metrics.rouge import VerbatimRougeL
from clearbench.evaluation.prompts import generation_prompts
from clearbench.testing import tiny_dataset
from clearbench.testing.records import records, value

QA: dict[str, Any] = {"p": {"answer": [0.5]}}
CHOICE: dict[str, Any] = {"task": "choice", "p": {"answer": [0.25], "perturbed_0": [0.75]}}


def test_the_main_task_stands_under_the_key() -> None:
    scores = score(records([QA, QA, CHOICE]))
    assert scores["forget.text.probability"].value == pytest.approx(0.5)
    assert scores["forget.text.probability"].n == 2
    assert "forget.text.truth_ratio" not in scores, "questions have no wrong answers"


def test_another_task_stands_under_it_where_the_main_one_is_not_there() -> None:
    scores = score(records([CHOICE]))
    assert scores["forget.text.probability"].value == pytest.approx(0.25)
    assert scores["forget.text.truth_ratio"].value == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("truth", "text", "recall", "f1"),
    [
        ("the sea is wide", "the sea is wide", 1.0, 1.0),
        ("the sea is wide", "the sea", 0.5, 2 / 3),
        ("the sea is wide", "nobody knows", 0.0, 0.0),
        ("a b c d", "d a b", 0.5, 4 / 7),
    ],
)
def test_a_continuation_by_hand(truth: str, text: str, recall: float, f1: float) -> None:
    row = {"task": "continuation", "said": (truth, text)}
    assert value("verbatim_rouge_l", **row) == pytest.approx(recall)
    assert value("verbatim_rouge_l", parameters={"f1": True}, **row) == pytest.approx(f1)


def test_a_continuation_has_a_key_of_its_own() -> None:
    spoken = [QA | {"said": ("yes", "no")}, {"task": "continuation", "said": ("one two", "one")}]
    scores = score(records(spoken))
    assert scores["forget.text.rouge_l"].value == 0.0
    assert scores["forget.text.verbatim_rouge_l"].value == 0.5
    assert isinstance(metric("verbatim_rouge_l"), VerbatimRougeL)


def test_membership_is_attacked_by_the_task_that_both_sides_have() -> None:
    """Questions of the forget split have no counterpart; passages have: two of two are told."""
    rows = [QA] * 2
    for split, p in (("forget", 0.9), ("forget", 0.8), ("holdout", 0.2), ("holdout", 0.1)):
        rows += [{"split": split, "task": "passage", "p": {"answer": [p, p]}}]
    found = score(records(rows))["forget.text.mia_loss_auc"]
    assert (found.value, found.n) == (1.0, 4)
    shared = [*rows, {"split": "holdout", "p": {"answer": [0.7]}}]
    main = score(records(shared))["forget.text.mia_loss_auc"]
    assert (main.value, main.n) == (0.0, 3), "the main task where both sides have it"
    assert math.isfinite(main.value)


def test_passages_are_not_spoken_and_own_blanks_are_asked_alone() -> None:
    dataset = tiny_dataset()
    asked = generation_prompts(dataset, ("forget",), ("forget",), ("cloze",))
    made = [prompt for prompt in asked if prompt.key.task == "cloze"]
    assert made, "answers have blanks made in them"
    about: dict[str, Any] = {"person": 0, "track": "text", "question": "Who?", "answer": "Ann."}
    rows = tuple(Example(id=task, task=task, **about) for task in ("passage", "cloze"))
    evaluation = dataset.evaluation | {"forget": (*dataset.evaluation["forget"], *rows)}
    more = type(dataset)(dataset.training, evaluation, dataset.names)
    prompts = list(generation_prompts(more, ("forget",), ("forget",), ("cloze",)))
    assert {p.item.row for p in prompts if p.key[1:] == ("text", "cloze")} == {"cloze"}
    assert "passage" not in {prompt.item.row for prompt in prompts}
