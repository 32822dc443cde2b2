"""Examines loaded rows before any work: broken pictures, rows both forgotten and kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, zip_longest

from clearbench.data.example import Example
from clearbench.data.splits import Rows
from clearbench.data.words import folded, words
from clearbench.errors import DataError

#: Rows that a message lists in full.
SHOWN = 20
#: Text, picture and answer, as they are compared between rows.
_Key = tuple[str, str, str]


def doubts_about(training: Rows, evaluation: Rows, where: str) -> list[str]:
    """Lists what is doubtful in rows: broken or alike pictures and texts, a sentence each.

    Args:
        training: Rows that are trained on, by split.
        evaluation: Rows that are measured, by split.
        where: Their source, for the message.

    Raises:
        DataError: A picture breaks off, or a row stands in both forget and retain; all are listed.
    """
    problems: list[str] = []
    doubts = [*_of_media((*training.values(), *evaluation.values()), problems)]
    for splits in (training, evaluation):
        forget, retain = splits.get("forget", ()), splits.get("retain", ())
        doubts += _of_both(forget, retain, problems)
    if problems:
        raise all_of(problems, where, "correct or drop these rows")
    return doubts


def all_of(problems: Iterable[str], where: str, fix: str) -> DataError:
    """Builds one error of problems; of many it lists some of every file, and how many there are."""
    lines = tuple(dict.fromkeys(problems))
    more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return DataError("\n".join([*some_of_each(lines, SHOWN), *more]), where, fix, lines)


def some_of_each(lines: Sequence[str], count: int) -> list[str]:
    """Chooses some of many lines, as many of each file with whose name and place they begin."""
    by_file: dict[str, list[str]] = {}
    for line in lines:
        by_file.setdefault(line.partition(":")[0], []).append(line)
    turns = chain.from_iterable(zip_longest(*by_file.values()))
    chosen = set(islice((line for line in turns if line is not None), count))
    return [line for line in lines if line in chosen]


def several(rows: Iterable[str]) -> str:
    """Names the first three of several rows, and how many there are in all."""
    names = list(dict.fromkeys(rows))
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def origin(row: Example) -> str:
    """Names a row by its file and place, or by its id."""
    return row.source or row.id


def one_spelling(text: str) -> str:
    """Writes a text as texts are compared: without capitals, with single spaces.

    Typographic marks, unseen characters and the form of composition do not count either.
    """
    return " ".join(folded(text).split())


def _of_media(splits: Iterable[Iterable[Example]], problems: list[str]) -> Iterator[str]:
    """Yields doubts about media; each different file is decoded once."""
    seen: set[str] = set()
    for row in (row for rows in splits for row in rows):
        if row.media is None or row.media.key in seen:
            continue
        seen.add(row.media.key)
        try:
            yield from (f"{origin(row)}: {row.track} {doubt}" for doubt in row.media.inspect())
        except (ValueError, OSError, DataError) as error:
            problems.append(f"{origin(row)}: {row.track} {error}")


def _of_both(
    forget: Iterable[Example], retain: Iterable[Example], problems: list[str]
) -> Iterator[str]:
    """Finds rows that are to be forgotten and kept; yields doubts about those that are alike."""
    kept = {_key(row): row for row in retain}
    asked = {(key[0], _bare(row.question)): row for key, row in kept.items()}
    told = {tuple(map(_bare, (row.question, row.answer))): row for row in kept.values()}
    shown = {row.media.key: row for row in kept.values() if row.media}
    alike: list[str] = []
    pictured: list[str] = []
    half: list[str] = []
    for row in forget:
        key = _key(row)
        if (twin := kept.get(key)) is not None:
            problems.append(f"{origin(row)} and {origin(twin)}: one row, to forget and to keep")
        elif row.media and (twin := shown.get(row.media.key)) is not None:
            pictured.append(f"{origin(row)} and {origin(twin)}")
        elif (twin := asked.get((key[0], _bare(row.question)))) is not None:
            alike.append(f"{origin(row)} and {origin(twin)}")
        elif (twin := told.get((_bare(row.question), _bare(row.answer)))) and not (
            row.media and twin.media
        ):
            half.append(f"{origin(row)} and {origin(twin)}")
    if alike:
        yield f"the same question is to be forgotten and kept, with other answers: {several(alike)}"
    if half:
        yield f"one row with and without a picture, to be forgotten and kept: {several(half)}"
    if pictured:
        yield f"the same picture is to be forgotten and kept: {several(pictured)}"


def _bare(text: str) -> str:
    """Writes the words of a text alone; a text without words as texts are compared."""
    return " ".join(words(text)) or one_spelling(text)


def _key(row: Example) -> _Key:
    media = row.media.key if row.media else ""
    return media, one_spelling(row.question), one_spelling(row.answer)
