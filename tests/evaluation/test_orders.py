"""Orders, ties and edges of metrics, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from clearbench.errors import DataError
from clearbench.evaluation.comparable import check_no_copy, check_not_swapped, swapped
from clearbench.evaluation.records import Records
from clearbench.testing.records import group, records, value


@pytest.mark.parametrize("count", [6, 11, 12, 21])
def test_the_first_options_are_those_of_the_lowest_numbers(count: int) -> None:
    """Option 10 comes after option 2: five of .1 against .5 are a half."""
    names = {f"perturbed_{k}": [0.1 if k < 5 else 0.9] for k in range(count)}
    shown = {"answer": [0.5]} | dict(reversed(names.items()))
    assert value("probability", "real_faces", task="name", p=shown) == pytest.approx(0.5)
    options = group([{"p": shown}]).options("perturbed")
    assert list(options) == [f"perturbed_{k}" for k in range(count)]


def knowing(forget: float, retain: float, told: bool = True) -> Records:
    """A model with these probabilities, which tells both sets of people's answers or neither's."""
    rows: list[dict[str, Any]] = [
        {
            "split": split,
            "row": f"{split}-{k}",
            "p": {"answer": [probability]},
            "said": (f"it is so {k}", f"it is so {k}" if told else "nothing"),
        }
        for split, probability in (("forget", forget), ("retain", retain))
        for k in range(3)
    ]
    return records(rows)


@pytest.mark.parametrize(
    ("log", "gold", "sure"),
    [
        ((0.4, 0.9), (0.9, 0.9), True),
        ((0.5, 0.9), (0.9, 0.9), False),
        ((0.8, 0.9), (0.9, 0.9), False),
        ((0.2, 0.9), (0.45, 0.45), False),
        ((0.4, 0.3), (0.9, 0.9), False),
        ((0.4, 0.9), (0.87, 0.9), False),
    ],
    ids=["sure", "more than half", "nearly all", "not taught", "knows both less", "less well"],
)
def test_models_are_surely_exchanged_where_the_log_knows_half_as_much(
    log: tuple[float, float], gold: tuple[float, float], sure: bool
) -> None:
    found = [is_sure for is_sure, _ in swapped(knowing(*log), knowing(*gold))]
    assert found == [sure]
    if sure:
        with pytest.raises(DataError, match="may be in each other's place"):
            check_not_swapped(knowing(*log), knowing(*gold))
    else:
        check_not_swapped(knowing(*log), knowing(*gold))


@pytest.mark.parametrize("text", ["it is so", "It is so", ""])
def test_without_likelihoods_one_other_answer_makes_another_log(text: str) -> None:
    ours, other = (
        records([{"said": ("truth", "it is so")}, {"said": ("truth", last)}])
        for last in ("it is so", text)
    )
    if text == "it is so":
        with pytest.raises(DataError, match="all 2 values about forgotten people are equal"):
            check_no_copy(ours, other, "other.json", "reference")
    else:
        check_no_copy(ours, other, "other.json", "reference")


@pytest.mark.parametrize(("of_face", "of_text"), [(0.4, 0.5), (0.5, 1.0), (0.4, 1.0)])
def test_texts_that_stayed_as_they_were_are_no_copy(of_face: float, of_text: float) -> None:
    """Twenty texts are equal, a face is not; or the texts are certain and say nothing."""
    face = {"track": "image", "task": "name"}
    ours, other = (
        records([*[{"p": {"answer": [of_text]}}] * 20, {"p": {"answer": [seen]}, **face}])
        for seen in (0.5, of_face)
    )
    if of_face == 0.5:
        with pytest.raises(DataError, match="all 1 values"):
            check_no_copy(ours, other, "other.json", "reference")
    else:
        check_no_copy(ours, other, "other.json", "reference")
