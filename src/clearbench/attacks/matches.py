"""Matches images with templates under many models: the vision track's signals and accuracies.

CLEAR (arXiv 2410.18057) recognises a person by enrolment: a template is the mean embedding of a
person's first images, every other image goes to the template of the largest cosine, and membership
is read from the cosine to the own template.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from clearbench.attacks.signals import Numbers, Signals
from clearbench.evaluation.intervals import mean_score
from clearbench.evaluation.score import Score
from clearbench.libraries import pd

FILE = "matches.safetensors"
#: Roles of people in a half, whose images have an accuracy each.
ROLES = ("forget", "holdout", "retain")
#: Number that CLEAR's code adds where a logarithm or a quotient could fail.
CLEAR_TINY = 1e-45
#: Largest cosine: 1 less half the spacing of single precision, in which models embed.
MOST = 1 - 2.0**-24
#: Number per image: as an answer's probability would have, (1 + cosine) / 2, or as CLEAR's code.
MatchSignal = Literal["logit", "log_prob", "clear_code"]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Matches:
    """Cosines of every image under every model.

    Attributes:
        own: Cosine to the own person's template, (models, images).
        other: Largest cosine to any other person's, (models, images).
        people: Person of each image, (images,).
        enrolled: Whether an image is part of its template, (images,).
        roles: Role of each image's person in the model's half, an index of `ROLES`, or -1 for
            people of neither, (models, images).
    """

    own: Numbers
    other: Numbers
    people: Ints
    enrolled: NDArray[np.bool_]
    roles: Ints

    def signals(self, signal: MatchSignal) -> Signals:
        """Builds the signals of forget and holdout people's images.

        Enrolled images are left out but from those of CLEAR's code (errata E56: they are attacked
        with a template that contains them).

        Args:
            signal: `log_prob` log((1 + c) / 2) of a cosine c; `logit` log((1 + c) / (1 - c)), which
                is 2 atanh(c); `clear_code` log(c) - log(1 - c) of c clipped to 0 and 1, with 1e-45
                added (errata E58: negative cosines become a spike at -103).
        """
        pool = (self.roles != ROLES.index("retain")) & (self.roles >= 0)
        chosen = pool.any(axis=0) & (self.enrolled <= (signal == "clear_code"))
        cosines, taught = self.own[:, chosen], self.roles[:, chosen] == ROLES.index("forget")
        return Signals(signal_of(cosines, signal), taught, self.people[chosen])

    def accuracies(self) -> dict[str, Score]:
        """Computes the share of models that match an image with its own template, by role.

        Mean over the images that are not enrolled, with an interval by person; a tie is no match.
        """
        right, found = self.own > self.other, {}
        for number, role in enumerate(ROLES):
            chosen = (self.roles == number) & ~self.enrolled
            images = np.flatnonzero(chosen.any(axis=0))
            hits = (right & chosen).sum(axis=0)[images] / chosen.sum(axis=0)[images]
            shares = pd.Series(hits, index=[str(image) for image in images])
            owners = dict(zip(shares.index, self.people[images].tolist(), strict=True))
            if len(shares):
                found[role] = mean_score(shares, owners, "up" if role == "retain" else "gold")
        return found

    def save(self, folder: Path) -> None:
        """Writes one file."""
        arrays = {name: np.ascontiguousarray(value) for name, value in vars(self).items()}
        save_file(arrays, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Matches:
        """Reads what `save` wrote."""
        return cls(**load_file(folder / FILE))


def signal_of(cosines: Numbers, signal: MatchSignal) -> Numbers:
    """Computes a signal from cosines to the own template, see `Matches.signals`."""
    if signal == "clear_code":
        clipped = np.clip(cosines, 0, 1).astype(np.float32)
        tiny = np.float32(CLEAR_TINY)
        logits = np.log(clipped + tiny) - np.log(1 - clipped + tiny)
        return np.asarray(logits, dtype=np.float64)
    bounded = np.clip(cosines, -MOST, MOST)
    share: Numbers = np.log((1 + bounded) / 2)
    return share if signal == "log_prob" else share - np.log((1 - bounded) / 2)
