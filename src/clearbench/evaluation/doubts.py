"""Says in words what is doubtful about scores: numbers left out, other settings, odd references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clearbench.evaluation.comparable import swapped
from clearbench.evaluation.metric import Metric
from clearbench.evaluation.protocol import Protocol
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score


def doubts(
    scores: Mapping[str, Score], chosen: Protocol, records: Records, gold: Records | None
) -> list[str]:
    """Lists what a reader of scores should know, a sentence each.

    Args:
        scores: Scores that could be computed.
        chosen: Protocol that they were computed by.
        records: Records of the scored model.
        gold: Records of the reference; None where there is none.
    """
    return [
        *chosen.gaps(scores, gold is not None),
        *_left_out(scores, chosen, records),
        *(() if gold is None else (sentence for _, sentence in swapped(records, gold))),
    ]


def _left_out(scores: Mapping[str, Score], chosen: Protocol, records: Records) -> Iterator[str]:
    """Yields metrics that need perturbed answers, where no row of a split has any."""
    for key, group in records.groups().items():
        needing = [
            f"{key.split}.{key.track}.{made.score_key}"
            for made in chosen.metrics()
            if isinstance(made, Metric) and made.applies(key) and _needs_wrong_answers(made)
        ]
        absent = [name for name in needing if name not in scores]
        if absent and not group.answers.empty and group.options("perturbed").empty:
            yield (
                f"no row of {key.split}.{key.track} ({key.task}) has wrong answers (perturbed "
                f"answers): {', '.join(absent)} is left out"
            )


def _needs_wrong_answers(made: Metric) -> bool:
    return any("perturbed" in need for need in made.needs)
