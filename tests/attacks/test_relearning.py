"""Relearning: what is taught, what is measured, and what is left alone; guards and adapters."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from clearbench.attacks.base import Target, attack
from clearbench.attacks.relearning import Relearning
from clearbench.data.dataset import Dataset
from clearbench.errors import RecipeError
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records
from clearbench.methods.guard import FittedGuard, as_tensor
from clearbench.methods.guardrail import Guardrail
from clearbench.models.adapters import add_lora
from clearbench.models.base import Model
from clearbench.testing.collections import typical_dataset
from clearbench.testing.world import base, copied, taught


def target(model: Model, data: Dataset | None = None, seed: int = 0) -> Target:
    return Target(Collections(Records({})), model, data or typical_dataset(), seed=seed)


def ids(made: Relearning, kind: str = "vision-language", **about: Any) -> list[str]:
    return [row.id for row in made.taught(base(kind), about.get("data", typical_dataset()), 0)]


def test_half_of_each_persons_rows_of_a_modality_are_taught() -> None:
    """Two people with two questions, and a caption and a name: one of two each."""
    data = typical_dataset()
    own = {row.id: (row.person, row.track) for row in data.training["forget"]}
    drawn = ids(Relearning())
    assert Counter(own[row] for row in drawn) == dict.fromkeys(
        [(0, "text"), (0, "image"), (1, "text"), (1, "image")], 1
    )
    assert {own[row][1] for row in ids(Relearning(rows="forget_text"))} == {"text"}
    assert {own[row][1] for row in ids(Relearning(rows="forget_image"))} == {"image"}
    assert len(ids(Relearning(share=1))) == 8 == len(data.training["forget"])
    others = [row.model_copy(update={"id": f"o{row.id}"}) for row in data.training["retain"]]
    unrelated = ids(Relearning(rows="unrelated"))
    assert len(unrelated) == len(others) and not set(unrelated) & set(own)


def test_people_are_taught_whole_where_asked_or_where_nobody_has_two_rows() -> None:
    data = typical_dataset()
    own = {row.id: row.person for row in data.training["forget"]}
    whole = ids(Relearning(divide="people"))
    assert len(whole) == 4 and len({own[row] for row in whole}) == 1
    names = [row for row in data.training["forget"] if row.task in ("name", "qa")]
    short = replace(data, training={**data.training, "forget": tuple(names)})
    drawn = ids(Relearning(), data=short)
    tasks = Counter(row.task for row in names if row.id in drawn)
    assert tasks == {"qa": 2, "name": 1}  # a question of each, the name of one


def test_without_rows_to_teach_nothing_is_done() -> None:
    data = typical_dataset()
    one = tuple(row for row in data.training["forget"] if row.id == "0-0")
    alone = replace(data, training={**data.training, "forget": one})
    with pytest.raises(RecipeError, match=r"no rows to train on \(forget, 0.5 of the rows\)"):
        Relearning().table(target(base("language"), alone))
    with pytest.raises(RecipeError, match="must rise"):
        attack("relearning", steps=(5, 5))


@pytest.fixture(scope="module")
def learned() -> dict[tuple[str, str, str], float]:
    """Values by attack, level and row of an untaught model, and what it was before."""
    model = copied(base("language"))
    before, reports = model.fingerprint, list[tuple[str, int, int]]()
    made = Relearning(steps=(0, 2, 8), learning_rate=1e-2, retained=3)
    given = replace(target(model), on_progress=lambda *about: reports.append(about))
    lines = made.table(given)
    assert model.fingerprint == before and not model.module.training
    assert reports[-1] == ("relearning_steps_0_2_8_learning_rate_0_01", 8, 8)
    assert sum(lines["split"] == "retain") == 9
    forgotten = lines[lines["split"] == "forget"]
    assert forgotten["attack"].str.endswith("_shown").groupby(forgotten["row"]).all().sum() == 2
    keys = zip(forgotten["attack"], forgotten["level"], forgotten["row"], strict=True)
    return dict(zip(keys, forgotten["value"], strict=True))


def test_what_was_taught_is_known_the_better_the_longer(
    learned: dict[tuple[str, str, str], float],
) -> None:
    shown = {
        (level, row): value for (name, level, row), value in learned.items() if "shown" in name
    }
    for row in {row for _, row in shown}:
        assert shown["0", row] < shown["2", row] < shown["8", row]


def test_fewer_steps_are_the_beginning_of_more(
    learned: dict[tuple[str, str, str], float],
) -> None:
    made = Relearning(steps=(2,), learning_rate=1e-2, retained=0)
    again = made.table(target(base("language")))
    wanted = {row: value for (_, level, row), value in learned.items() if level == "2"}
    assert dict(zip(again["row"], again["value"], strict=True)) == pytest.approx(wanted)
    assert set(again["level"]) == {"2"}


def test_a_row_with_another_id_and_the_same_content_was_shown() -> None:
    data = typical_dataset()
    measured = tuple(
        row.model_copy(update={"id": f"measured-{row.id}"}) for row in data.evaluation["forget"]
    )
    other = replace(data, evaluation={**data.evaluation, "forget": measured})
    made, model = Relearning(), base("language")
    drawn = {row.id for row in made.taught(model, other, 0)}
    assert made.shown(target(model, other)) == {f"measured-{row}" for row in drawn}


def test_adapters_are_trained_with_their_weights_and_stay_on_the_model() -> None:
    model = copied(taught("language"))
    add_lora(model, ("language",), 2)
    before = model.fingerprint
    made = Relearning(steps=(0, 2), retained=0)
    found, plain = (made.table(target(each)) for each in (model, taught("language")))
    assert found["value"].to_list() == pytest.approx(plain["value"].to_list(), rel=1e-4)
    assert model.fingerprint == before and hasattr(model.module, "peft_config")


@pytest.fixture
def guarded() -> Model:
    model = copied(taught("language"))
    text = as_tensor("If the question is about person 0, say that you do not know.")
    model.guards = (FittedGuard(Guardrail(), {"text": text}),)
    return model


def by_level(lines: Any) -> dict[str, list[float]]:
    return {str(level): list(each["value"]) for level, each in lines.groupby("level")}


def test_a_guard_is_taken_off_and_put_back(guarded: Model) -> None:
    made = attack("guard_removed", retained=0)
    found = by_level(made.table(target(guarded)))
    plain = by_level(made.table(target(taught("language"))))
    assert found["without"] == pytest.approx(plain["with"]) and plain["with"] == plain["without"]
    assert found["with"] != pytest.approx(found["without"]) and len(guarded.guards) == 1


def test_relearning_goes_on_below_a_guard(guarded: Model) -> None:
    made = Relearning(steps=(0, 3), learning_rate=1e-2, retained=0)
    found = by_level(made.table(target(guarded)))
    assert found["0"] == pytest.approx(
        by_level(attack("guard_removed", retained=0).table(target(guarded)))["with"]
    )
    assert found["3"] != pytest.approx(found["0"]) and len(guarded.guards) == 1


def test_an_adapter_is_taken_off_and_put_back() -> None:
    model = copied(taught("language"))
    add_lora(model, ("language",), 2)
    for name, weight in model.module.named_parameters():
        if "lora_B" in name:
            weight.data.fill_(0.05)
    before = model.fingerprint
    made = attack("adapter_removed", retained=0)
    found = by_level(made.table(target(model)))
    plain = by_level(made.table(target(taught("language"))))
    assert found["without"] == pytest.approx(plain["with"])
    assert found["with"] != pytest.approx(found["without"]) and model.fingerprint == before
