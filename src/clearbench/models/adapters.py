"""Adds, merges and loads LoRA adapters (PEFT) on chosen parts of a model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

from clearbench.devices import release_memory
from clearbench.errors import ModelError
from clearbench.models.base import Model
from clearbench.models.model_files import first_line
from clearbench.models.weights import own_weights


def add_lora(model: Model, parts: Sequence[str], rank: int, alpha: int | None = None) -> None:
    """Adds adapters to every linear layer of the given parts and freezes the rest.

    A classifier's convolutions get adapters, too: else only its head would be trained. A part
    without linear layers gets adapters on its matrices (Gemma 3's projector is one).

    Args:
        model: Model to change in place.
        parts: Names among `vision`, `projector`, `language`.
        rank: Rank of each adapter.
        alpha: Scale of LoRA; `2 * rank` by default, the common choice.
    """
    head = model.family.output_head
    layers = (nn.Linear, nn.Conv2d) if model.kind == "classifier" else (nn.Linear,)
    targets = [
        name
        for name, layer in model.module.named_modules()
        if isinstance(layer, layers) and model.part_of(name) in parts and head not in name
    ]
    matrices = [] if model.kind == "classifier" else _bare_matrices(model, parts, targets)
    if not targets and not matrices:
        raise ModelError(
            f"no linear layer in {', '.join(parts)}", "lora", f"parts here: {model.parts}"
        )
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha or 2 * rank,
        target_modules=targets,
        target_parameters=matrices or None,
    )
    model.module = get_peft_model(model.module, config)


def _bare_matrices(model: Model, parts: Sequence[str], layers: Sequence[str]) -> list[str]:
    """Lists matrices of parts that have none of the layers, without embeddings and the head."""
    bare = set(parts) - {model.part_of(name) for name in layers}
    return [
        f"{name}.{own}"
        for name, layer in model.module.named_modules()
        if model.part_of(name) in bare
        and not isinstance(layer, nn.Embedding)
        and model.family.output_head not in name
        for own, weight in layer.named_parameters(recurse=False)
        if weight.dim() == 2
    ]


def merge_adapters(model: Model) -> None:
    """Adds the adapters to the weights they belong to, in place; without any, does nothing.

    Raises:
        ModelError: They are of a type that cannot be merged, such as trained prompts, or change
            what the weights have no place for.
    """
    adapted = model.module
    if not isinstance(adapted, PeftModel):
        return
    for config in adapted.peft_config.values():
        refuse_prompts(config)
    if model.kind != "classifier":
        _untie(model.core)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about ties, which are dissolved
        try:
            model.module = adapted.merge_and_unload()
        except Exception as error:  # PEFT raises anything for types that it cannot merge
            kinds = {str(getattr(c.peft_type, "value", "?")) for c in adapted.peft_config.values()}
            raise ModelError(
                f"adapters of the type {', '.join(sorted(kinds))} cannot be merged into weights: "
                f"{first_line(error)}",
                "adapter",
                "give a model without them, or with plain LoRA",
            ) from error


def refuse_prompts(config: Any) -> None:
    """Refuses adapters that are read before the question instead of being added to weights."""
    if config.is_prompt_learning or config.is_adaption_prompt:
        kind = str(getattr(config.peft_type, "value", config.peft_type))
        raise ModelError(
            f"adapters of the type {kind} cannot be merged into weights",
            "adapter",
            "give a model without them, or with LoRA",
        )


def _untie(core: Any) -> None:
    """Gives the head weights of its own where an adapter changes it or the embeddings it shares."""
    layers = [core.get_input_embeddings(), core.get_output_embeddings()]
    plain = [getattr(layer, "base_layer", layer) for layer in layers]
    plain = [getattr(layer, "original_module", layer) for layer in plain]
    adapted = any(layer is not own for layer, own in zip(layers, plain, strict=True))
    embeddings, head = plain
    if adapted and head is not None and head.weight is embeddings.weight:
        head.weight = nn.Parameter(head.weight.detach().clone(), head.weight.requires_grad)
        for config in {id(c): c for c in (core.config, core.config.get_text_config())}.values():
            config.tie_word_embeddings = False


def choose_parameters(
    model: Model,
    parts: Sequence[str],
    lora_rank: int | None,
    seed: int,
    lora_alpha: int | None = None,
) -> None:
    """Makes the given parts trainable: their weights, or adapters of the given rank on them.

    Adapters begin at random values, which `seed` fixes. Adapters that the model has are merged into
    its weights first.
    """
    merge_adapters(model)
    if lora_rank is not None:
        torch.manual_seed(seed)
        add_lora(model, parts, lora_rank, lora_alpha)
    model.train_only(parts)
    if not model.trainable():
        raise ModelError(
            f"nothing to train in {', '.join(parts)}",
            "train.parts",
            f"this model has: {', '.join(model.parts)}",
        )


@contextmanager
def copy_to_train(model: Model, place: torch.device, lora_rank: int | None) -> Iterator[Model]:
    """Makes a copy of a model for training, which is a model of its own once this is left.

    Under adapters the frozen weights are copied only then: until then they stand where those of the
    model do.

    Args:
        model: Model that stays as it is.
        place: Device of the copy.
        lora_rank: Rank of the adapters that will be trained; None for the weights themselves.
    """
    copied = model.duplicate(sharing=lora_rank is not None and not is_adapted(model))
    copied.module.to(place)
    yield copied
    if lora_rank is not None:
        release_memory()  # of the training, before the weights are copied
    own_weights(copied.module, model.module)


def load_adapter(model: Model, folder: Path) -> None:
    """Adds saved adapters to their base model, in place."""
    model.module = PeftModel.from_pretrained(model.module, str(folder))
    model.train(False)


def name_base(model: Model, place: str | None) -> None:
    """Makes saved adapters name the place of the weights that they were trained on."""
    for config in getattr(model.module, "peft_config", {}).values():
        config.base_model_name_or_path = place


def save_module(module: Any, folder: Path) -> None:
    """Writes safetensors weights: adapters alone where there are any, which hold no embeddings."""
    options = {"save_embedding_layers": False} if isinstance(module, PeftModel) else {}
    module.save_pretrained(folder, **options)


def is_adapted(model: Model) -> bool:
    """Whether a model has adapters that are not merged."""
    return isinstance(model.module, PeftModel)


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds adapters alone."""
    return (folder / "adapter_config.json").is_file()
