"""Explains why a stage will be made, is reused, or has changed since it was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from clearbench.runs.code import changed_modules, libraries_of
from clearbench.runs.stage import Ingredients, Stage, package_versions, with_parents
from clearbench.runs.store import Store

#: Number of differences that are named one by one.
MOST_SAID = 3


@dataclass(frozen=True)
class Reason:
    """Action planned for one stage, and why.

    Attributes:
        stage: Planned stage.
        action: `make` or `reuse`.
        why: Explanation in words.
    """

    stage: Stage
    action: str
    why: str


def reasons(stages: Iterable[Stage], store: Store) -> list[Reason]:
    """Explains for stages and all that they start from whether they will be made, and why.

    A missing stage is compared with the finished stages of the same settings: the differences from
    the nearest of them are why it is made.
    """
    recorded = {
        key: (about.get("kind"), _ingredients(about)) for key, about in store.manifests().items()
    }
    by_key: dict[str, Reason] = {}
    for key, stage in with_parents(stages).items():
        fresh = [p for p in stage.parents.values() if by_key[p.key].action == "make"]
        if key in recorded and not store.holds(key):
            by_key[key] = Reason(stage, "make", f"damaged: {'; '.join(store.damage(key))}")
        elif key in recorded:
            by_key[key] = Reason(stage, "reuse", "finished, and nothing that it is made of changed")
        else:
            twins = [
                made
                for kind, made in recorded.values()
                if kind == stage.kind
                and made is not None
                and made.settings == stage.ingredients.settings
            ]
            by_key[key] = Reason(stage, "make", _why(stage, twins, fresh))
    return list(by_key.values())


def _why(stage: Stage, twins: list[Ingredients], fresh: list[Stage]) -> str:
    """Describes the fewest differences from a finished stage of the same settings."""
    if not twins:
        return "new"
    differences = min((stage.ingredients.differences(twin) for twin in twins), key=len)
    own = [line for line in differences if not line.startswith("starts from")]
    shown = own[:MOST_SAID]
    if len(own) > MOST_SAID:
        shown.append(f"and {len(own) - MOST_SAID} more")
    if fresh:
        names = ", ".join(dict.fromkeys(f"{p.kind} {p.label}" for p in fresh))
        shown.append(f"starts from what is made anew ({names})")
    return "; ".join(shown or differences)


def _ingredients(about: Mapping[str, Any]) -> Ingredients | None:
    """Reads the ingredients that a manifest records; None where it is of another form."""
    names = [field.name for field in fields(Ingredients)]
    known = all(isinstance(about.get(name), dict) for name in names)
    return Ingredients(**{name: about[name] for name in names}) if known else None


def changes_since(about: Mapping[str, Any], materials: Mapping[str, str]) -> list[str]:
    """Lists ingredients of a finished stage that are different today.

    Args:
        about: Content of its manifest.
        materials: Digests of today by name, of those that could be read.
    """
    made = _ingredients(about)
    if made is None:
        return []
    versions = package_versions() | libraries_of(made.code)
    changes = [f"source changed: {name}" for name in changed_modules(made.code)]
    changes += [
        f"version changed: {name} was {was}, is {versions.get(name, 'not here')}"
        for name, was in made.packages.items()
        if versions.get(name) != was
    ]
    return changes + [
        f"changed: {name}"
        for name, was in made.materials.items()
        if name in materials and materials[name] != was
    ]
