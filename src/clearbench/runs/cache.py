"""What the stages of one worker process share, within a bound."""

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
    """A mapping that forgets what was used longest ago once it holds too many values.

    Args:
        most: Largest number of values.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Path, Value] = OrderedDict()

    def get(self, folder: Path, load: Callable[[Path], Value]) -> Value:
        """The value of a folder, loaded where it is not here."""
        if folder not in self._values:
            self._values[folder] = load(folder)
        self._values.move_to_end(folder)
        while len(self._values) > self._most:
            self._values.popitem(last=False)
        return self._values[folder]


class WorkerCache:
    """Datasets, records, and what models of one base have encoded, of one worker process.

    Args:
        max_bytes: Bound on what models share.
    """

    def __init__(self, max_bytes: int = MODEL_BYTES) -> None:
        self._models = WorkCache(max_bytes)
        self._datasets: RecentlyUsed[Dataset] = RecentlyUsed(2)
        self._records: RecentlyUsed[Records] = RecentlyUsed(8)

    def dataset(self, folder: Path) -> Dataset:
        """The dataset in a folder of the store."""
        return self._datasets.get(folder, read_rows)

    def records(self, folder: Path) -> Records:
        """The records in a folder of the store."""
        return self._records.get(folder, Records.load)

    def shared(self, model: Model, source: str) -> Model:
        """Lets a model use what models of the same base have encoded and tested."""
        model.share(self._models, source)
        return model
