"""Reads records from our folders and from published logs, by their content."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from clearbench.errors import DataError, StorageError
from clearbench.evaluation.checks import check_records
from clearbench.evaluation.groups import ANSWERS
from clearbench.evaluation.logs import openunlearning, tofu
from clearbench.evaluation.records import Records
from clearbench.storage import MANIFEST, damage

GIVE = (
    "give a folder of records, an eval_log_aggregated.json of TOFU or CLEAR (or its folder of "
    "eval_log*.json and eval_real_*.json), or a TOFU_EVAL.json of OpenUnlearning (not its "
    "TOFU_SUMMARY.json, which holds no rows)"
)
#: Whole logs that are looked for in a folder before the files of single tasks.
WHOLE = ("eval_log_aggregated.json", "TOFU_EVAL.json")
ENDINGS = ("", ".gz")


def read_log(path: Path) -> Records:
    """Reads a folder of our records, or a log of TOFU, CLEAR or OpenUnlearning.

    A log may be compressed by gzip, begin with a byte order mark, or be TOFU's file of a single
    task, told by its name, or the folder of such files.

    Raises:
        DataError: The log is of no known format, lacks a field, or holds what cannot be; it is
            named.
        StorageError: There is no such file or folder, it is no JSON, or it was changed.
    """
    if not path.is_dir():
        return _read(_json(path), path)
    if (path / f"{ANSWERS.name}.parquet").is_file() or (path / MANIFEST).is_file():
        return _ours(path)
    names = [f"{name}{ending}" for name in WHOLE for ending in ENDINGS]
    whole = [path / name for name in names if (path / name).is_file()]
    if len(whole) > 1:
        what = f"there are several logs: {', '.join(each.name for each in whole)}"
        raise DataError(what, str(path), "name one of these files")
    if whole:
        return read_log(whole[0])
    tasks = {
        task: path / f"{task}.json{ending}"
        for task in tofu.TASKS
        for ending in ENDINGS
        if (path / f"{task}.json{ending}").is_file()
    }
    if not tasks:
        raise DataError("there is no log in this folder, and no records", str(path), GIVE)
    return tofu.read({task: _json(file) for task, file in tasks.items()}, str(path))


def _ours(folder: Path) -> Records:
    """Reads a folder of our records; one that was sealed must be as it was written."""
    if (folder / MANIFEST).is_file() and (wrong := damage(folder)):
        raise StorageError("; ".join(wrong), str(folder), "measure again into another folder")
    records = Records.load(folder)
    check_records(records, str(folder))
    return records


def _read(content: Any, path: Path) -> Records:
    if isinstance(content, dict):
        task = path.name.removesuffix(".gz").removesuffix(".json")
        if task in tofu.TASKS and tofu.is_task(content):
            content = {task: content}
        if tofu.recognises(content):
            return tofu.read(content, str(path))
        if openunlearning.recognises(content):
            return openunlearning.read(content, str(path))
        if tofu.is_task(content):
            known = ", ".join(f"{task}.json" for task in tofu.TASKS)
            what = "this is one task of a TOFU log, which is told by the file's name"
            raise DataError(what, str(path), f"call it one of {known}")
    raise DataError("this is no log that we know", str(path), GIVE)


def _json(path: Path) -> Any:
    """Reads JSON; a key that is there twice is refused, as one of its values would be lost."""
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        return json.loads(_decoded(content), object_pairs_hook=_once)
    except FileNotFoundError as error:
        raise StorageError("there is no such file", str(path), "check the path") from error
    except (OSError, EOFError) as error:
        raise StorageError(f"cannot be read: {error}", str(path), "restore the file") from error
    except (ValueError, RecursionError) as error:
        raise StorageError(f"not valid JSON: {error}", str(path), "restore the file") from error
    except DataError as error:
        raise DataError(error.what, str(path), error.fix) from error


def _decoded(content: bytes) -> str:
    utf_16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    return content.decode("utf-16" if utf_16 else "utf-8-sig")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"'{twice}' is there twice", "", "make the log again; which one counts?")
    return found
