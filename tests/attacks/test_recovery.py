"""Recovery between gold and the original, with answers worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from clearbench.attacks.base import ATTACKS, Target
from clearbench.attacks.ratios import cells, mean_by_person, place
from clearbench.attacks.recovery import SURVIVED, Known, Row, SurvivalAttack, worst
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records


def values(by_person: Mapping[int, Sequence[float]], level: str = "a") -> pd.Series:
    """Values of people's rows."""
    lines = [
        (person, f"{person}-{k}", level, value)
        for person, rows in by_person.items()
        for k, value in enumerate(rows)
    ]
    return cells(pd.DataFrame(lines, columns=["person", "row", "level", "value"]))


def test_people_count_alike_whatever_their_number_of_rows() -> None:
    found = mean_by_person(values({0: [0.0, 0.2, 0.4], 1: [0.8]}))
    assert found.value == pytest.approx((0.2 + 0.8) / 2)
    assert (found.people, found.rows, found.low) == (2, 4, None)


def test_rows_about_nobody_are_units_of_their_own() -> None:
    found = mean_by_person(values({-1: [0.0, 1.0, 0.5]}))
    assert found.value == pytest.approx(0.5) and found.people == 3


def test_recovery_is_a_ratio_of_means_over_people() -> None:
    """(mean(.3, .5) - mean(.1, .1)) / (mean(.9, .7) - .1) = .3 / .7."""
    found = place(
        values({0: [0.2, 0.4], 1: [0.5]}),
        values({0: [0.0, 0.2], 1: [0.1]}),
        values({0: [0.9, 0.9], 1: [0.7]}),
    )
    assert found.value == pytest.approx(0.3 / 0.7)
    assert (found.people, found.rows, found.low, found.why) == (2, 3, None, "")


def test_gold_is_0_and_the_original_1_without_width() -> None:
    rng = np.random.default_rng(0)
    gold, original = (
        values({p: list(rng.uniform(low, low + 0.2, 3)) for p in range(8)}) for low in (0.1, 0.7)
    )
    assert place(gold, gold, original)[:3] == pytest.approx((0, 0, 0), abs=1e-9)
    assert place(original, gold, original)[:3] == pytest.approx((1, 1, 1), abs=1e-9)
    below = place(gold - 0.1, gold, original).value
    assert below is not None and below < 0


def test_the_interval_is_where_the_difference_is_not_told_from_0() -> None:
    """Fieller: both ends r satisfy |mean(a - r b)| = t * standard error(a - r b)."""
    rng = np.random.default_rng(1)
    people = range(7)
    gold, original, model = (
        values({p: [rng.uniform(low, low + 0.3)] for p in people}) for low in (0.0, 0.6, 0.3)
    )
    above, gap = (model - gold).to_numpy(), (original - gold).to_numpy()
    for comparisons in (1, 4):
        found = place(model, gold, original, comparisons)
        assert found.low is not None and found.high is not None and found.value is not None
        assert found.low < found.value < found.high
        t = stats.t.ppf(1 - 0.025 / comparisons, 6)
        for end in (found.low, found.high):
            rest = above - end * gap
            assert abs(rest.mean()) == pytest.approx(t * rest.std(ddof=1) / np.sqrt(7))


@pytest.mark.parametrize("people", [3, 8])
def test_no_recovery_where_the_original_knows_no_more_than_gold(people: int) -> None:
    rng = np.random.default_rng(2)
    one, other = (values({p: [rng.uniform(0.4, 0.5)] for p in range(people)}) for _ in range(2))
    found = place(one, one, other)
    assert found.value is None and "no clear difference" in found.why
    assert place(one, one, one - 0.2).value is None


def test_values_that_one_model_lacks_are_left_out() -> None:
    gold, original = values({0: [0.0, 0.0], 1: [0.0]}), values({0: [1.0, 1.0], 1: [1.0]})
    model = values({0: [0.5, 0.9], 1: [0.5]})
    assert place(model, gold.drop(("person 0", "0-1", "a")), original).value == pytest.approx(0.5)
    assert "no row" in place(model, gold.iloc[:0], original).why


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> tuple[SurvivalAttack, SurvivalAttack]:
    """An attack with ordered levels and one with others, out of the registry."""
    assert len(ATTACKS)
    monkeypatch.setattr(ATTACKS, "classes", dict(ATTACKS.classes))

    class Given(SurvivalAttack):
        """Attack with given tables."""

        def known(self, target: Target, rows: Sequence[Row]) -> Iterable[tuple[str, Known]]:
            return ()

    class Ordered(Given, name="trial_ordered", shows="Nothing.", ordered=True, baseline="0"):
        """Attack with ordered levels."""

    class Other(Given, name="trial_other", shows="Nothing.", baseline="plain"):
        """Attack with levels in no order."""

    return Ordered(), Other()


def records(
    attack: str,
    levels: Mapping[str, float],
    retain: Mapping[str, float] | None = None,
    shown: float | None = None,
) -> Records:
    """Records with two people, each with one row of the same value at every level."""
    lines: list[tuple[object, ...]] = []
    for person in (1, 2):
        for level, value in levels.items():
            row = (person, f"{person}-a", attack, level, value)
            lines.append(("forget", "text", "qa", *row))
        if shown is not None:
            row = (person, f"{person}-b", f"{attack}_shown", "20", shown)
            lines.append(("forget", "text", "qa", *row))
    for level, value in (retain or {}).items():
        lines.append(("retain", "text", "qa", 9, "9-a", attack, level, value))
    return Records({SURVIVED: SURVIVED.frame(lines)})


def test_an_ordered_attack_has_the_recovery_of_its_last_level(
    kinds: tuple[SurvivalAttack, SurvivalAttack],
) -> None:
    """At 20 steps (.5 - .2) / (.8 - .2); with the rows that it showed (.7 - .25) / (.85 - .25)."""
    made, name = kinds[0], "trial_ordered"
    kept = {"0": 0.8, "5": 0.77, "20": 0.5}
    model = records(name, {"20": 0.5, "5": 0.2, "0": 0.1}, kept, shown=0.9)
    gold = records(name, {"0": 0.1, "5": 0.1, "20": 0.2}, shown=0.3)
    original = records(name, {"0": 0.9, "5": 0.9, "20": 0.8}, shown=0.9)
    collections = Collections(model, (gold,), (original,))
    key = "forget.text.trial_ordered"
    scores = made.scores(collections, "text")
    assert {k: round(s.value, 9) for k, s in scores.items()} == {
        f"{key}_recovery": 0.5,
        f"{key}_recovery_all": 0.75,
        f"{key}_recovery_matched": 0.125,
    }
    assert {k.split(".")[2] for k in scores} == set(made.numbers())
    assert not made.scores(collections, "image")
    assert not made.scores(Collections(model, (gold,)), "text")
    curves = made.curves(collections, "text")
    assert [point.level for point in curves[key]] == ["0", "5", "20"]
    last = curves[key][-1]
    assert last.recovery is not None and last.gold is not None and last.retain is not None
    assert (last.value.value, last.gold.value, last.retain.value) == pytest.approx((0.5, 0.2, 0.5))
    assert last.recovery.value == pytest.approx(0.5) and last.recovery.direction == "gold"
    assert [point.level for point in curves[f"{key}_all"]] == ["0", "5", "20"]


def test_another_attack_has_the_recovery_of_all_levels_and_of_the_worst(
    kinds: tuple[SurvivalAttack, SurvivalAttack],
) -> None:
    """Together (.4 - .1) / (.7 - .1), and at the worst of the two (.6 - .1) / (.6 - .1)."""
    made, name = kinds[1], "trial_other"
    model = records(name, {"plain": 0.9, "hint": 0.2, "role": 0.6})
    gold = records(name, {"plain": 0.1, "hint": 0.1, "role": 0.1})
    original = records(name, {"plain": 0.9, "hint": 0.8, "role": 0.6})
    collections = Collections(model, (gold,), (original,))
    scores = made.scores(collections, "text")
    key = "forget.text.trial_other"
    assert {k: round(s.value, 9) for k, s in scores.items()} == {
        f"{key}_recovery": 0.5,
        f"{key}_recovery_worst": 1.0,
    }
    assert {k.split(".")[2] for k in scores} == set(made.numbers())
    points = made.curves(collections, "text")[key]
    assert [point.level for point in points] == ["plain", "hint", "role"]
    found = worst(points[1:])
    assert found is not None and found.level == "role" and worst([]) is None


def test_a_point_says_why_it_has_no_recovery(
    kinds: tuple[SurvivalAttack, SurvivalAttack],
) -> None:
    model = records("trial_other", {"plain": 0.9})
    (point,) = kinds[1].curves(Collections(model), "text")["forget.text.trial_other"]
    assert point.recovery is None and point.why == "no gold and no original"
    assert point.value.value == pytest.approx(0.9)
    same = Collections(model, (model,), (model,))
    (point,) = kinds[1].curves(same, "text")["forget.text.trial_other"]
    assert "no clear difference" in point.why
    assert not kinds[1].scores(same, "text")
