"""Media of rows: encoded bytes that are decoded only when they are needed."""

from __future__ import annotations

import hashlib
import io
from functools import cached_property
from typing import Any

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, field_validator


class Media(BaseModel):
    """The encoded bytes of one file. Subclasses implement the check and the decoding."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    encoded: bytes = Field(repr=False)

    @field_validator("encoded")
    @classmethod
    def _checked(cls, encoded: bytes) -> bytes:
        cls.check(encoded)
        return encoded

    @classmethod
    def check(cls, encoded: bytes) -> None:
        """Raises a `ValueError` for bytes that `decode` could not read; cheaper than `decode`."""

    @cached_property
    def key(self) -> str:
        """Sha256 of the encoded bytes: equal media have equal keys."""
        return hashlib.sha256(self.encoded).hexdigest()

    def decode(self) -> Any:
        """Decodes the content to the form that a processor takes."""
        raise NotImplementedError(f"{type(self).__name__} defines no decode")


class EncodedImage(Media):
    """An encoded image."""

    @classmethod
    def check(cls, encoded: bytes) -> None:
        """Reads the header alone; a broken or enormous image is refused here, with its row."""
        try:
            Image.open(io.BytesIO(encoded)).close()
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"not a picture that can be read: {error}") from error

    @classmethod
    def of(cls, image: Image.Image, quality: int | None = None) -> EncodedImage:
        """Encodes pixels as PNG, or as JPEG of the given quality."""
        buffer = io.BytesIO()
        if quality is None:
            image.save(buffer, "PNG")
        else:
            image.save(buffer, "JPEG", quality=quality)
        return cls(encoded=buffer.getvalue())

    def decode(self) -> Image.Image:
        """Decodes the image as RGB."""
        return Image.open(io.BytesIO(self.encoded)).convert("RGB")
