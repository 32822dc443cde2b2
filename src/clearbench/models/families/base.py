"""Families of architectures: their differences, with a default that suits most.

A family that needs no exception needs no file. One that does is a subclass of `Family` in this
folder, in a plugin, or behind an entry point of the group `clearbench.families`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from clearbench.batches.batch import Batch
from clearbench.batches.kind import Kind
from clearbench.data.media import Media
from clearbench.data.modality import Modality
from clearbench.errors import ModelError
from clearbench.libraries import torch
from clearbench.models.cache import WorkCache
from clearbench.models.model_files import first_line, template_of_processors
from clearbench.plugins import Registry

if TYPE_CHECKING:
    from torch import Tensor

Part = Literal["vision", "projector", "language"]

_REGISTRY: Registry[Family]
#: Settings without which some processors cannot count a picture's tokens.
_SIZES = ("patch_size", "vision_feature_select_strategy", "image_seq_length", "image_size")


class Family:
    """The default family: names and conventions that most `transformers` architectures share.

    Attributes:
        model_types: `config.model_type` of the architectures it is for.
        projector: Pattern of the projector's parameter names; tested first, since some families
            keep it inside the vision module.
        vision: Pattern of the media encoder's. Every parameter of a classifier belongs to it.
        layer: Pattern of a parameter in a layer; its group is the layer's number from 0.
        mlp_output: Pattern of the last matrix of a perceptron.
        output_head: Part of the name of the layer that gives a token's logits.
        label_head: Part of the name of a classifier's layers that give its labels' logits.
        text_values: Values that per-token extras have on text and padding; 0 where not named.
        token_tensors: Media tensors that have a row per token.
        template: Chat template of processors that have none; None for plain questions and answers.
    """

    model_types: ClassVar[tuple[str, ...]] = ()
    projector: ClassVar[re.Pattern[str]] = re.compile(
        r"(multi_modal_projector|merger|connector|modality_projection|aligner|resampler)"
    )
    vision: ClassVar[re.Pattern[str]] = re.compile(
        r"(vision_tower|vision_model|visual|vision_encoder|resnet|vit|classifier)"
    )
    layer: ClassVar[re.Pattern[str]] = re.compile(
        r"(?:^|\.)(?:layers|h|blocks|block|stages)\.(\d+)\."
    )
    mlp_output: ClassVar[re.Pattern[str]] = re.compile(
        r"(down_proj|fc2|dense_4h_to_h|mlp\.c_proj|(?<!attention\.)output\.dense)\."
    )
    output_head: ClassVar[str] = "lm_head"
    label_head: ClassVar[str] = "classifier"
    text_values: ClassVar[Mapping[str, int]] = {}
    token_tensors: ClassVar[tuple[str, ...]] = ("cross_attention_mask",)
    template: ClassVar[str | None] = None

    def __init_subclass__(cls, name: str = "") -> None:
        if name:
            _REGISTRY.add(name, cls)

    def part_of(self, parameter: str) -> Part:
        """Finds the part of a token model that a parameter or module path belongs to."""
        if self.projector.search(parameter):
            return "projector"
        return "vision" if self.vision.search(parameter) else "language"

    def layer_of(self, parameter: str) -> int | None:
        """Finds the number from 1 of the layer that a parameter lies in; None if in none."""
        number = self.layer.search(parameter)
        return int(number.group(1)) + 1 if number else None

    def is_mlp_output(self, parameter: str) -> bool:
        """Whether a parameter belongs to the last matrix of a perceptron."""
        return self.mlp_output.search(parameter) is not None

    def is_label_weight(self, parameter: str) -> bool:
        """Whether a parameter is the matrix of a classifier's label head."""
        pattern = rf"^{re.escape(self.label_head)}\.(\d+\.)?weight$"
        return re.search(pattern, parameter) is not None

    def kind(self, config: Any) -> Kind:
        """Finds the kind of the model with a configuration."""
        from transformers.models.auto import modeling_auto as auto

        if type(config) in auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
            return "vision-language"
        if type(config) in auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
            return "classifier"
        sound = type(config) in auto.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING
        return "classifier" if sound else "language"

    def auto_class(self, kind: Kind, config: Any) -> Any:
        """Returns the class whose `from_pretrained` and `from_config` make the model."""
        from transformers.models.auto import modeling_auto as auto

        if kind != "classifier":
            token_models = (auto.AutoModelForCausalLM, auto.AutoModelForImageTextToText)
            return token_models[kind == "vision-language"]
        sound = type(config) in auto.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING
        if sound and type(config) not in auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
            return auto.AutoModelForAudioClassification
        return auto.AutoModelForImageClassification

    def load_processor(self, kind: Kind, config: Any, where: Mapping[str, Any]) -> Any:
        """Loads the processor, tokenizer, image processor or feature extractor of a saved model."""
        from transformers import (
            AutoFeatureExtractor,
            AutoImageProcessor,
            AutoModelForAudioClassification,
            AutoTokenizer,
        )

        if kind == "language":
            tokenizer = AutoTokenizer.from_pretrained(**where)
            if tokenizer.chat_template is None:  # `transformers` leaves one file to processors
                folder = Path(where["pretrained_model_name_or_path"])
                tokenizer.chat_template = template_of_processors(folder)
            return tokenizer
        if kind == "vision-language":
            return _by_pil_if_possible(where)
        if self.auto_class(kind, config) is AutoModelForAudioClassification:
            return AutoFeatureExtractor.from_pretrained(**where)
        return AutoImageProcessor.from_pretrained(**where, backend="pil")

    def encode_media(
        self,
        processor: Any,
        modality: Modality,
        media: Media,
        text: str | None = None,
        **options: Any,
    ) -> Mapping[str, Any]:
        """Runs the processor on media, alone or with the text that has its placeholder.

        Args:
            processor: Processor of the model.
            modality: Modality of the media.
            media: Media of one row.
            text: Text with the placeholder; None for media alone.
            **options: Options of the tokenizer, such as `add_special_tokens`.

        Raises:
            ModelError: The processor cannot; settings that it lacks are named.
        """
        given = (
            modality.alone(media)
            if text is None
            else modality.beside_text(media) | {"text": [text], **options}
        )
        try:
            return processor(**given, return_tensors="pt")  # type: ignore[no-any-return]
        except Exception as error:  # processors raise anything where they do not fit
            lacking = [name for name in _SIZES if getattr(processor, name, 0) is None]
            raise ModelError(
                f"the processor cannot prepare an {modality.name}: {first_line(error)}",
                type(processor).__name__,
                f"set {', '.join(lacking)} in processor_config.json"
                if lacking
                else "check its settings (processor_config.json, preprocessor_config.json)",
            ) from error

    def extras_of_text(self, processor: Any) -> dict[str, int]:
        """Maps every per-token extra that the processor may add to its value on text."""
        names = getattr(processor, "model_input_names", None) or ()
        values = {name: 0 for name in names if name.endswith("token_type_ids")}
        return values | dict(self.text_values)

    def pooled(self, core: Any, outputs: Any) -> Tensor:
        """Pools a classifier's backbone outputs to (rows, width) features of whole rows.

        Takes the pooled map, the class token of an image, or the mean over other media's tokens.
        """
        maps: Tensor | None = outputs.get("pooler_output")
        tokens: Tensor = outputs.last_hidden_state
        if maps is not None:
            return maps.flatten(1)
        return tokens[:, 0] if core.main_input_name == "pixel_values" else tokens.mean(1)

    def stored_media(
        self, core: Any, batch: Batch, cache: WorkCache
    ) -> AbstractContextManager[None]:
        """Lets `core` read the batch's media from the cache while entered, where that is exact."""
        return nullcontext()

    def weights_may_have_changed(self) -> None:
        """Drops what is remembered of a model's weights; the base remembers nothing."""


def _by_pil_if_possible(where: Mapping[str, Any]) -> Any:
    """Loads a processor that reads pictures by PIL, whether torchvision is installed or not.

    One with a video processor needs torchvision, which then reads pictures, too.
    """
    from transformers import AutoProcessor

    try:
        return AutoProcessor.from_pretrained(**where, backend="pil")
    except ImportError:
        return AutoProcessor.from_pretrained(**where)


_REGISTRY = Registry("family", "clearbench.models.families", "clearbench.families")


def family_of(config: Any) -> Family:
    """Finds the family of the architecture with a configuration."""
    return family_named(getattr(config, "model_type", ""))


def family_named(model_type: str) -> Family:
    """Finds the family of the architecture of a name, as configurations have it."""
    for cls in _REGISTRY.values():
        if model_type in cls.model_types:
            return cls()
    return Family()


def accepted(module: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Keeps those of the inputs that a module's `forward` has arguments for."""
    known = inspect.signature(module.forward).parameters
    return {name: value for name, value in inputs.items() if name in known}


def split_outputs(
    outputs: Mapping[str, Any],
) -> tuple[tuple[int, ...], dict[str, tuple[int, ...]], dict[str, Tensor]]:
    """Splits a processor's output for one row into ids, per-token extras and media tensors."""
    ids: Tensor = outputs["input_ids"]
    extras: dict[str, tuple[int, ...]] = {}
    tensors: dict[str, Tensor] = {}
    for name, value in outputs.items():
        if name in ("input_ids", "attention_mask", "labels") or not isinstance(value, torch.Tensor):
            continue
        if value.shape == ids.shape and not value.is_floating_point():
            extras[name] = tuple(value[0].tolist())
        else:
            tensors[name] = value
    return tuple(ids[0].tolist()), extras, tensors
