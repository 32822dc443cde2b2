"""Libraries that are imported when they are first used."""

from __future__ import annotations

import sys

import pytest
import torch

from clearbench.libraries import Deferred, functional, without_gradient


def test_a_module_is_imported_when_a_name_of_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    deferred = Deferred("colorsys")
    assert "colorsys" not in sys.modules
    assert deferred.rgb_to_hsv(1, 1, 1) == (0.0, 0.0, 1) and "colorsys" in sys.modules
    assert functional.relu is torch.nn.functional.relu
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = deferred.nothing
    with pytest.raises(ModuleNotFoundError):
        _ = Deferred("clearbench_nowhere").anything


def test_what_is_computed_without_gradient_has_none() -> None:
    weight = torch.ones(1, requires_grad=True)

    @without_gradient
    def twice(value: torch.Tensor, *, times: int = 2) -> torch.Tensor:
        """Named as before."""
        return times * value

    assert not twice(weight).requires_grad and float(twice(weight, times=3)) == 3
    assert (2 * weight).requires_grad and twice.__doc__ == "Named as before."
