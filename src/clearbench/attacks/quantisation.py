"""Asks what is known after the weights are rounded to 8 or 4 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import Field

from clearbench.attacks.base import Target
from clearbench.attacks.recovery import ROWS, Known, Row, SurvivalAttack, probabilities
from clearbench.batches.items import item
from clearbench.errors import ModelError, RecipeError
from clearbench.libraries import torch

if TYPE_CHECKING:
    from torch import Tensor

    from clearbench.models.base import Model

#: Precisions: 8 bits per output channel, QLoRA's normal float of 4 bits in blocks of 64, and 4 bits
#: rounded to nearest in groups of 128.
Precision = Literal["int8", "nf4", "rtn4"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
FULL = "full"
#: The 16 values of a normal float of 4 bits (Dettmers et al. 2023, arXiv 2305.14314, appendix E).
NF4 = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
    *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
    *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
    *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
)
#: Weights that share a largest value in QLoRA, and that share a scale and zero in GPTQ and AWQ.
BLOCK, GROUP = 64, 128
#: Largest numbers of 8 bits with a sign, and of 4 bits without.
LARGEST_8, LARGEST_4 = 127, 15


class Quantisation(
    SurvivalAttack,
    name="quantisation",
    title="Quantisation",
    needs=("model",),
    reads=("answer", "gold", "original"),
    tries="quantisation",
    paper="Zhang et al. 2024, arXiv 2410.16454",
    baseline=FULL,
    shows=(
        "Whether forgotten answers come back when the weights are rounded to fewer bits, which "
        "anybody does who runs a large model on a small machine: a small change of the weights is "
        "rounded away. A model that is not changed by rounding may still know the answers."
    ),
):
    """What is known after rounding the weights of linear layers.

    All linear layers are rounded, of a classifier the convolutions too; embeddings, the layer that
    gives the logits or labels, norms, biases and everything else are not, as in QLoRA and in the
    paper. Adapters are added to their weights first. Weights are rounded and used in their own
    type, which simulates what the precision does to answers on any device, not its speed; the
    scales of blocks stay whole (no double quantisation).

    Attributes:
        levels: Precisions to try.
        backend: `simulated`, or `bitsandbytes`, whose own kernels then round to `int8` and `nf4`.
    """

    unnamed = (*ROWS, "backend")

    levels: tuple[Precision, ...] = Field(default=PRECISIONS, min_length=1)
    backend: Literal["simulated", "bitsandbytes"] = "simulated"

    def order(self, levels: Iterable[str]) -> list[str]:
        """Sorts precisions, the whole one first."""
        known = (FULL, *PRECISIONS)
        return sorted(levels, key=lambda name: (known.index(name) if name in known else 9, name))

    def known(self, target: Target, rows: Sequence[Row]) -> Iterable[tuple[str, Known]]:
        """Yields what is known with whole weights and at each precision."""
        model, _ = self.given(target)
        rounded = self._rounding(model)
        model = without_adapters(model)
        items = [item(row) for _, row in rows]
        yield FULL, probabilities(model, items)
        for done, level in enumerate(self.levels, start=1):
            with holding_rounded(model, rounded[level]):
                yield level, probabilities(model, items)
            target.on_progress(self.score_key, done, len(self.levels))

    def _rounding(self, model: Model) -> Mapping[str, Callable[[Tensor], Tensor]]:
        """Returns the function of each precision, before any work."""
        if self.backend == "simulated":
            return {"int8": int8, "nf4": nf4, "rtn4": rtn4}
        where = f"attack '{self.name}'"
        if "rtn4" in self.levels:
            fix = "choose levels int8 and nf4, or backend 'simulated'"
            raise RecipeError("bitsandbytes has no precision 'rtn4'", where, fix)
        if find_spec("bitsandbytes") is None or model.device.type != "cuda":
            what = "bitsandbytes is not installed, or the model is not on a GPU"
            raise RecipeError(what, where, "choose backend 'simulated', which needs neither")
        return {"int8": _bitsandbytes_int8, "nf4": _bitsandbytes_nf4}


def int8(weight: Tensor) -> Tensor:
    """Rounds a matrix (outputs, inputs) to 255 values per output: the largest is 127 steps."""
    scale = weight.abs().amax(dim=1, keepdim=True) / LARGEST_8
    scale = torch.where(scale == 0, 1.0, scale)
    return (weight / scale).round() * scale


def nf4(weight: Tensor) -> Tensor:
    """Rounds blocks of 64 weights, in the order of storage, to the nearest of `NF4` x largest."""
    flat = weight.flatten()
    filled = torch.nn.functional.pad(flat, (0, -len(flat) % BLOCK)).view(-1, BLOCK)
    largest = filled.abs().amax(dim=1, keepdim=True)
    largest = torch.where(largest == 0, 1.0, largest)
    values = torch.tensor(NF4, device=weight.device, dtype=weight.dtype)
    middles = (values[1:] + values[:-1]) / 2
    nearest = values[torch.bucketize(filled / largest, middles)]
    return (nearest * largest).flatten()[: len(flat)].view_as(weight)


def rtn4(weight: Tensor) -> Tensor:
    """Rounds groups of 128 inputs of each output to 16 steps between their ends, 0 among them."""
    outputs, inputs = weight.shape
    groups = torch.nn.functional.pad(weight, (0, -inputs % GROUP)).view(outputs, -1, GROUP)
    low = groups.amin(dim=-1, keepdim=True).clamp(max=0)
    high = groups.amax(dim=-1, keepdim=True).clamp(min=0)
    scale = (high - low) / LARGEST_4
    scale = torch.where(scale == 0, 1.0, scale)
    zero = (-low / scale).round()
    steps = ((groups / scale).round() + zero).clamp(0, LARGEST_4)
    return ((steps - zero) * scale).view(outputs, -1)[:, :inputs]


def _bitsandbytes_int8(weight: Tensor) -> Tensor:
    functional = import_module("bitsandbytes.functional")
    steps, scale, _ = functional.int8_vectorwise_quant(weight.half())
    rounded: Tensor = functional.int8_vectorwise_dequant(steps, scale)
    return rounded


def _bitsandbytes_nf4(weight: Tensor) -> Tensor:
    functional = import_module("bitsandbytes.functional")
    packed, state = functional.quantize_4bit(weight, blocksize=BLOCK, quant_type="nf4")
    rounded: Tensor = functional.dequantize_4bit(packed, state)
    return rounded


def without_adapters(model: Model) -> Model:
    """Returns the model, or a copy whose adapters are added to its weights."""
    if model.module is model.core:
        return model
    from clearbench.models.adapters import merge_adapters

    twin = model.duplicate()
    merge_adapters(twin)
    return twin


def body(model: Model) -> dict[str, torch.nn.Module]:
    """Returns the layers that are rounded, by name.

    Raises:
        ModelError: There are none.
    """
    from transformers.pytorch_utils import Conv1D

    labels = model.kind == "classifier"
    own = (torch.nn.Linear, Conv1D, *((torch.nn.Conv2d,) if labels else ()))
    head = None if labels else model.core.get_output_embeddings()
    named = model.family.label_head if labels else model.family.output_head
    layers = {
        name: layer
        for name, layer in model.core.named_modules()
        if isinstance(layer, own) and layer is not head and named not in name.split(".")
    }
    if not layers:
        fix = "attack a model whose layers are of torch, not already quantised"
        raise ModelError("no linear layer that can be rounded", type(model.core).__name__, fix)
    return layers


@contextmanager
def holding_rounded(model: Model, rounded: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Replaces the weights of the body by rounded ones while entered."""
    with torch.no_grad():
        weights = {
            f"{name}.weight": _rounded(layer, rounded) for name, layer in body(model).items()
        }
    with model.holding(weights):
        yield


def _rounded(layer: torch.nn.Module, rounded: Callable[[Tensor], Tensor]) -> Tensor:
    """Rounds a layer's weights as a matrix (outputs, inputs); GPT-2 stores it transposed."""
    from transformers.pytorch_utils import Conv1D

    weight: Tensor = layer.weight.detach()  # type: ignore[operator]
    if isinstance(layer, Conv1D):
        return rounded(weight.T.float().contiguous()).T.to(weight)
    return rounded(weight.float().flatten(1)).view_as(weight).to(weight)
