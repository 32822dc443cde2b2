"""Records as named tables: filters, joins and copies work on every table, declared anywhere."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from clearbench.errors import DataError
from clearbench.evaluation.controls import under_control
from clearbench.evaluation.engine import evaluate
from clearbench.evaluation.groups import ANSWERS, GENERATIONS
from clearbench.evaluation.metrics.divergence import NEUTRAL
from clearbench.evaluation.metrics.false_recognition import KNOWN
from clearbench.evaluation.metrics.template_accuracy import MATCHES
from clearbench.evaluation.records import Records
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.evaluation.statistics import eligible
from clearbench.evaluation.tables import ROW_COLUMNS, Table
from clearbench.testing import tiny_dataset
from clearbench.testing.records import records
from clearbench.testing.world import taught

#: A table that no file of the package knows, as an attack or a modality would declare it.
PULSE = Table("pulse", (*ROW_COLUMNS, "beats"))
IMAGE = {"track": "image", "task": "name"}


def measured() -> Records:
    """Two names of faces, the first known, with every kind of table."""
    rows = [
        {"p": {"answer": [true], "known_0": [0.4]}, "said": ("Ann", "Bo"), **IMAGE}
        for true in (0.5, 0.3)
    ]
    about = [("forget", "image", "name", k, f"r{k}") for k in range(2)]
    return (
        records(rows)
        .with_table(MATCHES, MATCHES.frame((*key, 0.5, 0.4) for key in about))
        .with_table(PULSE, PULSE.frame((*key, 60) for key in about))
        .with_table(KNOWN, KNOWN.frame([("side", "image", "stranger", 1, "r1", "", "Ann")]))
        .with_table(NEUTRAL, NEUTRAL.frame([("side", "text", "neutral", -1, "r1", 0, [1.0])]))
    )


def test_every_table_of_measured_rows_is_filtered() -> None:
    """Row 1 was not known: no table of measured rows keeps it, look-up tables stay whole."""
    kept = eligible(measured(), measured())
    for table in (ANSWERS, GENERATIONS, MATCHES, PULSE):
        assert set(kept.table(table)["row"]) == {"r0"}, table.name
    assert len(kept.table(KNOWN)) == len(kept.table(NEUTRAL)) == 1


def test_rows_excluded_by_the_gate_are_in_no_table_of_a_classifier() -> None:
    ours = evaluate(taught("classifier"), tiny_dataset().naming(), EvaluationSettings(limit=None))
    nothing_known = ours.changed(lambda frame: frame)
    rows = {str(row) for row in ours.answers["row"]}
    kept = nothing_known.without(rows)
    assert len(ours.table(MATCHES)) == 8
    assert kept.answers.empty and kept.table(MATCHES).empty


def test_where_and_without_are_complements() -> None:
    whole = measured()
    assert whole.where({"r0"}).answers["row"].unique().tolist() == ["r0"]
    assert whole.without({"r0"}).answers["row"].unique().tolist() == ["r1"]
    assert set(whole.where(()).groups()) == {
        ("side", "image", "stranger"),
        ("side", "text", "neutral"),
    }
    assert len(whole.answers) == 4, "the records themselves never change"


def test_controls_exchange_the_rows_of_every_table() -> None:
    other = measured().changed(lambda frame: frame.assign(beats=90) if "beats" in frame else frame)
    found = under_control(measured(), other.in_groups(lambda key: key.split != "side"))
    assert found.table(PULSE)["beats"].tolist() == [90, 90]
    assert found.table(KNOWN).empty and found.table(NEUTRAL).empty


def test_tables_of_any_file_survive_the_disk(tmp_path: Path) -> None:
    """The row key too: what was read again is filtered as before."""
    measured().save(tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {
        "answers", "generations", "matches", "pulse", "known", "neutral",
    }  # fmt: skip
    again = Records.load(tmp_path)
    pd.testing.assert_frame_equal(again["pulse"], measured()["pulse"])
    kept = again.without({"r1"})
    assert kept["pulse"]["row"].tolist() == ["r0"] and len(kept["known"]) == 1


def test_folders_of_earlier_versions_are_read(tmp_path: Path) -> None:
    """They hold no row keys: names and neutral prompts were looked up, the rest was measured."""
    for name in ("answers", "generations", "matches", "known", "neutral"):
        measured()[name].to_parquet(tmp_path / f"{name}.parquet", index=False)
    kept = Records.load(tmp_path).without({"r1"})
    assert kept["matches"]["row"].tolist() == ["r0"]
    assert len(kept["known"]) == len(kept["neutral"]) == 1


def test_what_was_not_measured_is_empty() -> None:
    plain = records([{"p": {"answer": [0.5]}}])
    assert list(plain) == ["answers", "generations"] and "pulse" not in plain
    assert list(plain.table(PULSE).columns) == list(PULSE.columns)
    (group,) = plain.groups().values()
    assert group.table(PULSE).empty and group.people == {"r0": 0}


def test_two_tables_of_one_name_must_agree() -> None:
    with pytest.raises(DataError, match="two tables are called 'pulse'"):
        Records({PULSE: PULSE.frame(), Table("pulse", PULSE.columns, None): PULSE.frame()})
