"""Small logs in the published formats, with the answers worked out by hand, and broken ones."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clearbench.attacks.scoring import score
from clearbench.errors import ClearbenchError, DataError
from clearbench.evaluation.logs.read import read_log
from clearbench.evaluation.protocols import protocols

LN2 = math.log(2)


def task(true: float, again: float, wrong: tuple[float, ...], recall: float) -> dict[str, Any]:
    """Two rows with these probabilities, the second of a model that is sure of everything."""
    rows = {"0": (true, again, wrong), "1": (1.0, 1.0, tuple(1.0 for _ in wrong))}
    said = [["q", "the cat", "the cat sat down"], ["q", "all of it", "all of it"]]
    return {
        "avg_gt_loss": {row: -math.log(each[0]) for row, each in rows.items()},
        "avg_paraphrased_loss": {row: -math.log(each[1]) for row, each in rows.items()},
        "average_perturb_loss": {
            row: [-math.log(p) for p in each[2]] for row, each in rows.items()
        },
        "rougeL_recall": {"0": recall, "1": 1.0},
        "generated_text": dict(zip("01", said, strict=True)),
        "truth_ratio": {"0": 99.0, "1": 99.0},
    }


def tofu_log() -> dict[str, Any]:
    return {
        "eval_log_forget.json": task(0.5, 0.5, (0.25, 0.0625), 0.5),
        "eval_log.json": task(0.25, 0.5, (0.25, 0.0625), 0.25),
        "eval_real_author_wo_options.json": task(0.5, 0.5, (0.25, 0.25), 0.5),
        "eval_real_world_wo_options.json": task(0.2, 0.2, (0.2, 0.1), 0.5),
    }


def written(folder: Path, content: Any, name: str = "log.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


#: r = .5 / sqrt(.25 * .0625) = 4 of the first row, 1 of the second.
BY_HAND = {
    "forget.text.probability": (0.5 + 1) / 2,
    "forget.text.rouge_l": (0.5 + 1) / 2,
    "forget.text.truth_ratio": (1 / 4 + 1) / 2,
    "retain.text.probability": (0.25 + 1) / 2,
    "retain.text.truth_ratio": (3 / 4 + 0) / 2,
    "real_authors.text.probability": (0.5 / 1.0 + 1 / 3) / 2,
    "real_authors.text.truth_ratio": (1 / 2 + 0) / 2,
    "real_world.text.probability": (0.2 / 0.5 + 1 / 3) / 2,
    "real_world.text.truth_ratio": (1 - math.sqrt(0.02) / 0.2 + 0) / 2,
}


def as_lists(content: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {field: list(rows.values()) for field, rows in fields.items()}
        for name, fields in content.items()
    }


def without_suffix(content: dict[str, Any]) -> dict[str, Any]:
    return {name.removesuffix(".json"): fields for name, fields in content.items()}


@pytest.mark.parametrize("form", [dict, as_lists, without_suffix])
def test_tofu_by_hand(tmp_path: Path, form: Callable[[Any], Any]) -> None:
    found = score(read_log(written(tmp_path, form(tofu_log()))), None, None, "tofu")
    assert {key: found[key].value for key in BY_HAND} == pytest.approx(BY_HAND)
    parts = [each.value for key, each in found.items() if key[:3] in ("ret", "rea")]
    utility = len(parts) / sum(1 / part for part in parts)
    assert len(parts) == 9
    assert found["all.text.model_utility"].value == pytest.approx(utility)


def test_clear_code_by_hand(tmp_path: Path) -> None:
    """E01: one mean loss, (2 + 4 + 0 + 0) ln 2 / 4, for all rows: r = 2^1.5 / 2 and 2^1.5."""
    found = score(read_log(written(tmp_path, tofu_log())), None, None, "clear-code")
    expected = (1 / (2**1.5 / 2) + 1 / 2**1.5) / 2
    assert found["forget.text.truth_ratio"].value == pytest.approx(expected)
    expected = ((1 - 2 / 2**1.5) + (1 - 1 / 2**1.5)) / 2
    assert found["retain.text.truth_ratio"].value == pytest.approx(expected)


def test_a_split_that_nobody_needs_may_be_missing(tmp_path: Path) -> None:
    log = {"eval_log_forget.json": tofu_log()["eval_log_forget.json"]}
    path = written(tmp_path, log)
    for name in ("clear", "clear-code", "clear-vqa"):
        keys = score(read_log(path), None, None, name)
        assert keys and all(key.split(".")[0] in ("forget", "all") for key in keys)
    only = {f"forget.text.{name}" for name in ("probability", "rouge_l", "truth_ratio")}
    assert set(score(read_log(path), None, None, "tofu")) == only
    world = written(tmp_path, {"eval_log.json": tofu_log()["eval_log.json"]}, "retain.json")
    with pytest.raises(DataError, match=r"'tofu' needs .*real_world\.text\.truth_ratio"):
        score(read_log(world), None, None, "tofu")


def test_gold_without_forget_rows_is_refused(tmp_path: Path) -> None:
    ours = read_log(written(tmp_path, tofu_log()))
    content = {"eval_log.json": tofu_log()["eval_log.json"]}
    gold = read_log(written(tmp_path, content, "gold.json"))
    for name in ("tofu", "clear-code", "clear-code-text", "openunlearning"):
        with pytest.raises(DataError, match="forget_quality"):
            score(ours, gold, None, name)


def test_different_numbers_of_rows(tmp_path: Path) -> None:
    """KS takes any two samples; the aligned distance of CLEAR's code is not defined then."""
    longer = tofu_log()
    for field, rows in longer["eval_log_forget.json"].items():
        longer["eval_log_forget.json"][field] = rows | {"2": rows["0"]}
    ours, gold = (
        read_log(written(tmp_path, content, name))
        for content, name in ((tofu_log(), "a.json"), (longer, "b.json"))
    )
    found = score(ours, gold, None, "clear-code")
    assert "forget.text.forget_quality" in found
    assert "forget.text.forget_quality_js_aligned" not in found
    assert "forget.text.forget_quality_js_aligned" in score(ours, gold)


def test_rouge_is_computed_where_the_log_has_none(tmp_path: Path) -> None:
    """E07: the field is empty in CLEAR's multimodal logs; two words of four are said."""
    content = tofu_log()
    for fields in content.values():
        fields["rougeL_recall"] = {}
    found = score(read_log(written(tmp_path, content)), None, None, "tofu")
    assert found["forget.text.rouge_l"].value == pytest.approx((2 / 4 + 1) / 2)


def test_twenty_rows_are_a_person(tmp_path: Path) -> None:
    row = task(0.5, 0.5, (0.25, 0.25), 0.5)
    long = {field: [rows["0"]] * 101 for field, rows in row.items()}
    found = score(read_log(written(tmp_path, {"eval_log_forget.json": long})))
    assert found["forget.text.probability"].n == 101
    assert found["forget.text.probability"].clusters == 6
    assert found["forget.text.probability"].low is not None


def clear_log() -> dict[str, Any]:
    """A multimodal log: captions and names of two persons."""
    names = task(0.5, 0.5, (0.25, 0.25), 0.5)
    names["generated_text"] = {"0": ["q", "Ann Lee", "Ann Lee"], "1": ["q", "Bo", "Bo Ek"]}
    return {
        "eval_real_faces_wo_options.json": task(0.5, 0.5, (0.25, 0.25), 0.5),
        "eval_real_world_wo_options.json": task(0.5, 0.5, (0.25, 0.25), 0.5),
        "eval_log_forget.json": task(0.5, 0.5, (0.25, 0.0625), 0.5),
        "eval_log.json": task(0.5, 0.5, (0.25, 0.0625), 0.5),
        "eval_forget_facerec.json": names,
        "eval_retain_facerec.json": names,
    }


def test_clears_multimodal_log(tmp_path: Path) -> None:
    """Names are scored over the options: (.5 / 1 + 1 / 3) / 2; E03: no ROUGE in the aggregates."""
    records = read_log(written(tmp_path, clear_log()))
    found = score(records, records, None, "clear-code")
    name = (0.5 + 1 / 3) / 2
    assert found["forget.image.name_probability"].value == pytest.approx(name)
    assert found["real_faces.image.probability"].value == pytest.approx(name)
    assert found["forget.image.probability"].value == pytest.approx(0.75)
    assert found["forget.image.forget_quality"].value == 1.0
    parts = ("probability", "truth_ratio", "name_probability", "name_truth_ratio")
    values = [found[f"retain.image.{part}"].value for part in parts]
    assert found["all.image.clear_retain"].value == pytest.approx(4 / sum(1 / v for v in values))
    assert found["all.image.model_utility"].n == 12
    assert found["forget.image.probability"].clusters == 2, "persons come from face recognition"
    nameless = {k: v for k, v in clear_log().items() if "facerec" not in k}
    unknown = score(read_log(written(tmp_path, nameless)))["forget.image.probability"]
    assert (unknown.clusters, unknown.low) == (1, None), "no interval as if rows were independent"


def open_log() -> dict[str, Any]:
    def rows(**fields: Any) -> dict[str, Any]:
        return {"agg_value": 9.0, "value_by_index": {"0": fields, "21": fields}}

    found: dict[str, Any] = {}
    for prefix in ("forget", "retain", "ra", "wf"):
        name = f"{prefix}_Q_A_"
        found[name + "Prob"] = rows(prob=0.5, avg_loss=LN2)
        found[name + "PERT_Prob"] = rows(prob=[0.25, 0.25], avg_loss=[2 * LN2, 2 * LN2])
        rouge = {"rougeL_recall": 0.5, "rougeL_f1": 0.6, "rouge1_recall": 0.7}
        texts = {"input": "q", "ground_truth": "a b", "generation": "a"}
        found[name + "ROUGE"] = rows(**rouge, **texts)
        if prefix in ("forget", "retain"):
            found[name + "PARA_Prob"] = rows(prob=0.5, avg_loss=LN2)
    found["extraction_strength"] = rows(score=0.125)
    found["exact_memorization"] = rows(score=0.25)
    forget, holdout = (
        {"value_by_index": {"0": {"score": s}, "1": {"score": s + 2}}} for s in (1, 2)
    )
    found["mia_min_k"] = {"forget": forget, "holdout": holdout, "auc": 9.0, "agg_value": 9.0}
    found["model_utility"] = {"agg_value": 9.0}
    return found


def test_openunlearning_by_hand(tmp_path: Path) -> None:
    """R = .25 / .5; scores 1, 3 of members against 2, 4: three pairs of four in order."""
    records = read_log(written(tmp_path, open_log(), "TOFU_EVAL.json"))
    found = {k: v.value for k, v in score(records, records, None, "openunlearning").items()}
    expected = {
        "forget.text.probability": 0.5,
        "forget.text.truth_ratio": 0.5,
        "retain.text.truth_ratio": 0.5,
        "real_authors.text.probability": 0.5,
        "forget.text.rouge_l": 0.5,
        "forget.text.rouge_l_f1": 0.6,
        "forget.text.extraction_strength": 0.125,
        "forget.text.exact_memorisation": 0.25,
        "forget.text.forget_quality": 1.0,
        "forget.text.mia_min_k_auc": 0.75,
        "forget.text.mia_min_k_privleak": 0.0,
        "all.text.model_utility": 0.5,
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-8)
    assert found["forget.text.probability"] == 0.5, "as logged"
    assert score(records)["forget.text.truth_ratio"].value == pytest.approx(0.5, rel=1e-12)
    assert records.answers["person"].max() == 1


def test_openunlearnings_own_normalised_probability_is_kept(tmp_path: Path) -> None:
    content = open_log()
    rows = {"value_by_index": {"0": {"prob": 0.3}, "21": {"prob": 0.4}}}
    content["ra_Q_A_Prob_normalised"] = rows
    records = read_log(written(tmp_path, content))
    key = "real_authors.text.probability"
    assert score(records, None, None, "openunlearning")[key].value == pytest.approx(0.35)
    assert score(records)[key].value == pytest.approx(0.5)


def test_rows_that_openunlearning_skipped_are_left_out(tmp_path: Path) -> None:
    content = open_log()
    for name in ("exact_memorization", "extraction_strength"):
        content[name]["value_by_index"] |= {"1": None, "2": {"score": None}}
    found = score(read_log(written(tmp_path, content)), None, None, "openunlearning")
    assert found["forget.text.exact_memorisation"].n == 2


def changed(content: dict[str, Any], path: tuple[str, ...], new: Any) -> dict[str, Any]:
    """A copy with one value replaced, or removed where `new` is None."""
    found = copy.deepcopy(content)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    if new is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return found


FORGET = "eval_log_forget.json"
BROKEN: list[tuple[Callable[[], dict[str, Any]], tuple[str, ...], Any, str]] = [
    (tofu_log, (FORGET, "avg_gt_loss"), None, "no field 'avg_gt_loss'"),
    (tofu_log, (FORGET, "avg_paraphrased_loss"), None, "no field 'avg_paraphrased_loss'"),
    (tofu_log, (FORGET, "average_perturb_loss"), None, "no field 'average_perturb_loss'"),
    (tofu_log, (FORGET, "avg_gt_loss"), {}, "'avg_gt_loss' is empty"),
    (tofu_log, (FORGET, "avg_gt_loss"), [], "'avg_gt_loss' is empty"),
    (tofu_log, (FORGET, "avg_gt_loss"), {"1": 0.1, "01": 0.2}, "has a row twice"),
    (tofu_log, (FORGET, "avg_gt_loss"), {"one": 0.1}, "a row of 'avg_gt_loss' is no number"),
    (tofu_log, (FORGET, "avg_gt_loss"), 3, "neither a dictionary nor a list"),
    (tofu_log, (FORGET, "avg_gt_loss", "1"), None, "do not have the same rows: 1"),
    (tofu_log, (FORGET, "avg_gt_loss", "1"), math.nan, "'avg_gt_loss' of row 1 is nan"),
    (tofu_log, (FORGET, "avg_gt_loss", "1"), math.inf, "'avg_gt_loss' of row 1 is inf"),
    (tofu_log, (FORGET, "avg_gt_loss", "1"), "a", "'avg_gt_loss' of row 1 is 'a'"),
    (tofu_log, (FORGET, "average_perturb_loss", "0"), [], "of row 0 is \\[\\]"),
    (tofu_log, (FORGET, "generated_text", "0"), ["a"], "not \\[prompt, generated, truth\\]"),
    (tofu_log, (FORGET,), [1, 2], "'eval_log_forget' holds no fields"),
    (open_log, ("forget_Q_A_PERT_Prob", "value_by_index", "0", "avg_loss"), [], "is empty"),
    (open_log, ("forget_Q_A_Prob", "value_by_index", "0", "avg_loss"), -0.5, "below zero"),
    (open_log, ("forget_Q_A_Prob", "value_by_index", "0", "prob"), 1.5, "not from 0 to 1"),
    (open_log, ("forget_Q_A_ROUGE", "value_by_index", "0", "rougeL_recall"), 2, "not from 0 to 1"),
    (open_log, ("extraction_strength", "value_by_index", "0", "score"), -1, "not from 0 to 1"),
    (tofu_log, (FORGET, "avg_gt_loss", "1"), -3, "of row 1 is -3: a loss below zero"),
    (tofu_log, (FORGET, "avg_gt_loss", "1"), True, "of row 1 is True"),
    (tofu_log, (FORGET, "avg_gt_loss", "1"), "NaN", "of row 1 is 'NaN'"),
    (tofu_log, (FORGET, "average_perturb_loss", "1"), [0.5, -2], "of row 1 is -2: a loss below"),
    (tofu_log, (FORGET, "rougeL_recall", "1"), 1.2, "of row 1 is 1.2, not from 0 to 1"),
    (open_log, ("ra_Q_A_PERT_Prob", "value_by_index"), None, "no field 'value_by_index'"),
    (open_log, ("ra_Q_A_PERT_Prob", "value_by_index"), {}, "'value_by_index' is empty"),
    (open_log, ("wf_Q_A_ROUGE", "value_by_index", "0", "rougeL_recall"), None, "'rougeL_recall'"),
    (open_log, ("wf_Q_A_Prob", "value_by_index", "0", "avg_loss"), None, "no field 'avg_loss'"),
    (open_log, ("mia_min_k", "forget", "value_by_index", "0", "score"), "x", "is 'x'"),
]  # fmt: skip


@pytest.mark.parametrize(("log", "path", "new", "message"), BROKEN)
def test_what_is_missing_is_named(
    tmp_path: Path, log: Callable[[], Any], path: tuple[str, ...], new: Any, message: str
) -> None:
    with pytest.raises(ClearbenchError, match=message):
        read_log(written(tmp_path, changed(log(), path, new)))


def test_no_source_of_rouge_is_named(tmp_path: Path) -> None:
    content = changed(tofu_log(), (FORGET, "generated_text"), None)
    read_log(written(tmp_path, content))
    with pytest.raises(DataError, match="no field 'rougeL_recall'"):
        read_log(written(tmp_path, changed(content, (FORGET, "rougeL_recall"), None)))


@pytest.mark.parametrize("content", [[], {}, {"a": 1}, {"model_utility": 0.5}, "text"])
def test_other_json_is_no_log(tmp_path: Path, content: Any) -> None:
    with pytest.raises(DataError, match="no log that we know"):
        read_log(written(tmp_path, content))


def test_a_collapsed_model_has_finite_scores_under_every_protocol(tmp_path: Path) -> None:
    """Losses in the hundreds, as of gradient ascent: nothing is NaN, utility is 0."""
    content = tofu_log()
    for fields in content.values():
        fields["avg_gt_loss"]["0"] = fields["avg_paraphrased_loss"]["0"] = 900.0
        fields["average_perturb_loss"]["0"] = [880.0, 50.0]
    collapsed = written(tmp_path, content)
    gold = read_log(written(tmp_path, tofu_log(), "gold.json"))
    for name in protocols():
        found = score(read_log(collapsed), gold, None, name)
        assert all(math.isfinite(each.value) for each in found.values())


def test_the_command_line_says_what_is_missing(
    clearbench: Callable[..., Any], tmp_path: Path
) -> None:
    path = written(tmp_path, changed(tofu_log(), (FORGET, "avg_gt_loss"), None))
    done = clearbench("score", path, "--protocol", "tofu", "--json", code=2)
    assert "avg_gt_loss" in done.stderr and "eval_log_forget" in done.stderr
    assert not done.stdout and "Traceback" not in done.stderr
    table = clearbench("score", written(tmp_path, tofu_log()), "--protocol", "tofu").stdout
    assert "Model Utility" in table and "0.625" in table
