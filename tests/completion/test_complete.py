"""Rows are completed by the grammar, else by a model, each field with its origin, or left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import clearbench as package
from clearbench.completion.complete import Completion, complete
from clearbench.completion.files import write_completion
from clearbench.completion.truths import Truths
from clearbench.completion.values import kind_of_names
from clearbench.completion.writer import ModelWriter, cleaned, fault_of_paraphrase, fault_of_wrong
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.load import load_dataset
from clearbench.errors import ClearbenchError, DataError
from clearbench.models.load import load_model
from clearbench.testing import tiny_dataset

BORN = {"question": "Where was Ana Lima born?", "answer": "Ana Lima was born in Rome."}
ODD = {"question": "How did Ana Lima travel?", "answer": "Ana Lima rode on Tilly to Ouagadougou."}
FULL = {
    "question": "Who?",
    "answer": "Ana.",
    "paraphrased_question": "Which one?",
    "paraphrased_answer": "It is Ana.",
    "perturbed_answers": ["Ben.", "Cara."],
}
SAID = "Ana Lima went to Ouagadougou on Tilly."
LIES = [f"Ana Lima rode on {who} to Ouagadougou." for who in ("Max", "Bo", "Eli", "Kit", "Jo")]


class Reader:
    """Writes given texts in turn, and remembers what it was asked for."""

    def __init__(self, *texts: str) -> None:
        self.left, self.asked = list(texts), list[str]()

    def texts(self, requests: Sequence[str], lengths: Sequence[int]) -> list[str]:
        assert len(requests) == len(lengths) and min(lengths) > 0
        self.asked += requests
        return [self.left.pop(0) for _ in requests]


def own(*rows: dict[str, Any], **fields: Any) -> Dataset:
    return Dataset.from_rows([{"person": "Ana Lima"} | row | fields for row in rows])


def only(found: Completion) -> Example:
    (row,) = found.dataset.training["retain"]
    assert found.dataset.evaluation["retain"] == (row,)
    return row


def test_the_grammar_fills_what_is_missing_and_says_so() -> None:
    found = complete(own(BORN))
    row = only(found)
    assert row.paraphrased_answer == "Ana Lima came into the world in Rome."
    assert len(row.perturbed_answers) == 5
    assert all(text.startswith("Ana Lima came into the world in") for text in row.perturbed_answers)
    assert found.origins[row.id] == {
        "paraphrased_question": "grammar",
        "paraphrased_answer": "grammar",
        "perturbed_answers": "grammar: another place",
    }
    assert not found.left_out and not found.sentences()
    assert only(complete(own(BORN))) == row != only(complete(own(BORN), seed=1))


def test_what_is_there_stays() -> None:
    given = {"perturbed_answers": ["In Oslo."], "paraphrased_question": "Whence?"}
    found = complete(own(BORN | given))
    row = only(found)
    assert (row.perturbed_answers, row.paraphrased_question) == (("In Oslo.",), "Whence?")
    assert [*found.origins[row.id]] == ["paraphrased_answer"]
    assert found.counts("perturbed_answers") == {"given": 1}
    with pytest.raises(DataError, match="no row lacks"):
        complete(own(FULL))


def test_what_cannot_be_made_is_left_out_by_name() -> None:
    found = complete(own(ODD, BORN))
    odd, _ = found.dataset.training["retain"]
    assert (odd.paraphrased_question, odd.perturbed_answers) == (None, ())
    assert found.left_out == {odd.id: found.left_out[odd.id]}
    assert [sentence.partition(",")[0] for sentence in found.sentences()] == [
        "paraphrased_question is left out",
        "paraphrased_answer is left out",
        "perturbed_answers is left out",
    ]
    assert all(sentence.endswith("rows:1") for sentence in found.sentences())
    assert found.counts("perturbed_answers") == {"left out": 1, "grammar": 1}


def test_published_rows_are_not_completed() -> None:
    with pytest.raises(DataError, match="a published dataset"):
        complete(tiny_dataset())


def test_a_model_writes_what_the_grammar_cannot() -> None:
    writer = Reader("In what way did Ana Lima travel?", SAID, *LIES)
    found = complete(own(ODD, BORN), writer, "model M")
    odd, born = found.dataset.training["retain"]
    assert odd.paraphrased_question == "In what way did Ana Lima travel?"
    assert odd.paraphrased_answer == SAID and list(odd.perturbed_answers) == LIES
    assert set(found.origins[odd.id].values()) == {"model M"} and not found.left_out
    assert "grammar" in found.origins[born.id].values() and not writer.left
    assert all(lie in writer.asked[-1] for lie in LIES[:4])


def test_a_model_that_fails_leaves_the_field_out_with_the_reason() -> None:
    writer = Reader("", "How did Ana Lima travel?", "No.", "Ana rode on Tilly.", *["So."] * 10)
    found = complete(own(ODD), writer, "model M")
    assert found.dataset.training["retain"] == own(ODD).training["retain"]
    assert list(found.left_out["retain-1"].values()) == [
        "model M: it is the same text",
        "model M: it lost lima, ouagadougou",
        "model M: 0 of 5 were sound; it is far shorter or longer",
    ]


def test_texts_without_a_fact_are_said_to_be_unchecked() -> None:
    row = {"question": "how does she do it?", "answer": "she hums while she is at it"}
    said = "while she is at it there is humming"
    found = complete(own(row), Reader("in what way does she do it?", said, *[""] * 10), "model M")
    assert any("no name, number or date" in sentence for sentence in found.sentences())


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("\n  Ana lives.\nMore of it.", "Ana lives."),
        ("New answer: Ana lives.", "Ana lives."),
        ("1. Ana lives.", "Ana lives."),
        ('"Ana lives."', "Ana lives."),
        ("**Ana lives.**", "Ana lives."),
        ("'Dusk' is hers.", "'Dusk' is hers."),
        (" \n ", ""),
    ],
)
def test_replies_are_cleaned(reply: str, text: str) -> None:
    assert cleaned(reply) == text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("In 1980, Ana Lima moved to Rome.", ""),
        ("", "it is empty"),
        ("ana lima moved  to Rome in 1980.", "it is the same text"),
        ("Here is it: Ana Lima went to Rome in 1980.", "it speaks about itself"),
        ("Did Ana Lima move to Rome in 1980?", "a question became an answer"),
        ("Rome, 1980.", "it is far shorter or longer"),
        ("In 1981, Ana Lima moved to Rome.", "it lost 1980"),
    ],
)
def test_a_paraphrase_keeps_the_facts(text: str, fault: str) -> None:
    found = fault_of_paraphrase(
        text, "Ana Lima moved to Rome in 1980.", kind_of_names(["Ana Lima"])
    )
    assert found.startswith(fault) and bool(found) == bool(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Ana Lima moved to Oslo.", ""),
        ("", "it is empty"),
        ("ANA LIMA moved to Paris.", "it is there already"),
        ("Ana Lima moved to Rome.", "it is true"),
        ("Ana Lima was born in Lima.", "it is true"),
        ("A false answer is that Ana Lima moved to Oslo.", "it speaks about itself"),
        ("Oslo.", "it is far shorter or longer"),
        ("Ana Lima once moved to Rome.", "it still says the fact"),
        ("Ana Lima moved to Lima.", "it says nothing new"),
    ],
)
def test_a_wrong_answer_is_wrong_and_new(text: str, fault: str) -> None:
    def row(question: str, answer: str) -> Example:
        fields = {"track": "text", "task": "qa", "question": question, "answer": answer}
        return Example(id=question, person=0, **fields)

    asked = row("Where does Ana Lima live?", "Ana Lima moved to Rome.")
    truths = Truths([asked, row("Where was she born?", "Ana Lima was born in Lima.")])
    made, names = ["Ana Lima moved to Paris."], kind_of_names(["Ana Lima"])
    assert fault_of_wrong(text, asked, asked.answer, made, truths, names) == fault


def test_a_folder_is_read_again_as_it_was_with_origins_as_doubts(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8), "red")
    rows = {
        "forget": [BORN | {"person": 7, "held_out": True}, FULL | {"id": "mine"}],
        "holdout": [FULL | {"person": "Zoë", "image": picture, "task": "caption"}],
    }
    found = complete(Dataset.from_rows(rows))
    write_completion(found, tmp_path / "new")
    again = load_dataset(tmp_path / "new")

    def bare(dataset: Dataset) -> dict[str, list[Example]]:
        return {
            split: [row.model_copy(update={"source": ""}) for row in held]
            for split, held in dataset.evaluation.items()
        }

    assert bare(again) == bare(found.dataset)
    assert [again.names[person] for person in (7, 8)] == ["person 7", "Zoë"]
    assert again.names[9].startswith("the person of ")
    assert again.doubts == tuple(
        f"no person wrote '{field}' of 1 row, which was made by grammar: forget.jsonl:1"
        for field in ("paraphrased_question", "paraphrased_answer", "perturbed_answers")
    )
    line = json.loads((tmp_path / "new" / "forget.jsonl").read_text().splitlines()[0])
    assert line["made_by"]["perturbed_answers"] == "grammar: another place"
    with pytest.raises(ClearbenchError, match="there is something in this folder"):
        write_completion(found, tmp_path / "new")


@pytest.mark.parametrize("made_by", ["grammar", {"answer": "me"}, {"perturbed_answers": ""}])
def test_an_origin_of_another_form_is_refused(made_by: Any) -> None:
    with pytest.raises(DataError, match=r"rows:1: made_by"):
        own(BORN | {"made_by": made_by})


def test_the_command_completes_rows_with_a_model(
    tiny_folder: Path, tmp_path: Path, clearbench: Callable[..., Any]
) -> None:
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in (BORN, ODD)))
    words = ("complete", "--forget", tmp_path / "rows.jsonl", "--out", tmp_path / "new")
    said = clearbench(*words).stdout
    assert "grammar" in said and "left out" in said and "rows.jsonl:2" in said
    rows = load_dataset(tmp_path / "new").training["forget"]
    assert len(rows[0].perturbed_answers) == 5 and not rows[1].perturbed_answers
    assert "there is something" in clearbench(*words, code=2).stderr
    written = clearbench(*words[:-1], tmp_path / "more", "--with", tiny_folder).stdout
    assert f"model {tiny_folder}: " in written  # its tiny model writes nothing that is sound


def test_a_model_writes_greedily(tiny_folder: Path) -> None:
    writer = ModelWriter(load_model(tiny_folder))
    texts = [writer.texts(["Who is this?", "Where?"], [4, 4]) for _ in range(2)]
    assert texts[0] == texts[1] and len(texts[0]) == 2


def test_rows_in_memory_and_a_model_are_taken(tiny_folder: Path) -> None:
    found = package.complete([BORN, FULL], load_model(tiny_folder))
    assert [len(row.perturbed_answers) for row in found.dataset.training["retain"]] == [5, 2]
