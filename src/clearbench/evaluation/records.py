"""Holds the records of one model on one dataset: named tables that metrics are computed from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Self

from clearbench.errors import StorageError
from clearbench.evaluation.groups import ANSWERS, GENERATIONS, RecordGroup
from clearbench.evaluation.tables import KEYS, GroupKey, Table, TableSet
from clearbench.libraries import pa, pd, pq

#: Split of the prompts that find side effects of unlearning.
SIDE = "side"
#: Parquet metadata that names a table's row key; empty for None.
_ROW_KEY = b"clearbench.row_key"
#: Tables without a row key in folders that were saved before row keys were.
_LOOKUPS_BEFORE = ("known", "neutral")


class Records(TableSet):
    """One pass of one model over one dataset, as an open mapping of named tables.

    `records["answers"]` is a data frame, a line per (row, answer variant); `records["generations"]`
    has a line per generated answer. Other tables are declared where they are measured or read
    (`Table`), and are filtered, joined, saved and read like these.
    """

    def _with(self, tables: Mapping[Table, pd.DataFrame]) -> Self:
        return type(self)(tables)

    @property
    def answers(self) -> pd.DataFrame:
        """Scored answers."""
        return self.table(ANSWERS)

    @property
    def generations(self) -> pd.DataFrame:
        """Generated answers."""
        return self.table(GENERATIONS)

    def groups(self) -> dict[GroupKey, RecordGroup]:
        """Splits the records by split, track and task, in sorted order."""
        return self._groups

    @cached_property
    def _groups(self) -> dict[GroupKey, RecordGroup]:
        parts = {table: _by_key(frame) for table, frame in self.declarations().items()}
        keys = sorted({key for groups in parts.values() for key in groups})
        return {
            key: RecordGroup(
                key,
                {
                    table: groups.get(key, self.table(table).iloc[:0])
                    for table, groups in parts.items()
                },
            )
            for key in keys
        }

    def save(self, folder: Path) -> None:
        """Writes a Parquet file per table; its metadata name the row key."""
        for table, frame in self.declarations().items():
            content = pa.Table.from_pandas(frame, preserve_index=False)
            metadata = {**(content.schema.metadata or {}), _ROW_KEY: (table.row_key or "").encode()}
            pq.write_table(
                content.replace_schema_metadata(metadata), folder / f"{table.name}.parquet"
            )

    @classmethod
    def load(cls, folder: Path) -> Records:
        """Reads the tables that `save` wrote, and folders of earlier versions.

        Raises:
            StorageError: There are no answers or no generations, or a file is damaged.
        """
        for needed in (ANSWERS, GENERATIONS):
            if not (folder / f"{needed.name}.parquet").is_file():
                what = f"no {needed.name}.parquet"
                raise StorageError(what, str(folder), "give a folder of records")
        return cls(dict(_read(path) for path in sorted(folder.glob("*.parquet"))))


def _read(path: Path) -> tuple[Table, pd.DataFrame]:
    try:
        content = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        what = f"not a readable Parquet file: {str(error).splitlines()[0]}"
        raise StorageError(what, str(path), "measure again") from error
    missing = [name for name in KEYS if name not in content.column_names]
    if missing:
        raise StorageError(f"no column {', '.join(missing)}", str(path), "measure again")
    saved = (content.schema.metadata or {}).get(_ROW_KEY)
    before = "" if path.stem in _LOOKUPS_BEFORE else "row"
    row_key = before if saved is None else saved.decode()
    frame = content.to_pandas()
    return Table(path.stem, tuple(frame.columns), row_key or None), frame


def _by_key(frame: pd.DataFrame) -> dict[GroupKey, pd.DataFrame]:
    if frame.empty:
        return {}
    groups = frame.groupby(list(KEYS))
    return {GroupKey(*map(str, key)): group for key, group in groups}
