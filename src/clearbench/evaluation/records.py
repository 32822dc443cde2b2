"""What a model said and thought of every answer, measured once; metrics are functions of this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clearbench.errors import DataError, StorageError

#: Frames that are files; folders of earlier versions hold the first two only.
_FILES = ("answers", "generations", "known", "neutral", "matches")
TOKEN_COLUMNS = ["log_probs", "hits", "means", "variances"]
KEYS = ["split", "track", "task"]
ANSWER_COLUMNS = [*KEYS, "person", "row", "variant", *TOKEN_COLUMNS]
GENERATION_COLUMNS = [*KEYS, "person", "row", "question", "truth", "text"]
#: In place of the token columns, where a published log holds nothing finer.
MEAN = "mean_log_prob"
LOGGED_COLUMNS = [*KEYS, "person", "row", "metric", "value"]
KNOWN_COLUMNS = [*KEYS, "person", "row", "question", "truth"]
NEUTRAL_COLUMNS = [*KEYS, "person", "row", "token", "masses"]
MATCH_COLUMNS = [*KEYS, "person", "row", "own", "other"]
#: The split of rows that are asked to see what unlearning does to the rest.
SIDE = "side"

#: Where records belong: (split, track, task).
Place = tuple[str, str, str]


def _empty(columns: list[str]) -> Callable[[], pd.DataFrame]:
    return lambda: pd.DataFrame(columns=columns)


@dataclass(frozen=True, eq=False)
class Records:
    """One pass of one model over one dataset; two are the same only if they are one object.

    Attributes:
        answers: One line per (row, answer variant): `log_probs` is the list of per-token natural
            log-probabilities, `hits` of whether each token was the model's first choice, `means`
            and `variances` of the log-probability under the model's own distribution. `person` is
            -1 for rows about the world. Published logs hold only the mean: `mean_log_prob`.
        generations: One line per greedy answer.
        logged: One line per (row, metric) that a published log had worked out itself.
        known: One line per name or answer of people the model was taught, to find in what it says
            of strangers.
        neutral: One line per answer token of a neutral prompt: `masses` are the probabilities of
            classes of next tokens.
        matches: One line per image of a classifier that is not enrolled: the cosine of its
            embedding to its `own` person's template and the largest to any `other`.
    """

    answers: pd.DataFrame
    generations: pd.DataFrame
    logged: pd.DataFrame = field(default_factory=_empty(LOGGED_COLUMNS))
    known: pd.DataFrame = field(default_factory=_empty(KNOWN_COLUMNS))
    neutral: pd.DataFrame = field(default_factory=_empty(NEUTRAL_COLUMNS))
    matches: pd.DataFrame = field(default_factory=_empty(MATCH_COLUMNS))

    def save(self, folder: Path) -> None:
        """Writes a Parquet file for each frame that was measured."""
        for name in _FILES:
            getattr(self, name).to_parquet(folder / f"{name}.parquet", index=False)

    @classmethod
    def load(cls, folder: Path) -> Records:
        """Reads what `save` wrote."""
        paths = {name: folder / f"{name}.parquet" for name in _FILES}
        for name in _FILES[:2]:
            if not paths[name].is_file():
                raise StorageError(f"no {name}.parquet", str(folder), "give a folder of records")
        found = {name: path for name, path in paths.items() if path.is_file()}
        return cls(**{name: pd.read_parquet(path) for name, path in found.items()})

    def cells(self) -> dict[Place, Cell]:
        """The records by (split, track, task)."""
        return self._cells

    @cached_property
    def _cells(self) -> dict[Place, Cell]:
        whole = {each.name: getattr(self, each.name) for each in fields(self)}
        parts = {name: (_by_place(frame), frame.iloc[:0]) for name, frame in whole.items()}
        places = sorted({place for found, _ in parts.values() for place in found})
        return {
            place: Cell(**{name: found.get(place, none) for name, (found, none) in parts.items()})
            for place in places
        }


def _by_place(frame: pd.DataFrame) -> dict[Place, pd.DataFrame]:
    groups = frame.groupby(["split", "track", "task"])
    return {(str(s), str(track), str(task)): each for (s, track, task), each in groups}


@dataclass(frozen=True, eq=False)
class Cell:
    """Records of one split, track and task."""

    answers: pd.DataFrame
    generations: pd.DataFrame
    logged: pd.DataFrame = field(default_factory=_empty(LOGGED_COLUMNS))
    known: pd.DataFrame = field(default_factory=_empty(KNOWN_COLUMNS))
    neutral: pd.DataFrame = field(default_factory=_empty(NEUTRAL_COLUMNS))
    matches: pd.DataFrame = field(default_factory=_empty(MATCH_COLUMNS))

    @cached_property
    def _means(self) -> pd.DataFrame:
        """(rows, variants) mean token log-probabilities, rows in the order of the records."""
        chosen = self.answers
        if MEAN in chosen:
            means = chosen[MEAN].to_numpy(dtype=float)
        else:
            means = np.array([np.mean(tokens) for tokens in chosen["log_probs"]], dtype=float)
        if not np.isfinite(means).all():
            raise DataError(
                f"log-probabilities are not finite on {int((~np.isfinite(means)).sum())} answers",
                ".".join(map(str, chosen[["split", "track"]].iloc[0])),
                "the model's outputs are not finite; its run has diverged",
            )
        frame = pd.DataFrame({"row": chosen["row"], "variant": chosen["variant"], "value": means})
        table = frame.pivot(index="row", columns="variant", values="value")
        return table.reindex(chosen["row"].drop_duplicates())

    def mean_log_prob(self, variant: str) -> pd.Series:
        """Per row, the mean token log-probability of an answer variant: -l(y) of the papers."""
        if variant not in self._means:
            return pd.Series(dtype=float)
        return self._means[variant].dropna()

    def options(self, prefix: str) -> pd.DataFrame:
        """(rows, options) mean token log-probabilities of the variants `prefix_0`, `prefix_1`...

        Rows with fewer options than others have NaN there.
        """
        names = [name for name in self._means if str(name).startswith(f"{prefix}_")]
        ordered = sorted(names, key=lambda name: int(str(name).rpartition("_")[2]))
        return self._means[ordered].dropna(how="all")

    def tokens(self, column: str, variant: str = "answer") -> dict[str, NDArray[np.float64]]:
        """Per row, what `column` holds of each token of a variant; none where the log has none."""
        if column not in self.answers:
            return {}
        chosen = self.answers[self.answers["variant"] == variant]
        pairs = zip(chosen["row"], chosen[column], strict=True)
        return {str(row): np.asarray(each, float) for row, each in pairs if np.ndim(each)}

    def logged_values(self, metric: str) -> pd.Series:
        """Per row, what the log says of a metric; empty where it says nothing."""
        chosen = self.logged[self.logged["metric"] == metric]
        return pd.Series(chosen["value"].to_numpy(dtype=float), index=chosen["row"], dtype=float)

    @cached_property
    def people(self) -> dict[str, int]:
        """The person of every row; -1 for the world."""
        frames = (self.answers, self.generations, self.logged, self.matches)
        rows = [row for frame in frames for row in frame["row"]]
        return dict(zip(rows, (each for frame in frames for each in frame["person"]), strict=True))


def clusters(values: pd.Series, people: dict[str, int]) -> NDArray[np.int64]:
    """The person behind each value; every row about the world stands for itself."""
    found = np.array([people.get(str(row), -1) for row in values.index], dtype=np.int64)
    alone = found < 0
    found[alone] = -1 - np.arange(int(alone.sum()))
    return found
