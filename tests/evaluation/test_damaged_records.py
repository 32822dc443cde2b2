"""Records and logs that are damaged, edited or say how they were made."""

from __future__ import annotations

import copy
import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import clearbench as cb
from clearbench.attacks.scoring import protocol_attacks
from clearbench.attacks.surprise import ZlibAttack
from clearbench.errors import DataError, StorageError
from clearbench.evaluation.comparable import check_no_copy
from clearbench.evaluation.doubts import doubts
from clearbench.evaluation.groups import ASKED
from clearbench.evaluation.logs.read import read_log
from clearbench.evaluation.logs.tofu import SUMS
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.metrics.surprise import SPELLED
from clearbench.evaluation.protocols import OPENUNLEARNING, protocol
from clearbench.evaluation.records import Records
from clearbench.storage import new_folder
from clearbench.testing import tiny_dataset
from clearbench.testing.records import records, value
from clearbench.testing.world import base

ROWS = 6


def task(prefix: str, loss: float, wrong: int, recall: float = 0.5) -> dict[str, Any]:
    """Rows with losses around one, each with a question and a truth of its own."""
    rows = [str(row) for row in range(ROWS)]
    return {
        "avg_gt_loss": {row: loss + int(row) / 100 for row in rows},
        "avg_paraphrased_loss": {row: loss + int(row) / 50 for row in rows},
        "average_perturb_loss": {
            row: [2 + int(row) / 10 + k for k in range(wrong)] for row in rows
        },
        "rougeL_recall": dict.fromkeys(rows, recall),
        "generated_text": {row: [f"{prefix} {row}?", "said", f"{prefix} is {row}"] for row in rows},
    }


def log(name: str = "ten", forget: float = 2.0, retain: float = 0.1) -> dict[str, Any]:
    return {
        "eval_log_forget.json": task(name, forget, 5),
        "eval_log.json": task("kept", retain, 5),
        "eval_real_author_wo_options.json": task("author", 0.3, 3),
        "eval_real_world_wo_options.json": task("world", 0.4, 3),
    }


def written(path: Path, content: Any, encode: Callable[[str], bytes] = str.encode) -> Path:
    path.write_bytes(encode(json.dumps(content)))
    return path


def said(content: Records, name: str, gold: Records | None = None) -> str:
    return "\n".join(doubts(cb.score(content, gold, protocol=name), protocol(name), content, gold))


def open_log(*names: str) -> dict[str, Any]:
    fields = {
        "Prob": {"prob": 0.5, "avg_loss": math.log(2)},
        "PARA_Prob": {"prob": 0.5, "avg_loss": math.log(2)},
        "PERT_Prob": {"prob": [0.25], "avg_loss": [math.log(4)]},
        "ROUGE": {"rougeL_recall": 0.5, "rougeL_f1": 0.5, "rouge1_recall": 0.5},
    }
    return {f"forget_Q_A_{n}": {"value_by_index": {"0": fields[n], "1": fields[n]}} for n in names}


GOOD = [{"p": {"answer": [0.5, 0.5]}, "said": ("truth", "text", "question")}] * 2


def damaged(column: str, change: Any, table: str = "answers") -> Records:
    made = records([row | {"row": f"r{k}"} for k, row in enumerate(copy.deepcopy(GOOD))])
    declared = next(each for each in made.declarations() if each.name == table)
    frame = made[table].copy()
    frame[column] = frame[column].astype(object)
    frame.at[1, column] = change
    return made.with_table(declared, frame)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (damaged("log_probs", [math.nan, -1]), "row 'r1': log_probs is nan, not finite"),
        (damaged("log_probs", [-math.inf]), "row 'r1': log_probs is -inf, not finite"),
        (damaged("log_probs", [0.5, -1]), "row 'r1': log_probs is 0.5: the logarithm of a prob"),
        (damaged("log_probs", []), "row 'r1': log_probs is empty: an answer without tokens"),
        (damaged("log_probs", None), "row 'r1': log_probs is None, not a list"),
        (damaged("log_probs", [None]), "row 'r1': log_probs is nan"),
        (damaged("log_probs", ["x"]), r"row 'r1': log_probs is \['x'\], not a number"),
        (damaged("row", "r0"), "answers: row 'r0' is there twice"),
        (damaged("person", None), "row 'r1': person is None"),
        (damaged("row", "r0", "generations"), "generations: row 'r0' is there twice"),
        (damaged("text", None, "generations"), "line 1, text is None, not a text"),
        (damaged("truth", 3, "generations"), "line 1, truth is 3, not a text"),
    ],
)  # fmt: skip
def test_records_that_cannot_be_are_refused_by_row(
    tmp_path: Path, broken: Records, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        cb.score(broken)
    with pytest.raises(DataError, match=message):
        cb.score(records(GOOD[:1]), broken)


def test_a_column_that_is_missing_is_named() -> None:
    made = records(GOOD[:1])
    for table, column in (
        ("answers", "variant"),
        ("answers", "log_probs"),
        ("generations", "text"),
    ):
        declared = next(each for each in made.declarations() if each.name == table)
        with pytest.raises(DataError, match=f"{table}: there is no column {column}"):
            cb.score(made.with_table(declared, made[table].drop(columns=column)))


def test_records_that_were_edited_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    with new_folder(folder, {}) as inside:
        records(GOOD[:1]).save(inside)
    read_log(folder)
    path = folder / "answers.parquet"
    frame = pq.ParquetFile(path).read().to_pandas()
    frame.at[0, "log_probs"] = [-9.0, -9.0]
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    with pytest.raises(StorageError, match=r"answers\.parquet: changed or missing"):
        read_log(folder)
    loose = tmp_path / "loose"
    loose.mkdir()
    records(GOOD[:1]).save(loose)
    (loose / "answers.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(StorageError, match="not a readable Parquet file"):
        read_log(loose)
    pq.write_table(pa.table({"row": ["a"]}), loose / "answers.parquet")
    with pytest.raises(StorageError, match="no column split, track, task"):
        read_log(loose)


def test_own_rows_without_wrong_answers_are_scored_as_far_as_they_go() -> None:
    """Only rows of the splits that have wrong answers give truth ratios; the others are named."""
    rows = [{"p": {"answer": [0.5]}, "said": ("in Oslo", "in Oslo", "q")}]
    more = [{"p": {"answer": [0.5], "perturbed_0": [0.25]}, "split": "retain", "row": "k",
             "said": ("in Rome", "Rome", "q")}]  # fmt: skip
    ours, mixed = records(rows), records(rows + more)
    assert cb.score(ours)["forget.text.probability"].value == 0.5
    assert not [key for key in cb.score(ours) if "truth_ratio" in key or "calibration" in key]
    found = cb.score(mixed, mixed)
    assert found["retain.text.truth_ratio"].value == pytest.approx(0.5)
    assert found["side.text.calibration_error"].n == 1 and "forget.text.truth_ratio" not in found
    told = said(mixed, "clear")
    assert (
        "no row of forget.text (qa) has wrong answers" in told and "forget.text.truth_rat" in told
    )
    assert "no row of retain" not in told


def test_records_say_how_they_were_asked() -> None:
    """Answers that end after 2 tokens, asked under a protocol of 200, of images that are blank."""
    made = cb.evaluate(base("language"), tiny_dataset(), "tofu", limit=1, max_new_tokens=2)
    asked = made.table(ASKED)
    assert set(asked["max_new_tokens"]) == {2} and set(asked["images"]) == {""}
    told = said(made, "tofu")
    assert "answers end after 2 tokens; 'tofu' generates 200" in told
    assert "true answers are longer than the 2 tokens" in told
    assert "1 rows of each split were drawn; 'tofu' asks all of them" in told
    assert "answers end after" not in said(made, "clear")
    line = ("forget", "image", "caption", 200, 2.0, "blank", None)
    told = said(records(GOOD[:1]).with_table(ASKED, ASKED.frame([line])), "clear-vqa")
    assert "answers end after 200 tokens; 'clear-vqa' generates 50" in told
    assert "multiple of the true ones' length" in told and "not the rows' own: blank" in told
    spelled = made.table(SPELLED)
    assert len(spelled) == (made.answers["variant"] == "answer").sum()
    assert set(spelled["text"].str.strip()) <= {
        row.answer for rows in tiny_dataset().evaluation.values() for row in rows
    }


def test_zlib_compresses_the_scored_text_where_it_is_published() -> None:
    """Two nats over the bytes of ` in Oslo`, whose space is scored with it."""
    p = {"answer": [math.exp(-2)]}
    plain = value("zlib", p=p, said=("in Oslo", "x"))
    assert plain == pytest.approx(2 / len(zlib.compress(b"in Oslo")))
    made = records([{"p": p, "said": ("in Oslo", "x")}])
    line = ("forget", "text", "qa", 0, "r0", " in Oslo")
    (group,) = made.with_table(SPELLED, SPELLED.frame([line])).groups().values()
    attacks = [made for made in protocol_attacks(OPENUNLEARNING) if isinstance(made, ZlibAttack)]
    found = attacks[0].row_values(Collections(made), group)
    pd.testing.assert_series_equal(
        found, pd.Series([2 / len(zlib.compress(b" in Oslo"))], index=["r0"]), check_names=False
    )
    assert [made.score_key for made in attacks] == ["mia_zlib"]


def edited(path: Path, task: str, name: str, row: str, value: Any) -> dict[str, Any]:
    """A log whose losses stand beside their sums, with one value changed."""
    content = log()
    for fields in content.values():
        for mean, (total, tokens) in SUMS.items():
            fields[total] = {row: 4 * loss for row, loss in fields[mean].items()}
            fields[tokens] = dict.fromkeys(fields[mean], 4)
    read_log(written(path, content))
    content[task][name][row] = value
    return content


@pytest.mark.parametrize(
    ("name", "row", "value", "what"),
    [
        ("avg_gt_loss", "3", 5.0, r"'avg_gt_loss' of row 3 is 5, where gt_loss / num_token_gt"),
        ("avg_paraphrased_loss", "0", 0.5, r"of row 0 is 0\.5, where paraphrased_loss"),
        ("avg_gt_loss", "-1", 2.0, "has a row -1"),
    ],
)
def test_an_edited_value_is_refused_by_row(
    name: str, row: str, value: float, what: str, tmp_path: Path
) -> None:
    content = edited(tmp_path / "a.json", "eval_log_forget.json", name, row, value)
    with pytest.raises(DataError, match=what):
        read_log(written(tmp_path / "a.json", content))


def test_everything_wrong_with_a_log_is_said_at_once(tmp_path: Path) -> None:
    content = log()
    content["eval_log_forget.json"]["avg_gt_loss"] |= {"1": -3.0, "2": "NaN"}
    content["eval_log.json"]["rougeL_recall"]["4"] = 98.0
    with pytest.raises(DataError) as caught:
        read_log(written(tmp_path / "a.json", content))
    for what in ("of row 1 is -3", "of row 2 is 'NaN'", "'rougeL_recall' of row 4 is 98"):
        assert what in str(caught.value)
    whole = open_log("Prob", "ROUGE") | {"mia_loss": 0.9}
    whole["forget_Q_A_Prob"]["value_by_index"]["1"] = {"prob": 0.9, "avg_loss": math.log(2)}
    with pytest.raises(DataError, match=r"(?s)is 0\.9, where exp\(-avg_loss\).*mia_loss"):
        read_log(written(tmp_path / "b.json", whole))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"mia_loss": 0.9}, "it holds no fields"),
        ({"mia_loss": {"forget": {"value_by_index": {"0": {"score": 1.0}}}}}, "'forget' alone"),
        (
            {"forget_Q_A_ROUGE": {"value_by_index": {"7": {"rougeL_recall": 0.5}}}},
            "'forget_Q_A_Prob' and 'forget_Q_A_ROUGE' do not have the same rows",
        ),
    ],
)
def test_parts_of_an_openunlearning_log_that_do_not_fit(
    change: dict[str, Any], what: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=what):
        read_log(written(tmp_path / "a.json", open_log("Prob", "ROUGE") | change))
    read_log(written(tmp_path / "b.json", open_log("Prob") | {"mia_loss": {"agg_value": 0.9}}))


def test_a_copy_with_one_value_changed_or_rounded_is_a_copy(tmp_path: Path) -> None:
    first = read_log(written(tmp_path / "a.json", log()))
    content = log()
    content["eval_log_forget.json"]["avg_gt_loss"]["3"] += 0.5
    for row, loss in content["eval_log_forget.json"]["avg_paraphrased_loss"].items():
        content["eval_log_forget.json"]["avg_paraphrased_loss"][row] = loss + 1e-8
    other = read_log(written(tmp_path / "b.json", content))
    with pytest.raises(DataError, match="reference and log are the same: 47 of 48 values"):
        check_no_copy(first, other, "b", "reference")


def test_two_whole_logs_in_a_folder_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "eval_log_aggregated.json", log())
    written(tmp_path / "TOFU_EVAL.json", open_log("Prob"))
    with pytest.raises(DataError, match=r"several logs: eval_log_aggregated\.json, TOFU_EVAL"):
        read_log(tmp_path)
