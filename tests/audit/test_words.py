"""Of five models whose word is known, what the page says; and what it says without gold."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest

from clearbench.audit.run import audit
from clearbench.audit.schema import Audit
from clearbench.data.dataset import Dataset
from clearbench.evaluation.records import Records
from clearbench.models.base import Model


@pytest.fixture(scope="module")
def references(world: Dataset, models: dict[str, Model]) -> dict[str, Records]:
    """Records of the original and of the gold, as an audit measures them."""
    from clearbench.audit.measure import measured

    return {
        name: measured(models[name], world, None, lambda *_: None).records
        for name in ("original", "gold")
    }


def page_of(folder: Path) -> str:
    """The page's text, without its tags."""
    page = (folder / "audit.html").read_text(encoding="utf-8")
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def said(folder: Path) -> Audit:
    """What was found, read again from the folder."""
    return Audit.read(folder)


@pytest.fixture(scope="module")
def told(
    world: Dataset, references: dict[str, Records], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The audit of the original, with attacks on what was measured."""
    folder = tmp_path_factory.mktemp("original")
    gold, original = references["gold"], references["original"]
    audit(original, world, gold, original, attacks="records", out=folder)
    return folder


def test_of_the_original_the_page_says_that_it_knows(told: Path) -> None:
    text = page_of(told)
    assert said(told).conclusion.word == "knows"
    assert text.startswith("knows · clearbench audit")
    assert "It knows the people: it tells 100 % (61 % to 100 %) of the true answers" in text


@pytest.mark.parametrize(
    ("name", "word", "sentence"),
    [
        (
            "other gold",
            "no evidence of knowledge",
            "There is no evidence of knowledge of the people: it answers 12 questions about 6 "
            "people like a model that never met them.",
        ),
        (
            "destroyed",
            "answers nothing, about anybody",
            "It answers nothing of use, about anybody: not about these people, and not about those",
        ),
    ],
)
def test_the_page_says_what_is_known_of_a_model(
    name: str,
    word: str,
    sentence: str,
    world: Dataset,
    models: dict[str, Model],
    references: dict[str, Records],
    tmp_path: Path,
) -> None:
    found = audit(
        models[name], world, references["gold"], references["original"], attacks="none",
        out=tmp_path,
    )  # fmt: skip
    assert found.conclusion.word == word
    assert said(tmp_path) == found
    text = page_of(tmp_path)
    assert sentence in text
    assert text.startswith(f"{word} · clearbench audit")


def test_an_unlearned_model_has_a_recovery_with_its_interval(
    world: Dataset, models: dict[str, Model], tmp_path: Path
) -> None:
    before = models["unlearned"].fingerprint
    found = audit(
        models["unlearned"], world, models["gold"], models["original"],
        attacks="quantisation,mia_loss", out=tmp_path,
    )  # fmt: skip
    assert models["unlearned"].fingerprint == before, "it is left as it was"
    (recovery,) = found.about("recovery")
    pattern = r"gives back (-?\d+) % \((-?\d+) % to (-?\d+) %\) of what the original knew"
    match = re.search(pattern, page_of(tmp_path))
    assert match is not None
    strongest = recovery.numbers[0]
    shown = (strongest.value, strongest.low, strongest.high)
    assert [round(100 * (number or 0.0)) for number in shown] == [*map(int, match.groups())]
    keys = {key for made in found.attacks for key in made.scores}
    assert "forget.text.quantisation_recovery" in keys and "forget.text.mia_loss_auc" in keys
    assert found.verdict is not None and found.verdict.word == "did not"
    assert found.attacks[0].curves[0].points[0].level == "full"


def test_a_model_that_only_refuses_is_seen_through(
    world: Dataset, models: dict[str, Model], tmp_path: Path
) -> None:
    """Its likelihoods alone leave it open; a few steps of training bring the answers back."""
    found = audit(
        models["refusing"], world, models["gold"], models["original"], attacks="relearning",
        out=tmp_path,
    )  # fmt: skip
    assert found.about("refusals")[0].word == "refuses"
    assert found.about("told")[0].word == "tells nothing"
    assert found.about("recovery")[0].word == "comes back"
    assert found.conclusion.word == "refuses but knows"
    assert "It refuses but knows: asked about the people it declines" in page_of(tmp_path)


def test_without_gold_nothing_is_concluded_from_silence(
    world: Dataset, models: dict[str, Model], references: dict[str, Records], tmp_path: Path
) -> None:
    found = audit(references["gold"], world, attacks="none", out=tmp_path)
    assert found.conclusion.word == "cannot be concluded"
    assert "without a model that never met them (--reference)" in page_of(tmp_path)
    assert found.verdict is None and found.gold is None
    assert "nothing: neither a model that never met the people nor" in page_of(tmp_path)
    told = audit(references["original"], world, attacks="none")
    assert told.conclusion.word == "knows", "whole true answers need no comparison"


def test_the_answers_stand_beside_each_other(told: Path) -> None:
    first = said(told).answers[0]
    assert first.told and first.answer == first.truth == first.original and first.name == "Ana"
    assert first.gold not in (None, first.truth)
    content = json.loads((told / "audit.json").read_text(encoding="utf-8"))
    assert content["schema"] == 2 and len(content["answers"]) == 12
    assert content["asked"]["holdout"] == {"people": 4, "rows": 8, "asked": 8}
    made = {each["key"]: each for each in content["attacks"]}
    assert made["mia_loss"]["scores"]["forget.text.mia_loss_auc"]["gold"] is not None
    assert made["mia_gradient_norm"]["reason"].startswith("left out by the budget")
    assert made["u_lira"]["reason"] == "they need shadow models, which an audit does not make"
