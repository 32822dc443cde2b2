"""The metrics beyond CLEAR's and TOFU's, each worked out by hand or against a published code."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from clearbench.attacks.gradient_norm import gradient_norms
from clearbench.attacks.scoring import score
from clearbench.batches.items import item
from clearbench.evaluation.metrics.bleu import bleu
from clearbench.evaluation.metrics.consistency import agreement, consistency
from clearbench.evaluation.metrics.keywords import blanked, keywords
from clearbench.evaluation.metrics.letter_choice import chosen_letter, lettered
from clearbench.testing import tiny_dataset
from clearbench.testing.records import records, value
from clearbench.testing.world import base, copied

ARITHMETIC = {"form": "arithmetic"}
OPEN = {"denominator": "open"}


def test_arithmetic_truth_ratio_by_hand() -> None:
    """Wrong answers .1 and .4 have the mean .25; the truth .5 is twice as likely."""
    p = {"answer": [0.9], "paraphrase": [0.5], "perturbed_0": [0.1], "perturbed_1": [0.4]}
    assert value("truth_ratio", parameters=ARITHMETIC, p=p) == pytest.approx(0.5)
    assert value("truth_ratio", "retain", ARITHMETIC, p=p) == pytest.approx(0.5)
    assert value("truth_probability", p=p) == pytest.approx(0.5 / (0.5 + 0.2))


def test_openunlearnings_constant_by_hand() -> None:
    """p(y^) = 1e-10 and wrong 1e-10: R = 1e-10 / 2e-10, where TOFU's ratio is 1."""
    p = {"answer": [1e-10], "perturbed_0": [1e-10]}
    assert value("truth_ratio", parameters={"form": "open"}, p=p) == pytest.approx(0.5)
    assert value("truth_ratio", p=p) == pytest.approx(1.0)
    assert value("probability", "real_world", OPEN, p=p) == pytest.approx(1 / 3)
    assert value("probability", parameters=OPEN, p={"answer": [0.25, 1.0]}) == pytest.approx(0.5)


def test_names_among_options_by_hand() -> None:
    names = {"answer": [0.5]} | {f"perturbed_{k}": [0.1] for k in range(20)}
    options = {"options": True}
    assert value("name_probability", parameters=options, task="name", p=names) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("hits", "exact", "strength", "floored"),
    [
        ([1, 1, 1, 1, 0], 1.0, 1.0, 1.0),
        ([1, 0, 1, 1, 0], 0.75, 0.5, 0.5),
        ([1, 1, 1, 0, 1], 0.75, 0.0, 0.25),
        ([0, 0, 0, 0, 1], 0.0, 0.0, 0.25),
    ],
)
def test_memorisation_by_hand(
    hits: list[int], exact: float, strength: float, floored: float
) -> None:
    """Four tokens and the end, which does not count (E112); the floor is 1/N (E101)."""
    row = {"hits": [bool(hit) for hit in hits], "p": {"answer": [0.5] * 5}}
    assert value("exact_memorisation", **row) == exact
    assert value("extraction_strength", **row) == strength
    assert value("extraction_strength", parameters={"floor": True}, **row) == floored


def test_an_untrained_models_extraction_strength_is_near_zero() -> None:
    """A model with no token right scores 0, not 1/N."""
    rows = [{"hits": [False] * 6, "p": {"answer": [0.1] * 6}} for _ in range(3)]
    assert score(records(rows))["forget.text.extraction_strength"].value == 0


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=14).map(" ".join)


@pytest.mark.filterwarnings("ignore:\nThe hypothesis contains 0 counts")
@settings(deadline=None)
@given(WORDS, WORDS)
def test_bleu_equals_nltk(truth: str, text: str) -> None:
    smooth = SmoothingFunction().method1
    expected = sentence_bleu([truth.split()], text.split(), smoothing_function=smooth)
    assert bleu(truth, text) == pytest.approx(float(expected))


def test_bleu_by_hand() -> None:
    """ "a b c d" said as "a b c": runs 3/3, 2/2, 1/1, none (0.1/1), and e^(1 - 4/3) for brevity."""
    expected = math.exp(1 - 4 / 3) * 0.1**0.25
    assert value("bleu", said=("a b c d", "a b c")) == pytest.approx(expected)
    assert value("bleu", said=("a b c d", "a b c d")) == pytest.approx(1.0)
    assert value("bleu", said=("a b", "")) == 0.0


def test_letters() -> None:
    lines, letter = lettered("Ann", ["Bo", "Cy", "Di", "Ed", "Flo"], "row7")
    assert lettered("Ann", ["Bo", "Cy", "Di", "Ed", "Flo"], "row7") == (lines, letter)
    assert f"{letter}. Ann" in lines.split("\n")
    places = [lettered("Ann", ["Bo", "Cy"], f"row{k}")[1] for k in range(300)]
    assert all(80 < places.count(each) < 120 for each in "ABC"), "no place is favoured (E129)"
    said = {"B": "B", "B. Bo": "B", "The answer is (C).": "C", "I do": "I", "bo": None, "": None}
    assert {text: chosen_letter(text) for text in said} == said
    assert value("letter_choice", task="letter", said=("B", "It is B.")) == 1.0
    assert value("letter_choice", task="letter", said=("B", "It is Bo.")) == 0.0


def test_keywords_by_hand() -> None:
    question, truth = "Where was Ann born?", "Ann was born in Oslo in 1952. She liked New York."
    assert keywords(truth, question) == ["oslo", "1952", "new", "york"]
    said = (truth, "In oslo, in 1953, near New York", question)
    assert value("keyword_match", said=said) == 0.75
    assert value("ape", task="paraphrased", said=said) == 0.75
    assert score(records([{"said": ("yes", "no", "q")}])).get("forget.text.keyword_match") is None


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("Who is she?", ["ann", "lee", "oslo", "1952"]),
        ("Where was Ann Lee born in 1952?", ["oslo"]),
        ("WHERE WAS ANN BORN?", ["lee", "oslo", "1952"]),
        ("Was Ann Lee born in Oslo in 1952?", []),
        ("Is Anne Leeds of 19 52?", ["ann", "lee", "oslo", "1952"]),
    ],
)
def test_what_the_question_says_is_no_keyword(question: str, left: list[str]) -> None:
    """Names and numbers alike, in whole words and any case."""
    truth = "That author, Ann Lee, was born in Oslo in 1952."
    assert keywords(truth, question) == left
    blank = blanked(truth, question)
    assert (blank is None) == (not left)
    if left == ["oslo"]:
        assert blank == ("That author, Ann Lee, was born in ____ in 1952.", "Oslo")


def test_cloze_by_hand() -> None:
    for text, right in (("in New York.", 1.0), ("new york", 1.0), ("Newark", 0.0), ("York", 0.0)):
        assert value("cloze", task="cloze", said=("New York", text)) == right


def test_consistency_by_hand() -> None:
    """a = 1, b = .5: 2 * .5 / 1.5 on what is kept, 1.25 / 1.5 on what is forgotten."""
    assert consistency(1.0, 0.5, "retain") == pytest.approx(2 / 3)
    assert consistency(1.0, 0.5, "forget") == pytest.approx(5 / 6)
    assert consistency(0.0, 0.0, "forget") == consistency(0.0, 0.0, "retain") == 0.0
    rows = [
        {"person": 0, "row": "q1", "said": ("a b", "a b")},
        {"person": 0, "row": "q2", "said": ("a b", "a b")},
        {"person": 0, "row": "c1", "track": "image", "task": "caption", "said": ("a b", "a")},
        {"person": 1, "row": "q3", "said": ("a b", "c")},
    ]
    found = score(records(rows))["forget.image.cross_modal_consistency"]
    assert found.value == pytest.approx(5 / 6)
    assert (found.n, found.direction) == (1, "gold"), "person 1 has no picture"


def test_choice_in_both_tracks_by_hand() -> None:
    """One of two questions right and one image wrong: of two pairs, one has both wrong."""

    def row(name: str, truth: float, **about: Any) -> dict[str, Any]:
        return {"person": 0, "row": name, "p": {"answer": [truth], "perturbed_0": [0.4]}, **about}

    image = {"track": "image", "task": "caption"}
    rows = [row("q1", 0.5), row("q2", 0.1), row("c1", 0.2, **image)]
    assert score(records(rows))["forget.image.cross_modal_choice"].value == 0.5
    kept = [{**each, "split": "retain"} for each in (*rows[:2], row("c1", 0.6, **image))]
    assert score(records(kept))["retain.image.cross_modal_choice"].value == 0.5
    assert agreement(1.0, 1.0, "forget") == 0.0 and agreement(1.0, 1.0, "retain") == 1.0
    assert agreement(0.0, 0.0, "forget") == 1.0 and agreement(0.0, 0.0, "retain") == 0.0


def test_the_logarithm_of_forget_quality() -> None:
    """Disjoint samples of five: p = 1/126."""
    low, high = (
        records([
            {"p": {"answer": [0.5], "paraphrase": [0.1 * r], "perturbed_0": [0.1]}} for r in ratios
        ])
        for ratios in ([0.1, 0.2, 0.3, 0.4, 0.5], [5.0, 6.0, 7.0, 8.0, 9.0])
    )  # fmt: skip
    found = score(low, high)["forget.text.forget_quality_log"]
    assert found.value == pytest.approx(-math.log(126))
    assert found.statistic == 1.0 and found.range == (None, 0.0)


def test_the_gradient_norm_is_that_of_the_whole_gradient() -> None:
    model = copied(base("language"))
    model.train_only(("language",))
    rows = [item(row) for row in tiny_dataset().evaluation["forget"] if row.track == "text"][:2]
    found = gradient_norms(model, rows)
    loss = -model.answers(model.batch(rows[1:])).log_probs.mean()
    gradient = torch.autograd.grad(loss, list(model.trainable().values()), allow_unused=True)
    whole = torch.cat([each.flatten() for each in gradient if each is not None])
    assert found[rows[1].row] == pytest.approx(float(whole.norm()), rel=1e-5)
    assert list(found.index) == [row.row for row in rows] and (found > 0).all()
    assert all(p.grad is None for p in model.trainable().values())
