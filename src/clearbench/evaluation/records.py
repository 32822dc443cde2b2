"""What a model said and thought of every answer, measured once; metrics are functions of this."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clearbench.errors import StorageError

ANSWERS, GENERATIONS = "answers.parquet", "generations.parquet"
TOKEN_COLUMNS = ["log_probs", "hits", "means", "variances"]
ANSWER_COLUMNS = ["split", "track", "task", "person", "row", "variant", *TOKEN_COLUMNS]
GENERATION_COLUMNS = ["split", "track", "task", "person", "row", "question", "truth", "text"]


@dataclass(frozen=True)
class Records:
    """One pass of one model over one dataset.

    Attributes:
        answers: One line per (row, answer variant): `log_probs` is the list of per-token natural
            log-probabilities, `hits` of whether each token was the model's first choice, `means`
            and `variances` of the log-probability under the model's own distribution. `person` is
            -1 for rows about the world.
        generations: One line per greedy answer.
    """

    answers: pd.DataFrame
    generations: pd.DataFrame

    def save(self, folder: Path) -> None:
        """Writes two Parquet files."""
        self.answers.to_parquet(folder / ANSWERS, index=False)
        self.generations.to_parquet(folder / GENERATIONS, index=False)

    @classmethod
    def load(cls, folder: Path) -> Records:
        """Reads what `save` wrote."""
        for name in (ANSWERS, GENERATIONS):
            if not (folder / name).is_file():
                raise StorageError(f"no {name} here", str(folder), "give a folder of records")
        return cls(pd.read_parquet(folder / ANSWERS), pd.read_parquet(folder / GENERATIONS))

    def cells(self) -> dict[tuple[str, str, str], Cell]:
        """The records by (split, track, task)."""
        keys = ["split", "track", "task"]
        spoken = dict(list(self.generations.groupby(keys)))
        return {
            (str(split), str(track), str(task)): Cell(
                frame, spoken.get((split, track, task), self.generations.iloc[:0])
            )
            for (split, track, task), frame in self.answers.groupby(keys)
        }


@dataclass(frozen=True)
class Cell:
    """Records of one split, track and task."""

    answers: pd.DataFrame
    generations: pd.DataFrame

    def mean_log_prob(self, variant: str) -> pd.Series:
        """Per row, the mean token log-probability of an answer variant: -l(y) of the papers."""
        chosen = self.answers[self.answers["variant"] == variant]
        means = [float(np.mean(tokens)) for tokens in chosen["log_probs"]]
        return pd.Series(means, index=chosen["row"], dtype=float)

    def options(self, prefix: str) -> pd.DataFrame:
        """(rows, options) mean token log-probabilities of the variants `prefix_0`, `prefix_1`..."""
        chosen = self.answers[self.answers["variant"].str.startswith(f"{prefix}_")]
        numbers = chosen["variant"].str.rsplit("_", n=1).str[1].astype(int)
        means = [float(np.mean(tokens)) for tokens in chosen["log_probs"]]
        frame = pd.DataFrame({"row": chosen["row"], "option": numbers, "value": means})
        return frame.pivot(index="row", columns="option", values="value")

    @property
    def people(self) -> dict[str, int]:
        """The person of every row; -1 for the world."""
        first = self.answers.drop_duplicates("row")
        return dict(zip(first["row"], first["person"], strict=True))


def clusters(values: pd.Series, people: dict[str, int]) -> NDArray[np.int64]:
    """The person behind each value; every row about the world stands for itself."""
    found = np.array([people.get(str(row), -1) for row in values.index], dtype=np.int64)
    alone = found < 0
    found[alone] = -1 - np.arange(int(alone.sum()))
    return found
