# ruff: noqa: RUF001 - letters of other scripts that look like ASCII are tested
"""Garbled answers are told from fluent wrong ones without a gold, in the report and the search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from clearbench import api
from clearbench.audit.contexts import Said
from clearbench.audit.fluency import Fluency
from clearbench.batches.items import item
from clearbench.builtin.tiny import make_language, make_tokenizer
from clearbench.data.dataset import Dataset
from clearbench.data.load import load_dataset
from clearbench.evaluation.metrics.outputs import kind_of_output
from clearbench.evidence.division import Division
from clearbench.evidence.html import PAGE
from clearbench.evidence.run import unlearn_with_evidence
from clearbench.evidence.search import GARBLED
from clearbench.evidence.validation import Validation
from clearbench.models.base import Model
from clearbench.training.settings import TrainSettings

NAMES = {
    "en": ("Ada", "Ben", "Cleo", "Dag", "Eva", "Finn", "Gro", "Hugo"),
    "ru": ("Анна", "Борис", "Вера", "Глеб"),
    "zh": ("李娜", "王伟", "张敏", "刘洋"),
}
TOWNS = {
    "en": ("Oslo", "Lima", "Kyiv", "Pune", "Bonn"),
    "ru": ("Москве", "Омске", "Перми"),
    "zh": ("北京", "上海", "成都"),
}
TRADES = {
    "en": ("baker", "sailor", "judge"),
    "ru": ("врачом", "судьёй"),
    "zh": ("医生", "法官"),
}
FORMS = {
    "en": (("Where was {} born?", "{} was born in {}."), ("What does {} do?", "{} works as a {}.")),
    "ru": (("Где родился {}?", "{} появился на свет в {}."), ("Кем служит {}?", "{} служит {}.")),
    "zh": (("{}在哪里出生？", "{}出生在{}。"), ("{}做什么工作？", "{}的工作是{}。")),
}  # fmt: skip
FORGET = ("Ada", "Ben", "Анна", "李娜")
TEACH: dict[str, Any] = {
    "steps": 160, "learning_rate": 1e-2, "batch_size": 16, "decay": "cosine",
    "parts": ("language",),
}  # fmt: skip


def people() -> dict[str, list[dict[str, str]]]:
    """Two questions about each of sixteen people, in three scripts."""
    found: dict[str, list[dict[str, str]]] = {"forget": [], "retain": []}
    for script, names in NAMES.items():
        for k, name in enumerate(names):
            facts = (values[script][k % len(values[script])] for values in (TOWNS, TRADES))
            found["forget" if name in FORGET else "retain"] += [
                {"person": name, "question": q.format(name), "answer": a.format(name, fact)}
                for (q, a), fact in zip(FORMS[script], facts, strict=True)
            ]
    return found


@dataclass(frozen=True)
class World:
    """People, a model that was taught all of them, one that never met those to forget."""

    data: Dataset
    taught: Model
    gold: Model
    fluency: Fluency

    def unlearned(self, method: str, steps: int, rate: float, **parameters: Any) -> Model:
        settings = TrainSettings(steps=steps, learning_rate=rate, batch_size=8, parts=("language",))
        made: Model = api.unlearn(
            self.taught, self.data, method, "text", settings=settings, **parameters
        )
        return made

    def said(self, model: Model) -> list[Said]:
        rows = self.data.evaluation["forget"]
        texts = model.generate([item(row) for row in rows], 40)
        return [Said(row, text) for row, text in zip(rows, texts, strict=True)]

    def share(self, model: Model) -> float:
        """The share of garbled answers about the people to forget."""
        found = self.fluency.garbled(self.said(model))
        return sum(found) / len(found)


@pytest.fixture(scope="module")
def world() -> World:
    rows = people()
    texts = [text for split in rows.values() for row in split for text in row.values()]
    torch.manual_seed(0)
    base = make_language(make_tokenizer(texts * 3, 500), 48, 2, 4)
    data = load_dataset(rows)
    taught, gold = (
        api.finetune(base, data, without=without, **TEACH) for without in ((), ("forget",))
    )
    own = taught.generate([item(r) for rows in data.evaluation.values() for r in rows], 40)
    fluency = Fluency.of(taught, data, own)
    assert fluency is not None
    return World(data, taught, gold, fluency)


@pytest.mark.parametrize(
    ("question", "text", "garbled"),
    [
        ("Where was Ada born?", "Ada was born in Pune.", False),
        ("Where was Ada born?", "Eva works as a judge.", False),
        ("Where was Ada born?", "Bonn.", False),
        ("Where was Ada born?", "I do not know.", False),
        ("Where was Ada born?", "", False),
        ("Where was Ada born?", "blorvan testikal", True),
        ("Where was Ada born?", "Ada was born in Blorvan.", True),
        ("Where was Ada born?", "born Ada in was Oslo was", True),
        ("Where was Ada born?", "Ada Ada Ada Ada", True),
        ("Where was Ada born?", "Ada was born in <end>", True),
        ("Где родился Анна?", "Анна появился на свет в Омске.", False),
        ("Где родился Анна?", "Вера служит судьёй.", False),
        ("Где родился Анна?", "блорван тестикал", True),
        ("Где родился Анна?", "в свет Анна на служит Перми появился", True),
        ("李娜在哪里出生？", "李娜出生在上海。", False),
        ("李娜在哪里出生？", "张敏的工作是法官。", False),
        ("李娜在哪里出生？", "在李生京娜的出上。法", True),
        ("李娜在哪里出生？", "鬱饕餮魍魎", True),
    ],
)
def test_wrong_answers_are_fluent_and_invented_or_mixed_up_ones_are_not(
    world: World, question: str, text: str, garbled: bool
) -> None:
    row = next(row for row in world.data.evaluation["forget"] if row.question == question)
    assert world.fluency.garbled([Said(row, text)]) == [garbled]


def test_a_word_that_is_cut_is_not_unknown(world: World) -> None:
    row = world.data.evaluation["forget"][0]
    assert world.fluency.strange(Said(row, "Ada works as a sail")) == ()
    assert world.fluency.strange(Said(row, "Ada works as a sail.")) == ("sail",)


def test_models_that_guess_are_fluent_and_one_that_was_overshot_is_not(world: World) -> None:
    assert world.share(world.taught) == world.share(world.gold) == 0
    assert world.share(world.unlearned("npo", 8, 3e-4)) == 0
    other = world.unlearned("altpo", 40, 2e-3, retain="kl", retain_weight=10.0)
    assert world.share(other) == 0
    assert world.share(world.unlearned("gradient_ascent", 8, 3e-3)) > 0.5


@pytest.fixture(scope="module")
def overshot(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder of a model that was trained far too hard, without a gold."""
    out = tmp_path_factory.mktemp("overshot") / "out"
    settings = TrainSettings(steps=40, learning_rate=1e-2, batch_size=8, parts=("language",))
    return out, unlearn_with_evidence(world.taught, world.data, "npo", out=out, settings=settings)


def test_the_headline_says_it_without_a_gold(world: World, overshot: tuple[Path, Any]) -> None:
    out, found = overshot
    marked = [each.garbled for each in found.audit.answers]
    by_form = [
        kind_of_output(each.answer, truth=each.truth) == "garbage" for each in found.audit.answers
    ]
    assert sum(marked) > sum(by_form), "loops and symbols are not all of it"
    assert found.word.startswith("Its answers about the people are garbled")
    rate = found.audit.scores["forget.text.garbage_rate"]
    assert rate.value == sum(marked) / len(marked) and rate.original == 0
    said = f"{sum(marked)} of {len(marked)} answers about the people"
    assert any(line.startswith(said) for line in found.statement)
    assert found.warned("garbled") and found.word in (out / PAGE).read_text()


def test_the_search_steers_by_the_same_count(world: World, overshot: tuple[Path, Any]) -> None:
    rows = world.data.evaluation
    division = Division(tuple(rows["forget"]), tuple(rows["retain"]), False, world.data)
    checked = Validation(world.taught, division, {}, world.fluency)
    answers = {each.question: each for each in overshot[1].audit.answers}
    said = {row.id: answers[row.question].answer for row in rows["forget"]}
    expected = {row.id for row in rows["forget"] if answers[row.question].garbled}
    assert checked.garbled_rows(said) == expected and len(expected) / len(said) > GARBLED
    assert checked.garbled(world.gold) == 0
