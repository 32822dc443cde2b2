"""The settings of training: schedule, trained parts, penalty and early stopping."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from clearbench.data.modality import modalities
from clearbench.errors import RecipeError, did_you_mean, explain, number_or_other


class Penalty(BaseModel):
    """CLEAR's regulariser: `strength * |w|_1`, for any method.

    Attributes:
        on: `adapter` (LoRA's A and B), `delta` (change since the start) or `theta` (the weights).
        reduce: `sum` as published, or `mean`, which does not grow with the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    strength: float = Field(ge=0)
    on: Literal["adapter", "delta", "theta"] = "adapter"
    reduce: Literal["sum", "mean"] = "sum"

    @model_validator(mode="before")
    @classmethod
    def _yaml_reads_on_as_true(cls, content: Any) -> Any:
        if isinstance(content, dict):
            return {"on" if key is True else key: value for key, value in content.items()}
        return content


class Until(BaseModel):
    """The criterion that ends the forgetting of a track before the last step.

    Attributes:
        text: Share of the way from the start to strangers by which the mean answer probability of
            the forgotten people should fall; None never stops.
        image: The same share for captions. Other modalities are further fields of this kind.
        repair: Number of steps of retain fine-tuning once every track is forgotten.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, Annotated[float | None, Field(gt=0)]] = Field(init=False)

    text: float | None = Field(default=None, gt=0)
    image: float | None = Field(default=None, gt=0)
    repair: int = Field(default=0, ge=0)

    @property
    def shares(self) -> dict[str, float | None]:
        """The shares by modality."""
        return {name: getattr(self, name, None) for name in modalities()}

    @model_validator(mode="after")
    def _known(self) -> Until:
        _check_known(self.__pydantic_extra__, [*modalities(), "repair"])
        return self


class ModalityWeights(BaseModel):
    """The weight of each modality's rows, where several are forgotten at once.

    Attributes:
        text: Weight of questions.
        image: Weight of images. Other modalities are further fields of this kind, by default 1.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, Annotated[float, Field(gt=0)]] = Field(init=False)

    text: float = Field(default=1.0, gt=0)
    image: float = Field(default=1.0, gt=0)

    @property
    def by_name(self) -> dict[str, float]:
        """The weights by modality."""
        return {name: getattr(self, name, 1.0) for name in modalities()}

    @model_validator(mode="after")
    def _known(self) -> ModalityWeights:
        _check_known(self.__pydantic_extra__, [*modalities()])
        return self


def _check_known(extra: Mapping[str, object] | None, known: Sequence[str]) -> None:
    """Refuses further fields that name no modality."""
    for name in extra or ():
        if name not in modalities():
            raise ValueError(f"unknown key '{name}'; {did_you_mean(name, known)}")


#: Largest seed of training, whose product with the number of a step torch can still take.
LARGEST_SEED = 2**31 - 1


class TrainSettings(BaseModel):
    """The settings of a training run.

    Attributes:
        steps: Number of updates.
        batch_size: Rows of each split and track in a step.
        image_batch_size: Rows of the image track; None for `batch_size`.
        modality_weights: Weights of the modalities where several are forgotten at once: each term
            is the mean of its means over the rows of each. Those not named weigh 1.
        replay: Rows of each track about the rest of the world in each retain batch.
        learning_rate: Highest learning rate.
        warmup: Share of the steps in which the learning rate rises from zero.
        decay: Shape of the fall that follows, down to `floor` times the learning rate.
        floor: Lowest learning rate, as a share of the highest.
        weight_decay: Decoupled weight decay of AdamW.
        clip: Largest norm of the gradient.
        parts: Parts of the model that are trained.
        lora_rank: Rank of adapters on those parts; None trains the weights themselves.
        lora_alpha: Scale of what adapters add, over their rank; None for twice the rank.
        saliency: Share of all weights that are trained, those on which the forget loss depends most
            (SalUn's mask); None for all.
        rule: Rule that mixes the gradients of a method's forget and retain terms; None sums them.
        retain_average: Weight of the newest retain gradient in the moving average of rule `gru`;
            0.8 is the authors' and OpenUnlearning's.
        penalty: L1 penalty on the trained weights.
        prompt_decoupling: Weight of the loss on the forget questions asked of retained people (of
            text, the most similar questions about them), in the stage that forgets;
            SafeEraser's is 0.5 beside ascent, with 0.5 on retain too, 1 beside KL or refusals.
        until: Criterion that ends the forgetting of a track early; None runs every step.
        max_retain_rise: Rise of the loss on retain rows, in nats per answer token, beyond which an
            unlearning run ends as diverged; None does not measure it.
        precision: `bfloat16` computes under autocast, with weights in float32.
        optimizer: Optimiser `adamw`, or `adamw_8bit`, whose moments take 2 bytes a weight, not 8.
        accumulate: Micro-batches per update, which change memory and time, not results; None for
            one, or on a CPU for as many as a large model's memory asks for.
        gradient_checkpointing: True to keep a layer's inputs alone and to compute its activations
            again in the backward pass: the same gradients for a third more time.
        checkpoint_seconds: Seconds between two checkpoints of a long stage.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: int = Field(ge=1)
    batch_size: int = Field(default=12, ge=1)
    image_batch_size: int | None = Field(default=None, ge=1)
    modality_weights: ModalityWeights = ModalityWeights()
    replay: int = Field(default=0, ge=0)
    learning_rate: float = Field(default=3e-4, gt=0)
    warmup: float = Field(default=0.1, ge=0, le=1)
    decay: Literal["linear", "cosine", "none"] = "linear"
    floor: float = Field(default=0.1, ge=0, le=1)
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float = Field(default=1.0, gt=0)
    parts: tuple[Literal["vision", "projector", "language"], ...] = ("projector", "language")
    lora_rank: int | None = Field(default=None, ge=1)
    lora_alpha: int | None = Field(default=None, ge=1, exclude_if=lambda alpha: alpha is None)
    saliency: float | None = Field(default=None, gt=0, lt=1)
    rule: Literal["projection", "pcgrad", "bargaining", "gru"] | None = None
    retain_average: float = Field(default=0.8, gt=0, le=1)
    penalty: Penalty | None = None
    prompt_decoupling: float | None = Field(default=None, gt=0)
    until: Until | None = None
    max_retain_rise: float | None = Field(default=None, gt=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    optimizer: Literal["adamw", "adamw_8bit"] = Field(
        default="adamw", exclude_if=lambda name: name == "adamw"
    )
    accumulate: int | None = Field(default=None, ge=1)
    gradient_checkpointing: bool = Field(default=False, exclude_if=operator.not_)
    checkpoint_seconds: float = Field(default=60.0, gt=0)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_values(cls, value: Any, info: ValidationInfo) -> Any:
        return number_or_other(value, cls.model_fields[str(info.field_name)].annotation)

    @model_validator(mode="after")
    def _consistent(self) -> TrainSettings:
        """Refuses settings without effect, or that leave a micro-batch without rows."""
        if (self.accumulate or 1) > min(self.rows.values()):
            raise ValueError(f"accumulate {self.accumulate} is more than the rows of a batch")
        if self.lora_alpha is not None and self.lora_rank is None:
            raise ValueError("lora_alpha needs lora_rank; give both or neither")
        if self.penalty and self.penalty.on == "adapter" and self.lora_rank is None:
            raise ValueError("penalty on 'adapter' needs lora_rank; or choose 'delta' or 'theta'")
        if self.retain_average != 0.8 and self.rule != "gru":
            raise ValueError("retain_average needs rule 'gru', which alone reads the average")
        return self

    @classmethod
    def of(cls, **fields: object) -> TrainSettings:
        """Makes checked settings; a `RecipeError` names every problem."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            known = cls.model_fields
            raise RecipeError(
                explain(error, known), "training settings", f"fields: {', '.join(known)}"
            ) from error

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows of each track in a step."""
        own = {"image": self.image_batch_size or self.batch_size}
        return dict.fromkeys(modalities(), self.batch_size) | own

    def rate(self, step: int) -> float:
        """The learning rate of a step (counted from 0): a function of the step alone.

        `transformers.get_scheduler` has the same shapes to 2e-16, but its warm-up begins at a rate
        of 0: with ten steps of warm-up each of them would have a tenth of `learning_rate` less.
        """
        rising = round(self.warmup * self.steps)
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        done = (step - rising) / max(1, self.steps - rising)
        if self.decay == "linear":
            share = 1 - done
        elif self.decay == "cosine":
            share = (1 + math.cos(math.pi * done)) / 2
        else:
            share = 1.0
        return self.learning_rate * (self.floor + (1 - self.floor) * share)
