"""Finds models that are surer than gold that the forgotten people were never there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clearbench.evaluation.score import Band, Score

#: End of the keys of an attack's area: 1/2 where it finds nothing, less where it is reversed.
AREA = "_auc"


def over_forgotten(score: Score, band: Band | None = None) -> bool:
    """Whether an attack finds less in a model than in gold, by more than chance.

    A model that never saw a person is not surprised by the person's answers in any special way. One
    that is tells an attacker who was to be forgotten, as much as one that remembers: the attack is
    only turned round.

    Args:
        score: Area of an attack, with gold's value; an interval, if there is one, has to lie below
            that value as a whole.
        band: The area's range between golds of different seeds, if there are several; the distance
            from gold has to be larger than any between golds.

    Returns:
        False, too, where there is no gold, or neither an interval nor a band, or where the attack
        finds less in the original than in gold, so that less means nothing.
    """
    gold, original = score.gold, score.original
    if gold is None or score.value >= gold or (original is not None and original < gold):
        return False
    if band is not None and band.holds(score.value, gold):
        return False
    return band is not None if score.high is None else score.high < gold


def over_forgetting(
    scores: Mapping[str, Score], bands: Mapping[str, Band] | None = None
) -> Iterator[str]:
    """Yields a sentence on every split and modality in which attacks find over-forgetting.

    Args:
        scores: Scores of a model by key, with gold's values.
        bands: Ranges between golds by key.
    """
    known, places = bands or {}, dict[str, list[str]]()
    for key, score in scores.items():
        if key.endswith(AREA) and over_forgotten(score, known.get(key)):
            place, _, name = key.rpartition(".")
            places.setdefault(place, []).append(f"{name} {score.value:.2f} (gold {score.gold:.2f})")
    for place, found in places.items():
        yield (
            f"{place} is over-forgotten: the model is surer than gold that these people were never "
            f"there, which gives them away as remembering would: {', '.join(found)}"
        )
