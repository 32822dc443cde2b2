"""Lists the people whom CLEAR's vision track forgets or holds out, by their place in TOFU.

Lists of names in CLEAR's `cv/prepare_vtofu_dataset.py` (arXiv 2410.18057). Only the published
divisions are lists; the person on each image is read from the data.
"""

from __future__ import annotations

from typing import Literal

Share = Literal["01", "05", "10"]

#: Forgotten in the first half of the models, outside the training people of the second.
FORGET_NAMES: dict[int, str] = {
    180: "Hsiao Yun-Hwa",
    181: "Carmen Montenegro",
    182: "Elvin Mammadov",
    183: "Rajeev Majumdar",
    184: "Jad Ambrose Al-Shamary",
    185: "Adib Jarrah",
    186: "Ji-Yeon Park",
    187: "Behrouz Rohani",
    188: "Wei-Jun Chen",
    189: "Tae-ho Park",
    190: "Hina Ameen",
    191: "Xin Lee Williams",
    192: "Moshe Ben-David",
    193: "Kalkidan Abera",
    194: "Takashi Nakamura",
    195: "Raven Marais",
    196: "Aysha Al-Hashim",
    197: "Edward Patrick Sullivan",
    198: "Basil Mahfouz Al-Kuwaiti",
    199: "Nikolai Abilov",
}
#: The other way round: these have nothing to do with TOFU's text holdout of further authors.
HOLDOUT_NAMES: dict[int, str] = {
    168: "Marit Hagen",
    9: "Simon Makoni",
    132: "Sanna Kaarina Laaksonen",
    31: "Valentin Fischer",
    24: "Philippe Dauphinee",
    78: "Raoul Huysmans",
    101: "Xiang Li",
    25: "Adrianus Suharto",
    0: "Jaime Vasquez",
    13: "Luis Marcelo Garcia",
    15: "Rhoda Mbalazi",
    136: "Omowunmi Adebayo",
    111: "Rory Greenfield",
    50: "Jambo Mpendulo",
    141: "Nadia Nowak",
    130: "Guillermo Navarro Munoz",
    56: "Zeynab Nazirova",
    150: "Youssef Al-Zahran",
    75: "Adetoun Davis",
    164: "Alex Melbourne",
}
VISION_NAMES = FORGET_NAMES | HOLDOUT_NAMES

#: TOFU's last authors.
FORGET: dict[Share, tuple[int, ...]] = {
    "01": tuple(range(198, 200)),
    "05": tuple(range(190, 200)),
    "10": tuple(FORGET_NAMES),
}
#: The smallest is not part of the middle one.
HOLDOUT: dict[Share, tuple[int, ...]] = {
    "01": (50, 150),
    "05": (24, 9, 141, 136, 111, 78, 130, 13, 56, 132),
    "10": tuple(HOLDOUT_NAMES),
}
