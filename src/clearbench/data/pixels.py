"""Turns encoded pictures of every kind into upright RGB pixels with eight bits a channel."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from struct import error as StructError

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

#: Formats that are read. Others, EPS among them, would start further programs or decoders.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
#: Endings of their files.
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
#: Largest number of pixels of a picture (8,000 by 8,000), so that a small file cannot fill memory.
LARGEST = 64_000_000
#: Shortest side in pixels: processors take a side of 1 or 3 for the colour channels.
SHORTEST = 4
#: Errors that Pillow raises for broken files.
_BROKEN = (OSError, SyntaxError, EOFError, LookupError, TypeError, StructError)
_TAG_BITS = 258
_WHITE = (255, 255, 255, 255)


@contextmanager
def opened(encoded: bytes) -> Iterator[Image.Image]:
    """Opens a picture of a known format and size; pixels are decoded when they are asked for.

    Raises:
        ValueError: It is another file, too large or too small, or breaks while it is used.
    """
    if not encoded:
        raise ValueError("is an empty file, not a picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
                _refuse_size(*image.size)
                yield image
    except UnidentifiedImageError as error:
        shown = encoded[:8]
        what = f"is not a picture in {', '.join(FORMATS)}: it begins with {shown!r}"
        raise ValueError(what) from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise ValueError(f"is too large: at most {LARGEST:,} pixels") from error
    except _BROKEN as error:
        raise ValueError(f"is not a picture that can be read: {error}") from error


def _refuse_size(width: int, height: int) -> None:
    size = f"is {width} x {height} pixels"
    if width * height > LARGEST:
        raise ValueError(f"{size}: at most {LARGEST:,} pixels are read; make it smaller")
    if min(width, height) < SHORTEST:
        raise ValueError(f"{size}: each side needs at least {SHORTEST}")


def rgb(image: Image.Image) -> Image.Image:
    """Returns the first frame upright, with transparent parts on white, as eight-bit RGB.

    Deeper channels are scaled, not clipped: 65535 of sixteen bits becomes 255.

    Raises:
        ValueError: The range of its values is not known.
    """
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(("I", "F")):
        return _scaled(upright, _bits(image)).convert("RGB")
    if upright.has_transparency_data:
        shown = upright.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", shown.size, _WHITE), shown).convert("RGB")
    return upright.convert("RGB")


def _bits(image: Image.Image) -> int | None:
    """Returns the bits of a grey value; None where the file does not say what is white."""
    if not image.mode.startswith("I;16"):
        return None
    tags = getattr(image, "tag_v2", {})
    return int(tags.get(_TAG_BITS, (16,))[0])


def _scaled(image: Image.Image, bits: int | None) -> Image.Image:
    """Scales grey values to eight bits; without a stated depth the smallest that holds them."""
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0:
        raise ValueError("has grey values below 0 or that are no numbers; save it in eight bits")
    tops = (2**bits - 1,) if bits else ((1, 255, 65535) if image.mode == "F" else (255, 65535))
    white = next((top for top in tops if values.max() <= top), None)
    if white is None:
        raise ValueError(f"has grey values up to {values.max():g}; save it in eight bits")
    return Image.fromarray(np.rint(values / white * 255).astype(np.uint8))
