"""Says in words what one sees in the figures of a claim; no part of its verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from statistics import median

from claims.figures import FORGOTTEN, Measured, Setting, name_of, penalty, scientific
from claims.plots import ARMS
from claims.rules import PUBLISHED, SINGLE, destroys, forgets, forgets_little, keeps, l1_effects

#: What a method may do with every seed.
OUTCOMES: Mapping[str, tuple[Callable[[Setting], bool], Callable[[Setting], bool]]] = {
    "forgot and destroyed": (forgets, destroys),
    "forgot and kept": (forgets, keeps),
    "forgot little and kept": (forgets_little, keeps),
    "forgot little and destroyed all the same": (forgets_little, destroys),
}
BY_SEED = "not the same with every seed"


def l1(measured: Measured) -> str:
    """What each arm is without L1, and what the penalties did to it."""
    return " ".join(_arm(measured, rank) for rank in measured.taken("rank"))


def _arm(measured: Measured, rank: int | None) -> str:
    name, without = ARMS[rank is not None], measured.find(rank=rank, strength=0.0)
    published = measured.find(rank=rank, **PUBLISHED)
    by_effect: dict[str, list[str]] = {}
    for setting, effect in l1_effects(measured, rank):
        by_effect.setdefault(effect, []).append(penalty(setting))
    effects = "; ".join(f"{effect}: {_listed(who)}" for effect, who in by_effect.items())
    return (
        f"{name[:1].upper() + name[1:]} without L1: {_at(without)}; with the published penalty: "
        f"{_at(published)}. Penalties on {name} by what they did: {effects}."
    )


def both(measured: Measured) -> str:
    """Carry-over to the other track, what both costs beside one, and who comes nearest to gold."""
    methods = measured.taken("method")
    over = {
        (name_of(method), single): measured.find(method=method, modality=single)
        .estimate(f"forgotten.{_other(single)}")
        .mean
        for method in methods
        for single in SINGLE
    }
    method, single = max(over, key=lambda key: over[key])
    less = (f"{_forgets_less(measured, track)} of {len(methods)} on {track}" for track in SINGLE)
    nearest = min(measured.settings, key=_distance)
    return (
        "Carry-over, what a run on one modality forgets of the other, is "
        f"{median(over.values()):.2f} in the median and at most {over[method, single]:.2f} "
        f"({method}, from {single} to {_other(single)}). Methods that surely forget "
        "less of a track with both than with that track alone, in the same steps: "
        f"{_listed(less)}. Nearest to gold over both tracks comes "
        f"{name_of(nearest.about['method'])} on {nearest.about['modality']}, at a distance of "
        f"{_distance(nearest):.2f} with {nearest.estimate('kept').mean:.2f} kept."
    )


def _forgets_less(measured: Measured, track: str) -> int:
    """The number of methods that forget less of a track with both than with it alone."""
    return sum(
        measured.find(method=method, modality="both")
        .less(measured.find(method=method, modality=track), f"forgotten.{track}")
        .below_zero
        for method in measured.taken("method")
    )


def destroy(measured: Measured) -> str:
    """What the methods did with every seed, at each rate, and which do so at all of them."""
    texts = []
    for rate in measured.taken("rate"):
        groups: dict[str, list[str]] = {name: [] for name in (*OUTCOMES, BY_SEED)}
        for setting in measured.all(rate=rate):
            groups[_outcome(setting)].append(name_of(setting.about["method"]))
        said = (f"{name}: {_listed(who)}" for name, who in groups.items() if who)
        texts.append(f"At rate {scientific(rate)}: {'; '.join(said)}.")
    same = [name_of(name) for name in measured.taken("method") if _one_outcome(measured, name)]
    texts.append(f"The same at every rate: {_listed(same)}.")
    return " ".join(["Methods by what they did with every seed.", *texts])


def _outcome(setting: Setting) -> str:
    """What a method did with every seed, if it is one thing."""
    found = (name for name, rules in OUTCOMES.items() if all(rule(setting) for rule in rules))
    return next(found, BY_SEED)


def _one_outcome(measured: Measured, method: str) -> bool:
    """Whether a method did one and the same with every seed at every rate."""
    found = {_outcome(setting) for setting in measured.all(method=method)}
    return len(found) == 1 and BY_SEED not in found


def lambdas(measured: Measured) -> str:
    """Which lambdas forgot, which kept, which did both, and which is nearest to gold."""
    nearest = min(measured.settings, key=_distance)
    return (
        f"Lambdas that forgot with every seed: {_weights(measured, forgets)}; that kept: "
        f"{_weights(measured, keeps)}; that did both: "
        f"{_weights(measured, lambda setting: forgets(setting) and keeps(setting))}. "
        f"Nearest to gold over both tracks is lambda {nearest.about['retain_weight']:g}: "
        f"distance {_distance(nearest):.2f}, {_at(nearest)}."
    )


def _weights(measured: Measured, holds: Callable[[Setting], bool]) -> str:
    return _listed(f"{s.about['retain_weight']:g}" for s in measured.settings if holds(s))


def _other(track: str) -> str:
    return next(name for name in FORGOTTEN if name != track)


def _distance(setting: Setting) -> float:
    return setting.estimate("distance").mean


def _at(setting: Setting) -> str:
    """Means with the least and the most over seeds."""
    said = []
    for name in ("kept", "forgotten"):
        values = setting.values(name)
        mean = setting.estimate(name).mean
        said.append(f"{name} {mean:.2f} ({min(values):.2f} to {max(values):.2f})")
    return ", ".join(said)


def _listed(names: Iterable[str]) -> str:
    """A, B and C."""
    *first, last = list(names) or ["none"]
    return f"{', '.join(first)} and {last}" if first else last
