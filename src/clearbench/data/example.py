"""One row of a benchmark: a question about a person (or the world), with or without an image."""

from __future__ import annotations

import hashlib
import io
from functools import cached_property
from typing import Literal

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Track = Literal["text", "image"]
Task = Literal["qa", "caption", "name", "choice"]

#: Every track in one place: what a row of it carries and which tasks it can set.
TRACKS: dict[Track, tuple[Task, ...]] = {
    "text": ("qa", "choice"),
    "image": ("caption", "name", "choice"),
}

#: The image track's question bank: our own words; a dataset's own questions win where it has any.
CAPTION_QUESTIONS = (
    "What does this picture show?",
    "Who can be seen here, and where?",
    "Can you describe this photograph?",
)
NAME_QUESTION = "What is the name of the person in this picture?"


class EncodedImage(BaseModel):
    """An encoded image, decoded only when somebody looks at it."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    encoded: bytes = Field(repr=False)

    @field_validator("encoded")
    @classmethod
    def _opens(cls, encoded: bytes) -> bytes:
        """Reads the header alone; a broken or enormous image is refused here, with its row."""
        try:
            Image.open(io.BytesIO(encoded)).close()
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"not a picture that can be read: {error}") from error
        return encoded

    @classmethod
    def of(cls, image: Image.Image, quality: int | None = None) -> EncodedImage:
        """An image from pixels: PNG, or JPEG of the given quality."""
        buffer = io.BytesIO()
        if quality is None:
            image.save(buffer, "PNG")
        else:
            image.save(buffer, "JPEG", quality=quality)
        return cls(encoded=buffer.getvalue())

    @cached_property
    def key(self) -> str:
        """The sha256 of the encoded bytes: equal images have equal keys."""
        return hashlib.sha256(self.encoded).hexdigest()

    def decode(self) -> Image.Image:
        """The image as RGB."""
        return Image.open(io.BytesIO(self.encoded)).convert("RGB")


class Example(BaseModel):
    """One row. `person` is None for questions about the world.

    Attributes:
        perturbed_answers: Wrong answers of the same form, or the other options of a choice.
        held_out: Whether the row is measured but never trained on.
        source: Where the row came from, as `file:row`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    person: int | None
    track: Track
    task: Task
    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    image: EncodedImage | None = None
    paraphrased_question: str | None = None
    paraphrased_answer: str | None = None
    perturbed_answers: tuple[str, ...] = ()
    held_out: bool = False
    source: str = ""

    @field_validator("question", "answer", "paraphrased_answer")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None and any(
            0xD800 <= ord(letter) <= 0xDFFF or (ord(letter) < 32 and letter not in "\n\t")
            for letter in text
        ):
            raise ValueError("holds control characters or lone surrogates; remove them")
        if text is not None and not text.strip():
            raise ValueError("is blank; give the text or drop the row")
        return text


def bad_fields(error: ValidationError, where: str, field: str = "") -> list[str]:
    """One line for each bad field of a row: where, field, value and what is wrong with it."""
    lines = []
    for each in error.errors():
        name = field or ".".join(map(str, each["loc"]))
        lines.append(f"{where}: {name} = {_shown(each['input'])}: {each['msg']}")
    return lines


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
