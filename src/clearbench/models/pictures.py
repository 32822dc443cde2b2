"""Refuses a processor or a chat template that does not fit its model, before any work."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from clearbench.batches.items import Item
from clearbench.errors import ModelError
from clearbench.models.base import Model
from clearbench.models.families.base import accepted
from clearbench.models.model_files import first_line
from clearbench.models.token_model import TokenModel

#: Settings of a processor that decide how many tokens stand for a picture.
SETTINGS = (
    "image_seq_length, patch_size, vision_feature_select_strategy, num_additional_image_tokens"
)


@torch.no_grad()
def check_pictures(model: Model, items: Iterable[Item]) -> None:
    """Reads the first of some rows that has a picture, or other media; without any, does nothing.

    Args:
        model: Model of any kind; left as it was.
        items: Rows, of which those that the model does not take are left out.

    Raises:
        ModelError: The processor cannot prepare it, the prompt has no place for it, or the model
            expects another number of tokens for it.
    """
    row = next((item for item in items if item.media is not None and model.accepts(item)), None)
    if row is None:
        return
    if isinstance(model, TokenModel):
        _check_place(model, row)
    (batch,) = model.batch([row])
    with model.measured():
        try:
            model.core(**accepted(model.core, batch.inputs))
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise ModelError(
                f"the model cannot read what its processor makes of a picture: {first_line(error)}",
                type(model.processor).__name__,
                f"set the processor's {SETTINGS} as the model's config.json says",
            ) from error


def media_token(model: TokenModel, medium: str) -> int | None:
    """Returns the token that stands for media where the model reads them; None without one.

    It is not always the one that a template writes: Aya Vision's processor puts others there.
    """
    own: int | None = getattr(model.core.config, f"{medium}_token_id", None)
    if own is not None:
        return own
    written = getattr(model.processor, f"{medium}_token", None)
    return None if written is None else int(model.tokenizer.convert_tokens_to_ids(written))


def _check_place(model: TokenModel, row: Item) -> None:
    """Refuses a prompt without a token for the picture."""
    token = getattr(model.processor, f"{row.medium}_token", None)
    if token is None:
        return
    placeholder = model.tokenizer.convert_tokens_to_ids(token)
    where = type(model.processor).__name__
    if placeholder is None or placeholder == model.tokenizer.unk_token_id:
        raise ModelError(
            f"the tokenizer has no token '{token}' for a picture", where, "add it to the tokenizer"
        )
    ids = model.encoder.prompt(row.question, row.media, row.track).ids
    if media_token(model, row.medium) not in ids:
        raise ModelError(
            f"the prompt of a question about a picture has no '{token}' in it",
            where,
            f"let the chat template write '{token}' where a message has a part of the type 'image'",
        )
