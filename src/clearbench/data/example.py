"""Defines one benchmark row: a question about a person (or the world), with or without media."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)

from clearbench.data.media import EncodedImage, Media
from clearbench.data.modality import modalities, modality
from clearbench.data.words import normal
from clearbench.errors import RecipeError, did_you_mean

_TEXTS = (
    *("question", "answer", "paraphrased_question", "paraphrased_answer"),
    "perturbed_answers",
)
#: Control characters but line ends and tabs, and halves of characters, which no file can hold.
_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff]")


class Example(BaseModel):
    """One question with its answer. `person` is None for questions about the world.

    `Example(image=...)` is another way to give an image as `media`.

    Attributes:
        track: Name of its modality.
        task: Task that the modality declares, such as `qa` or `caption`.
        perturbed_answers: Wrong answers of the same form, or the other options of a choice.
        held_out: True for a row that is measured but never trained on.
        source: Origin of the row, as `file:row`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    person: int | None
    track: str
    task: str
    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    media: SerializeAsAny[Media] | None = None
    paraphrased_question: str | None = None
    paraphrased_answer: str | None = None
    perturbed_answers: tuple[str, ...] = ()
    held_out: bool = False
    source: str = ""

    @model_validator(mode="before")
    @classmethod
    def _image_is_media(cls, fields: Any) -> Any:
        return _with_media(fields) if isinstance(fields, Mapping) else fields

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copies the row with other values; `image` is another name of `media`."""
        return super().model_copy(update=update and _with_media(update), deep=deep)

    @property
    def image(self) -> EncodedImage | None:
        """The media, where it is an image."""
        return self.media if isinstance(self.media, EncodedImage) else None

    @field_validator(*_TEXTS, mode="before")
    @classmethod
    def _line_ends(cls, value: Any) -> Any:
        return _one_line_end(value)

    @field_validator("track")
    @classmethod
    def _known_track(cls, name: str) -> str:
        try:
            return modality(name).name
        except RecipeError as error:
            raise ValueError(f"{error.what}; {error.fix}") from error

    @field_validator("task")
    @classmethod
    def _known_task(cls, task: str) -> str:
        known = {name for kind in modalities().values() for name in kind.tasks}
        if task not in known:
            raise ValueError(f"unknown task; {did_you_mean(task, known)}")
        return task

    @field_validator("question", "answer", "paraphrased_question", "paraphrased_answer")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None and _UNREADABLE.search(text):
            raise ValueError("holds control characters or lone surrogates; remove them")
        if text is not None and not normal(text).strip():
            raise ValueError("is blank; give the text or drop the row")
        return text

    @field_validator("perturbed_answers")
    @classmethod
    def _all_readable(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            cls._readable(text)
        return texts


def _one_line_end(value: Any) -> Any:
    r"""Writes every line end of a text, or of the texts of a list, as `\n`."""
    if isinstance(value, list | tuple):
        return type(value)(map(_one_line_end, value))
    return value.replace("\r\n", "\n").replace("\r", "\n") if isinstance(value, str) else value


def _with_media(fields: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(fields)
    if "image" in changed:
        changed["media"] = changed.pop("image")
    return changed


def bad_fields(error: ValidationError, where: str, field: str = "") -> list[str]:
    """Formats one line per bad field of a row: origin, field, value and problem."""
    lines = []
    for problem in error.errors():
        name = field or ".".join(map(str, problem["loc"]))
        message = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{where}: {name} = {_shown(problem['input'])}: {message}")
    return lines


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
