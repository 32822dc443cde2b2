"""Positions, orders of guards, sizes of pictures, and twins: each by itself."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from PIL import Image

from clearbench.data.media import EncodedImage
from clearbench.methods.base import method
from clearbench.methods.guard import FittedGuard, Guard, as_tensor
from clearbench.models.encoding import _size
from clearbench.models.guards import load_guards, save_guards
from clearbench.models.positions import attention_window, only_attends, position_limit
from clearbench.testing import tiny_model


def configured(**fields: Any) -> Any:
    """A model without layers that has these settings."""
    config = SimpleNamespace(**fields)
    config.get_text_config = lambda: config
    return SimpleNamespace(config=config, named_modules=lambda: ())


@pytest.mark.parametrize(
    ("most", "scaling", "limit"),
    [
        (128, None, 128),
        (128, {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}, 128),
        (32, {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}, 128),
        (256, {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}, 256),
        (128, {"rope_type": "linear", "factor": 4.0}, 128),
        (128, {"rope_type": "dynamic", "factor": 4.0}, 128),
        (128, {"type": "longrope", "original_max_position_embeddings": 32}, 32),
    ],
)
def test_positions_are_stretched_from_where_they_were_trained(
    most: int, scaling: dict[str, Any] | None, limit: int
) -> None:
    core = configured(max_position_embeddings=most, rope_scaling=scaling)
    assert position_limit(core) == limit


@pytest.mark.parametrize(
    ("windows", "shortest"),
    [
        ({}, None),
        ({"sliding_window": 64}, 64),
        ({"sliding_window": 64, "attention_chunk_size": 16}, 16),
        ({"window_size": 8, "attention_window_size": 32}, 8),
        ({"sliding_window": None, "attention_chunk_size": 0}, None),
    ],
)
def test_the_shortest_window_counts(windows: dict[str, Any], shortest: int | None) -> None:
    assert attention_window(SimpleNamespace(**windows)) == shortest


@pytest.mark.parametrize(
    ("layers", "only"),
    [
        (None, True),
        ([], True),
        (["full_attention", "sliding_attention"], True),
        (["chunked_attention"], True),
        (["conv", "full_attention"], False),
        (["linear_attention", "full_attention"], False),
    ],
)
def test_only_layers_of_attention_read_branches(layers: list[str] | None, only: bool) -> None:
    assert only_attends(SimpleNamespace(layer_types=layers)) == only


def guard(words: str) -> FittedGuard:
    chosen = cast(Guard, method("guardrail", instruction=f"{words} of {{names}}."))
    return FittedGuard(chosen, {"text": as_tensor(words)})


@pytest.mark.parametrize("count", [1, 2, 3, 11])
def test_guards_stand_in_the_order_in_which_they_were_put_on(count: int, tmp_path: Path) -> None:
    guards = tuple(guard(f"Number {k}") for k in range(count))
    save_guards(cast(Any, SimpleNamespace(guards=guards)), tmp_path)
    assert [each.about for each in load_guards(tmp_path)] == [each.about for each in guards]


def test_an_untrained_twin_has_no_guards() -> None:
    model = tiny_model("language")
    model.guards = (guard("Nothing"),)
    assert model.untrained(1).guards == () and len(model.guards) == 1
    assert len(model.duplicate().guards) == 1


def test_a_turned_picture_is_of_another_size() -> None:
    """Cameras store it lying and say how it is held: upright it has other sides."""

    def taken(turn: int | None) -> EncodedImage:
        buffer, exif = io.BytesIO(), Image.Exif()
        if turn is not None:
            exif[0x0112] = turn
        Image.new("RGB", (8, 16)).save(buffer, "JPEG", exif=exif)
        return EncodedImage(encoded=buffer.getvalue())

    plain, upright, turned = taken(None), taken(1), taken(6)
    assert _size(plain) == _size(taken(None)) and _size(turned) == _size(taken(6))
    assert _size(turned) not in (_size(plain), _size(upright))
    assert turned.decode().size == (16, 8) and plain.decode().size == (8, 16)
