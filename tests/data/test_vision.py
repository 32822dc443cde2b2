"""CLEAR's vision track: who is forgotten, who is held out, and how the halves swap their roles."""

from __future__ import annotations

import pytest
from PIL import Image

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.media import EncodedImage
from clearbench.data.roster import FORGET, HOLDOUT, VISION_NAMES, Share
from clearbench.data.vision import vision_track
from clearbench.errors import DataError

SHARES: tuple[Share, ...] = ("01", "05", "10")


def test_the_lists_are_the_published_ones() -> None:
    assert [len(FORGET[share]) for share in SHARES] == [2, 10, 20]
    assert [len(HOLDOUT[share]) for share in SHARES] == [2, 10, 20]
    assert not set(FORGET["10"]) & set(HOLDOUT["10"]) and len(VISION_NAMES) == 40
    assert set(FORGET["01"]) < set(FORGET["05"]) < set(FORGET["10"])
    assert set(HOLDOUT["05"]) < set(HOLDOUT["10"]) and set(HOLDOUT["01"]) < set(HOLDOUT["10"])
    assert not set(HOLDOUT["01"]) & set(HOLDOUT["05"])
    assert [VISION_NAMES[place] for place in HOLDOUT["01"]] == [
        "Jambo Mpendulo",
        "Youssef Al-Zahran",
    ]
    assert {VISION_NAMES[place].split()[-1] for place in HOLDOUT["05"]} == {
        "Dauphinee", "Makoni", "Nowak", "Adebayo", "Greenfield", "Huysmans", "Munoz", "Garcia",
        "Nazirova", "Laaksonen",
    }  # fmt: skip


@pytest.fixture(scope="module")
def everybody() -> Dataset:
    """Two images of each of 200 people, of whom number 88 has none; TOFU's numbers plus 1,000."""
    names = {person: VISION_NAMES.get(person, f"Author Number {person}") for person in range(200)}
    rows = [
        Example(
            id=f"{person}-{view}-caption", person=1000 + person, track="image", task="caption",
            question="Who?", answer=f"{name}, {view}.",
            image=EncodedImage.of(Image.new("RGB", (2, 2), (person, view, 0))),
        )
        for person, name in names.items() for view in range(2) if person != 88
    ]  # fmt: skip
    text = Example(id="t", person=1000, track="text", task="qa", question="Q?", answer="A.")
    gone = {1000 + person for person in FORGET["10"]}
    return Dataset(
        {
            "forget": tuple(row for row in rows if row.person in gone),
            "retain": (text, *(row for row in rows if row.person not in gone)),
        },
        {},
        {1000 + person: name for person, name in names.items()},
    )


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("model", [0, 63, 64, 127])
def test_halves_swap_their_roles(share: Share, model: int, everybody: Dataset) -> None:
    found = vision_track(everybody, share, model)
    inside, outside = (FORGET, HOLDOUT) if model < 64 else (HOLDOUT, FORGET)
    assert found.people("forget") == {1000 + place for place in inside[share]}
    assert found.people("holdout") == {1000 + place for place in outside[share]}
    assert len(found.people("forget") | found.people("retain")) == 100
    assert found.people("retain") >= {1000 + p for p in set(inside["10"]) - set(inside[share])}
    assert not found.people("retain") & {1000 + place for place in outside["10"]}
    assert not {row for rows in found.training.values() for row in rows if row.track == "text"}
    assert "holdout" not in found.training


def test_each_model_draws_its_own_others(everybody: Dataset) -> None:
    drawn = [frozenset(vision_track(everybody, "10", k).people("retain")) for k in (0, 1, 64)]
    assert len(set(drawn)) == 3 and all(len(people) == 80 for people in drawn)
    assert (
        vision_track(everybody, "10", 5).fingerprint == vision_track(everybody, "10", 5).fingerprint
    )


def test_every_image_is_asked_for_its_name(everybody: Dataset) -> None:
    learned = vision_track(everybody, "05", 70).for_kind("classifier")
    for split in ("forget", "retain", "holdout"):
        rows = learned.evaluation[split]
        assert len(rows) == 2 * len(learned.people(split))
        assert all(
            row.task == "name" and row.answer == learned.names[row.person or 0] for row in rows
        )
    assert all(row.answer == learned.names[row.person or 0] for row in learned.training["forget"])


def test_somebody_without_a_image_is_named(everybody: Dataset) -> None:
    person = 1000 + HOLDOUT["10"][3]
    rest = everybody.forgetting({1199}, {person})
    with pytest.raises(DataError, match="no picture of Valentin Fischer"):
        vision_track(rest, "10", 0)
    with pytest.raises(DataError, match="there is no model 128"):
        vision_track(everybody, "10", 128)
