"""Numbers that CLEAR publishes of its vision track, for columns that compute the same.

Table 5 of arXiv 2410.18057, fourth version: ResNet-18 at 224 pixels, 128 models, 20 of 200 people.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Keys of the columns of the table.
_COLUMNS = (
    "forget.image.heads_accuracy",
    "holdout.image.heads_accuracy",
    "retain.image.heads_accuracy",
    "forget.image.u_lira_halves_mad_method_accuracy",
    "forget.image.u_mia_halves_method_accuracy",
)
#: Accuracies in percent, U-LIRA and U-MIA.
_ROWS = {
    "original": (100, 18.50, 100, 1.00, 0.96),
    "gold": (15.43, 15.04, 97.52, 0.50, 0.50),
    "retain_finetune": (100, 18.54, 100, 1.00, 0.92),
    "scrub": (99.74, 16.77, 99.93, 0.98, 0.90),
    "llmu": (85.72, 14.62, 88.99, 0.83, 0.75),
    "rmu": (67.97, 17.27, 99.99, 0.77, 0.60),
    "dpo": (50.21, 13.93, 81.49, 0.73, 0.62),
    "scrub_bio": (42.59, 14.25, 99.44, 0.71, 0.57),
    "l1_sparse": (66.41, 14.44, 83.57, 0.78, 0.73),
    "twins": (50.00, 20.34, 99.72, 0.73, 0.54),
}


def _shares(numbers: tuple[float, ...]) -> dict[str, float]:
    values = (*(round(number / 100, 6) for number in numbers[:3]), *numbers[3:])
    return dict(zip(_COLUMNS, values, strict=True))


#: Published numbers by method and score key.
VISION_TRACK: Mapping[str, Mapping[str, float]] = {
    method: _shares(numbers) for method, numbers in _ROWS.items()
}
