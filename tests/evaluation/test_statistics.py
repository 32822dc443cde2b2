"""Seeds, the null band, who is eligible, ranks, and controls without an image."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from clearbench.attacks.scoring import null_band, score
from clearbench.errors import DataError
from clearbench.evaluation.controls import blank, shuffled
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.evaluation.statistics import combine, eligible, rank_correlations
from clearbench.testing import tiny_dataset
from clearbench.testing.records import records


def made(
    value: float, reach: float | None = None, gold: float | None = None, **about: Any
) -> Score:
    ends = {} if reach is None else {"low": value - reach, "high": value + reach}
    return Score(value=value, n=10, clusters=5, gold=gold, **({"direction": "up"} | about | ends))


def test_seeds_by_hand() -> None:
    """Means .2, .4, .6: sd .2, t(2) = 4.302653 over sqrt 3; people add .03 as squares."""
    key = "forget.text.probability"
    found = combine([{key: made(v, 0.03)} for v in (0.2, 0.4, 0.6)])[key]
    reach = math.hypot(4.302652729911275 * 0.2 / math.sqrt(3), 0.03)
    assert (found.value, found.spread, found.seeds) == pytest.approx((0.4, 0.2, 3))
    assert (found.low, found.high) == pytest.approx((0.0, 0.4 + reach)), "no lower than the range"


def test_equal_seeds_keep_the_interval_of_the_people() -> None:
    found = combine([{"k": made(0.5, 0.1)}] * 4)["k"]
    assert (found.low, found.high) == pytest.approx((0.4, 0.6))


def test_few_seeds_or_people_give_no_interval() -> None:
    assert combine([{"k": made(0.5, 0.1)}])["k"].spread is None
    assert combine([{"k": made(0.5, 0.1)}] * 2)["k"].low is None
    assert combine([{"k": made(0.5)}] * 3)["k"].low is None
    assert list(combine([{"a": made(0.5), "b": made(0.5)}, {"b": made(0.5)}])) == ["b"]
    assert combine([]) == {}


def ratio_rows(ratios: Sequence[float]) -> Records:
    rows = [{"p": {"answer": [0.5], "paraphrase": [r / 10], "perturbed_0": [0.1]}} for r in ratios]
    return records(rows)


def test_the_null_band_by_hand() -> None:
    """Truth ratios min(r, 1/r): .5, .25 and 1; the largest gap is .75."""
    golds = [ratio_rows([r] * 4) for r in (2, 4, 1)]
    found = null_band(golds)
    band = found["forget.text.truth_ratio"]
    assert (band.low, band.high, band.gap, band.pairs) == pytest.approx((0.25, 1.0, 0.75, 6))
    assert band.holds(0.4, 1.0) and not band.holds(0.2, 1.0)
    quality = found["forget.text.forget_quality"]
    assert quality.low == quality.high == pytest.approx(2 / math.comb(8, 4))
    with pytest.raises(DataError, match="one gold model has no band"):
        null_band(golds[:1])


def test_the_null_band_of_forget_quality_of_equal_models_is_wide() -> None:
    """Two draws of one distribution: p-values spread over (0, 1), so .3 says nothing."""
    rng = np.random.default_rng(0)
    golds = [ratio_rows(rng.lognormal(0, 0.5, 40).clip(0.01, 9)) for _ in range(5)]
    band = null_band(golds)["forget.text.forget_quality"]
    assert band.low < 0.3 and band.high > 0.6


def choice(true: float, **about: Any) -> dict[str, Any]:
    return {"p": {"answer": [true], "perturbed_0": [0.3], "perturbed_1": [0.2]}} | about


def test_only_what_was_known_counts() -> None:
    """Row 0 is known, row 1 is not, row 2 has no wrong answers to judge by."""
    rows = [choice(0.5), choice(0.25), {"p": {"answer": [0.1]}, "said": ("a", "b")}]
    original = records(rows)
    after = records([choice(0.1), choice(0.1), {"p": {"answer": [0.1]}, "said": ("a", "b")}])
    kept = eligible(after, original)
    assert kept.answers["row"].unique().tolist() == ["r0", "r2"]
    assert kept.generations["row"].tolist() == ["r2"]
    assert score(kept)["forget.text.probability"].n == 2


def test_what_is_known_without_looking_does_not_count() -> None:
    image = {"track": "image", "task": "name"}
    original = records([choice(0.5, **image), choice(0.5, **image), choice(0.5)])
    blind = records([choice(0.5, **image), choice(0.1, **image), choice(0.5)])
    kept = eligible(original, original, blind)
    assert kept.answers["row"].unique().tolist() == ["r1", "r2"], "text needs no picture"


def test_ranks_by_hand() -> None:
    """Up ranks 3, 2, 1; distance to gold ranks the same runs 1, 3, 2: rho = -1/2."""
    up, near = (0.1, 0.2, 0.3), (0.5, 0.9, 0.2)
    runs = [
        {"up": made(a), "gold": made(b, gold=0.5, direction="gold"), "flat": made(0.5),
         "lost": made(0.5, direction="gold")}
        for a, b in zip(up, near, strict=True)
    ]  # fmt: skip
    found = rank_correlations(runs)
    assert list(found.columns) == ["gold", "up"], "what ranks nothing is left out"
    assert found.loc["gold", "up"] == pytest.approx(-0.5)
    assert found.loc["up", "up"] == 1.0
    assert rank_correlations([]).empty


def test_ranks_equal_scipy() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random(12).round(1), rng.random(12).round(1)
    runs = [{"a": made(x), "b": made(y)} for x, y in zip(first, second, strict=True)]
    expected = spearmanr(first, second).statistic
    assert rank_correlations(runs).loc["a", "b"] == pytest.approx(expected)


def test_controls_change_only_the_images() -> None:
    data = tiny_dataset()
    grey, other = blank(data), shuffled(data)
    for split, rows in data.evaluation.items():
        for row, plain, swapped in zip(
            rows, grey.evaluation[split], other.evaluation[split], strict=True
        ):
            assert row.model_copy(update={"image": None}) == plain.model_copy(
                update={"image": None}
            )
            if row.image is None:
                assert plain.image is swapped.image is None
                continue
            assert plain.image is not None and swapped.image is not None
            assert plain.image.decode().getextrema() == ((128, 128),) * 3
            assert plain.image.decode().size == row.image.decode().size
            moved = swapped.image.key != row.image.key
            assert moved == (row.person is not None), "everybody gets another person's picture"
    assert shuffled(data).evaluation == other.evaluation


def test_the_gate_on_the_command_line(clearbench: Callable[..., Any], tmp_path: Path) -> None:
    for name, rows in {"model": [choice(0.1)] * 2, "original": [choice(0.5), choice(0.1)]}.items():
        (tmp_path / name).mkdir()
        records(rows).save(tmp_path / name)
    words = ("score", tmp_path / "model", "--known-only")
    assert "--original" in clearbench(*words, code=2).stderr
    table = clearbench(*words, "--original", tmp_path / "original").stdout
    (line,) = [each for each in table.splitlines() if "forget.text.probability" in each]
    assert line.split()[1:] == ["0.1", "1"]


def test_several_golds_on_the_command_line(clearbench: Callable[..., Any], tmp_path: Path) -> None:
    """Probabilities .3 of the model, .2 and .4 of the golds: it lies inside, at .6 it does not."""
    for name, p in {"near": 0.3, "far": 0.6, "gold": 0.2, "other": 0.4}.items():
        (tmp_path / name).mkdir()
        records([{"p": {"answer": [p]}}]).save(tmp_path / name)
    golds = ("--reference", tmp_path / "gold", "--reference", tmp_path / "other")
    found = json.loads(clearbench("score", tmp_path / "near", *golds, "--json").stdout)
    band = found["null_band"]["forget.text.probability"]
    assert (band["low"], band["high"], band["gap"]) == pytest.approx((0.2, 0.4, 0.2))
    assert found["scores"]["forget.text.probability"]["gold"] == pytest.approx(0.2)
    assert "0.2 (inside)" in clearbench("score", tmp_path / "near", *golds).stdout
    assert "(inside)" not in clearbench("score", tmp_path / "far", *golds).stdout
    assert "golds apart" not in clearbench("score", tmp_path / "far", *golds[:2]).stdout
