"""The VQA protocol on folders in CLEAR's layout, from the files to the scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearbench import evaluate, load_dataset, score
from clearbench.testing.world import base, copied


def test_clear_is_scored_by_letters(
    clear_folder: Path, tofu_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that always says A is right as often as A is drawn; names stand among six."""
    model = copied(base("vision-language"))
    monkeypatch.setattr(model, "generate", lambda items, _: ["A"] * len(items))
    data = load_dataset(clear_folder, "forget05", text=tofu_folder)
    found = evaluate(model, data, "clear-vqa", limit=40)
    scores = score(found, protocol="clear-vqa")
    for split, rows in (("forget", 6), ("retain", 9), ("real_faces", 3), ("real_world", 2)):
        each = scores[f"{split}.image.letter_choice"]
        truths = found.groups()[split, "image", "letter"].generations["truth"]
        assert each.n == rows and each.value == pytest.approx((truths == "A").mean())
        assert each.chance == pytest.approx(1 / 4 if split == "real_world" else 1 / 6)
    assert scores["forget.image.rouge_l_f1"].n == 6 and scores["forget.text.bleu"].n == 40
