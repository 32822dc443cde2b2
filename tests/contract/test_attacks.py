"""Every attack keeps the contract, and the contract can be broken."""

from __future__ import annotations

import re
from types import new_class
from typing import Any

import pandas as pd
import pytest

from clearbench import attack, evaluate
from clearbench.attacks.base import ATTACKED, ATTACKS, Attack, attacks
from clearbench.attacks.membership import MembershipAttack
from clearbench.attacks.recovery import SurvivalAttack
from clearbench.catalogue import catalogue
from clearbench.errors import RecipeError
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records
from clearbench.testing import check_attack
from clearbench.testing.collections import typical_dataset
from clearbench.testing.world import base, taught


@pytest.mark.parametrize("name", list(attacks()))
def test_contract(name: str) -> None:
    passed = check_attack(attacks()[name])
    survives = issubclass(attacks()[name], SurvivalAttack)
    assert len(passed) == len(set(passed)) == (9 if survives else 8)


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(ATTACKS)
    monkeypatch.setattr(ATTACKS, "classes", dict(ATTACKS.classes))


def made(change: Any, **about: Any) -> type[Attack]:
    """Membership by a function of the loss."""

    def row_values(
        self: MembershipAttack, collections: Collections, group: RecordGroup
    ) -> pd.Series:
        return change(-group.mean_log_prob("answer"), group)

    content = {"row_values": row_values, "__doc__": "Broken.", "__module__": __name__}
    keywords = {"name": "broken", "shows": "Nothing.", "needs": ("records",)} | about
    return new_class("Broken", (MembershipAttack,), keywords, lambda space: space.update(content))


def spoil(values: pd.Series, group: RecordGroup) -> pd.Series:
    group.answers.loc[:, "person"] = 7
    return values


@pytest.mark.parametrize(
    ("change", "about", "check"),
    [
        (lambda v, _: v * float("nan"), {}, "gives a table"),
        (lambda v, _: v.iloc[:0], {}, "gives a table"),
        (lambda v, _: v.set_axis([f"x{k}" for k in v.index]), {}, "gives a table"),
        (lambda v, _: v * [k / 9 for k in range(len(v))], {}, "row order changes nothing"),
        (lambda v, _: v, {"shows": ""}, "says what it is"),
        (spoil, {}, "leaves records and models alone"),
    ],
)
def test_a_broken_attack_is_caught(change: Any, about: dict[str, Any], check: str) -> None:
    with pytest.raises(AssertionError, match=check):
        check_attack(made(change, **about))


def test_needs_are_checked_and_names_unique() -> None:
    with pytest.raises(RecipeError, match="needs magic"):
        made(lambda values, _: values, needs=("magic",))
    with pytest.raises(RecipeError, match="two attacks are called 'mia_loss'"):
        made(lambda values, _: values, name="mia_loss")


def test_attacks_are_listed_from_the_classes() -> None:
    rows = {row["name"]: row for row in catalogue("attacks")}
    assert set(rows) == set(attacks())
    assert rows["mia_min_k"]["parameters"] == {"share": 0.4}
    assert rows["mia_gradient_norm"]["needs"] == ["gradients"]
    assert all(row["shows"] and row["reads"] and row["title"] for row in rows.values())


def test_an_attack_in_python() -> None:
    """The table has a line for every attacked row, and the AUC is that of its values."""
    model, data = taught("language"), typical_dataset()
    found = attack(model, data, "mia_gradient_norm", base("language"), limit=4)
    assert list(found.table.columns) == list(ATTACKED.columns)
    assert set(found.table["split"]) == {"forget", "holdout"}
    ours, theirs = (
        found.table.loc[found.table["split"] == split, "value"] for split in ("forget", "holdout")
    )
    pairs = [(a < b) + (a == b) / 2 for a in ours for b in theirs]
    score = found.scores["forget.text.mia_gradient_norm_auc"]
    assert score.value == pytest.approx(sum(pairs) / len(pairs))
    assert score.gold is not None and "forget.text.mia_gradient_norm_privleak" in found.scores


def test_an_attack_says_before_any_work_what_it_lacks() -> None:
    """The world has holdout people: it lacks no rows, but the models that these attacks compare."""
    lacking = {"u_lira": "needs 3 shadow models .* give shadows=", "mia_reference": "=GOLD",
               "patching": "the model before unlearning, .* give original="}  # fmt: skip
    for name, message in lacking.items():
        with pytest.raises(RecipeError, match=re.compile(message, re.DOTALL)):
            attack(taught("language"), typical_dataset(), name)
    with pytest.raises(RecipeError, match="original="):
        attack(taught("language"), typical_dataset(), "patching", original=Records({}))


def test_an_attack_with_parameters_and_records_of_gold() -> None:
    data = typical_dataset()
    gold = evaluate(base("language"), data, "openunlearning", max_new_tokens=1)
    found = attack(taught("language"), data, "mia_min_k", gold, share=0.2)
    key = "forget.text.mia_min_k_share_0_2"
    assert set(found.scores) == {f"{key}_auc", f"{key}_privleak"}
    with pytest.raises(RecipeError, match="did you mean 'share'"):
        attack(taught("language"), data, "mia_min_k", shar=0.2)
