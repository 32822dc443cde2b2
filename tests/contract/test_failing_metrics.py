"""A plugin's metric that fails costs its own score and is named; a changed one is scored anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import new_class
from typing import Any

import pandas as pd
import pytest
import yaml

from clearbench import score
from clearbench.attacks.scoring import scored
from clearbench.errors import DataError
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import METRICS, Collections, Comparison, Metric
from clearbench.evaluation.score import Score
from clearbench.evaluation.scoring import measured
from clearbench.plugins import load_plugin
from clearbench.runs.recipe import load_recipe
from clearbench.runs.run import plan_run
from clearbench.testing.records import records

#: Two rows, r0 and r1.
ROWS = records([{"p": {"answer": [0.5]}}, {"p": {"answer": [0.25]}}])


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(METRICS)
    monkeypatch.setattr(METRICS, "classes", dict(METRICS.classes))


def per_row(give: Callable[[RecordGroup], Any], **about: Any) -> Metric:
    """A metric whose values a function of the group gives."""
    keywords = {"name": "odd", "shows": "Nothing.", "needs": ("answer",)} | about
    content = {"per_row": lambda self, group: give(group), "__module__": __name__}
    return new_class("Odd", (Metric,), keywords, lambda space: space.update(content))()


def compared(give: Callable[[], Any]) -> Comparison:
    """A comparison whose scores a function gives."""
    content = {"compare": lambda self, collections, track: give(), "__module__": __name__}
    keywords = {"name": "odd", "shows": "Nothing.", "needs": ("answer",)}
    return new_class("Odd", (Comparison,), keywords, lambda space: space.update(content))()


def series(values: list[Any], rows: list[str] | None = None) -> pd.Series:
    return pd.Series(values, index=rows or ["r0", "r1"][: len(values)])


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda group: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda group: group.nothing, "AttributeError"),
        (lambda group: None, "gives NoneType, not a Series"),
        (lambda group: [0.5, 0.5], "gives list, not a Series"),
        (lambda group: 0.5, "gives float, not a Series"),
        (lambda group: series(["much", "little"]), "not numbers"),
        (lambda group: series([float("nan"), 0.5]), "not finite on 1 rows"),
        (lambda group: series([float("inf"), 0.5]), "not finite on 1 rows"),
        (lambda group: series([0.5, 0.5], ["r0", "r9"]), "rows that are not there"),
        (lambda group: series([0.5, 0.5], ["r0", "r0"]), "there twice"),
        (lambda group: series([2.0, 3.0]), "gives 2.5 for 'forget.text.odd', outside 0.0 to 1.0"),
    ],
)
def test_a_metric_that_fails_is_named_with_the_reason(give: Any, words: str) -> None:
    scores, failures = measured(Collections(ROWS), [per_row(give)])
    assert not scores and words in failures["odd"]


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda: 1 / 0, "division by zero"),
        (lambda: {"forget.text.odd": 0.5}, "gives float for 'forget.text.odd', not a Score"),
        (lambda: {"odd": Score(value=0.5, n=1, clusters=1, direction="gold")}, "the key 'odd'"),
        (
            lambda: {"a.b.odd": Score(value=float("nan"), n=1, clusters=1, direction="gold")},
            "gives nan",
        ),
        (
            lambda: {
                "a.b.odd": Score(value=0.5, low=-float("inf"), n=1, clusters=1, direction="gold")
            },
            "gives -inf as 'low'",
        ),
    ],
)
def test_a_comparison_that_fails_is_named_with_the_reason(give: Any, words: str) -> None:
    scores, failures = measured(Collections(ROWS), [compared(give)])
    assert not scores and words in failures["odd"]


def test_the_other_metrics_go_on() -> None:
    odd, sound = per_row(lambda group: None), per_row(lambda group: series([0.5, 1.0]), name="own")
    scores, failures = measured(Collections(ROWS), [odd, sound])
    assert scores["forget.text.own"].value == 0.75 and list(failures) == ["odd"]


def test_what_fails_on_gold_alone_gives_no_score_and_is_named() -> None:
    gold = records([{"p": {"answer": [0.5]}}])
    odd = per_row(lambda group: series([0.5, 0.5]))
    found = scored(ROWS, gold, metrics=[odd])
    assert "forget.text.odd" not in found.scores and "not there" in found.failures["odd"]
    assert "forget.text.probability" in found.scores


def test_in_a_notebook_a_failure_is_a_warning() -> None:
    per_row(lambda group: None)
    with pytest.warns(UserWarning, match="metric 'odd' failed: odd gives NoneType"):
        assert "forget.text.probability" in score(ROWS)


def test_a_metric_of_ours_still_fails_as_a_whole() -> None:
    """The run has diverged; or the metric is wrong, which is not to be missed."""
    diverged = records([{"p": {"answer": [float("nan")]}}])
    with pytest.raises(DataError, match="not finite"):
        score(diverged)


PLUGIN = """
import pandas as pd
from clearbench.evaluation.metric import Metric


class Own(Metric, name="own_constant", needs=("answer",), shows="Nothing."):
    \"\"\"A constant.\"\"\"

    def per_row(self, group):
        return pd.Series(VALUE, index=sorted(group.people))
"""


def test_a_metric_that_is_added_or_changed_makes_scores_anew_and_nothing_else(
    small_recipe: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(small_recipe))
    recipe = load_recipe(tmp_path / "small.yaml")

    def keys() -> list[dict[str, str]]:
        return [row.stage_keys for row in plan_run(recipe, tmp_path / "out").rows]

    def changed(first: list[dict[str, str]], second: list[dict[str, str]]) -> set[str]:
        pairs = zip(first, second, strict=True)
        return {role for ours, other in pairs for role in ours if ours[role] != other[role]}

    found = [keys()]
    for value in (0.25, 0.5, 0.5):
        (tmp_path / "own.py").write_text(PLUGIN.replace("VALUE", str(value)))
        load_plugin(tmp_path / "own.py")
        found.append(keys())
    without, added, edited, same = found
    assert changed(without, added) == changed(added, edited) == {"scores"}
    assert not changed(edited, same)
