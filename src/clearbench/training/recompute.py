"""Computes a layer's activations a second time in the backward pass instead of keeping them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clearbench.errors import ModelError
from clearbench.models.base import Model


def check_recomputable(model: Model) -> None:
    """Refuses a model whose layers cannot be computed a second time.

    Raises:
        ModelError: `transformers` knows no such layers in it.
    """
    if not getattr(model.core, "supports_gradient_checkpointing", False):
        raise ModelError(
            f"a {type(model.core).__name__} has no layers whose activations can be recomputed",
            "train.gradient_checkpointing",
            "leave it out, or raise train.accumulate",
        )


@contextmanager
def recomputed(model: Model) -> Iterator[None]:
    """Keeps only each layer's inputs in training while entered; gradients stay the same."""
    check_recomputable(model)
    core = model.core
    name = "activation_checkpointing_enable"  # the other is its name before transformers 5.20
    enable = getattr(core, name, None) or core.gradient_checkpointing_enable
    enable({"use_reentrant": False})
    try:
        yield
    finally:
        disable = getattr(core, name.replace("enable", "disable"), None)
        (disable or core.gradient_checkpointing_disable)()
