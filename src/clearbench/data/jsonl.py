"""Reads own rows: questions and answers to forget and to keep, in files of several formats.

Formats of files are in `row_files` (JSON lines and arrays, CSV and TSV, Parquet), forms of rows in
`row_forms` (question and answer, conversations, instructions, prompts, captions). Besides, a row
may have `person` (a name or a number; also called `author` or `name`), `split`, `task`, `id`,
`paraphrased_question`, `paraphrased_answer`, `perturbed_answers` (also `perturbed_answer`),
`held_out`, and a media file's path under the name of its modality (`"image": "portraits/ana.jpg"`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from clearbench.data.dataset import Dataset
from clearbench.data.own_row import OwnRow, read_rows
from clearbench.data.row_file import lines_of, suffixes
from clearbench.data.splits import KNOWN_SPLITS
from clearbench.errors import DataError

#: Files with the split that they stand for; None where rows may name theirs.
Files = Sequence[tuple[Path, str | None]]


def read_pairs(
    forget: Path | None,
    retain: Path | None,
    images: Path | None = None,
    holdout: Path | None = None,
) -> Dataset:
    """Reads a dataset from a file of rows to forget and a file of rows to keep.

    Args:
        forget: File in any of the formats.
        retain: File in any of the formats.
        images: Folder that paths of pictures are relative to; each file's own by default.
        holdout: File of rows about people whom no model was taught, in any of the formats.

    Raises:
        DataError: Rows are bad, or are both forgotten and kept; each is listed with file, row,
            field and value.
    """
    named = {"forget": forget, "retain": retain, "holdout": holdout}
    files: Files = [(path, split) for split, path in named.items() if path is not None]
    if forget is not None and retain is not None and forget.resolve() == retain.resolve():
        raise DataError("one file to forget and to keep", str(forget), "give two files")
    if len({path.resolve() for path, _ in files}) < len(files):
        raise DataError("one file for two splits", str(holdout), "give a file each")
    return _of_files(files, images).examined("your rows")


def read_own_rows(path: Path, images: Path | None = None) -> Dataset:
    """Reads a dataset from a file whose rows name their split, or a folder with a file per split.

    Rows of a file that name no split are kept. Splits of the folder are called as its files:
    `forget.jsonl`, `retain.csv`, `holdout.json`.

    Args:
        path: File or folder.
        images: Folder that paths of pictures are relative to; each file's own by default.

    Raises:
        DataError: Rows are bad, or are both forgotten and kept; each is listed with file, row,
            field and value.
    """
    return own_rows(path, images).examined(str(path))


def own_rows(path: Path, images: Path | None = None) -> Dataset:
    """Reads what `read_own_rows` does, before the rows are examined."""
    files: Files = list(files_of(path)) if path.is_dir() else [(path, None)]
    if not files:
        names = f"forget{suffixes()[0]}, retain{suffixes()[0]}"
        raise DataError("the folder holds no rows", str(path), f"give it {names}")
    dataset = _of_files(files, images)
    unread = sorted(
        other.name
        for other in (path.iterdir() if path.is_dir() else ())
        if other.is_file() and other.suffix.lower() in suffixes() and (other not in dict(files))
    )
    doubts = [f"the file '{name}' is not read: no split is called so" for name in unread]
    return replace(dataset, doubts=(*dataset.doubts, *doubts))


def files_of(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yields a folder's files of rows, called as the splits.

    Raises:
        DataError: A split has several files, or one that holds no rows.
    """
    there = sorted(path for path in folder.iterdir() if path.is_file())
    for split in KNOWN_SPLITS:
        called = [path for path in there if path.name.partition(".")[0].casefold() == split]
        files = [path for path in called if path.suffix.lower() in suffixes()]
        if called and not files:
            names = ", ".join(path.name for path in called)
            fix = f"save it as {split}{suffixes()[0]}, or remove it"
            raise DataError(f"no rows can be read from {names}", str(folder), fix)
        if len(files) > 1:
            names = ", ".join(path.name for path in files)
            raise DataError(f"several files of '{split}': {names}", str(folder), "keep one")
        yield from ((path, split) for path in files)


def _of_files(files: Files, images: Path | None) -> Dataset:
    if images is not None and not images.is_dir():
        raise DataError("there is no such folder", str(images), "give the folder of the pictures")
    names = [path.name for path, _ in files]
    rows: list[OwnRow] = []
    problems: list[str] = []
    for path, split in files:
        label = path.name if names.count(path.name) == 1 else str(path)
        before = len(rows), len(problems)
        try:
            for place, fields in lines_of(path):
                rows.append(OwnRow(label, place, fields, images or path.parent, split))
        except DataError as error:
            if len(files) == 1:
                raise
            problems.append(f"{label}: {error.what}; {error.fix}")
        if (len(rows), len(problems)) == before:
            problems.append(f"{label}: holds no rows")
    return Dataset(**read_rows(rows, problems)._asdict())
