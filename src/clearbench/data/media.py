"""Media of rows: encoded bytes that are decoded only when they are needed."""

from __future__ import annotations

import hashlib
import io
from functools import cached_property
from typing import Any

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, field_validator

from clearbench.data.intact import breaks_off
from clearbench.data.pixels import opened, rgb
from clearbench.errors import DataError


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

    def inspect(self) -> tuple[str, ...]:
        """Decodes the whole content once, before any work; says what is doubtful in it.

        Raises:
            ValueError: It breaks off or cannot be decoded.
        """
        self.decode()
        return ()


class EncodedImage(Media):
    """An encoded image."""

    @classmethod
    def check(cls, encoded: bytes) -> None:
        """Reads the header alone: another file, or an enormous picture, is refused here."""
        with opened(encoded):
            pass

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
        """Decodes the image as upright RGB with eight bits a channel (see `pixels.rgb`).

        Raises:
            DataError: It breaks off, or the range of its values is not known.
        """
        try:
            with opened(self.encoded) as image:
                return rgb(image)
        except ValueError as error:
            raise DataError(f"a picture {error}", f"sha256 {self.key}", "save it anew") from error

    def inspect(self) -> tuple[str, ...]:
        """Decodes the whole picture; says what of it is not shown."""
        with opened(self.encoded) as image:
            frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
            if breaks_off(self.encoded, image):
                raise ValueError("breaks off: some of its pixels are missing")
            if image.mode.startswith(("I", "F")):
                rgb(image)
            elif image.format != "JPEG":  # whose pixels have been decoded by now
                image.load()
        return (f"has {frames} frames, of which the first is shown",) if frames > 1 else ()
