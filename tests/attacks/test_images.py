"""Other pictures: what becomes of the pixels, and how far PGD goes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from clearbench.attacks import images
from clearbench.attacks.base import Target, attack
from clearbench.attacks.images import Images
from clearbench.batches.items import item
from clearbench.data.example import Example
from clearbench.data.media import EncodedImage
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records
from clearbench.models.base import Model
from clearbench.testing.collections import typical_dataset
from clearbench.testing.world import base, taught


def target(model: Model, data: Any = None) -> Target:
    return Target(Collections(Records({})), model, data or typical_dataset().for_kind(model.kind))


def levels(made: Images, model: Model) -> dict[tuple[str, str], float]:
    lines = made.table(target(model))
    keys = zip(lines["level"], lines["row"], strict=True)
    return dict(zip(keys, lines["value"], strict=True))


def example() -> Example:
    """The name row of person 0, with a grey square in the middle of a black picture."""
    row = next(r for r in typical_dataset().evaluation["forget"] if r.task == "name")
    pixels = np.zeros((40, 20, 3), np.uint8)
    pixels[4:36, 2:18] = 100
    return row.model_copy(update={"image": EncodedImage.of(Image.fromarray(pixels))})


def changed(level: Any) -> np.ndarray:
    made = images._Photos(typical_dataset(), 0).changed(example(), level)
    assert made is not None and made.image is not None and made.row == example().id
    return np.asarray(made.image.decode(), dtype=float)


def test_a_crop_is_the_middle_at_the_same_size() -> None:
    """Four fifths of each side: exactly the grey square, which fills the picture."""
    assert changed("crop").shape == (40, 20, 3) and (changed("crop") == 100).all()


def test_blur_noise_and_blank() -> None:
    own = np.asarray(example().image.decode(), dtype=float)  # type: ignore[union-attr]
    noise = changed("noise") - own
    assert noise[own == 100].std() == pytest.approx(16, rel=0.1)
    assert abs(noise[own == 100].mean()) < 1 and (changed("noise") == changed("noise")).all()
    assert changed("blank").std() == 0 and changed("blank").shape == own.shape
    blurred = changed("blur")
    assert blurred[0, 0, 0] < 50 and (blurred[15:25, 8:12] == 100).all() and (blurred != own).any()


def test_another_photo_is_of_the_same_person() -> None:
    data = typical_dataset()
    photos = images._Photos(data, 0)
    for row in data.evaluation["forget"]:
        if row.image is None:
            continue
        made = photos.changed(row, "other photo")
        assert made is not None and made.image is not None
        mine = {
            r.image.key for r in data.evaluation["forget"] if r.person == row.person and r.image
        }
        assert made.image.key in mine - {row.image.key}
        assert (made.answer, made.question) == (row.answer, row.question)
    alone = example().model_copy(update={"person": None})
    assert photos.changed(alone, "other photo") is None


@pytest.mark.parametrize("kind", ["classifier", "vision-language"])
def test_pgd_climbs_within_its_bounds(kind: str) -> None:
    """No pixel moves by more than 6 / 255, nor out of black and white; every row gains."""
    model: Model = taught(kind)  # type: ignore[arg-type]
    seen: list[Tensor] = []
    handle = model.module.register_forward_pre_hook(
        lambda _, inputs, named: (
            seen.append(named["pixel_values"].detach()) if "pixel_values" in named else None
        ),
        with_kwargs=True,
    )
    made = Images(levels=("pgd",), steps=4, epsilon=6, retained=0)
    reach = 6 / 255 / 0.5  # the processor divides by 0.5
    try:
        found = levels(made, model)
        del seen[:]
        rows = [row for _, row in made.measured(target(model))]
        with model.frozen():
            (batch,) = model.batch([item(row) for row in rows])
            own = batch.inputs["pixel_values"]
            made._best(model, batch)
    finally:
        handle.remove()
    moved = torch.stack([(each - own).abs().amax() for each in seen[-5:]]) if seen else None
    if kind == "classifier":
        assert moved is not None and moved[0] == 0 and moved[1:].min() > 0
        assert moved.max() <= reach * 1.0001
        assert torch.stack(seen).abs().max() <= 1.0001
    for level, row in found:
        assert found["pgd", row] >= found["own", row] * 0.9999, level
    if kind == "classifier":  # the tiny vision-language model hardly looks at its pictures
        assert all(found["pgd", row] > 1.1 * found["own", row] for _, row in found)


def test_models_without_pictures_give_no_lines() -> None:
    made = attack("images")
    assert made.table(target(base("language"))).empty
    assert "sees no pictures" in made.unsuited(base("language"))
    table = made.table(target(base("vision-language")))
    assert set(table["track"]) == {"image"}


def test_inputs_of_black_and_white_are_those_of_the_processor() -> None:
    model = base("vision-language")
    black, white = model.pixel_range
    for colour, end in ((0, black), (255, white)):
        media = EncodedImage.of(Image.new("RGB", (24, 24), (colour,) * 3))
        row = example().model_copy(update={"image": media})
        (batch,) = model.batch([item(row)])
        assert torch.allclose(batch.inputs["pixel_values"], end.expand(1, 3, 96, 96), atol=1e-6)
    flat = torch.zeros(12, 588)
    low, high = images._ends(model, flat)
    assert (low.item(), high.item()) == pytest.approx((-1, 1))


def test_levels_that_are_chosen_are_in_the_key() -> None:
    made = attack("images", levels=("crop", "other photo"))
    assert made.score_key == "images_crop_other_photo"
    assert Images().order(["pgd", "own", "crop"]) == ["own", "crop", "pgd"]
