"""Pictures of every kind become upright eight-bit RGB, or are refused before any work."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from clearbench.data.load import load_dataset
from clearbench.data.media import EncodedImage
from clearbench.data.pixels import LARGEST
from clearbench.errors import DataError

Clear = dict[str, list[dict[str, Any]]]
Write = Callable[..., Path]

#: Grey from black to white in sixteen bits, and the same in eight.
RAMP = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
RAMP_8 = np.rint(RAMP / 257).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(lines: list[bytes], width: int, height: int, bits: int = 8, color: int = 2) -> bytes:
    """A PNG with any lines, fewer than its header says if so asked."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines)))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


def noise() -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    return Image.fromarray(values).resize((128, 96))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_stand_upright(kind: str, orientation: int) -> None:
    image = Image.new("RGB", (32, 16), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 32, 8))
    tags = Image.Exif()
    tags[0x0112] = orientation
    content = encoded(image, kind, exif=tags)
    with Image.open(io.BytesIO(content)) as stored:
        expected = ImageOps.exif_transpose(stored).convert("RGB")
    found = EncodedImage(encoded=content).decode()
    assert found.size == ((32, 16) if orientation < 5 else (16, 32))
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "content",
    [
        encoded(Image.fromarray(RAMP), "PNG"),
        encoded(Image.fromarray(RAMP), "TIFF"),
        encoded(Image.fromarray(RAMP.astype(np.int32)), "TIFF"),
        encoded(Image.fromarray((RAMP / 65535).astype(np.float32)), "TIFF"),
        encoded(Image.fromarray(RAMP.astype(np.float32)), "TIFF"),
    ],
    ids=["png", "tiff", "whole numbers", "shares of one", "numbers"],
)
def test_more_than_eight_bits_are_scaled(content: bytes) -> None:
    found = np.asarray(EncodedImage(encoded=content).decode())
    assert found.shape == (16, 16, 3)
    assert np.abs(found.astype(int) - RAMP_8[..., None].astype(int)).max() <= 1


def test_sixteen_bits_of_colour_are_scaled() -> None:
    lines = [np.repeat(line[:, None], 3, 1).astype(">u2").tobytes() for line in RAMP]
    found = np.asarray(EncodedImage(encoded=png(lines, 16, 16, bits=16)).decode())
    assert np.abs(found.astype(int) - RAMP_8[..., None].astype(int)).max() <= 1


@pytest.mark.parametrize("values", [RAMP / 65535 - 1, RAMP * 4.0, RAMP * np.nan])
def test_grey_values_of_no_known_range_are_refused(values: np.ndarray) -> None:
    image = EncodedImage(encoded=encoded(Image.fromarray(values.astype(np.float32)), "TIFF"))
    with pytest.raises(ValueError, match="save it in eight bits"):
        image.inspect()
    with pytest.raises(DataError, match="save it in eight bits"):
        image.decode()


@pytest.mark.parametrize(
    "content",
    [
        encoded(Image.new("RGBA", (8, 8), (9, 9, 9, 0)), "PNG"),
        encoded(Image.new("LA", (8, 8), (9, 0)), "PNG"),
        encoded(Image.new("P", (8, 8), 0), "PNG", transparency=0),
        encoded(Image.new("RGB", (8, 8), (9, 9, 9)), "PNG", transparency=(9, 9, 9)),
    ],
    ids=["colour", "grey", "palette", "one colour"],
)
def test_what_is_transparent_is_white(content: bytes) -> None:
    assert EncodedImage(encoded=content).decode().getpixel((3, 3)) == (255, 255, 255)


def test_inks_become_colours() -> None:
    red = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)
    found = EncodedImage(encoded=red).decode().getpixel((4, 4))
    assert isinstance(found, tuple) and found[0] > 240 and max(found[1:]) < 15


_OPTIONS: tuple[dict[str, Any], ...] = ({}, {"progressive": True}, {"quality": 20})


@pytest.mark.parametrize("options", _OPTIONS, ids=["baseline", "progressive", "coarse"])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_that_breaks_off_is_found_even_with_an_end(
    options: dict[str, Any], mode: str
) -> None:
    whole = encoded(noise().convert(mode), "JPEG", **options)
    assert EncodedImage(encoded=whole).inspect() == ()
    assert EncodedImage(encoded=whole + b"further\xff\xd9").inspect() == ()
    for share in (0.5, 0.7, 0.9):
        cut = whole[: int(len(whole) * share)]
        for content in (cut, cut + b"\xff\xd9"):
            with pytest.raises(ValueError, match=r"breaks off|truncated"):
                EncodedImage(encoded=content).inspect()


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_other_pictures_that_break_off_are_found(kind: str) -> None:
    whole = encoded(noise().convert("P" if kind == "GIF" else "RGB"), kind)
    assert EncodedImage(encoded=whole).inspect() == ()
    with pytest.raises(ValueError, match=r"breaks off|not a picture"):
        EncodedImage(encoded=whole[: len(whole) // 2]).inspect()


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA"])
def test_a_png_needs_all_its_lines(mode: str) -> None:
    assert EncodedImage(encoded=encoded(noise().convert(mode), "PNG")).inspect() == ()
    with pytest.raises(ValueError, match="breaks off"):
        EncodedImage(encoded=png([bytes(24)] * 5, 8, 8)).inspect()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty file"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a picture in PNG, JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not a picture in PNG, JPEG"),
        (b"GIF89a, but not really", "not a picture"),
        (png([], 100_000, 2_000), f"at most {LARGEST:,} pixels"),
        (png([], 9_000, 9_000), f"at most {LARGEST:,} pixels"),
        (encoded(Image.new("RGB", (1, 1)), "PNG"), "is 1 x 1 pixels"),
        (encoded(Image.new("RGB", (3, 90)), "PNG"), "is 3 x 90 pixels"),
    ],
)
def test_files_that_are_no_pictures_to_read_are_refused(content: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        EncodedImage(encoded=content)


def test_pictures_that_move_show_their_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ((255, 0, 0), (0, 255, 0))]
    for kind in ("GIF", "PNG", "WEBP"):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        image = EncodedImage(encoded=content)
        assert image.inspect() == ("has 2 frames, of which the first is shown",)
        found = image.decode().getpixel((4, 4))
        assert isinstance(found, tuple) and found[0] > 200 > found[1]


def test_broken_pictures_are_all_named_before_any_work(
    clear: Clear, write_clear: Write, tmp_path: Path
) -> None:
    jpeg = encoded(noise(), "JPEG")
    clear["forget10"][0]["image"] = {"bytes": jpeg[: len(jpeg) // 2], "path": None}
    clear["retain_perturbed"][2]["image"] = {"bytes": jpeg[: len(jpeg) // 3] + b"\xff\xd9"}
    with pytest.raises(DataError) as caught:
        load_dataset(write_clear(tmp_path, clear), "forget10")
    said = str(caught.value)
    assert "forget10/train-00000-of-00001.parquet:0: image is not a picture" in said
    assert "retain_perturbed/train-00000-of-00001.parquet:2: image breaks off" in said
