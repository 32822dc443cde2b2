"""Every number of TOFU's own script on its public logs, to the last digits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clearbench.attacks.scoring import score
from clearbench.evaluation.logs.read import read_log
from clearbench.evaluation.metrics.forget_quality import aligned, shared_histogram
from clearbench.evaluation.metrics.rouge import rouge
from clearbench.evaluation.protocols import TOFU
from clearbench.evaluation.records import Records
from clearbench.evaluation.scoring import truth_ratios

LOG = "tofu_llama2-7b_{}.eval_log_aggregated.json"
NAMES = ("full", "retain90", "retain95", "retain99")
EXACT = 1e-12


@pytest.fixture(scope="module")
def logs(oracles: Path) -> dict[str, Records]:
    return {name: read_log(oracles / LOG.format(name)) for name in NAMES}


@pytest.fixture(scope="module")
def expected(oracles: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((oracles / "expected.json").read_text())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_tofu(
    logs: dict[str, Records], expected: dict[str, Any], name: str
) -> None:
    found = score(logs[name], None, None, "tofu")
    ours = {TOFU.names[key]: each.value for key, each in found.items()}
    assert ours == pytest.approx(expected[f"tofu_llama2-7b_{name}"], rel=EXACT)


@pytest.mark.parametrize("gold", NAMES[1:])
def test_forget_quality_of_tofu(
    logs: dict[str, Records], expected: dict[str, Any], gold: str
) -> None:
    found = score(logs["full"], logs[gold], None, "tofu")["forget.text.forget_quality"]
    wanted = expected["forget_quality_of_full"][gold]
    assert found.value == pytest.approx(wanted["Forget Quality"], rel=EXACT)
    assert found.statistic == pytest.approx(wanted["KS Test Forget"], rel=EXACT)
    assert (found.n, found.clusters) == (wanted["n_full"], 15)


def test_a_model_against_itself(logs: dict[str, Records]) -> None:
    for each in logs.values():
        assert score(each, each, None, "tofu")["forget.text.forget_quality"].value == 1.0


def test_rouge_of_the_stored_answers_is_the_stored_rouge(logs: dict[str, Records]) -> None:
    records = logs["retain99"]
    stored = records["logged"].pivot(index="row", columns="metric", values="value")
    spoken = records.generations.set_index("row")
    for row in spoken.index[::3]:
        found = rouge(spoken.loc[row, "truth"], spoken.loc[row, "text"])
        assert found["rouge_l"] == stored.loc[row, "rouge_l"]
        assert found["rouge_1"] == stored.loc[row, "rouge_1"]


#: (protocol, key) -> value of full against retain90.
OF_FULL = {
    ("clear-code", "forget.text.truth_ratio"): 0.49413134435136397,
    ("clear-code", "retain.text.truth_ratio"): 0.4786178921793413,
    ("clear-code", "real_world.text.truth_ratio"): 0.6016314815851649,
    ("clear-code", "forget.text.forget_quality"): 8.777796874606567e-12,
    ("clear-code", "forget.text.forget_quality_js_aligned"): 0.7731260731508331,
    ("clear", "forget.text.truth_ratio"): 0.5159854212808593,
    ("clear", "forget.text.truth_ratio_arithmetic"): 0.530370024560109,
    ("clear", "forget.text.forget_quality"): 1.834066410994743e-21,
    ("clear", "forget.text.forget_quality_arithmetic"): 6.031911569834469e-23,
    ("clear", "forget.text.forget_quality_js_aligned"): 0.7716965355582706,
}
#: Real, Retain (Prob, TR), Retain (ROUGE, Prob, TR), Forget of CLEAR's text tables.
AGGREGATES = {
    "full": (0.49279337935832856, 0.641604829938955, 0.7260867488799205, 0.7572031410494066),
    "retain90": (0.48151583043732443, 0.6380657381988918, 0.7212818587783193, 0.28011387455599146),
    "retain95": (0.46425333671409175, 0.630504655313139, 0.7155487779729951, 0.2868245587948272),
    "retain99": (0.49290881029803774, 0.6325728154532891, 0.7189296534647348, 0.31421050311929405),
}


@pytest.mark.parametrize(("protocol", "key"), list(OF_FULL))
def test_the_same_log_by_clear(logs: dict[str, Records], protocol: str, key: str) -> None:
    found = score(logs["full"], logs["retain90"], None, protocol)[key]
    assert found.value == pytest.approx(OF_FULL[protocol, key], rel=EXACT)


def test_the_retrained_model_by_clear(logs: dict[str, Records]) -> None:
    gold = logs["retain90"]
    key = "forget.text.truth_ratio"
    assert score(gold, None, None, "clear-code")[key].value == pytest.approx(
        0.5942001760926849, rel=EXACT
    )
    found = score(gold)
    assert found[key].value == pytest.approx(0.6740192657877031, rel=EXACT)
    assert found[f"{key}_arithmetic"].value == pytest.approx(0.6796518214931436, rel=EXACT)


@pytest.mark.parametrize("name", NAMES)
def test_the_aggregates_of_clears_text_tables(logs: dict[str, Records], name: str) -> None:
    code, ours = score(logs[name], None, None, "clear-code-text"), score(logs[name])
    found = (
        code["all.text.clear_real"].value,
        code["all.text.clear_retain"].value,
        ours["all.text.clear_retain_paper"].value,
        code["all.text.clear_forget"].value,
    )
    assert found == pytest.approx(AGGREGATES[name], rel=EXACT)
    assert ours["all.text.clear_forget"].value == found[3]


def test_permuting_rows_changes_only_the_aligned_distance(logs: dict[str, Records]) -> None:
    """Means over 2,000 permutations are .662 (of gold) and .708 (gold against itself)."""
    ours, gold = (truth_ratios(logs[name], "text").to_numpy() for name in ("full", "retain90"))
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(gold)) for _ in range(100)]
    assert np.mean([1 - aligned(ours, gold[o]) for o in orders]) == pytest.approx(0.662, abs=0.003)
    assert np.mean([1 - aligned(gold, gold[o]) for o in orders]) == pytest.approx(0.708, abs=0.003)
    assert shared_histogram(ours, gold[orders[0]]) == shared_histogram(ours, gold)


def test_persons_are_twenty_rows_and_the_world_has_none(logs: dict[str, Records]) -> None:
    found = score(logs["full"], None, None, "tofu")
    assert found["forget.text.probability"].clusters == 15
    assert found["real_world.text.probability"].clusters == 117
    people = logs["full"].answers.drop_duplicates("row").set_index("row")["person"]
    assert people["eval_log_forget:19"] == 0 and people["eval_log_forget:20"] == 1
    assert (people[people.index.str.startswith("eval_real")] == -1).all()


def test_the_command_line(clearbench: Callable[..., Any], oracles: Path) -> None:
    words = ("score", oracles / LOG.format("full"), "--protocol", "clear-code", "--json")
    done = clearbench(*words, "--reference", oracles / LOG.format("retain90"))
    found = json.loads(done.stdout)
    assert set(found) == {"protocol", "version", "scores"}
    assert found["protocol"] == "clear-code" and found["version"] == 1
    value = found["scores"]["forget.text.forget_quality"]["value"]
    assert value == pytest.approx(8.777796874606567e-12, rel=EXACT)


def test_the_logged_ratio_is_ours_turned_over(oracles: Path, logs: dict[str, Records]) -> None:
    """E15: the field `truth_ratio` is exp(l(y^) - mean l(y')), in single precision."""
    content = json.loads((oracles / LOG.format("full")).read_text())["eval_log_forget.json"]
    logged = pd.Series(content["truth_ratio"]).to_numpy()
    np.testing.assert_allclose(1 / truth_ratios(logs["full"], "text"), logged, rtol=1.4e-6)
