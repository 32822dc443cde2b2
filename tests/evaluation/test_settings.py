"""The one place of evaluation settings: what decides records, and further metrics of a recipe."""

from __future__ import annotations

from typing import Any

import pytest

from clearbench import score
from clearbench.attacks.scoring import descriptions
from clearbench.attacks.scoring import score as scored
from clearbench.errors import RecipeError
from clearbench.evaluation.protocols import protocols
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.runs.recipe import parse_recipe
from clearbench.testing.collections import classifier_records, typical_records
from clearbench.testing.records import records

MIN_K = {"name": "min_k", "share": 0.2}


def test_what_decides_records_is_what_it_was() -> None:
    """The name of a folder of records is a hash of this; another content measures all again."""
    assert EvaluationSettings().measured == {
        "limit": 120,
        "max_new_tokens": 32,
        "splits": [
            "forget", "retain", "holdout", "real_faces", "real_authors", "real_world", "side",
        ],
        "asks": (),
        "spoken": ("forget", "retain", "real_faces", "real_authors", "real_world"),
    }  # fmt: skip
    other = EvaluationSettings(protocol="clear-vqa", stop_after=2, asks=("paraphrased", "cloze"))
    assert other.measured["asks"] == ("cloze", "letter", "paraphrased")
    assert other.measured["stop_after"] == 2.0


def test_further_metrics_decide_scores_only() -> None:
    more = EvaluationSettings(metrics=(MIN_K,))
    assert more.measured == EvaluationSettings().measured
    assert "metrics" not in EvaluationSettings().model_dump()
    assert EvaluationSettings.model_validate(more.model_dump()) == more


def test_a_metric_with_a_parameter_is_one_line_of_a_recipe() -> None:
    """Ten tokens, the end left out: 40 % of nine are three, 20 % are one."""
    recipe = parse_recipe(
        {"name": "x", "models": {}, "evaluation": {"metrics": [MIN_K]}}, "test"
    )  # fmt: skip
    p = [2.0**-k for k in range(1, 10)] + [1.0]
    rows = records([{"p": {"answer": p}}])
    found = scored(rows, metrics=recipe.evaluation.further_metrics)
    assert found["forget.text.min_k_share_0_2"].value == pytest.approx(9 * 0.6931471805599453)
    assert found["forget.text.min_k"].value == pytest.approx(8 * 0.6931471805599453)
    assert score(rows, metrics=[MIN_K]) == found
    named = score(rows, metrics=[MIN_K | {"key": "hardest"}])
    assert named["forget.text.hardest"] == found["forget.text.min_k_share_0_2"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "min_q"}, "did you mean 'min_k'"),
        ({"name": "min_k", "shar": 0.2}, "did you mean 'share'"),
        ({"name": "min_k", "share": 2}, "less than or equal to 1"),
        ({"share": 0.2}, "has no 'name'"),
        ({"name": "min_k", "share": 0.2, "key": "min_k"}, "two metrics have the key 'min_k'"),
        ({"name": "mia_loss"}, "unknown metric 'mia_loss'"),
    ],
)
def test_mistakes_are_named_when_the_recipe_is_read(entry: dict[str, Any], message: str) -> None:
    content = {"name": "x", "models": {}, "evaluation": {"metrics": [entry]}}
    with pytest.raises(RecipeError, match=message):
        parse_recipe(content, "test")


def test_a_metric_that_the_protocol_has_changes_nothing() -> None:
    rows = records([{"p": {"answer": [0.5, 0.5]}}])
    assert score(rows, metrics=[{"name": "min_k"}]) == score(rows)


def test_unknown_settings_are_refused_with_a_hint() -> None:
    with pytest.raises(RecipeError, match="did you mean 'limit'"):
        EvaluationSettings.of(limits=3)


@pytest.mark.parametrize("name", protocols())
def test_every_score_is_described(name: str) -> None:
    """A page finds the words of any key that scoring gives."""
    told = descriptions(name)
    for ours in (typical_records(), classifier_records()):
        try:
            found = scored(ours, ours, ours, name)
        except Exception as error:  # a protocol that these records do not serve
            assert "needs what is not there" in str(error)
            continue
        for key in found:
            description = told[key.rpartition(".")[2]]
            assert description.title and description.group and description.shows
