"""Caches what the stages of one worker process share, within a bound."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from clearbench.data.dataset import Dataset
from clearbench.data.store_folder import read_rows
from clearbench.evaluation.records import Records
from clearbench.models.cache import WorkCache

if TYPE_CHECKING:
    from torch import Tensor

    from clearbench.models.base import Model

Value = TypeVar("Value")
#: Bound on what the models of a worker share, in bytes.
MODEL_BYTES = 2**29


class RecentlyUsed(Generic[Value]):
    """A mapping that drops the least recently used value once it holds too many.

    Args:
        most: Largest number of values.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Returns the value of a key, made where it is missing."""
        if key not in self._values:
            self._values[key] = make()
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)
        return self._values[key]


class WorkerCache:
    """Datasets, records, and rows encoded by models of one base, of one worker process.

    Args:
        max_bytes: Bound on what models share.
    """

    def __init__(self, max_bytes: int = MODEL_BYTES) -> None:
        self._models = WorkCache(max_bytes)
        self._datasets: RecentlyUsed[Dataset] = RecentlyUsed(2)
        self._records: RecentlyUsed[Records] = RecentlyUsed(8)
        self._counted: RecentlyUsed[Records] = RecentlyUsed(12)
        self._features: RecentlyUsed[dict[str, Tensor]] = RecentlyUsed(2)

    def dataset(self, folder: Path) -> Dataset:
        """Returns the dataset in a folder of the store."""
        return self._datasets.get(folder, lambda: read_rows(folder))

    def records(self, folder: Path) -> Records:
        """Returns the records in a folder of the store."""
        return self._records.get(folder, lambda: Records.load(folder))

    def counted(self, key: Hashable, make: Callable[[], Records]) -> Records:
        """Returns records of the rows that count, the same object for the same key."""
        return self._counted.get(key, make)

    def features(self, backbone: str) -> dict[str, Tensor]:
        """Returns the features that the backbone of a digest gave images, by key; added to."""
        return self._features.get(backbone, dict)

    def shared(self, model: Model, source: str) -> Model:
        """Lets a model use rows that models of the same base have encoded and tested."""
        model.share(self._models, source)
        return model
