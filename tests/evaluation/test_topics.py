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
    ("text", "likeness"),
    [
        ("Ada Lim was born in Oslo.", 1.0),
        ("Bo Berg was born in Rome.", 1.0),
        ("She was born in Lima.", 1.0),
        ("She won the Owl Medal.", 0.0),
        ("blumar vex", 0.0),
        ("", 0.0),
    ],
)
def test_the_question_that_an_answer_is_nearest_to(
    topics: Topics, text: str, likeness: float
) -> None:
    """A wrong town is about the birthplace; a prize shares no word but the names with it."""
    assert topics.likeness("0-born", text) == pytest.approx(likeness)


def test_rows_about_nobody_have_no_topic(topics: Topics) -> None:
    assert topics.likeness("world-1", "Paris") is None
    assert Topics.of(Dataset({}, {}, {})) is None


def test_rare_words_count_more() -> None:
    """Of three texts `was` is in all, `born` in two, `oslo` in one: 0, log 3/2 and log 3."""
    vectors = WordVectors([{"was", "born", "oslo"}, {"was", "born"}, {"was"}])
    first, second = vectors.vectors([["was", "born", "oslo", "new"], ["born"]]).toarray()
    length = math.hypot(math.log(3 / 2), math.log(3))
    assert first @ second == pytest.approx(math.log(3 / 2) / length)
    assert list(vectors.vectors([["was"]]).toarray().ravel()) == [0.0, 0.0, 0.0]
    assert words_without("Ada Lim's town, 1952", "Ada Lim") == {"s", "town"}


def test_the_metric_reads_rows_that_have_a_topic() -> None:
    about = [{"row": name, "said": ("truth", "text")} for name in ("a", "b")]
    lines = [
        ("forget", "text", "qa", 0, name, [], [], value)
        for name, value in (("a", 0.5), ("b", None))
    ]
    (group,) = records(about).with_table(WORDINGS, WORDINGS.frame(lines)).groups().values()
    assert METRICS["topic"]().per_row(group).to_dict() == {"a": 0.5}
