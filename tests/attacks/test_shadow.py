"""Shadow models in collections, and attacks that learn from them."""

from __future__ import annotations

from clearbench.evaluation.metric import Collections, Shadow
from clearbench.testing.records import records


def test_shadows_are_like_the_scored_model_only() -> None:
    """What shadow models say of themselves is about the model that they were made like."""
    ours, gold = (records([{"p": {"answer": [p]}}]) for p in (0.5, 0.4))
    shadow = Shadow(records([{"p": {"answer": [0.3]}}]), frozenset({0}))
    given = Collections(ours, (gold,), shadows=(shadow,))
    assert not given.borrowed and not given.of(ours).borrowed
    assert given.of(gold).borrowed and given.of(gold).of(ours).borrowed
    assert given.of(gold).shadows == (shadow,)
    assert not Collections(ours, (gold,)).of(gold).borrowed, "there are none to borrow"
    assert len({given, given.of(ours), given.of(gold)}) == 2, "collections are keys of a cache"
