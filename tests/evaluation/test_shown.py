"""Who is shown under a control, and what a model that cannot decide has chosen."""

from __future__ import annotations

import math

import pytest
from PIL import Image

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.media import EncodedImage
from clearbench.errors import DataError
from clearbench.evaluation.controls import shuffled
from clearbench.evaluation.metrics.calibration import choices
from clearbench.evaluation.metrics.truth_ratio import known
from clearbench.testing.records import group, value


def portrait(person: int, view: int) -> EncodedImage:
    return EncodedImage.of(Image.new("RGB", (8, 8), (10 * person, 20 * view, 0)))


def row(split: str, person: int | None, view: int) -> Example:
    return Example(
        id=f"{split}-{person}-{view}", person=person, track="image", task="caption",
        question="Who?", answer="A", media=portrait(person or 0, view),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("people", [2, 3, 5])
def test_everybody_is_shown_as_one_other_person_of_the_split(people: int, seed: int) -> None:
    """A split of one person, and rows about the world, stay as they are."""
    who = range(1, people + 1)
    splits = {
        "forget": tuple(row("forget", person, view) for person in who for view in range(2)),
        "retain": (row("retain", 9, 0), row("retain", 9, 1)),
        "real_world": (row("real_world", None, 5),),
    }
    owner = {portrait(person, view).key: person for person in who for view in range(2)}
    found = shuffled(Dataset({}, splits), seed).evaluation
    shown: dict[int | None, set[int]] = {}
    for each in found["forget"]:
        shown.setdefault(each.person, set()).add(owner[each.media.key if each.media else ""])
    assert all(len(others) == 1 and person not in others for person, others in shown.items())
    assert {other for others in shown.values() for other in others} == {*who}
    assert found["retain"] == splits["retain"] and found["real_world"] == splits["real_world"]


@pytest.mark.parametrize(
    ("true", "wrong", "right", "sure"),
    [
        (0.5, (0.25, 0.25), True, 0.5),
        (0.25, (0.5, 0.25), False, 0.5),
        (0.25, (0.25, 0.25), False, 1 / 3),
        (0.5, (0.5,), False, 0.5),
    ],
)
def test_a_tie_is_no_right_choice(
    true: float, wrong: tuple[float, ...], right: bool, sure: float
) -> None:
    """A model that finds all answers alike has chosen nothing."""
    options = {"answer": [true]} | {f"perturbed_{k}": [p] for k, p in enumerate(wrong)}
    ((_, (confidence, chosen)),) = choices(group([{"p": options}]))
    assert chosen is right and confidence == pytest.approx(sure)


@pytest.mark.parametrize("broken", ["answer", "perturbed_0", "perturbed_1"])
@pytest.mark.parametrize("tokens", [[float("nan")], []])
def test_an_option_without_a_probability_is_refused(broken: str, tokens: list[float]) -> None:
    """Left out, it would make the model surer of what is left."""
    options = {"answer": [0.5], "perturbed_0": [0.2], "perturbed_1": [0.3]} | {broken: tokens}
    with pytest.raises(DataError, match="not finite"):
        list(choices(group([{"p": options}])))


@pytest.mark.parametrize(("true", "known_so"), [(0.5, True), (0.4, False), (0.3, False)])
@pytest.mark.parametrize("prefix", ["perturbed", "known"])
def test_a_truth_as_likely_as_a_lie_is_not_known(true: float, known_so: bool, prefix: str) -> None:
    options = {"answer": [true], f"{prefix}_0": [0.4], f"{prefix}_1": [0.1]}
    assert known(group([{"p": options}])).tolist() == [known_so]


@pytest.mark.parametrize(
    ("tokens", "share", "lowest"),
    [(3, 0.4, 1), (4, 0.4, 1), (5, 0.4, 2), (9, 0.4, 3), (4, 0.2, 1), (7, 0.5, 3), (2, 1.0, 2)],
)
def test_min_k_averages_whole_tokens_within_its_share(
    tokens: int, share: float, lowest: int
) -> None:
    """Of four tokens 40 % are one and a part; the end token is none of them."""
    probabilities = [0.5 ** (k + 1) for k in range(tokens)]
    found = value("min_k", parameters={"share": share}, p={"answer": [*probabilities, 0.001]})
    least = sorted(math.log(p) for p in probabilities)[:lowest]
    assert found == pytest.approx(-sum(least) / lowest)
