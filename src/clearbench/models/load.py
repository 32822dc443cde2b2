"""Loads models from a local folder, a hub id, or objects the user already has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from clearbench.batches.kind import Kind
from clearbench.devices import compute_device
from clearbench.errors import ModelError, did_you_mean
from clearbench.models import token_efficientnet as _registers_a_tower  # noqa: F401
from clearbench.models import token_resnet as _registers_the_tower  # noqa: F401
from clearbench.models.adapter_folder import GIVE_BASE, AdapterFolder, adapter_at
from clearbench.models.adapters import refuse_prompts
from clearbench.models.base import GPU_TOKENS, Model
from clearbench.models.classifier import Classifier
from clearbench.models.families.base import Family, family_of
from clearbench.models.guards import load_guards, refuse_guard_alone
from clearbench.models.loaded_weights import (
    check_causal,
    check_configuration,
    check_finite,
    check_report,
    check_vocabulary,
    left_out,
)
from clearbench.models.model_files import check_model_files
from clearbench.models.origin import Origin
from clearbench.models.source import loading, processor_of, source_arguments
from clearbench.models.token_model import LanguageModel, TokenModel
from clearbench.models.vision_language import VisionLanguageModel

#: Types of weights by name; `auto` is float32, whatever type a checkpoint is stored in.
DTYPES = {
    "auto": torch.float32,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
#: Class of each kind of model.
WRAPPERS: dict[Kind, type[Model]] = {
    "language": LanguageModel,
    "vision-language": VisionLanguageModel,
    "classifier": Classifier,
}


def load_model(
    source: str | Path | Any,
    processor: Any = None,
    kind: Kind | None = None,
    dtype: str | torch.dtype = "auto",
    *,
    base: str | Path | None = None,
    new_head: bool = False,
    device: str | torch.device | None = None,
) -> Model:
    """Loads a model with its processor and guards, or wraps a `transformers` model you have.

    Args:
        source: Local folder, a folder's GGUF file, a hub id, or a `transformers` model. A folder
            may hold a PEFT adapter alone, which is merged into its base.
        processor: Processor or tokenizer of the model; read from the same place when not given.
        kind: Kind `language`, `vision-language` or `classifier`; found from the configuration.
        dtype: Data type of the weights: `float32`, `bfloat16`, `float16`, or `auto`, which is
            float32 whatever type is stored. A model object keeps its own.
        base: Folder or hub id of an adapter's base, where it is not at the place that
            `adapter_config.json` names.
        new_head: True if a classifier's head may be missing, since `with_head` makes another.
        device: Device of the weights, as in `compute_device`: None for the accelerator that is
            there, else the CPU. A model object stays where it is unless this names a device.

    Returns:
        Model in evaluation mode; its `module` is the `transformers` model, given or read.

    Raises:
        ModelError: It cannot be loaded, only as a pickle or with code of its own; it lacks weights
            or holds some that are not finite; or it is no causal language model.
    """
    if kind is not None and kind not in WRAPPERS:
        raise ModelError(f"no kind of model '{kind}'", "kind", did_you_mean(kind, WRAPPERS))
    if not isinstance(source, str | Path):
        wrapped = _from_object(source, processor, kind)
        if device is not None:
            wrapped.module.to(compute_device(device))
        return _checked(wrapped, "load_model")
    asked, place_of_weights = _Asked(kind, data_type(dtype), new_head), compute_device(device)
    model = _loaded(source, asked, processor, base)
    model.module.to(place_of_weights)
    if place_of_weights.type == "cuda":
        model.token_budget = GPU_TOKENS
    _checked(model, str(source))
    place = str(Path(source).absolute()) if Path(source).exists() else str(source)
    if base is None and not model.guards:
        model.origin = Origin.of(place, model.module)
    return model


@dataclass(frozen=True)
class _Asked:
    """What is asked of a model, at whatever place its weights are."""

    kind: Kind | None
    dtype: torch.dtype
    new_head: bool


def _loaded(
    source: str | Path, asked: _Asked, processor: Any, base: str | Path | None = None
) -> Model:
    """Loads the model at a source, whole or as an adapter on its base, with its guards."""
    adapter = adapter_at(source)
    if adapter is not None:
        return _adapted(adapter, asked, processor, base)
    if base is not None:
        raise ModelError("only an adapter has a base", str(source), "leave base out")
    model = _whole(source, asked, processor)
    model.guards = load_guards(Path(source))
    return model


def data_type(dtype: str | torch.dtype) -> torch.dtype:
    """Returns the type of weights with a name.

    Raises:
        ModelError: There is no such type.
    """
    chosen = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if not isinstance(chosen, torch.dtype) or not chosen.is_floating_point:
        raise ModelError(f"no type of weights '{dtype}'", "dtype", did_you_mean(str(dtype), DTYPES))
    return chosen


def load_family(source: str | Path, base: str | Path | None = None) -> Family:
    """Finds the family of a model from its configuration, without loading its weights.

    Args:
        source: Local folder, a folder's GGUF file, or a hub id.
        base: Base of an adapter, as in `load_model`.

    Raises:
        ModelError: The configuration cannot be read.
    """
    with loading(source):
        config = AutoConfig.from_pretrained(**source_arguments(weight_places(source, base)[-1]))
        return family_of(config)


def weight_places(source: str | Path, base: str | Path | None = None) -> list[str | Path]:
    """Lists where the weights of a model are: a whole model alone, or adapters and then their base.

    Args:
        source: Local folder, a folder's GGUF file, or a hub id.
        base: Base of an adapter at the source, where it is not at the place that it names.

    Raises:
        ModelError: A base is not there, or is the adapter itself.
    """
    places = [source]
    while (adapter := adapter_at(places[-1])) is not None:
        place = adapter.base(base if len(places) == 1 else None)
        if Path(place).resolve() in [Path(known).resolve() for known in places]:
            raise ModelError("the adapter leads back to itself", str(adapter.folder), GIVE_BASE)
        places.append(place)
    return places


def _whole(source: str | Path, asked: _Asked, processor: Any) -> Model:
    """Loads a model whose own weights are at a source."""
    where = source_arguments(source)
    path = Path(where["pretrained_model_name_or_path"])
    if not path.exists() and (path.is_absolute() or str(source).count("/") > 1):
        raise ModelError("there is no such folder", str(source), "check the path")
    if "gguf_file" not in where and path.is_file():
        raise ModelError("a file, not a folder", str(path), "give the folder that it is in")
    if "gguf_file" not in where and path.is_dir():
        refuse_guard_alone(path)
        check_model_files(path)
    with loading(source):
        config = AutoConfig.from_pretrained(**where)
        family = family_of(config)
        kind = asked.kind or family.kind(config)
        if kind != "classifier":
            check_configuration(config, str(source))
        processor = processor or processor_of(family, kind, config, where)
        module, report = family.auto_class(kind, config).from_pretrained(
            **where,
            dtype=asked.dtype,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by name
        )
        _plain_weights(module)
    if check_report(report, module, family, str(source), new_head=asked.new_head):
        module.config.id2label = {k: f"LABEL_{k}" for k in module.config.id2label}
    model = _wrap(module, processor, kind)
    model.left_out = left_out(report)
    return model


def _adapted(
    adapter: AdapterFolder, asked: _Asked, processor: Any, base: str | Path | None
) -> Model:
    """Loads an adapter's base, with the adapter merged into it."""
    place = weight_places(adapter.folder, base)[1]
    if processor is None and adapter.has_processor:
        with loading(place):
            config = AutoConfig.from_pretrained(**source_arguments(weight_places(place)[-1]))
        with loading(adapter.folder):
            family = family_of(config)
            kind = asked.kind or family.kind(config)
            processor = processor_of(family, kind, config, source_arguments(adapter.folder))
    try:
        model = _loaded(place, asked, processor)
    except ModelError as error:
        raise ModelError(
            f"the adapter's base cannot be loaded: {error.what}", str(place), GIVE_BASE
        ) from error
    adapter.merge_into(model)
    model.guards = (*model.guards, *load_guards(adapter.folder))
    return model


def _from_object(source: Any, processor: Any, kind: Kind | None) -> Model:
    """Wraps a `transformers` model, or one with PEFT's adapters on it."""
    config = getattr(source, "config", None)
    if config is None or not isinstance(source, torch.nn.Module):
        raise ModelError(
            f"a {type(source).__name__} is no model",
            "load_model",
            "give a folder, a hub id, or a `transformers` model",
        )
    for adapter in getattr(source, "peft_config", {}).values():
        refuse_prompts(adapter)
    kind = kind or family_of(config).kind(config)
    model = _wrap(source, processor or _own_processor(source, kind), kind)
    if kind != "classifier":
        name = type(model.core).__name__
        check_configuration(model.core.config, name, (name,))
    return model


def _own_processor(module: Any, kind: Kind) -> Any:
    """Loads the processor of a model object from where the object was loaded."""
    place = str(getattr(module, "name_or_path", "") or "")
    what = "a model object needs its processor"
    fix = "give its tokenizer= or processor=, which is the second argument of load_model"
    if not place:
        raise ModelError(what, "load_model", fix)
    try:
        return family_of(module.config).load_processor(kind, module.config, source_arguments(place))
    except Exception as error:  # whatever a library raises on what is there
        raise ModelError(f"{what}, and there is none at {place}", "load_model", fix) from error


def _plain_weights(module: Any) -> None:
    """Drops the quantisation of a GGUF file, whose weights are plain tensors once read."""
    if getattr(module.config, "quantization_config", None) is not None and (
        type(module.hf_quantizer).__name__ == "GgufHfQuantizer"
    ):
        del module.config.quantization_config
        module.hf_quantizer, module.is_quantized = None, False


def _wrap(module: Any, processor: Any, kind: Kind) -> Model:
    tokenizer = getattr(processor, "tokenizer", processor)
    if not callable(processor) or (kind != "classifier" and not hasattr(tokenizer, "eos_token_id")):
        raise ModelError(
            f"a {type(processor).__name__} is no processor",
            "load_model",
            "give the model's own, as AutoTokenizer or AutoProcessor loads it",
        )
    model = WRAPPERS[kind](module, processor)
    model.core.config.return_dict = True  # outputs are read by name
    model.train(False)
    return model


def _checked(model: Model, where: str) -> Model:
    """Returns a model whose weights are finite and, if it answers in tokens, causal."""
    check_finite(model.module.state_dict(), where)
    if isinstance(model, TokenModel):
        check_vocabulary(model)
        check_causal(model, where)
    return model
