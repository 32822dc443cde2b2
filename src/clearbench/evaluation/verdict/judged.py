"""Lists the tracks that a run is judged on, and the scores that stand for it."""

from __future__ import annotations

from clearbench.data.modality import modalities, parse_modalities, readable_by


def judged_tracks(modality: str, model: str) -> tuple[str, ...]:
    """Lists the tracks that a run is judged on: those it was to forget and its model can read."""
    able = readable_by(model)
    return tuple(name for name in parse_modalities(modality) if name in able) or able


def shown_keys(modality: str, model: str) -> tuple[str, ...]:
    """Lists the scores that stand for a run in tables."""
    tracks = judged_tracks(modality, model)
    return tuple(key for name in tracks for key in modalities()[name].shown_keys(model))
