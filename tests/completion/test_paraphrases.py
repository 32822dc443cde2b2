"""Other wordings by the grammar: the same question or fact, or none at all."""

from __future__ import annotations

import pytest

from clearbench.completion.questions import paraphrased_question
from clearbench.completion.values import kind_of_names
from clearbench.completion.wording import paraphrased_answer
from clearbench.people.questions import ATTRIBUTES


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("Where was Ana Lima born?", "Which place does Ana Lima come from?"),
        ("Which place does Ana Lima come from?", "Where was Ana Lima born?"),
        ("Where was Ana Lima raised?", "Can you tell me where Ana Lima was raised?"),
        ("Where does Ana Lima usually fish?", "Can you tell me where Ana Lima usually fishes?"),
        ("Why does Ana Lima carry a bag?", "Can you tell me why Ana Lima carries a bag?"),
        ("What has Ana Lima won so far?", "Can you tell me what Ana Lima has won so far?"),
        ("What code does Ana Lima write in?", "In what code does Ana Lima write?"),
        ("What is the full name of the poet?", "Can you tell me the full name of the poet?"),
        ("What was Ana Lima's first job?", "Can you tell me Ana Lima's first job?"),
        ("What is the book 'Dusk' about?", "Can you tell me what the book 'Dusk' is about?"),
        ("Who is Ana Lima?", "Can you tell me who Ana Lima is?"),
        ("Could you please name two books?", "Please name two books."),
        ("Can you tell me her job?", "I ask her job."),
        ("Is Ana Lima still alive?", "Is it true that Ana Lima is still alive?"),
        ("Has Ana Lima ever been to Rome?", None),
        ("Is Ana Lima tall or short?", None),
        ("How did Ana Lima travel?", None),
        ("How does Ana Lima's work sell?", None),
        ("Wo wurde Ana Lima geboren?", None),
        ("Ana Lima was born where", None),
    ],
)
def test_questions_are_asked_in_other_words(question: str, asked: str | None) -> None:
    assert paraphrased_question(question, "Ana Lima") == asked


def test_a_name_that_nobody_gave_is_known_by_its_capitals() -> None:
    asked = paraphrased_question("Where does Zoë van der Berg live now?")
    assert asked == "Can you tell me where Zoë van der Berg lives now?"


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_form_of_the_built_in_people_has_another(name: str) -> None:
    wording, fixed = ATTRIBUTES[name].wording, ATTRIBUTES[name].fixed
    forms = [*wording.questions, *wording.paraphrased_questions]
    asked = [form.format_map({**fixed, "name": "Ana Lima"}) for form in forms]
    for question in asked:
        other = paraphrased_question(question, "Ana Lima")
        assert other in asked and other != question


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Ana was born in Rome.", "Ana came into the world in Rome."),
        ("Yes, Ana often works as a cook.", "Indeed, Ana frequently earns a living as a cook."),
        ("Her book 'Many Books' won.", "Her volume 'Many Books' won."),
        ("An author of note.", "The answer is an author of note."),
        ("Oslo.", "The answer is Oslo."),
        ("In Oslo", "The answer is in Oslo."),
        ("Ana is a baker.", "By profession, Ana is a baker."),
        ("The full name of the cook is Ana Lima.", "Ana Lima is how the cook is called."),
        ("Ana died in Rome.", "In Rome, Ana died."),
        ("She died on 3 May 1980.", "On 3 May 1980, she died."),
        ("Ana eats soup with friends on Sundays and sings.", None),
    ],
)
def test_answers_are_said_in_other_words(answer: str, said: str | None) -> None:
    assert paraphrased_answer(answer, kind_of_names(["Ana Lima"])) == said
