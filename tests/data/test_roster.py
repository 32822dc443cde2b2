"""The published lists of CLEAR's vision track: who is forgotten, who is held out."""

from __future__ import annotations

from clearbench.data.roster import FORGET, HOLDOUT, VISION_NAMES, Share

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
