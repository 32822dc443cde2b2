"""A device that is pretended: every operation on it computes on the CPU, and is watched.

A test moves a model to `DEVICE`, which for torch is `meta`, and runs what it likes with true
values. An operation that mixes its tensors with those of the CPU is refused, as a GPU does, and
each time the host waits for a value, a GPU's queue would have run dry there: it is counted.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor
from torch.optim import optimizer
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = torch.device("meta")
_aten = torch.ops.aten
#: Operations whose result's size is a value, for which the host waits.
_SIZED_BY_VALUES = (
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "bincount",
)
#: Function of torch that names the devices with an optimiser in one pass.
_FUSED = "_get_fused_kernels_supported_devices"
_FROM_VALUES = (torch.tensor, torch.as_tensor, torch.asarray)


class Pretended(Tensor):
    """A tensor on the pretended device.

    Attributes:
        held: Its values, on the CPU.
    """

    held: Tensor

    @staticmethod
    def __new__(cls: type[Pretended], held: Tensor) -> Pretended:
        """Puts a tensor on the device."""
        made: Pretended = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Pretended({self.held})"

    @classmethod
    def __torch_function__(
        cls,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is Tensor.tolist:
            return args[0].cpu().tolist()
        if func is Tensor.numpy:
            raise TypeError("a tensor of a device has no numpy array; copy it to the CPU first")
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        raise RuntimeError(f"{func} on a pretended tensor, outside of `PretendedDevice`")


class PretendedDevice(TorchDispatchMode):
    """Computes on the CPU what is asked of `DEVICE`, while entered.

    Attributes:
        waits: Number of times that the host waited for a value, by operation.
        operations: Number of operations on the device.
        on_cpu: Number of operations on CPU tensors of floats, by operation.
        bytes_now: Bytes of the tensors that are on the device.
        most_bytes: Most of them at once.
        capacity: Bytes beyond which memory runs out, as on a GPU; None for no end.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waits: Counter[str] = Counter()
        self.on_cpu: Counter[str] = Counter()
        self.operations = self.bytes_now = self.most_bytes = 0
        self.capacity: int | None = None
        self._storages: set[int] = set()

    def clear(self) -> None:
        """Begins to count anew, from the bytes that are there."""
        self.waits.clear()
        self.on_cpu.clear()
        self.operations, self.most_bytes = 0, self.bytes_now

    def __enter__(self) -> Self:
        was = self._was = vars(optimizer)[_FUSED]
        setattr(optimizer, _FUSED, lambda: [*was(), DEVICE.type])
        torch.__future__.set_swap_module_params_on_conversion(True)
        self._values = _FromValues()
        self._values.__enter__()  # type: ignore[no-untyped-call]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *about: Any) -> None:
        super().__exit__(*about)  # type: ignore[no-untyped-call]
        self._values.__exit__(*about)  # type: ignore[no-untyped-call]
        torch.__future__.set_swap_module_params_on_conversion(False)
        setattr(optimizer, _FUSED, self._was)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is torch.ops.prim.device.default:
            return DEVICE
        kwargs = dict(kwargs or {})
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        placed = [each for each in tensors if isinstance(each, Pretended)]
        copies = func in (_aten._to_copy.default, _aten.copy_.default)
        others = [each for each in tensors if each.dim() and not isinstance(each, Pretended)]
        if placed and others and not copies:
            raise RuntimeError(
                f"{func} mixes devices: {[tuple(each.shape) for each in placed]} on {DEVICE}, "
                f"{[tuple(each.shape) for each in others]} on the CPU"
            )
        asked = kwargs.get("device")
        on_device = bool(placed) if asked is None else torch.device(asked).type == DEVICE.type
        if func is _aten.copy_.default:
            on_device = isinstance(args[0], Pretended)
        self._count(func, placed, on_device, args)
        if asked is not None:
            kwargs["device"] = torch.device("cpu")
        if kwargs.get("pin_memory"):
            kwargs["pin_memory"] = False
        own_args, own_kwargs = tree_map_only(Pretended, lambda each: each.held, (args, kwargs))
        found = func(*own_args, **own_kwargs)
        if any(r.alias_info and r.alias_info.is_write for r in func._schema.returns):
            by_held = {id(each.held): each for each in placed}
            return tree_map_only(Tensor, lambda each: by_held.get(id(each), each), found)
        return tree_map_only(Tensor, self._placed, found) if on_device else found

    def _placed(self, held: Tensor) -> Pretended:
        storage = held.untyped_storage()
        address, size = storage.data_ptr(), storage.nbytes()
        if address and address not in self._storages:
            if self.capacity is not None and self.bytes_now + size > self.capacity:
                raise torch.OutOfMemoryError("the pretended device's memory ran out")
            self._storages.add(address)
            self.bytes_now += size
            self.most_bytes = max(self.most_bytes, self.bytes_now)
            weakref.finalize(storage, self._freed, address, size)
        made = Pretended(held)
        made.storage_held = storage  # type: ignore[attr-defined]  # whose end is that of the bytes
        return made

    def _freed(self, address: int, size: int) -> None:
        self._storages.discard(address)
        self.bytes_now -= size

    def _count(
        self, func: Any, placed: Sequence[Tensor], on_device: bool, args: Sequence[Any]
    ) -> None:
        name = str(func).removeprefix("aten.")
        self.operations += bool(placed)
        if not placed:
            floats = any(isinstance(each, Tensor) and each.is_floating_point() for each in args)
            self.on_cpu[name] += floats
            return
        masks = func is _aten.index.Tensor and any(
            each is not None and each.dtype == torch.bool for each in args[1]
        )
        sized = masks or name.split(".")[0] in _SIZED_BY_VALUES
        to_host = func is _aten._local_scalar_dense.default or not on_device
        if sized or to_host:
            self.waits[name] += 1


class _FromValues(TorchFunctionMode):
    """Makes tensors from Python's values on the CPU and copies them to the device."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        asked = kwargs.get("device")
        if func in _FROM_VALUES and asked is not None and torch.device(asked).type == DEVICE.type:
            return func(*args, **kwargs | {"device": "cpu"}).to(DEVICE)
        return func(*args, **kwargs)


@contextmanager
def pretended_device() -> Iterator[PretendedDevice]:
    """Yields a pretended device; models are moved to `DEVICE` by `.to`."""
    with PretendedDevice() as device:
        yield device
