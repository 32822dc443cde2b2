"""Says in words what is doubtful about scores: numbers left out, other settings, odd references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clearbench.evaluation.comparable import swapped
from clearbench.evaluation.groups import ASKED
from clearbench.evaluation.metric import Metric
from clearbench.evaluation.over_forgetting import over_forgetting
from clearbench.evaluation.protocol import Protocol
from clearbench.evaluation.records import SIDE, Records
from clearbench.evaluation.score import Band, Score


def doubts(
    scores: Mapping[str, Score],
    chosen: Protocol,
    records: Records,
    gold: Records | None,
    bands: Mapping[str, Band] | None = None,
) -> list[str]:
    """Lists what a reader of scores should know, a sentence each.

    Args:
        scores: Scores that could be computed.
        chosen: Protocol that they were computed by.
        records: Records of the scored model.
        gold: Records of the reference; None where there is none.
        bands: Ranges of the scores between golds, where there are several.
    """
    return [
        *chosen.gaps(scores, gold is not None),
        *_left_out(scores, chosen, records),
        *_otherwise_asked(chosen, records),
        *(() if gold is None else (sentence for _, sentence in swapped(records, gold))),
        *over_forgetting(scores, bands),
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
                f"answers): {', '.join(absent)} is left out; `clearbench complete` makes them for "
                "own rows"
            )


def _otherwise_asked(chosen: Protocol, records: Records) -> Iterator[str]:
    """Yields settings of the measurement that are not the protocol's, or shorten true answers."""
    asked = records.table(ASKED)
    limits = sorted({int(limit) for limit in asked["max_new_tokens"]})
    wanted = chosen.max_new_tokens
    if wanted is not None and limits and limits != [wanted]:
        given = " and ".join(map(str, limits))
        yield f"answers end after {given} tokens; '{chosen.name}' generates {wanted}"
    if wanted is not None and asked["stop_after"].notna().any():
        yield f"answers end at a multiple of the true ones' length; '{chosen.name}' has no such end"
    if wanted is not None and asked["limit"].notna().any():
        drawn = int(asked["limit"].min())
        yield f"{drawn} rows of each split were drawn; '{chosen.name}' asks all of them"
    shown = sorted({str(images) for images in asked["images"] if images})
    if shown:
        yield f"images are not the rows' own: {', '.join(shown)}"
    if limits and limits[0]:
        cut = _cut(records, limits[0])
        if cut:
            yield f"{cut} true answers are longer than the {limits[0]} tokens that were generated"


def _cut(records: Records, limit: int) -> int:
    """Counts generated rows whose true answer has more tokens, without its end, than the limit."""
    answers = records.answers
    if "log_probs" not in answers:
        return 0
    true = answers[answers["variant"] == "answer"]
    lengths = dict(zip(true["row"], map(len, true["log_probs"]), strict=True))
    generated = records.generations
    own = generated[generated["task"].isin(set(true["task"])) & (generated["split"] != SIDE)]
    return sum(lengths.get(row, 0) - 1 > limit for row in own["row"])


def _needs_wrong_answers(made: Metric) -> bool:
    return any("perturbed" in need for need in made.needs)
