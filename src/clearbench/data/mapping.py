"""Maps columns of published rows to fields of an example: one table for every layout.

CLEAR, TOFU and our own folders name the same things differently, and a loader that expects one
name in another's rows finds nothing and scores NaN (errata E127: wrong column names).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from clearbench.data.example import Example, bad_fields
from clearbench.data.json_rows import Line
from clearbench.data.media import EncodedImage
from clearbench.data.media_file import read_media

#: Column that holds each field. Columns but that of `answer` may be missing.
Columns = Mapping[str, str]

#: A question about a person: TOFU, and the `+tofu` configurations of CLEAR.
QUESTION: Columns = {
    "answer": "answer",
    "paraphrased_question": "paraphrased_question",
    "paraphrased_answer": "paraphrased_answer",
    "perturbed_answers": "perturbed_answer",
}
#: An image of CLEAR and its caption.
CAPTION: Columns = {
    "answer": "caption",
    "paraphrased_answer": "paraphrased_caption",
    "perturbed_answers": "perturbed_captions",
}
#: The name question on the same image; CLEAR takes the name for its own paraphrase.
NAME: Columns = {
    "answer": "name",
    "paraphrased_answer": "name",
    "perturbed_answers": "perturbed_names",
}
#: A choice among options: CLEAR's real faces and real world.
OPTIONS: Columns = {
    "answer": "answer",
    "paraphrased_answer": "paraphrased_answer",
    "perturbed_answers": "options",
}


def example(
    line: Line, columns: Columns, where: str, problems: list[str], **common: Any
) -> Iterator[Example]:
    """Yields the example of a row, or nothing and a line in `problems` where the row is bad.

    Options are the wrong ones only: an answer listed among its own options is not one of them.

    Args:
        line: The row; an empty one is in `problems` already.
        columns: Column of each field.
        where: Origin of the row, `file:row`.
        problems: List that gets one line per bad field.
        common: Fields that do not depend on the columns.
    """
    needed = ("question", columns["answer"])
    missing = [column for column in needed if column not in line and column not in common]
    if line and missing:
        problems += [f"{where}: no column '{column}'" for column in missing]
    if missing:
        return
    fields: Line = {field: line.get(column) for field, column in columns.items()}
    fields = {"question": line.get("question")} | fields | common
    wrong = fields["perturbed_answers"]
    if wrong is None:
        fields["perturbed_answers"] = ()
    elif isinstance(wrong, list) and common["task"] in ("name", "choice"):
        fields["perturbed_answers"] = [answer for answer in wrong if answer != fields["answer"]]
    try:
        yield Example(source=where, **fields)
    except ValidationError as error:
        problems += bad_fields(error, where)


def image(line: Line, where: str, problems: list[str], folder: Path) -> EncodedImage | None:
    """Reads the image of a row, encoded in it or from a file in the folder of the data.

    Returns None where it has none or it is unreadable (see `problems`).
    """
    if line.get("image") is None:
        return None
    try:
        media = read_media(line["image"], EncodedImage, folder)
    except ValidationError as error:
        problems += bad_fields(error, where, "image")
    except ValueError as error:
        problems.append(f"{where}: image = {line['image']!r:.60}: {error}")
    else:
        return media if isinstance(media, EncodedImage) else None
    return None
