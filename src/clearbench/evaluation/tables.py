"""Named tables of a measurement, with the filters, joins and copies that work on all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from clearbench.errors import DataError
from clearbench.libraries import pd

#: First columns of every table.
KEYS = ("split", "track", "task")
#: Columns that name a measured row of a dataset.
ROW_COLUMNS = (*KEYS, "person", "row")


class GroupKey(NamedTuple):
    """Split, track and task of lines of a table."""

    split: str
    track: str
    task: str


@dataclass(frozen=True)
class Table:
    """Declaration of one table of records. A file that adds a table declares it there.

    Attributes:
        name: Name in `Records` and of the Parquet file.
        columns: Columns of an empty table; the first three are `KEYS`.
        row_key: Column that names the measured row of a line; None for a look-up table, whose lines
            are about no measured row, so that row filters keep all of them.
    """

    name: str
    columns: tuple[str, ...]
    row_key: str | None = "row"

    def frame(self, lines: Iterable[Any] = ()) -> pd.DataFrame:
        """Builds the table with these lines."""
        return pd.DataFrame(list(lines), columns=list(self.columns))


class TableSet(Mapping[str, "pd.DataFrame"], ABC):
    """Tables by name. Two sets are equal only if they are one object; a set never changes.

    Args:
        tables: Lines by declaration.

    Raises:
        DataError: Two declarations of one name differ in their row key.
    """

    def __init__(self, tables: Mapping[Table, pd.DataFrame]) -> None:
        self._declared: dict[str, Table] = {}
        self._frames: dict[str, pd.DataFrame] = {}
        for table, frame in tables.items():
            known = self._declared.setdefault(table.name, table)
            if known.row_key != table.row_key:
                raise DataError(
                    f"two tables are called '{table.name}', with row keys "
                    f"{known.row_key!r} and {table.row_key!r}",
                    "records",
                    "rename one",
                )
            self._frames[table.name] = frame

    @abstractmethod
    def _with(self, tables: Mapping[Table, pd.DataFrame]) -> Self:
        """Builds a set of the same kind with other tables."""

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._frames[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def declarations(self) -> dict[Table, pd.DataFrame]:
        """Returns the lines of each table by declaration."""
        return {table: self._frames[name] for name, table in self._declared.items()}

    def table(self, declared: Table) -> pd.DataFrame:
        """Returns the lines of a table; an empty table where it was not measured."""
        return self._frames[declared.name] if declared.name in self._frames else declared.frame()

    def with_table(self, declared: Table, frame: pd.DataFrame) -> Self:
        """Returns the same tables with one more, or another in its place."""
        kept = {t: f for t, f in self.declarations().items() if t.name != declared.name}
        return self._with(kept | {declared: frame})

    def changed(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Self:
        """Returns every table as a function changes it."""
        return self._with({table: change(frame) for table, frame in self.declarations().items()})

    def where(self, rows: Collection[str]) -> Self:
        """Keeps the lines about these measured rows; tables without a row key stay whole."""
        return self._filtered(lambda names: names.isin(list(rows)))

    def without(self, rows: Collection[str]) -> Self:
        """Drops the lines about these measured rows; tables without a row key stay whole."""
        return self._filtered(lambda names: ~names.isin(list(rows)))

    def _filtered(self, keep: Callable[[pd.Series], pd.Series]) -> Self:
        return self._with(
            {
                table: frame
                if table.row_key is None or frame.empty
                else frame[keep(frame[table.row_key])].reset_index(drop=True)
                for table, frame in self.declarations().items()
            }
        )

    def in_groups(self, keep: Callable[[GroupKey], bool]) -> Self:
        """Keeps the lines of every table whose split, track and task are kept."""

        def kept(frame: pd.DataFrame) -> pd.DataFrame:
            if frame.empty:
                return frame
            keys = zip(*(frame[name] for name in KEYS), strict=True)
            return frame[[keep(GroupKey(*key)) for key in keys]].reset_index(drop=True)

        return self.changed(kept)

    def joined(self, other: TableSet) -> Self:
        """Joins the lines of both, this one's first."""
        ours, theirs = self.declarations(), other.declarations()
        tables = {table.name: table for table in (*theirs, *ours)}
        return self._with(
            {table: _stacked([self.table(table), other.table(table)]) for table in tables.values()}
        )


def _stacked(frames: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else frames[0]
