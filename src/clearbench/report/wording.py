"""Finds the words of a run's methods and scores."""

from __future__ import annotations

from clearbench.runs.schema import Details, Results, Wording


def wording_of(results: Results, details: Details) -> Wording:
    """Returns the words that a run kept, or today's.

    There are none in details of earlier versions, nor where there are no details.

    Args:
        results: Results of the run.
        details: What the page shows besides numbers.
    """
    if details.wording is not None:
        return details.wording
    from clearbench.runs.wording import wording

    return wording(results)
