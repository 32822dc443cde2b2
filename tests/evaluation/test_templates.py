"""Enrolment templates and accuracy by cosine, against sums by hand and on tiny classifiers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from clearbench.attacks.scoring import score
from clearbench.batches.items import item
from clearbench.evaluation.engine import evaluate
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metrics.template_accuracy import MATCHES, TemplateAccuracy
from clearbench.evaluation.records import Records
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.evaluation.tables import GroupKey
from clearbench.evaluation.templates import enrolled, match
from clearbench.models.heads import with_head
from clearbench.testing import tiny_dataset
from clearbench.testing.world import taught

DATA = tiny_dataset().naming()
SETTINGS = EvaluationSettings(limit=None, max_new_tokens=1)


def test_the_first_five_are_enrolled_and_at_most_half() -> None:
    people = np.array([7] * 12 + [3] * 4 + [9] + [7] + [3])
    chosen = enrolled(people)
    assert np.flatnonzero(chosen).tolist() == [0, 1, 2, 3, 4, 12, 13]


def test_enrolment_is_by_person_wherever_the_rows_are() -> None:
    people = np.array([1, 2, 1, 2, 1, 2, 1, 2])
    assert np.flatnonzero(enrolled(people)).tolist() == [0, 1, 2, 3]


def test_matches_by_hand() -> None:
    """The template of 5 is the mean of (4, 0) and (0, 2), not of their directions."""
    vectors = np.array([[4.0, 0], [0, 2], [3, 3], [1, 0], [0, 1], [0, 5.0], [1, 1]])
    people = np.array([5, 5, 5, 5, 8, 8, 6])
    scored, own, other = match(vectors, people)
    assert scored.tolist() == [2, 3, 5], "one picture of 6 makes no template"
    template, second = np.array([2, 1]) / np.sqrt(5), np.array([0, 1])
    asked = np.array([[3, 3] / np.sqrt(18), [1, 0], [0, 1]])
    np.testing.assert_allclose(own, (asked * [template, template, second]).sum(1))
    np.testing.assert_allclose(other, (asked * [second, second, template]).sum(1))


def test_lengths_of_asked_images_mean_nothing() -> None:
    rng = np.random.default_rng(0)
    vectors, people = rng.normal(size=(24, 6)), np.repeat([1, 2, 3], 8)
    chosen = enrolled(people)
    scaled = np.where(chosen[:, None], 1.0, rng.uniform(0.1, 9, (24, 1))) * vectors
    for ours, theirs in zip(match(vectors, people), match(scaled, people), strict=True):
        np.testing.assert_allclose(ours, theirs)


def test_nobody_else_and_nobody_at_all() -> None:
    _, own, other = match(np.ones((4, 3)), np.array([1, 1, 1, 1]))
    assert own.tolist() == pytest.approx([1, 1]) and other.tolist() == [-1, -1]
    scored, own, other = match(np.ones((2, 3)), np.array([1, 2]))
    assert len(scored) == len(own) == len(other) == 0


def test_the_accuracy_counts_the_nearest_template() -> None:
    lines = {"row": ["a", "b", "c"], "own": [0.9, 0.4, 0.5], "other": [0.2, 0.41, 0.5]}
    key = GroupKey("forget", "image", "name")
    group = RecordGroup(key, {MATCHES: pd.DataFrame(lines)})
    assert TemplateAccuracy().per_row(group).to_dict() == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert TemplateAccuracy().per_row(RecordGroup(key, {})).empty


def test_a_classifier_is_measured_on_embed() -> None:
    model = taught("classifier")
    records = evaluate(model, DATA, SETTINGS)
    rows = [row for split in ("forget", "retain") for row in DATA.evaluation[split]]
    (batch,) = model.batch([item(row) for row in rows])
    with torch.no_grad():
        vectors = dict(zip((row.id for row in rows), model.embed(batch).numpy(), strict=True))
    lines = records.table(MATCHES).set_index("row")
    assert set(lines.index) == {row.id for row in rows if row.held_out}
    for name, line in lines.iterrows():
        asked, first = vectors[str(name)], vectors[str(name).removesuffix("-again")]
        cosine = asked @ first / np.linalg.norm(asked) / np.linalg.norm(first)
        assert line["own"] == pytest.approx(cosine, abs=1e-5)
    scores = score(records)
    assert scores["retain.image.template_accuracy"].n == 6
    assert scores["forget.image.template_accuracy"].direction == "gold"


def test_strangers_are_recognised_without_a_label() -> None:
    """Who is forgotten in one half is the holdout of the other, and has no label there."""
    model = taught("classifier")
    known = with_head(model, ["person 0", "person 1"], "additive_margin")
    strangers = with_head(model, ["person 2", "person 3"], "additive_margin")
    ours, theirs = (evaluate(each, DATA, SETTINGS).table(MATCHES) for each in (known, strangers))
    pd.testing.assert_frame_equal(ours, theirs)
    cells = evaluate(strangers, DATA, SETTINGS).groups()
    assert cells["forget", "image", "name"].answers.empty
    assert set(cells["forget", "image", "name"].people.values()) == {0, 1}
    keys = score(evaluate(strangers, DATA, SETTINGS)).keys()
    assert "forget.image.template_accuracy" in keys and "forget.image.name_choice" not in keys


def test_records_keep_their_matches(tmp_path: Path) -> None:
    records = evaluate(taught("classifier"), DATA, SETTINGS)
    records.save(tmp_path)
    pd.testing.assert_frame_equal(Records.load(tmp_path).table(MATCHES), records.table(MATCHES))
    (tmp_path / "matches.parquet").unlink()
    assert Records.load(tmp_path).table(MATCHES).empty, "as in folders of earlier versions"


def test_other_kinds_have_no_templates() -> None:
    records = evaluate(taught("language"), tiny_dataset(), SETTINGS)
    assert records.table(MATCHES).empty
    assert not [key for key in score(records) if "template" in key]
