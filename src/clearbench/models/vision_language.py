"""Vision-language models: causal models that also take images."""

from __future__ import annotations

import torch
from torch import Tensor

from clearbench.models.token_model import TokenModel


class VisionLanguageModel(TokenModel):
    """A causal model that takes images; families store the features of frozen towers."""

    kind = "vision-language"

    @property
    def pixel_range(self) -> tuple[Tensor, Tensor]:
        """Network inputs of black and white after the image processor's normalisation."""
        reader = self.processor.image_processor
        normalised = getattr(reader, "do_normalize", True)
        moments = (reader.image_mean, reader.image_std) if normalised else ([0.0] * 3, [1.0] * 3)
        mean, std = (torch.tensor(each, device=self.device)[:, None, None] for each in moments)
        return -mean / std, (1 - mean) / std
