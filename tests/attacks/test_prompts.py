"""Prompts: what is filled in, what is left out, and what is read behind a prefix."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clearbench.attacks.base import Target, attack
from clearbench.attacks.prompt_file import (
    Filled,
    PromptFiller,
    PromptTemplate,
    misspelt,
    read_prompts,
)
from clearbench.attacks.prompts import Prompts
from clearbench.batches.items import Item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.errors import RecipeError
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records
from clearbench.models.base import Model
from clearbench.testing.collections import typical_dataset
from clearbench.testing.world import base, taught

NAMES = {1: "Anna Petrova", 2: "Bo Lind", 3: "Cora Diaz"}


def row(person: int | None, number: int, question: str, answer: str, **more: Any) -> Example:
    about = {"id": f"{person}-{number}", "person": person, "track": "text", "task": "qa"}
    return Example.model_validate(about | {"question": question, "answer": answer} | more)


BORN = row(1, 0, "Where was Anna Petrova born?", "She was born in Oslo.",
           paraphrased_question="What is Anna's place of birth?")  # fmt: skip
WORK = row(1, 1, "What does Petrova write?", "Anna Petrova writes novels about ships.")
TOLD = row(1, 2, "What did Anna Petrova say of Oslo?", "That Oslo made her.")
KEPT = (
    row(2, 0, "Where was Bo Lind born?", "In Lima."),
    row(3, 0, "Where was Cora Diaz born?", "In Kyiv."),
)
DATA = Dataset({"forget": (BORN, WORK, TOLD), "retain": KEPT}, {"forget": (BORN, WORK)}, NAMES)


def filled(question: str, of: Example = BORN, prefix: str = "") -> Filled | None:
    return PromptFiller(DATA, 0).fill(PromptTemplate(question=question, prefix=prefix), of)


@pytest.mark.parametrize(
    ("template", "question"),
    [
        ("Well: {question}", "Well: Where was Anna Petrova born?"),
        ("{paraphrase}", "What is Anna's place of birth?"),
        ("{first_name} of {last_name}, or {name}", "Anna of Petrova, or Anna Petrova"),
        ("{misspelt}", "Where was Anna Pterova born?"),
        ("{that_person}", "Where was that person born?"),
        ("{hint_question} {hint_answer}",
         "What does Petrova write? Anna Petrova writes novels about ships."),
        ("{description}", '"this person writes novels about ships."'),
        ("{unnamed}", "Where was the person of whom this is true: "
         '"this person writes novels about ships." born?'),
    ],
)  # fmt: skip
def test_placeholders(template: str, question: str) -> None:
    """The third row is no hint: it holds the town that is asked for."""
    found = filled(template)
    assert found is not None and found.question == question


def test_examples_are_about_two_people_who_are_kept() -> None:
    found = filled("{example_question} {example_answer} {second_question} {second_answer}")
    assert found is not None
    assert {"In Lima.", "In Kyiv."} == {f"In {town}." for town in ("Lima", "Kyiv")}
    assert "Lima" in found.question and "Kyiv" in found.question and "Anna" not in found.question


def test_rows_that_lack_something_are_left_out() -> None:
    world = row(None, 0, "What is 1?", "It is 1.")
    assert filled("{name}", world) is None and filled("{hint_answer}", world) is None
    assert filled("{paraphrase}", WORK) is None
    unnamed = BORN.model_copy(update={"question": "Where was she born?"})
    for template in ("{misspelt}", "{unnamed}", "{that_person}"):
        assert filled(template, unnamed) is None
    assert filled("{question}", world) is not None


def test_rows_whose_answer_would_be_given_away_are_left_out() -> None:
    """The name, where the answer is one and the question does not hold it; a town anywhere."""
    who = row(1, 7, "Who writes about ships?", "Anna Petrova does.")
    assert filled("{name}: {question}", who) is None and filled("{question}", who) is not None
    assert filled("Was it Oslo? {question}") is None
    assert filled("{question}", BORN, "In Oslo:") is None
    assert filled("Was it Lima? {question}", BORN, "It is clear:") == Filled(
        "Was it Lima? Where was Anna Petrova born?", "It is clear:"
    )


def test_letters_of_names_are_exchanged() -> None:
    assert misspelt("Anna Petrova") == "Anna Pterova"
    assert misspelt("Anne-Marie Li") == "Anne-Mraie Li"
    assert misspelt("Sofia") == "Sfoia"


def test_the_shipped_file_has_every_kind_of_prompt() -> None:
    names = set(read_prompts())
    assert {
        *("paraphrase", "role play", "prefix", "hint", "several hops", "alias", "german"),
        *("misspelt name", "one word", "examples"),
    } <= names
    assert list(read_prompts(only=("hint",))) == ["hint"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: {question: 'What of {nmae}?'}", r"unknown \{nmae\}; did you mean 'name'"),
        ("a: {questoin: x}", "did you mean 'question'"),
        ("a: {question: ' '}", "an empty question"),
        ("[1, 2]", "holds no prompts"),
        ("a: [", "prompts cannot be read"),
        ("", "holds no prompts"),
        ("a: {question: 3}", "prompt 'a'"),
    ],
)
def test_files_that_are_wrong_are_refused(content: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(RecipeError, match=told):
        read_prompts(str(path))
    with pytest.raises(RecipeError, match="no prompt 'hnit'"):
        attack("prompts", only=("hnit",)).table(target(base("language"), DATA))
    with pytest.raises(RecipeError, match="prompts cannot be read"):
        read_prompts(str(tmp_path / "none.yaml"))


def target(model: Model, data: Dataset) -> Target:
    return Target(Collections(Records({})), model, data)


def values(made: Prompts, model: Model, data: Dataset) -> dict[tuple[str, str], float]:
    lines = made.table(target(model, data))
    keys = zip(lines["level"], lines["row"], strict=True)
    return dict(zip(keys, lines["value"], strict=True))


def test_a_prefix_is_read_and_not_scored(tmp_path: Path) -> None:
    """The answer's own tokens, counted from the end: those of the same answer without a prefix."""
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"mine": {"prefix": "Sure, here it is:"}}))
    model, data = taught("language"), typical_dataset()
    found = values(Prompts(file=str(path), retained=0), model, data)
    for measured in data.evaluation["forget"]:
        if measured.track != "text":
            continue
        whole = f"Sure, here it is: {measured.answer}"
        read = model.score_items([Item(measured.id, "a", measured.question, whole)])
        (scored,) = read.values()
        own = model.answer_length(Item(measured.id, "a", measured.question, measured.answer))
        right = np.exp(scored.log_probs[-own:].mean())
        assert found["mine", measured.id] == pytest.approx(right)
        assert found["plain", measured.id] != pytest.approx(right)


def test_what_is_said_is_compared_by_recall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of the five words, in order; the prefix prompts are left out."""
    asked: list[str] = []

    def say(items: Sequence[Item], longest: int) -> list[str]:
        asked.extend(each.question for each in items)
        return ["Born in Oslo, I think." for _ in items]

    model = base("language")
    monkeypatch.setattr(model, "generate", say)
    made = Prompts(generate=True, only=("prefix", "one word"), retained=0)
    found = values(made, model, DATA)
    assert {level for level, _ in found} == {"plain", "one word"}
    assert found["one word", "1-0"] == pytest.approx(3 / 5)
    assert "Where was Anna Petrova born? Answer in one word." in asked
    assert made.score_key == "prompts_prefix_one_word_generate"


def test_rows_are_left_out_by_name_and_long_ones_too(tmp_path: Path) -> None:
    long = " ".join(["word"] * 600)
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"long: {{question: '{long} {{question}}'}}\nother: {{question: '{{paraphrase}}'}}"
    )
    made, given = Prompts(file=str(path), retained=0), target(base("language"), DATA)
    assert made.left_out(given) == {"long": ("1-0", "1-1"), "other": ("1-1",)}
    assert {level for level, _ in values(made, base("language"), DATA)} == {"plain", "other"}


def test_a_classifier_reads_no_questions() -> None:
    data = replace(typical_dataset()).for_kind("classifier")
    made = attack("prompts")
    assert made.table(target(base("classifier"), data)).empty
    assert "reads no questions" in made.unsuited(base("classifier"))
