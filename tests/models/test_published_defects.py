"""What other loaders and collators mix up between a row and the model (docs/errata.md)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clearbench.batches.items import Item, item
from clearbench.builtin.models import builtin_model
from clearbench.data.dataset import SPLITS, Dataset
from clearbench.data.example import Example
from clearbench.evaluation.controls import blank
from clearbench.evaluation.engine import evaluate
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.records import value
from clearbench.testing.world import base
from clearbench.training.feed import every_track, unlearning_feed
from clearbench.training.roles import Roles

TRACKS: tuple[str, ...] = ("text", "image")


def drawn(step: int = 0) -> dict[str, list[Item]]:
    model, dataset = base("vision-language"), tiny_dataset()
    roles, needs = Roles(model, dataset), ("forget", "idk", "retain")
    feed = unlearning_feed(dataset, TRACKS, every_track(4), 0, roles, needs)
    return dict(feed(0, step))


def test_refusals_are_the_answers_of_questions_and_of_captions() -> None:
    """Errata E20: the published batch of refusals holds the true answers."""
    batch, dataset = drawn(), tiny_dataset()
    assert {each.image is None for each in batch["idk"]} == {True, False}
    for refused, true in zip(batch["idk"], batch["forget"], strict=True):
        assert (refused.row, refused.question, refused.image) == (
            true.row,
            true.question,
            true.image,
        )
        bank = dataset.refusals if true.image is None else dataset.image_refusals
        assert refused.answer in bank and true.answer not in bank


def test_roles_hold_the_rows_of_their_people() -> None:
    """Errata E22: refusals, forget and retain rows are unpacked in another order."""
    dataset = tiny_dataset()
    for step in range(3):
        batch = drawn(step)
        assert {each.person for each in batch["forget"]} <= dataset.people("forget")
        assert {each.person for each in batch["idk"]} <= dataset.people("forget")
        assert {each.person for each in batch["retain"]} <= dataset.people("retain")


@pytest.mark.parametrize("question", ["Oslo", "Is it true that Oslo is Oslo", ""])
def test_the_prompt_is_the_questions_alone(question: str) -> None:
    """Errata E06: a prompt found by searching for the answer keeps some of it."""
    model: Any = tiny_model("language")
    prompts = {
        model.encoder.encode(each).ids[: model.encoder.encode(each).answer_start]
        for answer in ("Oslo", "Is", "In Oslo, they say.")
        for each in (Item("1", "answer", question, answer),)
    }
    assert prompts == {model.encoder.prompt(question, None).ids}


def test_the_end_token_is_taught_and_seen() -> None:
    """Errata E41: no end was taught. Errata E105: it is masked where padding has the same id."""
    model: Any = tiny_model("language")
    tokenizer = model.tokenizer
    tokenizer.pad_token = tokenizer.eos_token
    long, short = Item("1", "answer", "Who?", "Ann of Oslo"), Item("2", "answer", "Who?", "Bo")
    encoded = [model.encoder.encode(each) for each in (long, short)]
    assert all(tokenizer.eos_token_id in each.ids[-2:] for each in encoded)
    (batch,) = model.batch([long, short])
    masks = sorted(batch.inputs["attention_mask"].sum(dim=1).tolist())
    assert masks == sorted(len(each.ids) for each in encoded)
    assert (batch.targets == tokenizer.eos_token_id).sum() == 2


def ragged() -> Dataset:
    """Forget questions with one, two and three wrong answers, in turn."""

    def cut(place: int, row: Example) -> Example:
        return row.model_copy(update={"perturbed_answers": row.perturbed_answers[: 1 + place % 3]})

    rows = tuple(row for row in tiny_dataset().evaluation["forget"] if row.task == "qa")
    few = tuple(cut(place, row) for place, row in enumerate(rows))
    return replace(tiny_dataset(), evaluation={"forget": few})


def test_rows_may_have_different_numbers_of_options() -> None:
    """Errata E10: one number of options for all rows; here each answer belongs to its row."""
    dataset, settings = ragged(), EvaluationSettings(limit=None, max_new_tokens=1)
    records = evaluate(base("language"), dataset, settings)
    wrong = records.answers[records.answers["variant"].str.startswith("perturbed_")]
    expected = {row.id: len(row.perturbed_answers) for row in dataset.evaluation["forget"]}
    assert len(set(expected.values())) > 1
    assert wrong.groupby("row").size().to_dict() == expected
    alone = evaluate(
        base("language"),
        replace(dataset, evaluation={"forget": dataset.evaluation["forget"][1:2]}),
        settings,
    ).answers.set_index("variant")
    (row,) = alone["row"].unique()
    together = records.answers[records.answers["row"] == row].set_index("variant")
    for variant in alone.index:
        ours, single = together.loc[variant, "log_probs"], alone.loc[variant, "log_probs"]
        assert list(ours) == pytest.approx(list(single), abs=1e-5)


def test_each_generation_is_held_against_its_own_truth() -> None:
    """Errata E118 and E120: truths recovered from text, and answers of another loop."""
    dataset = tiny_dataset()
    settings = EvaluationSettings(limit=None, splits=SPLITS, max_new_tokens=2)
    rows = {row.id: row for split in dataset.evaluation.values() for row in split}
    spoken = evaluate(base("language"), dataset, settings).generations
    assert len(spoken) > 0
    for line in spoken.itertuples():
        assert (line.truth, line.question) == (rows[line.row].answer, rows[line.row].question)


@pytest.mark.parametrize("text", ["ANN LEE", "ann lee", "It is Ann Lee."])
def test_names_are_compared_in_one_case(text: str) -> None:
    """Errata E121: a name with capitals is looked for in small letters."""
    assert value("name_rouge_l", task="name", said=("Ann Lee", text)) == 1.0
    truth, said = "The author is Ann Lee", f"the author is {text}"
    assert value("keyword_match", said=(truth, said, "Who?")) == 1.0


def test_captions_are_generated_with_the_image_that_is_scored() -> None:
    """Errata E05: the published code generates from text alone, and so measures ROUGE blind."""
    model: Any = builtin_model("vision-language")  # the tiny models hardly look
    dataset = tiny_dataset()
    rows = [row for row in dataset.evaluation["retain"] if row.task == "caption"]
    seen = [item(row) for row in rows]
    unseen = [item(row) for row in blank(dataset).evaluation["retain"] if row.task == "caption"]
    texts = model.generate(seen, max_new_tokens=8)
    assert texts != model.generate(unseen, max_new_tokens=8)

    def likeliest(items: list[Item]) -> list[bool]:
        """Whether every token of what was generated is the first choice of a scoring pass."""
        found = []
        for each, text in zip(items, texts, strict=True):
            answers = model.answers(model.batch([replace(each, answer=text)]))
            spoken = answers.logits.argmax(dim=1) == answers.targets
            found.append(bool(spoken[:-1].all()))  # the end may lie beyond eight tokens
        return found

    assert all(likeliest(seen))
    assert not all(likeliest(unseen))
