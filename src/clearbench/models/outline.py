"""Makes a model whose tensors have shapes and no values, to foresee what training takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from transformers import AutoConfig

from clearbench.batches.kind import Kind
from clearbench.data.modality import modalities
from clearbench.devices import compute_device
from clearbench.models.base import Model
from clearbench.models.families.base import family_of
from clearbench.models.load import WRAPPERS, weight_places
from clearbench.models.source import loading, processor_of, source_arguments
from clearbench.models.token_model import TokenModel

#: Functions that make a tensor from values of Python.
_FROM_VALUES = (torch.tensor, torch.as_tensor, torch.asarray)


def outlined(make: Callable[[], Model]) -> Model:
    """Makes a model on torch's device without memory; what is made of it is there as well.

    What it takes is foreseen for the device that `compute_device` chooses. Logits are taken to be
    exact on answer tokens alone, which a model with values is tested for.
    """
    with torch.device("meta"):
        model = make()
    model.foreseen_on = compute_device()
    if isinstance(model, TokenModel):
        model.shortcuts.head_only = dict.fromkeys(modalities(), True)
    return model


class KnownValues(TorchDispatchMode):
    """Keeps the values of tensors without memory that depend on no weight, while entered.

    Tokens, their places and pixels decide how vision-language models route their pictures; what is
    computed of them alone is computed on the CPU as well. Attention keeps what the fused kernels
    keep, which no tensor without memory chooses.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._calls = _Calls()

    def __enter__(self) -> Self:
        self._calls.__enter__()  # type: ignore[no-untyped-call]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *about: Any) -> None:
        super().__exit__(*about)  # type: ignore[no-untyped-call]
        self._calls.__exit__(*about)  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Calls an operation; on values as well where all are known."""
        kwargs = dict(kwargs or {})
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        asked = kwargs.get("device")
        to_meta = asked is not None and torch.device(asked).type == "meta"
        if not to_meta and not any(each.is_meta for each in tensors):
            return func(*args, **kwargs)
        writes = any(r.alias_info and r.alias_info.is_write for r in func._schema.returns)
        if any(_value(each) is None for each in tensors):
            if writes and args[0].is_meta:
                args[0].value = None
            return func(*_places(func, args), **kwargs)
        own_args, own_kwargs = tree_map_only(Tensor, _value, (args, kwargs))
        found = func(*own_args, **own_kwargs | ({"device": "cpu"} if to_meta else {}))
        if writes:
            return args[0]
        on_cpu = asked is not None and not to_meta
        return found if on_cpu else tree_map_only(Tensor, _without_memory, found)


def _value(tensor: Tensor) -> Tensor | None:
    """The values of a tensor on the CPU, or that are known of one without memory."""
    return getattr(tensor, "value", None) if tensor.is_meta else tensor


def _without_memory(value: Tensor) -> Tensor:
    """A tensor without memory that knows its values."""
    made = torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="meta")
    made.value = value  # type: ignore[attr-defined]
    return made


def _places(func: Any, args: Any) -> Any:
    """Replaces a mask among indices by its places: on values alone their number is known."""
    if func is not torch.ops.aten.index.Tensor:
        return args
    masks = [_value(each) for each in args[1] if each is not None and each.dtype == torch.bool]
    if len(args[1]) != 1 or not masks or masks[0] is None:
        return args
    places = [place.to("meta") for place in masks[0].nonzero(as_tuple=True)]
    return args[0], places


class _Calls(TorchFunctionMode):
    """Makes calls that never reach an operation, or choose one by the device, do so."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls a function of torch, or what stands for it."""
        kwargs = dict(kwargs or {})
        if func is functional.scaled_dot_product_attention:
            return _fused(*args, **kwargs)
        if func is Tensor.tolist:
            return args[0].cpu().tolist()
        asked = kwargs.get("device")
        if func in _FROM_VALUES and asked is not None and torch.device(asked).type == "meta":
            return func(*args, **kwargs | {"device": "cpu"}).to(asked)
        return func(*args, **kwargs)


def _fused(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    options = {"attn_mask": attn_mask, "scale": scale}
    return attend(query, key, value, dropout_p, is_causal, **options)[0]


def untaught(
    source: str | Path,
    kind: Kind | None = None,
    dtype: torch.dtype = torch.float32,
    base: str | Path | None = None,
) -> Model:
    """Makes the model that lies at a source from its configuration and processor alone.

    Args:
        source: Local folder, a folder's GGUF file, or a hub id.
        kind: Kind of the model; found from the configuration.
        dtype: Type of the weights.
        base: Base of an adapter at the source.

    Raises:
        ModelError: The configuration or the processor cannot be read.
    """
    where = source_arguments(weight_places(source, base)[-1])
    with loading(source):
        config = AutoConfig.from_pretrained(**where)
        family = family_of(config)
        kind = kind or family.kind(config)
        processor = processor_of(family, kind, config, where)
        module = family.auto_class(kind, config).from_config(config, dtype=dtype)
    model = WRAPPERS[kind](module, processor)
    model.train(False)
    return model
