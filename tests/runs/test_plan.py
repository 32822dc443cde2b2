"""What a plan makes of a recipe: who is taught what, with which seed, and compared with whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from clearbench.data.dataset import Dataset
from clearbench.errors import RecipeError
from clearbench.runs.data_part import data_stage
from clearbench.runs.plan import Family, PlannedRow, forget_requests, null_bands, plan
from clearbench.runs.recipe import GOLD_SEED_STEP, parse_recipe
from clearbench.runs.stage import Stage
from clearbench.runs.stages.data import DataStage, StoredData
from clearbench.runs.stages.measure import MeasureStage
from clearbench.runs.stages.model import ModelStage
from clearbench.runs.stages.score import NullBandStage, ScoreStage
from clearbench.runs.stages.teach import TeachStage
from clearbench.runs.stages.unlearn import UnlearnStage
from clearbench.runs.stages.unlearn_curve import UnlearnWithCurveStage
from clearbench.testing import tiny_dataset

DATA = StoredData("data-tiny", "digest of the rows", ("text",))
#: Settings of a stage that name its content, and another value of each.
TRAIN = {"steps": 3, "batch_size": 2, "parts": ["language"]}


def text_only(dataset: Dataset) -> Dataset:
    return dataset.for_kind("language")


@pytest.fixture
def content(small_recipe: dict[str, Any]) -> dict[str, Any]:
    entry = {"method": "npo", "model": "language", "modality": "text", "train": TRAIN}
    models = {"language": small_recipe["models"]["language"] | {"golds": 3}}
    return small_recipe | {"models": models, "runs": [entry], "data": {"people": 8, "forget": 2}}


def families(content: dict[str, Any], data: StoredData = DATA) -> list[Family]:
    return plan(parse_recipe(content, "test"), text_only(tiny_dataset()), data)


def taught(row: PlannedRow) -> TeachStage:
    assert isinstance(row.model, TeachStage)
    return row.model


def unlearned(row: PlannedRow) -> UnlearnStage:
    assert isinstance(row.model, UnlearnStage)
    return row.model


def test_golds_are_taught_without_the_forgotten_people_with_seeds_of_their_own(
    content: dict[str, Any],
) -> None:
    (family,) = families(content | {"seed": 5})
    assert taught(family.original).without == () and taught(family.original).seed == 5
    assert [taught(gold).without for gold in family.golds] == [(0, 1)] * 3
    steps = [taught(gold).seed for gold in family.golds]
    assert steps == [5, 5 + GOLD_SEED_STEP, 5 + 2 * GOLD_SEED_STEP]
    assert len({gold.model.key for gold in family.golds}) == 3
    (run,) = family.unlearned
    assert (unlearned(run).forget, unlearned(run).gone, run.model.seed) == ((0, 1), (), 5)
    assert unlearned(run).start == family.original.model
    for row in family.rows:
        assert row.share == 2 / 8
        assert row.score.original.plain == family.original.measured.plain
        assert row.score.gold.plain == family.golds[0].measured.plain
        assert row.score.ours.plain.model == row.model
        assert row.measured.plain.forgotten == (0, 1)


@pytest.mark.parametrize(
    ("schedule", "steps"), [({}, [20, 20]), ({"gold_schedule": "epochs"}, [18, 15])]
)
def test_golds_train_for_the_originals_steps_or_for_its_epochs(
    content: dict[str, Any], schedule: dict[str, str], steps: list[int]
) -> None:
    language = content["models"]["language"]
    models = {"language": language | {"teach": language["teach"] | {"steps": 20}} | schedule}
    content["data"] |= {"requests": [1, 1]}
    first, second = families(content | {"models": models})
    assert [taught(family.original).train.steps for family in (first, second)] == [20, 20]
    for family, expected in zip((first, second), steps, strict=True):
        assert {taught(gold).train.steps for gold in family.golds} == {expected}


def test_the_null_band_is_of_all_golds(content: dict[str, Any]) -> None:
    recipe = parse_recipe(content, "test")
    (family,) = families(content)
    (band,) = null_bands([family], recipe.evaluation)
    assert band.golds == family.golds
    assert [gold.plain.model for gold in band.stage.golds] == [g.model for g in family.golds]
    assert len({stage.key for stage in band.stage.parents.values()}) == 4, "and the original"
    one = content["models"]["language"] | {"golds": 1}
    assert not [*null_bands(families(content | {"models": {"language": one}}), recipe.evaluation)]


def test_retraining_is_the_first_gold(content: dict[str, Any]) -> None:
    entry = {"method": "retrain", "model": "language", "modality": "text", "train": TRAIN}
    (family,) = families(content | {"runs": [entry]})
    (run,) = family.unlearned
    assert run.model == family.golds[0].model and run.role == "gold"


def test_later_requests_start_where_the_earlier_ones_ended(content: dict[str, Any]) -> None:
    content["data"] |= {"requests": [1, 1]}
    content["runs"] = [content["runs"][0], content["runs"][0] | {"modality": "text"}]
    first, second = families(content)
    for early, late in zip(first.unlearned, second.unlearned, strict=True):
        assert unlearned(early).start == first.original.model
        assert unlearned(late).start == early.model
        assert (unlearned(late).forget, unlearned(late).gone) == ((1,), (0,))
    assert [taught(family.golds[0]).without for family in (first, second)] == [(0,), (0, 1)]
    assert [family.golds[0].measured.plain.forgotten for family in (first, second)] == [
        (0,), (0, 1),
    ]  # fmt: skip
    assert [family.original.share for family in (first, second)] == [1 / 8, 2 / 8]
    assert first.original.measured.plain.key != second.original.measured.plain.key


def test_every_seed_is_trained_anew(content: dict[str, Any]) -> None:
    first, second = families(content | {"seeds": [3, 4]})
    for family, seed in ((first, 3), (second, 4)):
        assert {row.model.seed % GOLD_SEED_STEP for row in family.rows} == {seed}
    assert not {row.model.key for row in first.rows} & {row.model.key for row in second.rows}


def test_the_validation_fold_is_the_last_of_those_who_are_kept(content: dict[str, Any]) -> None:
    data = tiny_dataset()
    content["data"] |= {"fold": "validation"}
    assert forget_requests(parse_recipe(content, "test"), data) == [(6, 7)]
    asked = tuple(row for row in data.evaluation["retain"] if row.person != 7)
    fewer = replace(data, evaluation=data.evaluation | {"retain": asked})
    assert forget_requests(parse_recipe(content, "test"), fewer) == [(5, 6)]
    content["data"] |= {"requests": [1, 2]}
    with pytest.raises(RecipeError, match=r"1\+2 people for 2"):
        forget_requests(parse_recipe(content, "test"), data)


def test_a_tried_setting_has_a_row_of_its_own(content: dict[str, Any]) -> None:
    grid = {"hyperparameters.beta": [0.1, 0.2, 0.3]}
    (family,) = families(content | {"runs": [content["runs"][0] | {"grid": grid}]})
    assert len({row.id for row in family.rows}) == len(family.rows) == 7
    assert len({row.model.key for row in family.unlearned}) == 3
    assert [row.hyperparameters["beta"] for row in family.unlearned] == [0.1, 0.2, 0.3]


def changed(stage: Stage) -> Iterator[tuple[str, Stage]]:
    """The same stage with another value of each field that decides its content."""
    if isinstance(stage, ModelStage):
        longer = stage.train.model_copy(update={"learning_rate": 0.5})
        yield "train", replace(stage, train=longer)
        yield "seed", replace(stage, seed=stage.seed + 1)
        yield "rows", replace(stage, data=replace(stage.data, fingerprint="of other rows"))
    if isinstance(stage, TeachStage):
        yield "without", replace(stage, without=(0, 5))
        yield "head", replace(stage, base=replace(stage.base, head="linear"))
    if isinstance(stage, UnlearnStage):
        start = replace(stage.start, seed=99)
        yield from (
            ("method", replace(stage, method="simnpo")),
            ("hyper-parameters", replace(stage, hyperparameters={"beta": 0.7})),
            ("modality", replace(stage, modality="both")),
            ("forget", replace(stage, forget=(0, 5))),
            ("gone", replace(stage, gone=(5,))),
            ("start", replace(stage, start=start)),
        )
    if isinstance(stage, MeasureStage):
        other = stage.evaluation.model_copy(update={"max_new_tokens": 7})
        yield "request", replace(stage, forgotten=(0, 5))
        yield "evaluation", replace(stage, evaluation=other)
        yield "control", replace(stage, control="blank")
        yield "model", replace(stage, model=replace(stage.model, seed=98))
    if isinstance(stage, DataStage):
        yield from (
            ("people", replace(stage, people=9)),
            ("strangers", replace(stage, strangers=3)),
            ("forget", replace(stage, forget=1)),
            ("half", replace(stage, half="first")),
            ("seed", replace(stage, seed=7)),
        )


def test_everything_that_decides_a_stage_is_in_its_name(content: dict[str, Any]) -> None:
    """Else a search measures one model many times, or results of other people are reused."""
    (family,) = families(content)
    (run,) = family.unlearned
    measure = run.measured.plain
    recipe = parse_recipe(content, "test")
    people = data_stage(recipe.data, recipe.seed)
    for stage in (family.golds[0].model, run.model, measure, people):
        keys = {"": stage.key} | {name: other.key for name, other in changed(stage)}
        assert len(keys) > 4 and len(set(keys.values())) == len(keys), keys


def test_scores_are_named_after_every_measurement_and_setting(content: dict[str, Any]) -> None:
    (family,) = families(content)
    (run,) = family.unlearned
    others = [gold.measured for gold in family.golds]
    score = run.score
    known = score.evaluation.model_copy(update={"eligible": "known"})
    protocol = score.evaluation.model_copy(update={"protocol": "openunlearning"})
    stages = [
        score,
        replace(score, ours=others[1]),
        replace(score, gold=others[1]),
        replace(score, original=others[1]),
        replace(score, evaluation=known),
        replace(score, evaluation=protocol),
    ]
    assert all(isinstance(stage, ScoreStage) for stage in stages)
    assert len({stage.key for stage in stages}) == len(stages)
    assert len({repr(stage.settings) for stage in (score, *stages[4:])}) == 3
    (band,) = null_bands([family], score.evaluation)
    fewer = replace(band.stage, golds=band.stage.golds[:2])
    later = replace(band.stage, golds=band.stage.golds[1:])
    assert isinstance(band.stage, NullBandStage)
    assert len({stage.key for stage in (band.stage, fewer, later)}) == 3


def test_a_curve_is_part_of_the_name(content: dict[str, Any]) -> None:
    keys = set()
    for steps in ([1], [2]):
        curve = {"steps": steps, "limit": 2}
        evaluation = content["evaluation"] | {"curve": curve}
        (family,) = families(content | {"evaluation": evaluation})
        (run,) = family.unlearned
        assert isinstance(run.model, UnlearnWithCurveStage)
        keys.add(run.model.key)
    (family,) = families(content)
    assert family.unlearned[0].model.key not in keys and len(keys) == 2
