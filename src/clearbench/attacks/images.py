"""Shows other pictures: cropped, blurred, noisy, blank, another photograph, or changed by PGD."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from PIL import Image, ImageFilter
from pydantic import Field

from clearbench.attacks.base import Target
from clearbench.attacks.recovery import ROWS, Known, Row, SurvivalAttack, probabilities
from clearbench.batches.batch import Batch
from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.media import EncodedImage
from clearbench.data.modality import modality
from clearbench.libraries import torch

if TYPE_CHECKING:
    from torch import Tensor

    from clearbench.models.base import Model

#: Changes of a picture.
Change = Literal["crop", "blur", "noise", "other photo", "pgd", "blank"]
CHANGES: tuple[Change, ...] = get_args(Change)
OWN = "own"
#: Share of each side that a crop keeps; radius of the blur as a share of the shorter side; standard
#: deviation of the noise in eight-bit steps.
CROP, BLUR, NOISE = 0.8, 0.015, 16.0
WHITE = 255
#: Length of a step of PGD, in shares of epsilon / steps (Madry et al. 2018 take 2.5).
STRIDE = 2.5


class Images(
    SurvivalAttack,
    name="images",
    title="Other pictures",
    needs=("model", "media", "gradients"),
    reads=("answer", "images", "gold", "original"),
    tries="changed images",
    paper="Madry et al. 2018, arXiv 1706.06083 (PGD)",
    baseline=OWN,
    shows=(
        "Whether the true answers are likely when another picture is shown: the person's own "
        "cropped, blurred, with noise or changed by PGD to make the true answer likely, or another "
        "photograph of the same person. PGD makes any model say almost anything: what it brings "
        "gold to say of people it never saw is the floor."
    ),
):
    """Probability of the true answer when the picture is changed.

    PGD climbs the mean log-probability of the true answer's tokens by signs of the gradient, from
    the picture itself, within `epsilon` of every pixel; the best picture on the way counts.

    Attributes:
        levels: Changes to try.
        steps: Steps of PGD.
        epsilon: Largest change of a pixel's channel by PGD, in 1/255.
        batch_size: Pictures that PGD changes at once.
    """

    unnamed = (*ROWS, "batch_size")

    levels: tuple[Change, ...] = Field(default=CHANGES, min_length=1)
    steps: int = Field(default=10, ge=1)
    epsilon: float = Field(default=8.0, gt=0)
    batch_size: int = Field(default=16, ge=1)

    def order(self, levels: Iterable[str]) -> list[str]:
        """Sorts changes, the picture itself first."""
        known = (OWN, *CHANGES)
        return sorted(levels, key=lambda name: (known.index(name) if name in known else 9, name))

    def unsuited(self, model: Model) -> str:
        """Says that a language model sees no pictures."""
        return "a language model sees no pictures" if model.kind == "language" else ""

    def suits(self, row: Example) -> bool:
        """Whether the row has a picture."""
        return row.image is not None

    def known(self, target: Target, rows: Sequence[Row]) -> Iterable[tuple[str, Known]]:
        """Yields what is known with each picture."""
        model, dataset = self.given(target)
        examples = [row for _, row in rows]
        yield OWN, probabilities(model, [item(row) for row in examples])
        photos = _Photos(dataset, target.seed)
        for done, level in enumerate(self.levels, start=1):
            if level == "pgd":
                yield level, self._climbed(model, [item(row) for row in examples])
            else:
                changed = [each for row in examples if (each := photos.changed(row, level))]
                if changed:
                    yield level, probabilities(model, changed)
            target.on_progress(self.score_key, done, len(self.levels))

    def _climbed(self, model: Model, items: Sequence[Item]) -> dict[str, float]:
        """Computes the probability of each answer with the best picture that PGD finds."""
        found: dict[str, float] = {}
        with model.frozen():
            for begin in range(0, len(items), self.batch_size):
                for batch in model.batch(items[begin : begin + self.batch_size]):
                    with torch.enable_grad():
                        best = self._best(model, batch).exp().tolist()
                    found |= zip((each.row for each in batch.items), best, strict=True)
        return found

    def _best(self, model: Model, batch: Batch) -> Tensor:
        """Climbs by PGD; returns each row's best mean log-probability, (rows,)."""
        own: Tensor = batch.inputs["pixel_values"].detach()
        black, white = _ends(model, own)
        reach = (white - black) * (self.epsilon / WHITE)
        low, high = (own - reach).maximum(black), (own + reach).minimum(white)
        stride = reach * min(1.0, STRIDE / self.steps)
        pixels, best = own, torch.full((len(batch.items),), -torch.inf, device=own.device)
        for step in range(self.steps + 1):
            pixels = pixels.detach().requires_grad_(step < self.steps)
            answers = model.answers([batch.showing(pixels)])
            sizes = torch.bincount(answers.rows, minlength=len(batch.items))
            means = answers.per_row(answers.log_probs) / sizes
            best = torch.maximum(best, means.detach())
            if step < self.steps:
                (slope,) = torch.autograd.grad(means.sum(), pixels)
                pixels = (pixels + stride * slope.sign()).maximum(low).minimum(high)
        return best


class _Photos:
    """Changes pictures; what is drawn depends on the seed and the row alone."""

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self.seed = seed
        self.by_person: dict[int, dict[str, EncodedImage]] = {}
        for row in _pictured(dataset):
            if row.person is not None and row.image is not None:
                self.by_person.setdefault(row.person, {})[row.image.key] = row.image

    def changed(self, row: Example, change: Change) -> Item | None:
        """Returns the row's item with another picture; None where there is none."""
        media = row.image
        if media is None:
            return None
        if change == "other photo":
            return self._other(row)
        shown = modality(row.track).blank(media) if change == "blank" else None
        pixels = media.decode()
        if change == "crop":
            shown = EncodedImage.of(_cropped(pixels))
        elif change == "blur":
            radius = BLUR * min(pixels.size)
            shown = EncodedImage.of(pixels.filter(ImageFilter.GaussianBlur(radius)))
        elif change == "noise":
            shown = EncodedImage.of(_noisy(pixels, self._rng(row)))
        return replace(item(row, "picture"), media=shown)

    def _other(self, row: Example) -> Item | None:
        own = row.image.key if row.image else ""
        photos = self.by_person.get(-1 if row.person is None else row.person, {})
        others = [photos[key] for key in sorted(photos) if key != own]
        if not others:
            return None
        return replace(item(row, "picture"), media=others[self._rng(row).integers(len(others))])

    def _rng(self, row: Example) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(row.id.encode())])


def _pictured(dataset: Dataset) -> Iterator[Example]:
    return (row for rows in dataset.all_rows() for row in rows if row.image is not None)


def _cropped(pixels: Image.Image) -> Image.Image:
    """Cuts the middle out and enlarges it to the size it was."""
    width, height = pixels.size
    left, top = (round(side * (1 - CROP) / 2) for side in (width, height))
    box = (left, top, width - left, height - top)
    return pixels.crop(box).resize((width, height), Image.Resampling.BICUBIC)


def _noisy(pixels: Image.Image, rng: np.random.Generator) -> Image.Image:
    values = np.asarray(pixels, dtype=float)
    noisy = values + rng.normal(0, NOISE, values.shape)
    return Image.fromarray(noisy.round().clip(0, WHITE).astype(np.uint8))


def _ends(model: Model, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Returns inputs of black and white, of each channel where the inputs keep them apart.

    Models that cut a picture into flat patches get one pair for all channels: the widest.
    """
    black, white = (end.to(pixels) for end in model.pixel_range)
    if pixels.dim() > 3 and pixels.shape[-3] == len(black):
        return black, white
    return black.min(), white.max()
