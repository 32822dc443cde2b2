"""Lists rows in memory: lists of mappings, columns, tables of pandas, `datasets.Dataset`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clearbench.data.own_row import OwnRow
from clearbench.data.splits import KNOWN_SPLITS
from clearbench.errors import DataError, did_you_mean

#: Split of the hub's datasets that stands for all of their rows.
_WHOLE = "train"
_FIX = "give a list of rows, or a mapping of splits to them; `load_dataset` reads files"


def named_splits(data: Any) -> dict[str | None, Any]:
    """Returns rows by the split that a mapping names; under None those that may name their own.

    Args:
        data: Rows in any of the forms, or a mapping of splits to them.

    Raises:
        DataError: The mapping names no split.
    """
    if not isinstance(data, Mapping) or not data or _is_columns(data):
        return {None: data}
    wrong = [key for key in data if key not in (*KNOWN_SPLITS, _WHOLE)]
    if wrong:
        hint = did_you_mean(str(wrong[0]), KNOWN_SPLITS)
        raise DataError(f"unknown split '{wrong[0]}'", "your rows", hint)
    return {None if key == _WHOLE else str(key): rows for key, rows in data.items()}


def rows_in(splits: Mapping[Any, Any], images: Path) -> list[OwnRow]:
    """Lists the rows of every split.

    Args:
        splits: Rows in any of the forms, by split; None for those that may name their own.
        images: Folder that paths of pictures are relative to.

    Raises:
        DataError: Rows are in none of the forms.
    """
    return [
        OwnRow(split or "rows", number, fields, images, split)
        for split, held in splits.items()
        for number, fields in enumerate(_fields(held), 1)
    ]


def _is_columns(data: Mapping[Any, Any]) -> bool:
    """Whether a mapping holds columns: lists of values that are no rows."""
    return all(
        isinstance(values, list | tuple) and not any(isinstance(v, Mapping) for v in values)
        for values in data.values()
    ) and not set(data) <= {*KNOWN_SPLITS, _WHOLE}


def _fields(held: Any) -> Iterable[Any]:
    if hasattr(held, "to_dict") and hasattr(held, "columns"):  # a table of pandas
        records: Iterable[Any] = held.astype(object).where(held.notna(), None).to_dict("records")
        return records
    if isinstance(held, Mapping):
        if not _is_columns(held) or len({len(values) for values in held.values()}) > 1:
            raise DataError("columns of different lengths", "your rows", "give a list of rows")
        return [dict(zip(held, cells, strict=True)) for cells in zip(*held.values(), strict=True)]
    if isinstance(held, str | bytes) or not isinstance(held, Iterable):
        raise DataError(f"{type(held).__name__} holds no rows", "your rows", _FIX)
    return held
