"""A bounded cache of encoded rows, media and tower features, shared by a process's models."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from clearbench.libraries import torch

if TYPE_CHECKING:
    pass


Value = TypeVar("Value")
#: Default bound on a cache, in bytes.
DEFAULT_BYTES = 2**30
#: Bytes that an entry costs in addition to its content.
OVERHEAD = 256


class WorkCache:
    """A cache that drops its least recently used entries once its content passes a bound in bytes.

    Everything in it can be computed again, so that no result depends on the bound.

    Args:
        max_bytes: Bound on the content.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Returns the entry of a key, and makes it when it is missing."""
        if key in self._entries:
            self._entries.move_to_end(key)
            return cast(Value, self._entries[key][0])
        value = make()
        self._add(key, value)
        return value

    def known(self, keys: Iterable[Hashable]) -> dict[Hashable, Any]:
        """Returns the entries of the keys that are there, by key; they count as used."""
        found = {key: self._entries[key][0] for key in keys if key in self._entries}
        for key in found:
            self._entries.move_to_end(key)
        return found

    def drop(self, chosen: Callable[[Hashable], bool]) -> None:
        """Removes the entries whose keys are chosen."""
        for key in [key for key in self._entries if chosen(key)]:
            self.bytes -= self._entries.pop(key)[1]

    def _add(self, key: Hashable, value: object) -> None:
        size = size_of(value) + OVERHEAD
        if size > self.max_bytes:
            return
        if key in self._entries:  # made while this one was being made
            self.bytes -= self._entries.pop(key)[1]
        self._entries[key] = (value, size)
        self.bytes += size
        while self.bytes > self.max_bytes:
            _, (_, gone) = self._entries.popitem(last=False)
            self.bytes -= gone


def size_of(value: object) -> int:
    """Counts bytes of tensors, texts and integers in nested collections and dataclasses."""
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(size_of, value.values()))
    if isinstance(value, (tuple, list)):
        return sum(map(size_of, value))
    if is_dataclass(value):
        return sum(map(size_of, vars(value).values()))
    return 8
