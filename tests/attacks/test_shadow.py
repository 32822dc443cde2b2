"""Shadow models in collections, and attacks that learn from them, on cases worked out on paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from clearbench.attacks.base import Target, attack
from clearbench.attacks.pairs import Pairs
from clearbench.attacks.ruli import kernel_widths
from clearbench.attacks.shadow import logit, pool
from clearbench.attacks.signals import Mask, Numbers, People
from clearbench.errors import DataError, RecipeError
from clearbench.evaluation.metric import Collections, Shadow
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.testing.records import records

KEY = "forget.text.u_lira_standard"


def says(forget: Sequence[float], holdout: Sequence[float], task: str = "qa") -> Records:
    """Rows whose answers' probabilities have these logits, a row a person: 0... and 1000..."""
    track = "text" if task == "qa" else "image"
    return records(
        [
            {"row": f"{split}{k}", "person": first + k, "split": split, "track": track,
             "task": task, "p": {"answer": [float(special.expit(z))]}}
            for split, first, logits in (("forget", 0, forget), ("holdout", 1000, holdout))
            for k, z in enumerate(logits)
        ]
    )  # fmt: skip


def six(task: str = "qa", people: int = 1) -> tuple[Shadow, ...]:
    """Three models taught the forget people, three the others: 3, 4, 5 if taught, else 0, 1, 2."""
    sides = frozenset(range(people)), frozenset(range(1000, 1000 + people))
    return tuple(
        Shadow(
            says([high if ours else low] * people, [low if ours else high] * people, task),
            sides[0] if ours else sides[1],
        )
        for ours in (True, False)
        for low, high in ((0.0, 3.0), (1.0, 4.0), (2.0, 5.0))
    )


def of_one_model(evidence: Numbers, taught: Mask, people: People) -> Pairs:
    """Pairs of which all are of the same model."""
    return Pairs(evidence, taught, people, np.zeros(len(people), np.int64))


def scored(given: Collections, name: str = "u_lira", **parameters: str) -> dict[str, Score]:
    track = given.tracks[0]
    return attack(name, **parameters).scores(given, track)


def test_shadows_are_like_the_scored_model_only() -> None:
    """What shadow models say of themselves is about the model that they were made like."""
    ours, gold = (records([{"p": {"answer": [p]}}]) for p in (0.5, 0.4))
    shadow = Shadow(records([{"p": {"answer": [0.3]}}]), frozenset({0}))
    given = Collections(ours, (gold,), shadows=(shadow,))
    assert not given.borrowed and not given.of(ours).borrowed
    assert given.of(gold).borrowed and given.of(gold).shadows == (shadow,)
    assert not Collections(ours, (gold,)).of(gold).borrowed, "there are none to borrow"
    assert len({given, given.of(ours), given.of(gold)}) == 2, "collections are keys of a cache"


def test_one_model_and_its_shadows_by_hand() -> None:
    """Means 4 and 1 and variance 1: a logit of 4 is 9/2 nats more like `taught`, 1 as many less."""
    given = Collections(says([4.0], [1.0]), shadows=six())
    table = attack("u_lira", estimator="standard").table(Target(given)).set_index("split")["value"]
    assert table["forget"] == pytest.approx(-4.5) and table["holdout"] == pytest.approx(4.5)
    found = scored(given, estimator="standard")
    assert found[f"{KEY}_auc"].value == found[f"{KEY}_accuracy"].value == 1.0
    assert found[f"{KEY}_method_auc"].value == found[f"{KEY}_method_accuracy"].value == 1.0
    assert found[f"{KEY}_shadow_models"].value == 6
    assert (found[f"{KEY}_auc"].n, found[f"{KEY}_method_auc"].n) == (2, 12)
    turned = scored(Collections(says([1.0], [4.0]), shadows=six()), estimator="standard")
    assert turned[f"{KEY}_auc"].value == turned[f"{KEY}_accuracy"].value == 0.0
    assert turned[f"{KEY}_method_auc"].value == 1.0, "the shadow models are what they were"


def test_a_model_that_is_half_way_is_half_right() -> None:
    """A logit of 2.5 is as far from both means: no evidence, half of an accuracy."""
    found = scored(Collections(says([2.5], [2.5]), shadows=six()), estimator="standard")
    assert found[f"{KEY}_auc"].value == 0.5
    assert found[f"{KEY}_accuracy"].value in (0.5, 0.0, 1.0)  # rounding of 2.5 - 4 and 2.5 - 1
    pairs = of_one_model(np.array([1.0, 0, -1, -1, 0, 2]), np.arange(6) < 3, np.arange(6))
    assert pairs.accuracy().value == 0.5
    sure = of_one_model(np.array([1.0, 0, 3, -1, -2, -3]), np.arange(6) < 3, np.arange(6))
    assert sure.accuracy().value == pytest.approx((2.5 / 3 + 1) / 2)


def test_a_balanced_accuracy_is_of_both_sides_alike() -> None:
    """One of one taught pair is right and none of four others: a half, not a fifth."""
    pairs = of_one_model(np.ones(5), np.arange(5) < 1, np.arange(5))
    assert pairs.accuracy().value == 0.5


def test_its_interval_is_by_person() -> None:
    """Four of five members are right and all strangers: .9 with an error of .1.

    Parts (1 - .8) / 10 four times and -.8 / 10: sqrt(5/4 x .008) = .1. Pairs that a person has
    twice add nothing, and with another model of the same person on the other side parts add up.
    """
    evidence = np.array([1.0, 1, 1, 1, -1, -1, -1, -1, -1, -1])
    taught, people = np.arange(10) < 5, np.array([0, 1, 2, 3, 4, 10, 11, 12, 13, 14])
    once = of_one_model(evidence, taught, people).accuracy()
    assert once == (pytest.approx(0.9), pytest.approx(0.1), 5)
    doubled = of_one_model(*(np.tile(each, 2) for each in (evidence, taught, people))).accuracy()
    assert doubled == (pytest.approx(0.9), pytest.approx(0.1), 5)
    both = of_one_model(
        np.array([1.0, 1, 1, 1, -1, -1, -1, -1, -1, 1]), taught, np.tile(np.arange(5), 2)
    )
    assert both.accuracy() == (pytest.approx(0.8), pytest.approx(0.2), 5)
    assert both.area() == (pytest.approx(0.8), pytest.approx(0.2), 5)


def test_the_smaller_side_decides_whether_there_is_an_interval() -> None:
    """Two people who were taught and thirty who were not are two."""
    for few in (np.arange(32) < 2, np.arange(32) >= 2):
        pairs = of_one_model(np.linspace(-1, 1, 32), few, np.arange(32))
        assert pairs.accuracy().clusters == pairs.area().clusters == 2


def test_its_interval_is_by_model_too() -> None:
    """Six models of which one is wrong on every person: 5/6, and a person tells nothing.

    Each person has the same share, 5/6; model sums are 1/36 five times and -5/36: an error of
    sqrt(6/5 x (5 + 25)) / 36 = 1/6. Sums by both are as many parts of a sixth: less than by model.
    """
    models, people = np.repeat(np.arange(6), 6), np.tile(np.arange(6), 6)
    taught = (models + people) % 2 == 0
    evidence = np.where(taught, 1.0, -1.0) * np.where(models == 0, -1, 1)
    found = Pairs(evidence, taught, people, models).accuracy()
    assert found.value == pytest.approx(5 / 6) and found.clusters == 6
    assert found.error == pytest.approx(1 / 6)
    alone = of_one_model(evidence, taught, people).accuracy()
    assert alone.error == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("people", "told", "method_told"), [(2, False, False), (4, False, True), (5, True, True)]
)
def test_under_five_people_there_is_no_interval(people: int, told: bool, method_told: bool) -> None:
    """Of one model on the smaller side; of the shadow models everybody is on both sides."""
    found = scored(Collections(says([4.0] * people, [1.0] * people), shadows=six(people=people)))
    for name in ("auc", "accuracy", "method_auc", "method_accuracy"):
        score = found[f"forget.text.u_lira_{name}"]
        expected = method_told if name.startswith("method") else told
        assert (score.low is not None, score.high is not None) == (expected, expected), name
        assert score.clusters == 2 * people and score.direction == "gold"


def test_rates_need_pairs_enough() -> None:
    """340 strangers are too few; of 680 people each has three models that never saw it."""
    found = scored(Collections(says([4.0] * 340, [1.0] * 340), shadows=six(people=340)))
    named = {key.rpartition("u_lira_")[2] for key in found}
    assert named == {"auc", "accuracy", "shadow_models"} | {
        f"method_{name}" for name in ("auc", "accuracy", "tpr_at_1")
    }
    assert found["forget.text.u_lira_method_tpr_at_1"].low is None


def test_what_borrowed_shadows_say_of_themselves_is_left_out() -> None:
    ours, gold = says([4.0], [1.0]), says([0.5], [1.0])
    given = Collections(ours, (gold,), shadows=six())
    assert any("_method_" in key for key in scored(given))
    of_gold = scored(given.of(gold))
    assert of_gold and not any("_method_" in key for key in of_gold)
    assert not scored(Collections(ours, (gold,)))


def test_without_shadows_it_says_what_it_needs() -> None:
    for name in ("u_lira", "rmia", "forgetting_quality"):
        with pytest.raises(RecipeError, match=f"{name} needs shadow models"):
            attack(name).table(Target(Collections(says([4.0], [1.0]))))
    with pytest.raises(DataError, match="needs 2"):
        scored(Collections(says([4.0], [1.0]), shadows=six()[:4]))


def test_a_classifier_is_attacked_by_the_only_task_it_has() -> None:
    given = Collections(says([4.0], [1.0], "name"), shadows=six("name"))
    assert scored(given)["forget.image.u_lira_auc"].value == 1.0


def test_rows_that_a_shadow_model_lacks_are_left_out() -> None:
    given = Collections(says([4.0, 4.0], [1.0]), shadows=six())
    made = pool(given, "text", "logit")
    assert made is not None and made.rows == ("forget0", "holdout0")
    assert made.signals.taught.tolist() == [[True, False]] * 4 + [[False, True]] * 3
    assert made.splits.tolist() == ["forget", "holdout"]
    assert made.signals.values[1].tolist() == pytest.approx([3.0, 0.0])


def test_a_logit_is_a_margin_and_finite_where_a_model_is_sure() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 5, (50, 7))
    own = logits[:, 3] - np.logaddexp.reduce(np.delete(logits, 3, axis=1), axis=1)
    assert logit(special.log_softmax(logits, axis=1)[:, 3]) == pytest.approx(own, abs=1e-6)
    assert logit(np.array([math.log(0.5), -200.0])) == pytest.approx([0.0, -200.0])
    assert logit(np.array([-0.0])) == pytest.approx([24 * math.log(2)], rel=1e-6)


def test_the_other_attacks_by_hand() -> None:
    """On logits of 4 and of 1, where models never taught have 0, 1, 2, of two people each."""
    given = Collections(says([4.0, 4.0], [1.0, 1.0]), shadows=six(people=2))

    def values(name: str, **parameters: Any) -> list[float]:
        made = attack(name, **parameters)
        return made.table(Target(given)).groupby("split")["value"].max().tolist()

    tails = [float(stats.norm.logsf(z)) for z in (3.0, 0.0)]
    assert values("lira_offline", estimator="standard") == pytest.approx(tails)
    assert values("rmia") == [-1.0, -1.0], "a row as likely as the other stranger's beats it"
    assert values("rmia", factor=1.01) == [-1.0, 0.0]
    ours, theirs = values("u_mia")
    assert ours < 0 < theirs and ours == pytest.approx(-theirs, rel=0.01)
    width = 0.9 * min(1.0, 1 / 1.349) * 3**-0.2

    def density(at: float, centres: Sequence[float]) -> float:
        return sum(float(stats.norm.pdf(at, c, width)) for c in centres) / 3

    ratio = density(4, (3, 4, 5)) / density(4, (0, 1, 2))
    assert values("ruli") == pytest.approx([-math.log(ratio), math.log(ratio)])
    assert "forget.text.rmia_accuracy" not in scored(given, "rmia")
    assert "forget.text.lira_offline_accuracy" not in scored(given, "lira_offline")


def test_the_width_of_a_kernel() -> None:
    """Silverman's rule of thumb by numpy's quantiles, in rows with different numbers of models."""
    rng = np.random.default_rng(0)
    values, used = rng.normal(size=(9, 40)), rng.random((9, 40)) < 0.7
    used[:2] = True
    silverman, scott = (kernel_widths(values, used, rule) for rule in ("silverman", "scott"))
    for row in range(40):
        own = values[used[:, row], row]
        spread = own.std(ddof=1)
        quartiles = np.subtract(*np.quantile(own, [0.75, 0.25])) / 1.349
        assert silverman[row] == pytest.approx(0.9 * min(spread, quartiles) * len(own) ** -0.2)
        assert scott[row] == pytest.approx(1.06 * spread * len(own) ** -0.2)


def test_what_a_model_s_rows_have_in_common_counts_once() -> None:
    """Two models of each kind, three people; one of each kind is always right, one always wrong."""
    models, people = np.repeat(np.arange(4), 3), np.tile(np.arange(3), 4)
    taught = models < 2
    evidence = np.where(models % 2 == 0, 1.0, -1.0) * np.where(taught, 1, -1)
    found = Pairs(evidence, taught, people, models).accuracy()
    # a pair's part is 1/24 of the accuracy, a model's 1/8; two models a side: 2 / (2 - 1) x 4 / 64
    assert found.value == 0.5
    assert found.error == pytest.approx(math.sqrt(0.125))
    assert found.clusters == 2
    one = Pairs(evidence, taught, people, 0 * models).accuracy()
    assert one.error == 0 and one.clusters == 3
