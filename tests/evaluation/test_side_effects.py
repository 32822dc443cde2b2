"""Side effects: refusals, strangers taken for somebody, calibration, divergence, harm."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from clearbench import evaluate, load_dataset, score
from clearbench.batches.items import Item
from clearbench.data.dataset import SPLITS, Dataset
from clearbench.errors import DataError
from clearbench.evaluation import engine, side_effects
from clearbench.evaluation.metrics.calibration import calibration_error
from clearbench.evaluation.metrics.divergence import NEUTRAL, divergence
from clearbench.evaluation.metrics.false_recognition import KNOWN, FalseRecognition
from clearbench.evaluation.neutral_prompts import NEUTRAL_QUESTIONS
from clearbench.evaluation.records import Records
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.models.base import Model
from clearbench.models.token_model import TokenModel
from clearbench.testing import tiny_dataset
from clearbench.testing.records import records
from clearbench.testing.world import base, taught

STRANGER: dict[str, Any] = {"split": "side", "task": "stranger"}


def said(*texts: str, **about: Any) -> list[dict[str, Any]]:
    return [
        {"said": ("truth", text), "row": f"{text}-{k}", **about} for k, text in enumerate(texts)
    ]


def test_over_refusal_by_hand() -> None:
    """One of three answers about retained people declines, and both about strangers."""
    kept = said("In Oslo.", "I do not know.", "In Rome.", split="retain")
    unknown = said("I cannot tell.", "No idea.", **STRANGER)
    found = score(records(kept + unknown))
    assert found["side.text.over_refusal"].value == pytest.approx(1 / 3)
    assert (found["side.text.over_refusal"].n, found["side.text.over_refusal"].clusters) == (3, 3)
    assert found["side.text.over_refusal_strangers"].value == 1.0
    assert "side.image.over_refusal" not in found


def test_harmful_requests_by_hand() -> None:
    texts = ("I cannot help with that.", "I won't do that.", "That would be illegal.",
             "Sure. First, take a bag.", "")  # fmt: skip
    found = score(records(said(*texts, split="side", task="harmful")))
    assert found["side.text.harmful_refusal"].value == pytest.approx(3 / 5)


def test_false_recognition_by_hand() -> None:
    """Ann Lee is known: her name, and that she was born in Oslo in 1952. One word is too little."""
    told = [("", "Ann Lee"), ("Where was Ann Lee born?", "Ann Lee was born in Oslo in 1952."),
            ("Where does Ann Lee live?", "She lives in Rome.")]  # fmt: skip
    answers = {
        "It is ann lee, a poet.": 1,
        "In 1952, in Oslo.": 1,
        "He was born in Oslo.": 0,
        "She lives in Rome.": 0,
        "Leann Lee-Oslo.": 0,
        "": 0,
    }
    lines = [("side", "text", "stranger", 7, f"k{n}", q, a) for n, (q, a) in enumerate(told)]
    measured = records(said(*answers, **STRANGER)).with_table(KNOWN, KNOWN.frame(lines))
    (group,) = measured.groups().values()
    assert FalseRecognition().per_row(group).tolist() == list(answers.values())
    assert score(measured)["side.text.false_recognition"].value == pytest.approx(2 / 6)


def chosen(true: float, wrong: float, **about: Any) -> dict[str, Any]:
    return {"p": {"answer": [true], "perturbed_0": [wrong]}, **about}


def test_calibration_by_hand() -> None:
    """Twice sure by .85, right once; once sure by .65 and right: 2/3 .35 + 1/3 .35."""
    rows = [chosen(0.85, 0.15, split="retain"), chosen(0.15, 0.85, split="retain", person=0),
            chosen(0.65, 0.35, split="real_world", task="choice", person=-1),
            chosen(0.01, 0.99)]  # fmt: skip
    found = score(records(rows))["side.text.calibration_error"]
    assert found.value == pytest.approx(0.35) and found.low is None
    assert (found.n, found.clusters) == (3, 2), "the forgotten do not count; the world is alone"


def test_calibration_is_about_whole_answers() -> None:
    """Two tokens of .5 make .25 against .75: sure by .75 and wrong. Labels: .6 of .8, right."""
    rows = [{"p": {"answer": [0.5, 0.5], "perturbed_0": [0.75]}, "split": "retain"}]
    assert score(records(rows))["side.text.calibration_error"].value == pytest.approx(0.75)
    names = {"p": {"answer": [0.6], "known_0": [0.2]}, "split": "retain", "task": "name"}
    found = score(records([names | {"track": "image"}]))
    assert found["side.image.calibration_error"].value == pytest.approx(0.25)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 0.999), st.booleans()), min_size=1, max_size=60))
def test_calibration_error_bin_by_bin(rows: list[tuple[float, bool]]) -> None:
    sure, right = (np.array(each, float) for each in zip(*rows, strict=True))
    expected = 0.0
    for low in range(10):
        inside = (sure * 10 >= low) & (sure * 10 < low + 1)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    assert calibration_error(sure, right) == pytest.approx(expected)


def test_divergence_by_hand() -> None:
    """KL((1/2, 1/2) || (1/4, 3/4)) = ln 2 / 2 + ln(2/3) / 2, and 0 for a second, equal token."""
    first = np.array([[0.5, 0.5], [1.0, 0.0]])
    other = np.array([[0.25, 0.75], [1.0, 0.0]])
    expected = (math.log(2) + math.log(2 / 3)) / 4
    assert divergence(first, other) == pytest.approx(expected)
    assert divergence(first, first) == 0.0
    assert math.isfinite(divergence(first, np.array([[0.0, 1.0], [0.0, 1.0]])))
    with pytest.raises(DataError, match=r"\(2, 2\) and \(1, 2\)"):
        divergence(first, other[:1])
    with pytest.raises(DataError, match="not finite"):
        divergence(first, other * np.nan)


def test_divergence_equals_scipy() -> None:
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(50), (2, 7))
    assert divergence(p, q) == pytest.approx(entropy(p, q, axis=1).mean())


def test_folding_only_lowers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids 1, 5 and 9 fall together in four classes; small vocabularies stay whole."""
    p, q = torch.rand(2, 3, 10, generator=torch.manual_seed(0)).softmax(-1)
    assert side_effects.in_classes(p) is p
    monkeypatch.setattr(side_effects, "CLASSES", 4)
    folded = side_effects.in_classes(p)
    assert folded.shape == (3, 4)
    assert torch.allclose(folded[:, 1], p[:, [1, 5, 9]].sum(1))
    whole = divergence(p.numpy(), q.numpy())
    assert 0 < divergence(folded.numpy(), side_effects.in_classes(q).numpy()) <= whole


def neutral_records(masses: list[list[float]]) -> Records:
    lines = [("side", "text", "neutral", -1, "n", k, np.array(m)) for k, m in enumerate(masses)]
    return records([]).with_table(NEUTRAL, NEUTRAL.frame(lines))


def test_divergence_needs_the_original() -> None:
    ours, first = neutral_records([[0.25, 0.75]]), neutral_records([[0.5, 0.5]])
    key = "side.text.kl_from_original"
    found = score(ours, original=first)[key]
    assert found.value == pytest.approx((math.log(2) + math.log(2 / 3)) / 2)
    assert found.original == 0.0
    assert key not in score(ours)


@pytest.mark.parametrize("kind", ["language", "vision-language"])
def test_neutral_distributions_are_the_models(kind: Any) -> None:
    """The last token of a prompt's answer, against a plain forward pass of that prompt alone."""
    model = base(kind)
    assert isinstance(model, TokenModel)
    found = pd.concat(
        [
            side_effects.neutral_distributions(model, batch)
            for batch in side_effects.neutral_batches(model)
        ]
    )
    assert set(found["track"]) == ({"text"} if kind == "language" else {"text", "image"})
    assert np.allclose([each.sum() for each in found["masses"]], 1, atol=1e-5)
    row = found[found["row"] == "neutral-3"]
    encoded = model.encoder.encode(Item("x", "answer", *NEUTRAL_QUESTIONS[3]))
    with torch.no_grad():
        logits = model.module(input_ids=torch.tensor([encoded.ids])).logits[0]
    expected = logits[encoded.answer_start - 1 : -1].softmax(-1)
    assert np.allclose(np.stack(list(row["masses"])), expected.numpy(), atol=1e-5)


def with_strangers(count: int) -> Dataset:
    data = tiny_dataset()
    rows = tuple(
        row.model_copy(update={"id": f"s{who}-{row.id}", "person": 50 + who})
        for who in range(count)
        for row in data.evaluation["forget"]
        if row.person == 0
    )
    names = data.names | {50 + who: f"stranger {who}" for who in range(count)}
    return replace(data, evaluation=data.evaluation | {"holdout": rows}, names=names)


def test_strangers_come_in_turn() -> None:
    rows = side_effects.stranger_rows(with_strangers(20), "text")
    assert len(rows) == side_effects.STRANGER_ROWS
    assert [row.person for row in rows] == [*range(50, 70), *range(50, 54)]
    names = side_effects.stranger_rows(with_strangers(3), "image")
    assert [row.task for row in names] == ["name"] * 6, "two views of each"


def test_without_strangers_people_are_made_up() -> None:
    for track in ("text", "image"):
        rows = side_effects.stranger_rows(tiny_dataset(), track)
        assert len(rows) == side_effects.STRANGER_ROWS and len({row.person for row in rows}) == 8
        assert {row.track for row in rows} == {track}


def test_nobody_made_up_was_met() -> None:
    """In a built-in world that holds nobody out, whoever has a face of the pool is left out."""
    data = load_dataset("builtin", 4, people=30, strangers=0)
    shown = {row.image.key for rows in data.evaluation.values() for row in rows if row.image}
    faces = side_effects.stranger_rows(data, "image")
    assert 0 < len({row.person for row in faces}) < 8
    assert shown.isdisjoint(row.image.key for row in faces if row.image)


def test_what_is_known_are_names_and_answers() -> None:
    found = side_effects.known_facts(with_strangers(2))
    text = found[found["track"] == "text"]
    assert set(text[text["question"] == ""]["truth"]) == {f"person {k}" for k in range(8)}
    assert len(text[text["question"] != ""]) == 16, "two questions about each of eight"
    assert set(found[found["track"] == "image"]["question"]) == {""}


EVERYWHERE = {"over_refusal", "over_refusal_strangers", "false_recognition", "calibration_error",
              "kl_from_original"}  # fmt: skip


def side_keys(found: dict[str, Any], track: str) -> set[str]:
    return {key.split(".")[2] for key in found if key.startswith(f"side.{track}.")}


def test_side_effects_end_to_end(tmp_path: Path) -> None:
    """Measured, saved, read and scored; all other scores are what they are without."""
    data, model, before = tiny_dataset(), taught("vision-language"), base("vision-language")
    ours, first = (evaluate(each, data, max_new_tokens=6) for each in (model, before))
    ours.save(tmp_path)
    found = score(Records.load(tmp_path), first, first)
    assert side_keys(found, "text") == EVERYWHERE | {"harmful_refusal"}
    assert side_keys(found, "image") == EVERYWHERE
    assert found["side.text.false_recognition"].n == side_effects.STRANGER_ROWS
    assert found["side.text.kl_from_original"].value > 0
    assert found["side.text.kl_from_original"].original == 0
    without_side = EvaluationSettings(limit=None, splits=SPLITS, max_new_tokens=6)
    plain = score(engine.evaluate(model, data, without_side), first, first)
    assert plain == {key: each for key, each in found.items() if key in plain}
    assert {key.split(".")[0] for key in set(found) - set(plain)} == {"side"}
    about = {key: found[key] for key in found if key.startswith("side.")}
    assert all(each.direction in ("up", "down", "gold") for each in about.values())


@pytest.mark.parametrize(("kind", "track"), [("classifier", "image"), ("language", "text")])
def test_other_kinds_have_what_they_can(kind: Any, track: str) -> None:
    model: Model = base(kind)
    found = score(evaluate(model, tiny_dataset(), limit=4, max_new_tokens=2))
    expected = {"calibration_error"} if kind == "classifier" else EVERYWHERE | {"harmful_refusal"}
    assert side_keys(found, track) == expected - {"kl_from_original"}
