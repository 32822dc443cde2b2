"""Caches what the stages of one worker process share, within a bound."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from clearbench.data.dataset import Dataset
from clearbench.data.store_folder import read_rows
from clearbench.evaluation.records import Records
from clearbench.models.base import Model
from clearbench.models.cache import WorkCache

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
        self._values: OrderedDict[Path, Value] = OrderedDict()

    def get(self, folder: Path, load: Callable[[Path], Value]) -> Value:
        """Returns the value of a folder, and loads it when it is missing."""
        if folder not in self._values:
            self._values[folder] = load(folder)
        self._values.move_to_end(folder)
        while len(self._values) > self._most:
            self._values.popitem(last=False)
        return self._values[folder]


class WorkerCache:
    """Datasets, records, and rows encoded by models of one base, of one worker process.

    Args:
        max_bytes: Bound on what models share.
    """

    def __init__(self, max_bytes: int = MODEL_BYTES) -> None:
        self._models = WorkCache(max_bytes)
        self._datasets: RecentlyUsed[Dataset] = RecentlyUsed(2)
        self._records: RecentlyUsed[Records] = RecentlyUsed(8)

    def dataset(self, folder: Path) -> Dataset:
        """Returns the dataset in a folder of the store."""
        return self._datasets.get(folder, read_rows)

    def records(self, folder: Path) -> Records:
        """Returns the records in a folder of the store."""
        return self._records.get(folder, Records.load)

    def shared(self, model: Model, source: str) -> Model:
        """Lets a model use rows that models of the same base have encoded and tested."""
        model.share(self._models, source)
        return model
