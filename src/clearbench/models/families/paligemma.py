"""PaliGemma: a prompt is read in both directions, an answer from left to right.

Its processors have no chat template. They put the image and the first token before a text and a
line break behind it, and give tokens of the prompt the type 0; those of an answer have the type 1.
Rows without a picture, which its processor refuses, are read from left to right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clearbench.data.media import Media
from clearbench.data.modality import Modality
from clearbench.models.families.base import Family


class PaliGemma(Family, name="paligemma"):
    """PaliGemma, of both generations."""

    model_types = ("paligemma",)
    text_values = {"token_type_ids": 1}  # noqa: RUF012
    template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}"
        "{% for c in m['content'] if c['type'] == 'image' %}{{ '<image>' }}{% endfor %}"
        "{{ bos_token }}{% for c in m['content'] if c['type'] == 'text' %}{{ c['text'] }}"
        "{% endfor %}{{ '\n' }}{% else %}{{ m['content'][0]['text'] }}{% endif %}{% endfor %}"
    )

    def encode_media(
        self,
        processor: Any,
        modality: Modality,
        media: Media,
        text: str | None = None,
        **options: Any,
    ) -> Mapping[str, Any]:
        """Runs the processor, which writes the first token and the line break by itself."""
        if text is not None:
            text = text.replace(processor.tokenizer.bos_token, "").removesuffix("\n")
        return super().encode_media(processor, modality, media, text, **options)
