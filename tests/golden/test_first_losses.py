"""Every method's first three steps equal those that were recorded when it last changed.

The first step is compared as runs compute it, in float32. Steps that follow an update are compared
in double precision, where no processor's way of rounding shows. In float32 it would: Adam divides a
gradient by its own size plus 1e-8, so a gradient that should be zero and is 1e-9 by rounding moves
its weight by a tenth of a full step, in whichever direction. In float64 such a gradient is some
1e-16, and Adam moves its weight by 1e-8 of a full step.

All start from weights in a file: teaching is training, which rounds differently elsewhere.

A change here is a change of a method, of its rows or of the loop: `python
tests/golden/test_first_losses.py` writes the golden file anew, with `--teach` the weights as well,
and CHANGELOG.md says why.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from clearbench.batches.kind import Kind
from clearbench.methods.base import methods
from clearbench.models.base import Model
from clearbench.storage import write_json
from clearbench.testing import tiny_model
from clearbench.testing.bench import Bench, StopError
from clearbench.testing.world import PARTS, copied, taught

FILE = Path(__file__).with_name("first_losses.json")
TAUGHT = FILE.with_name("taught.safetensors")
CLAIMED: list[tuple[str, Kind]] = [(n, kind) for n, cls in methods().items() for kind in cls.kinds]
CASES = [f"{name} on {kind}" for name, kind in CLAIMED]
STEPS, FIRST, END = "three steps in float64", "first step in float32", "forget rows at the end"


@cache
def base(kind: Kind, dtype: torch.dtype) -> Model:
    """The tiny model of a kind; its caches of pixels and features hold one type alone."""
    model = tiny_model(kind)
    model.module.to(dtype)
    return model


def start(bench: Bench, dtype: torch.dtype = torch.float32) -> Model:
    """A fresh copy of the model that the method starts from."""
    model = copied(base(bench.kind, dtype))
    if not bench.cls.from_base:
        model.module.load_state_dict(taught_weights(bench.kind))
    return model


@cache
def taught_weights(kind: Kind) -> dict[str, Tensor]:
    """The weights of the tiny model that has learned the tiny people."""
    prefix, weights = f"{kind}|", load_file(TAUGHT)
    return {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}


def first_step(name: str, kind: Kind) -> dict[str, float]:
    """Each term and the gradient's norm before any update, in float32; none for an edit."""
    bench = Bench(methods()[name], kind)
    first: dict[str, float] = {}

    def stop(_: int, __: int, values: dict[str, float]) -> None:
        first.update(values)
        raise StopError

    with suppress(StopError):
        bench.run(start(bench), on_step=stop)
    return first


@contextmanager
def double_precision() -> Iterator[None]:
    """While entered, whatever is made, drawn, read or seen is float64."""
    convolve = nn.Conv2d.forward

    def convolve_in_its_type(layer: nn.Conv2d, pixels: Tensor) -> Tensor:
        return convolve(layer, pixels.to(layer.weight.dtype))

    torch.set_default_dtype(torch.float64)
    try:
        with (
            mock.patch.object(Tensor, "float", Tensor.double),
            mock.patch.object(nn.Conv2d, "forward", convolve_in_its_type),
        ):
            yield
    finally:
        torch.set_default_dtype(torch.float32)


def three_steps(name: str, kind: Kind) -> dict[str, list[float]]:
    """Each term in the steps that have it, and the forget loss after the last, in float64."""
    bench = Bench(methods()[name], kind)
    model = start(bench, torch.float64)
    with double_precision():
        history = bench.run(model)
        end = bench.forget_loss(model)
    terms = sorted({term for values in history for term in values})
    found = {term: [values[term] for values in history if term in values] for term in terms}
    return found | {END: [end]}


@cache
def golden() -> dict[str, dict[str, dict[str, list[float]]]]:
    return json.loads(FILE.read_text("utf-8"))


@pytest.mark.parametrize(("name", "kind"), CLAIMED, ids=CASES)
def test_first_step(name: str, kind: Kind) -> None:
    """To 1e-5, or 1e-6 for a small difference of larger values.

    A float32 sum of terms below 16 is off by a few halves of its last bit, 16 * 2^-24 = 1e-6.
    """
    expected = golden()[FIRST][f"{name} on {kind}"]
    assert first_step(name, kind) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("name", "kind"), CLAIMED, ids=CASES)
def test_three_steps(name: str, kind: Kind) -> None:
    """To 1e-5, or 1e-9 for a value that is zero but for rounding.

    By the bound above three steps of 1e-3 move a weight by 3e-11 of rounding; a loss whose gradient
    has a norm of 30 moves by less than 1e-9.
    """
    expected, found = golden()[STEPS][f"{name} on {kind}"], three_steps(name, kind)
    assert found.keys() == expected.keys()
    for term, values in expected.items():
        assert found[term] == pytest.approx(values, rel=1e-5, abs=1e-9), term


@pytest.mark.parametrize("part", [FIRST, STEPS])
def test_nothing_is_left_over(part: str) -> None:
    assert set(golden()[part]) == {*CASES}


def rounded(value: float) -> float:
    """Seven digits, and nothing beyond the twelfth place, where a zero is rounding alone."""
    return round(float(f"{value:.7g}"), 12) + 0.0


def record(*, teach: bool) -> None:
    """Writes the golden file; before it, if told so, the weights that methods start from."""
    torch.set_num_threads(1)
    if teach:
        states = {kind: taught(kind).module.state_dict() for kind in PARTS}
        weights = {f"{k}|{n}": w.clone() for k, state in states.items() for n, w in state.items()}
        save_file(weights, TAUGHT)
    first: dict[str, dict[str, float]] = {}
    steps: dict[str, dict[str, list[float]]] = {}
    for case, claimed in zip(CASES, CLAIMED, strict=True):
        first[case] = {term: rounded(v) for term, v in first_step(*claimed).items()}
        steps[case] = {term: [*map(rounded, vs)] for term, vs in three_steps(*claimed).items()}
    write_json(FILE, {FIRST: first, STEPS: steps})


if __name__ == "__main__":
    record(teach="--teach" in sys.argv)
