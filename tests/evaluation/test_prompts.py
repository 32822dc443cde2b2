"""Rows asked in letters, in other words and with a blank, and protocols that need them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from clearbench import evaluate, score
from clearbench.cli import scores, steps
from clearbench.data.write_clear import write_dataset
from clearbench.errors import RecipeError
from clearbench.evaluation.metrics.keywords import blanked
from clearbench.evaluation.prompts import in_letters, in_other_words, with_a_blank
from clearbench.evaluation.protocols import protocols
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset
from clearbench.testing.records import records
from clearbench.testing.world import base, copied

ROWS = {row.id: row for rows in tiny_dataset().evaluation.values() for row in rows}


@pytest.mark.parametrize(
    ("truth", "question", "expected"),
    [
        ("She was born in Oslo.", "Where?", ("She was born in ____.", "Oslo")),
        ("Born on 5 May 1952 in Oslo.", "When?", ("Born on ____ in Oslo.", "5 May 1952")),
        ("She likes New York and Rome.", "", ("She likes ____ and Rome.", "New York")),
        ("She likes Rome, Oslo.", "", ("She likes ____, Oslo.", "Rome")),
        ("Ann likes Oslo.", "Who likes Oslo?", None),
        ("She was a judge.", "What?", None),
    ],
)
def test_blanks_by_hand(truth: str, question: str, expected: tuple[str, str] | None) -> None:
    """The longest run of names and numbers that stand next to each other."""
    assert blanked(truth, question) == expected


def test_a_blank_in_a_row() -> None:
    """ "person 0" is in the question, so that the town alone is private."""
    asked = with_a_blank(ROWS["0-1"])
    assert asked is not None
    assert asked.question.endswith("Fill in the blank: person 0 was a baker in ____.")
    assert (asked.answer, asked.row, asked.person) == ("Oslo", "0-1", 0)
    assert with_a_blank(ROWS["0-name"]) is None


def test_options_in_letters() -> None:
    """A name stands among five others; a choice among its own options."""
    row = ROWS["0-name"]
    asked = in_letters(row)
    assert asked is not None and asked.image is row.image
    lines = asked.question.split("\n")[1:-1]
    assert sorted(line[3:] for line in lines) == sorted([row.answer, *row.perturbed_answers[:5]])
    assert f"{asked.answer}. {row.answer}" in lines
    choice = in_letters(ROWS["real_world-text-0"])
    assert choice is not None and choice.question.count("\n") == 4, "three options and the request"
    assert in_letters(ROWS["0-0"]) is None
    assert in_letters(row.model_copy(update={"perturbed_answers": ()})) is None


def test_other_words() -> None:
    asked = in_other_words(ROWS["0-0"])
    assert asked is not None
    assert (asked.question, asked.answer) == ("Tell me: Where was person 0 born?", "In Oslo.")
    assert in_other_words(ROWS["0-caption"]) is None


def test_the_chance_line_by_hand() -> None:
    """Two options and four: guessing gives (1/2 + 1/4) / 2; one of two letters is right."""
    two, four = "Who?\nA. Ann\nB. Bo\nX", "Who?\nA. Ann\nB. Bo\nC. Cy\nD. Di\nX"
    rows = [{"task": "letter", "said": ("A", "A. Ann", two)},
            {"task": "letter", "said": ("D", "B", four)}]  # fmt: skip
    found = score(records(rows))["forget.text.letter_choice"]
    assert (found.value, found.chance) == (0.5, 0.375)


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model that says the truth, whatever it is asked."""
    model = copied(base("vision-language"))
    monkeypatch.setattr(model, "generate", lambda items, _: [each.answer for each in items])
    return model


def test_the_vqa_protocol_end_to_end(parrot: Model) -> None:
    """A model that knows everything scores 1 everywhere; guessing would give what stands there."""
    found = score(evaluate(parrot, tiny_dataset(), "clear-vqa"), protocol="clear-vqa")
    chances = {key: each.chance for key, each in found.items() if key.endswith("letter_choice")}
    assert chances == {
        "forget.image.letter_choice": pytest.approx(1 / 6),
        "retain.image.letter_choice": pytest.approx(1 / 6),
        "real_faces.image.letter_choice": pytest.approx(1 / 6),
        "real_authors.text.letter_choice": pytest.approx(1 / 3),
        "real_world.text.letter_choice": pytest.approx(1 / 3),
        "real_world.image.letter_choice": pytest.approx(1 / 3),
    }
    assert {f"forget.{track}.{name}" for track in ("text", "image")
            for name in ("rouge_l_f1", "bleu")} <= set(found)  # fmt: skip
    truths = [each.value for key, each in found.items() if "bleu" not in key]
    assert truths == [1.0] * len(truths)


def test_only_what_is_asked_is_there(parrot: Model) -> None:
    plain = evaluate(parrot, tiny_dataset())
    assert {task for *_, task in plain.groups()}.isdisjoint({"letter", "paraphrased", "cloze"})
    found = score(evaluate(parrot, tiny_dataset(), asks=("paraphrased", "cloze")))
    assert found["forget.text.ape"].value == found["forget.text.cloze"].value == 1.0
    assert found["forget.text.ape"].n == found["forget.text.cloze"].n == 4
    assert "forget.text.letter_choice" not in found
    with pytest.raises(RecipeError, match="did you mean 'cloze'"):
        evaluate(parrot, tiny_dataset(), asks=("close",))


def test_strangers_speak_where_a_protocol_needs_them(parrot: Model) -> None:
    """zlib needs the strangers' words; OpenUnlearning reports it."""
    data = tiny_dataset()
    strangers = tuple(
        row.model_copy(update={"id": f"stranger-{row.id}", "person": (row.person or 0) + 50})
        for row in data.evaluation["forget"]
    )
    data = replace(data, evaluation=data.evaluation | {"holdout": strangers})
    spoken = {name: set(evaluate(parrot, data, name).generations["split"]) for name in protocols()}
    assert [name for name, splits in spoken.items() if "holdout" in splits] == ["openunlearning"]
    gold = evaluate(parrot, data, "openunlearning")
    assert "forget.text.mia_zlib_auc" in score(gold, gold, protocol="openunlearning")


def test_protocols_that_ask_the_same_share_their_records() -> None:
    longest = {name: EvaluationSettings(protocol=name).max_new_tokens for name in protocols()}
    assert longest == {
        "clear": 32, "clear-code": 300, "clear-code-text": 200, "tofu": 200,
        "openunlearning": 200, "clear-vqa": 50,
    }  # fmt: skip
    measured = {
        name: EvaluationSettings(protocol=name, max_new_tokens=32).measured for name in protocols()
    }
    alike = [name for name in measured if measured[name] == measured["clear"]]
    assert alike == ["clear", "clear-code", "clear-code-text", "tofu"]
    asked = EvaluationSettings(protocol="clear", asks=("letter",))
    assert asked.measured == measured["clear-vqa"] != measured["clear"]


def test_the_protocol_on_the_command_line(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    write_dataset(tiny_dataset(), tmp_path / "data")
    out, protocol = tmp_path / "records", "clear-vqa"
    data = str(tmp_path / "data")
    steps.evaluate(str(tiny_folder), out, data, protocol=protocol, limit=1, ask=["cloze"])
    capsys.readouterr()
    scores.score(out, protocol=protocol, as_json=True)
    assert "real_world.text.letter_choice" in json.loads(capsys.readouterr().out)["scores"]
    scores.score(out, as_json=True)
    assert "forget.text.cloze" in json.loads(capsys.readouterr().out)["scores"]
