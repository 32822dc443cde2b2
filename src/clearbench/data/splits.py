"""Names the splits of a dataset: those trained on and those measured."""

from __future__ import annotations

from typing import Literal, get_args

from clearbench.data.example import Example

#: Splits that are trained on. `replay` holds rows about the world and other people that keep a
#: small model from losing what it knew before; none of them is ever measured.
TRAINING_SPLITS = ("forget", "retain", "replay")
#: Splits that are measured.
Split = Literal["forget", "retain", "holdout", "real_faces", "real_authors", "real_world"]
SPLITS: tuple[Split, ...] = get_args(Split)
#: Splits that own rows may name.
KNOWN_SPLITS = tuple(dict.fromkeys((*TRAINING_SPLITS, *SPLITS)))

Rows = dict[str, tuple[Example, ...]]
