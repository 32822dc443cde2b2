"""Updates weights by AdamW whose moments take a byte each.

Moments are rounded in blocks of 256, each with its largest value, to the 256 values of dynamic tree
quantisation (Dettmers et al. 2022, arXiv 2110.02861), as bitsandbytes' `AdamW8bit` does. That one
cannot leave out a step that was found on the device not to be finite.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from clearbench.training.settings import TrainSettings

#: Values that share a largest one; of smaller tensors than `LEAST` moments stay whole.
BLOCK, LEAST = 256, 4096
#: Values whose moments are whole at the same time.
TOGETHER = 2**20
BETAS, EPSILON = (0.9, 0.999), 1e-8
#: Moments, and whether they have a sign.
MOMENTS = {"first": True, "second": False}
#: Decades below the largest value that have values of their own.
DECADES = 7


def make_optimizer(
    settings: TrainSettings, weights: Sequence[nn.Parameter]
) -> torch.optim.Optimizer:
    """Makes the optimiser that settings name."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "adamw_8bit":
        return AdamW8bit(weights, rate, decay)
    return torch.optim.AdamW(weights, lr=rate, weight_decay=decay, fused=True)


class AdamW8bit(torch.optim.Optimizer):
    """AdamW with moments of 8 bits; a step with `found_inf` 1 changes nothing.

    A second moment above 0 is never rounded to 0, where the quotient of both would burst.

    Args:
        weights: Weights, in float32.
        lr: Learning rate.
        weight_decay: Decoupled weight decay.
    """

    def __init__(self, weights: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no second reading
        """Makes one update of all weights that have a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, group["lr"], group["weight_decay"])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores moments, whose bytes torch would make floats."""
        super().load_state_dict(state_dict)
        for slot in self.state.values():
            for name in MOMENTS:
                if f"{name}_scale" in slot:
                    slot[name] = slot[name].to(torch.uint8)

    def _update(self, weight: Tensor, rate: float, decay: float) -> None:
        if weight not in self.state:
            self.state[weight] = _begin(weight)
        state = self.state[weight]
        broken: Tensor | None = getattr(self, "found_inf", None)
        state["step"] += 1 if broken is None else 1 - broken
        corrections = [1 - beta ** state["step"] for beta in BETAS]
        flat, gradient = weight.reshape(-1), weight.grad.reshape(-1)  # type: ignore[union-attr]
        for begin in range(0, len(flat), TOGETHER):
            own = slice(begin, min(begin + TOGETHER, len(flat)))
            slope, before = gradient[own].float(), flat[own]
            first = torch.lerp(_read(state, "first", own), slope, 1 - BETAS[0])
            second = torch.lerp(_read(state, "second", own), slope.square(), 1 - BETAS[1])
            size = (second / corrections[1]).sqrt_().add_(EPSILON)
            after = before * (1 - rate * decay) - rate * (first / corrections[0]) / size
            _replace(before, after, broken)
            _write(state, "first", own, first, broken)
            _write(state, "second", own, second, broken)
        if not weight.is_contiguous():
            weight.copy_(flat.view_as(weight))


def moment_bytes(values: int) -> int:
    """Bytes of both moments of a tensor with so many values."""
    return 8 * values if values < LEAST else 2 * values + 8 * -(-values // BLOCK)


@cache
def levels(*, signed: bool) -> tuple[float, ...]:
    """Lists the 256 values of dynamic tree quantisation, ascending: finer towards 1."""
    found = [0.0, 1.0]
    for decade in range(DECADES):
        count = 2**decade if signed else 2 ** (decade + 1)
        width = 0.9 / count
        middles = [10.0 ** (decade + 1 - DECADES) * (0.1 + width * (k + 0.5)) for k in range(count)]
        found += middles + ([-middle for middle in middles] if signed else [])
    return tuple(sorted(found))


@cache
def _known(device: torch.device, *, signed: bool) -> Tensor:
    """The levels on a device, which is not asked for them again."""
    return torch.tensor(levels(signed=signed), device=device)


def rounded(values: Tensor, *, signed: bool) -> tuple[Tensor, Tensor]:
    """Rounds values, (values,), to the numbers of the nearest levels and blocks' largest values."""
    known = _known(values.device, signed=signed)
    padded = nn.functional.pad(values, (0, -len(values) % BLOCK)).view(-1, BLOCK)
    scale = padded.abs().amax(dim=1)
    relative = padded / torch.where(scale == 0, 1.0, scale)[:, None]
    codes = torch.bucketize(relative, (known[1:] + known[:-1]) / 2)
    if not signed:
        codes = torch.maximum(codes, (padded > 0).long())
    return codes.flatten()[: len(values)].to(torch.uint8), scale


def restored(codes: Tensor, scale: Tensor, *, signed: bool) -> Tensor:
    """Computes the values, (values,), that codes and blocks' largest values stand for."""
    known = _known(codes.device, signed=signed)
    each = scale[:, None].expand(-1, BLOCK).reshape(-1)[: len(codes)]
    return known[codes.long()] * each


def _begin(weight: Tensor) -> dict[str, Tensor]:
    """Makes the moments of a weight before the first step, which are 0."""
    zeros, step = torch.zeros(weight.numel(), device=weight.device), torch.zeros(())
    state = {"step": step.to(weight.device)}
    for name, signed in MOMENTS.items():
        if weight.numel() < LEAST:
            state[name] = torch.zeros_like(zeros)
        else:
            state[name], state[f"{name}_scale"] = rounded(zeros, signed=signed)
    return state


def _read(state: dict[str, Tensor], name: str, own: slice) -> Tensor:
    """Computes some values of a moment."""
    if f"{name}_scale" not in state:
        return state[name][own]
    scale = state[f"{name}_scale"][own.start // BLOCK : -(-own.stop // BLOCK)]
    return restored(state[name][own], scale, signed=MOMENTS[name])


def _write(
    state: dict[str, Tensor], name: str, own: slice, values: Tensor, broken: Tensor | None
) -> None:
    """Replaces some values of a moment, unless the step is broken."""
    if f"{name}_scale" not in state:
        _replace(state[name][own], values, broken)
        return
    codes, scale = rounded(values, signed=MOMENTS[name])
    _replace(state[name][own], codes, broken)
    places = slice(own.start // BLOCK, -(-own.stop // BLOCK))
    _replace(state[f"{name}_scale"][places], scale, broken)


def _replace(held: Tensor, values: Tensor, broken: Tensor | None) -> None:
    """Writes values over others, unless the step is broken."""
    held.copy_(values if broken is None else torch.where(broken > 0, held, values))
