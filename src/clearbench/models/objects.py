"""Wraps the `transformers` models that a user has in memory, and gives such models back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from clearbench.errors import ModelError, RecipeError
from clearbench.models.adapters import merge_adapters
from clearbench.models.base import Model
from clearbench.models.load import load_model


def is_object(source: Any) -> bool:
    """Whether a model is a user's own `transformers` object, not yet wrapped."""
    return isinstance(source, nn.Module)


def refuse_object(source: Any, method: str) -> None:
    """Refuses a `transformers` object where a method puts a guard in front of a model."""
    if is_object(source):
        raise RecipeError(
            f"{method} puts a guard in front of a model, which a `transformers` object cannot hold",
            "method",
            "give clearbench.load_model(model, tokenizer); what comes back applies the guard",
        )


@contextmanager
def wrapped(source: Any, tokenizer: Any = None, processor: Any = None) -> Iterator[Model]:
    """Wraps or loads a model; a `transformers` object is as it was when this is left.

    Args:
        source: `Model`, a `transformers` object, or a folder or hub id.
        tokenizer: Tokenizer of a language model.
        processor: Processor of a vision-language model, or image processor of a classifier; another
            name of `tokenizer`.

    Raises:
        ModelError: Both are given, or one for a `Model`, which has its own; or as `load_model`.
    """
    if tokenizer is not None and processor is not None:
        raise ModelError(
            "a tokenizer and a processor are given",
            "processor=",
            "give the processor alone, which has the tokenizer",
        )
    reader = processor if tokenizer is None else tokenizer
    if isinstance(source, Model):
        if reader is not None:
            raise ModelError(
                "a clearbench Model has its own processor", "processor", "leave it out"
            )
        yield source
        return
    if not is_object(source):
        yield load_model(source, reader)
        return
    before = _Condition(source)
    try:
        yield load_model(source, reader)
    finally:
        before.restore(source)


def in_form_of(source: Any, model: Model) -> Any:
    """Returns a trained model in the form in which the model was given.

    Args:
        source: Model that was given, as in `wrapped`.
        model: Trained copy of it, which `wrapped` has been left with.

    Returns:
        For a `transformers` object one of its class, with adapters merged into its weights, on its
        device, in its mode and with the same weights trainable; else the `Model`.
    """
    if not is_object(source):
        return model
    merge_adapters(model)
    _Condition(source).restore(model.module)
    device = next(source.parameters()).device
    return model.module if model.device == device else model.module.to(device)


class _Condition:
    """What a module is besides its weights: modes, trainable weights, form of outputs."""

    def __init__(self, module: Any) -> None:
        self._modes = {name: layer.training for name, layer in module.named_modules()}
        self._learning = {name: p.requires_grad for name, p in module.named_parameters()}
        self._forms = [getattr(config, "return_dict", True) for config in _configs(module)]

    def restore(self, module: Any) -> None:
        """Sets it on a module, where names are the same."""
        for name, layer in module.named_modules():
            layer.training = self._modes.get(name, layer.training)
        for name, weight in module.named_parameters():
            weight.requires_grad_(self._learning.get(name, weight.requires_grad))
        for config, form in zip(_configs(module), self._forms, strict=True):
            config.return_dict = form


def _configs(module: Any) -> list[Any]:
    """The configurations that wrapping may change."""
    config = getattr(module, "config", None)
    return [] if config is None else [config, getattr(config, "get_text_config", lambda: config)()]
