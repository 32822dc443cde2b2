"""From the columns of published rows to the fields of an example: one table for every layout.

CLEAR, TOFU and our own folders name the same things differently, and a loader that expects one
name in another's rows finds nothing and scores NaN (errata E127: wrong column names).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from clearbench.data.example import Example, bad_fields
from clearbench.data.media import EncodedImage
from clearbench.data.tables import Line

#: By field, the column that holds it. Columns but that of `answer` may be missing.
Columns = Mapping[str, str]

#: A question about a person: TOFU, and the `+tofu` configurations of CLEAR.
QUESTION: Columns = {
    "answer": "answer",
    "paraphrased_question": "paraphrased_question",
    "paraphrased_answer": "paraphrased_answer",
    "perturbed_answers": "perturbed_answer",
}
#: An image of CLEAR and what it shows.
CAPTION: Columns = {
    "answer": "caption",
    "paraphrased_answer": "paraphrased_caption",
    "perturbed_answers": "perturbed_captions",
}
#: The name asked of the same image; CLEAR takes it for its own paraphrase.
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
    """The example of a row, or nothing where the row is bad and `problems` says why.

    Options are the wrong ones only: an answer listed among its own options is not one of them.

    Args:
        line: The row; an empty one was reported already.
        columns: Column of each field.
        where: `file:row`.
        problems: One line is added for each bad field.
        common: The fields that do not depend on the columns.
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
        fields["perturbed_answers"] = [each for each in wrong if each != fields["answer"]]
    try:
        yield Example(source=where, **fields)
    except ValidationError as error:
        problems += bad_fields(error, where)


def image(line: Line, where: str, problems: list[str]) -> EncodedImage | None:
    """The image of a row, none where it has none or `problems` says why it cannot be read."""
    if line.get("image") is None:
        return None
    try:
        return EncodedImage(encoded=line["image"]["bytes"])
    except ValidationError as error:
        problems += bad_fields(error, where, "image")
    except (KeyError, TypeError, IndexError):
        problems.append(f"{where}: image: no encoded picture")
    return None
