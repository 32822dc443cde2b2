"""Vision-language models: causal models that also take images."""

from __future__ import annotations

from clearbench.models.token_model import TokenModel


class VisionLanguageModel(TokenModel):
    """A causal model that takes images; families store the features of frozen towers."""

    kind = "vision-language"
