"""An answer is about what was asked if it is nearest to answers to such questions."""

from __future__ import annotations

import math

import pytest

from clearbench.data.alike import WordVectors, words_without
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.evaluation.metric import METRICS
from clearbench.evaluation.topics import Topics
from clearbench.evaluation.wordings import WORDINGS
from clearbench.testing.records import records

NAMES = {0: "Ada Lim", 1: "Bo Berg"}
BORN = ("Where was {} born?", "{} was born in Oslo.", ("{} was born in Rome.",))
PRIZE = ("Which prize was given to {}?", "{} won the Owl Medal.", ("{} won the Oak Cup.",))


def row(person: int, name: str, texts: tuple[str, str, tuple[str, ...]]) -> Example:
    question, answer, wrong = texts
    return Example(
        id=f"{person}-{name}",
        person=person,
        track="text",
        task="qa",
        question=question.format(NAMES[person]),
        answer=answer.format(NAMES[person]),
        perturbed_answers=tuple(each.format(NAMES[person]) for each in wrong),
    )


@pytest.fixture
def topics() -> Topics:
    splits = {
        split: tuple(row(person, *each) for each in (("born", BORN), ("prize", PRIZE)))
        for person, split in enumerate(("forget", "retain"))
    }
    found = Topics.of(Dataset({}, splits, NAMES))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("row", "text", "score"),
    [
        ("0-born", "Ada Lim was born in Oslo.", 1.0),
        ("0-born", "Bo Berg was born in Rome.", 1.0),
        ("1-born", "She was born in Lima.", 1.0),
        ("1-prize", "Ada Lim won the Owl Medal.", 1.0),
        ("0-born", "She won the Owl Medal.", -1.0),
        ("1-prize", "He was born in Oslo.", -1.0),
        ("0-born", "blumar vex", 0.0),
        ("0-born", "", 0.0),
    ],
)
def test_the_row_that_an_answer_is_nearest_to(
    topics: Topics, row: str, text: str, score: float
) -> None:
    """A wrong town is about the birthplace; of the rows about a prize none is less like it."""
    assert topics.score(row, text) == pytest.approx(score)


def test_between_this_question_and_any() -> None:
    """Of four other rows two are less like the birthplace than the home is: 2 * 2/4 - 1."""
    asked = {
        "born": ("Where was Ada Lim born?", "born town Oslo"),
        "birth": ("Where was Ada Lim born then?", "born town Rome"),
        "native": ("Where was Ada Lim born once?", "born town Bern"),
        "home": ("Where does Ada Lim live?", "home of Ada"),
        "prize": ("Which prize?", "medal"),
        "genre": ("What books?", "comic"),
    }
    rows = tuple(
        row(0, name, (question, answer, ())).model_copy(update={"id": name})
        for name, (question, answer) in asked.items()
    )
    found = Topics.of(Dataset({}, {"retain": rows}, NAMES))
    assert found is not None
    assert found.score("born", "a home") == pytest.approx(0.0)
    assert found.score("born", "medal") == pytest.approx(-1.0)


def test_rows_about_nobody_have_no_topic(topics: Topics) -> None:
    assert topics.score("world-1", "Paris") is None
    assert Topics.of(Dataset({}, {}, {})) is None


def test_answers_that_are_only_names_have_no_topic() -> None:
    """Without the person's name no word is left, in the answers or in the questions."""
    asked = (row(0, "who", ("Who?", "{}", ())),)
    assert Topics.of(Dataset({"forget": asked}, {"forget": asked}, NAMES)) is None
    both = (*asked, row(0, "born", ("{}?", *BORN[1:])))
    found = Topics.of(Dataset({"forget": both}, {"forget": both}, NAMES))
    assert found is not None and found.score("0-who", "He was born in Oslo.") is not None


def test_rare_words_count_more() -> None:
    """Of three texts `was` is in all, `born` in two, `oslo` in one: 0, log 3/2 and log 3."""
    vectors = WordVectors([{"was", "born", "oslo"}, {"was", "born"}, {"was"}])
    first, second = vectors.vectors([["was", "born", "oslo", "new"], ["born"]]).toarray()
    length = math.hypot(math.log(3 / 2), math.log(3))
    assert first @ second == pytest.approx(math.log(3 / 2) / length)
    assert list(vectors.vectors([["was"]]).toarray().ravel()) == [0.0, 0.0, 0.0]
    assert words_without("Ada Lim's town, 1952", "Ada Lim") == {"s", "town"}


def test_texts_without_any_word_are_vectors_of_zeros() -> None:
    """Rows about nobody leave no words to compare, and are no fault."""
    assert WordVectors([set(), set()]).vectors([set(), {"town"}]).toarray().tolist() == [[0], [0]]


def test_the_metric_reads_rows_that_have_a_topic() -> None:
    about = [{"row": name, "said": ("truth", "text")} for name in ("a", "b")]
    lines = [
        ("forget", "text", "qa", 0, name, [], [], value)
        for name, value in (("a", 0.5), ("b", None))
    ]
    (group,) = records(about).with_table(WORDINGS, WORDINGS.frame(lines)).groups().values()
    assert METRICS["topic"]().per_row(group).to_dict() == {"a": 0.5}
