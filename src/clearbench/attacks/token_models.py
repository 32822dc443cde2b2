"""Tells models that answer in tokens from classifiers; their library is imported when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from clearbench.models.token_model import TokenModel


def is_token_model(model: object) -> TypeGuard[TokenModel]:
    """Whether a model is a language or vision-language model."""
    from clearbench.models.token_model import TokenModel

    return isinstance(model, TokenModel)
