"""Tables of membership attacks that read more of a model than its records hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from clearbench.attacks.base import ATTACKED, Attack, Target
from clearbench.attacks.membership import SIDES
from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset, Split
from clearbench.data.example import Example
from clearbench.data.modality import modality
from clearbench.errors import RecipeError
from clearbench.evaluation.groups import RecordGroup
from clearbench.libraries import pd

if TYPE_CHECKING:
    from clearbench.models.base import Model


def model_table(
    attack: Attack, target: Target, values: Callable[[Model, Sequence[Item]], pd.Series]
) -> pd.DataFrame:
    """Computes one line per forget and holdout row of the dataset that the model can answer.

    Args:
        attack: Attack whose key the lines have.
        target: Model and rows.
        values: Function of the model and the rows' answers that gives a number by row id.

    Raises:
        RecipeError: The target has no model or no dataset.
    """
    model, dataset = target.model, target.dataset
    if model is None or dataset is None:
        what = f"{attack.name} needs {' and '.join(attack.needs)}"
        raise RecipeError(what, "attack", "give the model and its dataset")
    rows = {item(row): (split, row) for split, row in _attacked(model, dataset)}
    numbers = values(model, list(rows))
    return ATTACKED.frame(
        (
            split,
            row.track,
            row.task,
            -1 if row.person is None else row.person,
            row.id,
            attack.score_key,
            numbers[row.id],
        )
        for split, row in rows.values()
    )


def _attacked(model: Model, dataset: Dataset) -> Iterator[tuple[Split, Example]]:
    """Yields the rows of both sides that set their track's main task, or a classifier's only."""
    for split in SIDES:
        rows = [row for row in dataset.evaluation.get(split, ()) if model.accepts(item(row))]
        main = [row for row in rows if row.task == modality(row.track).main_task]
        tracks = {row.track for row in main}
        for row in rows:
            asked = modality(row.track)
            task = asked.main_task if row.track in tracks else asked.identifying_task
            if row.task == task:
                yield split, row


def stored_values(attack: Attack, group: RecordGroup) -> pd.Series:
    """Returns the numbers of an attack that are among the records; empty where it was not made."""
    lines = group.table(ATTACKED)
    ours = lines[lines["attack"] == attack.score_key]
    return pd.Series(ours["value"].to_numpy(dtype=float), index=ours["row"], dtype=float)
