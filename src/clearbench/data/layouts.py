"""Published layouts: the configurations of CLEAR and TOFU, their rows and columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from clearbench.data.mapping import CAPTION, NAME, OPTIONS, QUESTION, Columns


@dataclass(frozen=True)
class Form:
    """Configurations with the same columns.

    Attributes:
        names: A pattern of their names.
        columns: Their columns, as published.
        tasks: Column of each field, by task of a row.
    """

    names: str
    columns: tuple[str, ...]
    tasks: Mapping[str, Columns]

    def fields(self, column: str) -> tuple[str, ...]:
        """Lists the fields that a column becomes: `image`, `question`, or fields of tasks."""
        if column in ("image", "question"):
            return (column,)
        return tuple(
            f"{task}.{field}"
            for task, columns in self.tasks.items()
            for field, source in columns.items()
            if source == column
        )


@dataclass(frozen=True)
class Layout:
    """A published dataset.

    Attributes:
        name: `clear` or `tofu`.
        counts: Rows of every configuration; None where uploads differ.
        forms: Columns of each configuration; the first whose pattern fits counts.
    """

    name: str
    counts: Mapping[str, int | None]
    forms: tuple[Form, ...]

    def form(self, configuration: str) -> Form:
        """Returns the form of a configuration in `counts`."""
        return next(form for form in self.forms if re.fullmatch(form.names, configuration))


_IMAGE = ("image", "caption", "name")
_ASKED = ("paraphrased_caption", "perturbed_captions", "perturbed_names")
_PAIR = ("question", "answer")
_REPHRASED = ("paraphrased_question", "paraphrased_answer", "perturbed_answer")

#: Hub: therem/CLEAR. Its retain splits differ by two rows between uploads.
CLEAR = Layout(
    "clear",
    {
        "default": 3768,
        "full": 3768,
        "full+tofu": 7768,
        "forget01": 35,
        "forget05": 188,
        "forget10": 379,
        "forget01+tofu": 75,
        "forget05+tofu": 388,
        "forget10+tofu": 779,
        "forget01_perturbed": 35,
        "forget05_perturbed": 188,
        "forget10_perturbed": 378,
        "retain90": None,
        "retain95": None,
        "retain99": None,
        "retain90+tofu": None,
        "retain95+tofu": None,
        "retain99+tofu": None,
        "retain_perturbed": 395,
        "real_faces": 151,
        "real_world": 367,
    },
    (
        Form(r".*\+tofu", ("image", "caption", *_PAIR), {"caption": CAPTION, "qa": QUESTION}),
        Form(r".*_perturbed", (*_IMAGE, *_ASKED), {"caption": CAPTION, "name": NAME}),
        Form(r"real_faces", ("image", "answer", "options"), {"name": OPTIONS}),
        Form(r"real_world", ("image", *_PAIR, "options"), {"choice": OPTIONS}),
        Form(r".*", _IMAGE, {"caption": CAPTION, "name": NAME}),
    ),
)
#: Hub: locuslab/TOFU; of its configurations, those that are read.
TOFU = Layout(
    "tofu",
    {
        "full": 4000,
        "forget01": 40,
        "forget05": 200,
        "forget10": 400,
        "retain90": 3600,
        "retain95": 3800,
        "retain99": 3960,
        "forget01_perturbed": 40,
        "forget05_perturbed": 200,
        "forget10_perturbed": 400,
        "retain_perturbed": 400,
        "real_authors_perturbed": 100,
        "world_facts_perturbed": 117,
        "holdout01": 40,
        "holdout05": 200,
        "holdout10": 400,
    },
    (
        Form(r"(real|world).*", (*_PAIR, "perturbed_answer"), {"choice": QUESTION}),
        Form(r".*_perturbed", (*_PAIR, *_REPHRASED), {"qa": QUESTION}),
        Form(r".*", _PAIR, {"qa": QUESTION}),
    ),
)
