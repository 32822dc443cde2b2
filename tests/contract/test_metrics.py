"""Every metric keeps the contract, and the contract can be broken."""

from __future__ import annotations

from pathlib import Path
from types import new_class
from typing import Any, ClassVar

import pandas as pd
import pytest
from pydantic import Field

from clearbench import score
from clearbench.catalogue import catalogue
from clearbench.errors import RecipeError
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import METRICS, Comparison, Metric, metric, metrics
from clearbench.evaluation.metrics.probability import probability
from clearbench.evaluation.protocols import protocols
from clearbench.plugins import load_plugin
from clearbench.testing import check_metric
from clearbench.testing.records import records

#: Every configuration that a protocol computes, and every class as it is.
CONFIGURED = {
    made
    for chosen in protocols().values()
    for made in chosen.metrics()
} | {cls() for cls in metrics().values()}  # fmt: skip


@pytest.mark.parametrize("made", sorted(CONFIGURED, key=repr), ids=lambda made: made.own_key)
def test_contract(made: Metric | Comparison) -> None:
    passed = check_metric(made)
    assert len(passed) == len(set(passed)) == (8 if isinstance(made, Metric) else 6)


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(METRICS)  # so that all that ship are found before
    monkeypatch.setattr(METRICS, "classes", dict(METRICS.classes))


def made(change: Any, tasks: tuple[str, ...] = ("qa",), **about: Any) -> type[Metric]:
    """A copy of `probability` whose values are changed by a function of (values, group)."""

    def per_row(self: Metric, group: RecordGroup) -> pd.Series:
        return change(probability(group), group)

    content = {"per_row": per_row, "__doc__": "Broken.", "__module__": __name__}
    keywords = {"name": "broken", "shows": "Nothing.", "needs": ("answer",), "tasks": tasks} | about
    return new_class("Broken", (Metric,), keywords, lambda space: space.update(content))


def spoil(values: pd.Series, group: RecordGroup) -> pd.Series:
    group.answers.loc[:, "person"] = 7
    return values


@pytest.mark.parametrize(
    ("change", "about", "check"),
    [
        (lambda v, _: v + 1, {}, "finite and in range"),
        (lambda v, _: v * float("nan"), {}, "finite and in range"),
        (lambda v, _: v / max(1, len(v)), {}, "a single row keeps its value"),
        (lambda v, _: v * [k / 100 for k in range(len(v))], {}, "row order changes nothing"),
        (lambda v, _: pd.concat([v, v]), {}, "one value a row"),
        (lambda v, _: v if len(v) else pd.Series([0.0]), {}, "nothing measured gives nothing"),
        (lambda v, _: v, {"version": 0}, "with a version"),
        (lambda v, _: v, {"shows": " "}, "says what it is"),
        (lambda v, _: v, {"needs": ()}, "says what it is"),
        (lambda v, _: v, {"tasks": ("song",)}, "applies somewhere"),
        (spoil, {}, "leaves the records alone"),
    ],
)
def test_a_broken_metric_is_caught(change: Any, about: dict[str, Any], check: str) -> None:
    with pytest.raises(AssertionError, match=check):
        check_metric(made(change, **about))


def test_two_metrics_of_one_name_are_refused() -> None:
    with pytest.raises(RecipeError, match="two metrics are called 'probability'"):
        made(lambda values, _: values, name="probability")


def test_an_unknown_class_keyword_is_refused_with_a_hint() -> None:
    with pytest.raises(RecipeError, match="did you mean 'shows'"):
        made(lambda values, _: values, show="x")


def scaled() -> Any:
    """Registers a metric with parameters for one test: protocols take all that are registered."""

    class Scaled(Metric, name="scaled_probability", needs=("answer",), shows="Nothing."):
        """Probability times a factor."""

        tasks: ClassVar[tuple[str, ...]] = ("qa",)

        factor: float = Field(default=0.5, gt=0, le=1)
        form: str = "plain"
        doubled: bool = False
        capped: bool = True

        def per_row(self, group: RecordGroup) -> pd.Series:
            """Scaled values."""
            return probability(group) * self.factor

    return Scaled


def test_a_key_says_the_parameters_that_differ() -> None:
    made_here = scaled()
    assert made_here().score_key == "scaled_probability"
    assert made_here(factor=0.25).score_key == "scaled_probability_factor_0_25"
    assert made_here(form="other", doubled=True).score_key == "scaled_probability_other_doubled"
    assert made_here(capped=False).score_key == "scaled_probability_no_capped"
    assert made_here(factor=0.25, key="mine").score_key == "mine"
    assert made_here(factor=0.25, key="mine").own_key == "scaled_probability_factor_0_25"
    assert metric("min_k", share=0.2).score_key == "min_k_share_0_2"
    assert metric("forget_quality", statistic="js").score_key == "forget_quality_js"
    assert metric("min_k", share=0.2).description.title == "Min-K (share 0.2)"


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("min_q", {}, "did you mean 'min_k'"),
        ("min_k", {"shar": 0.2}, "did you mean 'share'"),
        ("min_k", {"share": 0.0}, "greater than 0"),
        ("min_k", {"share": 1.5}, "less than or equal to 1"),
        ("min_k", {"key": "a.b"}, "'key'"),
        ("truth_ratio", {"form": "harmonic"}, "'form'"),
    ],
)
def test_what_is_unknown_or_out_of_range_is_refused(
    name: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        metric(name, **parameters)


def test_parameters_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        metric("min_k").share = 0.3  # type: ignore[union-attr]


PLUGIN = """
from clearbench.evaluation.metric import Metric


class Length(Metric, name="own_length", needs=("answer",), shows="Words.", range=(0, None)):
    \"\"\"Words said.\"\"\"

    def per_row(self, group):
        said = group.generations
        return said.set_index("row")["text"].str.split().str.len().astype(float)
"""


def test_a_plugin_file_may_define_a_metric(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(PLUGIN)
    load_plugin(tmp_path / "own.py")
    load_plugin(tmp_path / "own.py")
    assert check_metric(metrics()["own_length"])
    found = score(records([{"said": ("a", "b c d")}]))["forget.text.own_length"]
    assert (found.value, found.range) == (3.0, (0, None))
    assert "own_length" in {row["name"] for row in catalogue("metrics")}
