"""Holds the records of one split, track and task, in the forms that most metrics read."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from clearbench.errors import DataError
from clearbench.evaluation.tables import KEYS, ROW_COLUMNS, GroupKey, Table, TableSet
from clearbench.libraries import pd

#: Lists with a value per token of an answer: natural log-probability, whether it was the model's
#: first choice, mean and variance of the log-probability under the model's own distribution.
TOKEN_COLUMNS = ("log_probs", "hits", "means", "variances")
#: Column used instead of token columns, where a published log holds nothing finer.
MEAN = "mean_log_prob"
#: One line per measured row and answer variant; `person` is -1 for rows about the world.
ANSWERS = Table("answers", (*ROW_COLUMNS, "variant", *TOKEN_COLUMNS))
#: One line per generated answer.
GENERATIONS = Table("generations", (*ROW_COLUMNS, "question", "truth", "text"))
#: One line per split, track and task with generated answers: the longest answer in tokens, in true
#: answers' lengths (none for None), the control whose images were shown (empty for the own), and
#: the number of rows that were drawn (none for all).
ASKED = Table("asked", (*KEYS, "max_new_tokens", "stop_after", "images", "limit"), row_key=None)
#: One line per measured row and metric that a published log had computed itself.
LOGGED = Table("logged", (*ROW_COLUMNS, "metric", "value"))


def _mean(tokens: Any) -> float:
    """Computes the mean of an answer's tokens; NaN where one has no value, or there is none."""
    values = np.asarray(tokens, dtype=float)
    return float(values.mean()) if values.size else float("nan")


class RecordGroup(TableSet):
    """The records of one split, track and task.

    Args:
        key: Split, track and task.
        tables: Lines by declaration.
    """

    def __init__(self, key: GroupKey, tables: Mapping[Table, pd.DataFrame]) -> None:
        super().__init__(tables)
        self.key = key

    def _with(self, tables: Mapping[Table, pd.DataFrame]) -> Self:
        return type(self)(self.key, tables)

    @property
    def answers(self) -> pd.DataFrame:
        """Scored answers."""
        return self.table(ANSWERS)

    @property
    def generations(self) -> pd.DataFrame:
        """Generated answers."""
        return self.table(GENERATIONS)

    @cached_property
    def _means(self) -> pd.DataFrame:
        """Mean token log-probabilities, (rows, variants), rows in the order of the records."""
        chosen = self.answers
        if MEAN in chosen:
            means = chosen[MEAN].to_numpy(dtype=float)
        else:
            means = np.array([_mean(tokens) for tokens in chosen["log_probs"]], dtype=float)
        if not np.isfinite(means).all():
            wrong = chosen[~np.isfinite(means)]
            raise DataError(
                f"log-probabilities are not finite on {len(wrong)} answers, or there are none",
                f"{self.key.split}.{self.key.track}, row '{wrong['row'].iloc[0]}', "
                f"{wrong['variant'].iloc[0]}",
                "the model's outputs are not finite; its run has diverged",
            )
        frame = pd.DataFrame({"row": chosen["row"], "variant": chosen["variant"], "value": means})
        table = frame.pivot(index="row", columns="variant", values="value")
        return table.reindex(chosen["row"].drop_duplicates())

    def answer_means(self) -> pd.DataFrame:
        """Returns mean token log-probabilities, (rows, variants)."""
        return self._means

    def mean_log_prob(self, variant: str) -> pd.Series:
        """Returns each row's mean token log-probability of a variant: -l(y) of the papers."""
        return self._variants.get(variant, pd.Series(dtype=float))

    @cached_property
    def _variants(self) -> dict[str, pd.Series]:
        return {str(name): self._means[name].dropna() for name in self._means}

    def options(self, prefix: str) -> pd.DataFrame:
        """Returns mean token log-probabilities of `prefix_0`, `prefix_1`..., (rows, options).

        Rows with fewer options than others have NaN there.
        """
        return self._options.get(prefix, pd.DataFrame(dtype=float))

    @cached_property
    def _options(self) -> dict[str, pd.DataFrame]:
        numbers: dict[str, list[tuple[int, Hashable]]] = {}
        for name in self._means:
            prefix, _, number = str(name).rpartition("_")
            if number.isdecimal():
                numbers.setdefault(prefix, []).append((int(number), name))
        return {
            prefix: self._means[[name for _, name in sorted(names)]].dropna(how="all")
            for prefix, names in numbers.items()
        }

    def tokens(self, column: str, variant: str = "answer") -> dict[str, NDArray[np.float64]]:
        """Returns each row's token column of a variant; nothing where the log has no tokens."""
        if column not in self.answers:
            return {}
        chosen = self.answers[self.answers["variant"] == variant]
        pairs = zip(chosen["row"], chosen[column], strict=True)
        return {str(row): np.asarray(values, float) for row, values in pairs if np.ndim(values)}

    def logged_values(self, metric: str) -> pd.Series:
        """Returns each row's value of a metric in a published log; empty where it holds none."""
        return self._logged.get(metric, pd.Series(dtype=float))

    @cached_property
    def _logged(self) -> dict[str, pd.Series]:
        """Values in a published log by row, of each metric."""
        return {
            str(name): pd.Series(lines["value"].to_numpy(dtype=float), index=lines["row"])
            for name, lines in self.table(LOGGED).groupby("metric")
        }

    @cached_property
    def people(self) -> dict[str, int]:
        """Person of every measured row; -1 for the world."""
        measured = [
            frame.rename(columns={table.row_key: "row"})[["row", "person"]]
            for table, frame in self.declarations().items()
            if table.row_key is not None and "person" in frame
        ]
        return {
            row: person
            for frame in measured
            for row, person in zip(frame["row"], frame["person"], strict=True)
        }
