"""Reads records from our folders and from published logs, by their content."""

from __future__ import annotations

from pathlib import Path

from clearbench.errors import DataError, StorageError
from clearbench.evaluation.logs import openunlearning, tofu
from clearbench.evaluation.records import Records
from clearbench.storage import MANIFEST, damage, read_json


def read_log(path: Path) -> Records:
    """Reads a folder of our records, or a log of TOFU, CLEAR or OpenUnlearning.

    Raises:
        DataError: The log is of no known format, or lacks a field, which is named.
        StorageError: There is no such file or folder, it is no JSON, or records were changed.
    """
    if path.is_dir():
        if (path / MANIFEST).is_file() and (wrong := damage(path)):
            raise StorageError("; ".join(wrong), str(path), "measure again into another folder")
        return Records.load(path)
    content = read_json(path)
    if isinstance(content, dict) and tofu.recognises(content):
        return tofu.read(content, str(path))
    if isinstance(content, dict) and openunlearning.recognises(content):
        return openunlearning.read(content, str(path))
    raise DataError(
        "this is no log that we know",
        str(path),
        "give a folder of records, an eval_log_aggregated.json of TOFU or CLEAR, or a "
        "TOFU_EVAL.json of OpenUnlearning (not its TOFU_SUMMARY.json, which holds no rows)",
    )
