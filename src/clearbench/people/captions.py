"""Captions an image with its person's name and appearance, in one wording and one paraphrase.

Everything in a caption but the name can be read off the image, so only the name tests memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from clearbench.people.person import Appearance, View
from clearbench.people.phrases import listed

PARAPHRASED_CAPTION_QUESTION = "How would you sum up what is in this image?"

_PLACES: Mapping[str, str] = {
    "library": "in a library",
    "garden": "in a garden",
    "seaside": "at the seaside",
    "street": "on a street",
    "studio": "in a studio",
    "stage": "on a stage",
}


class Caption(BaseModel):
    """A caption of an image in two wordings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    caption: str
    paraphrased_caption: str


def describe(name: str, appearance: Appearance, view: View) -> Caption:
    """Captions one image of a person; the same appearance and view always get the same words.

    Args:
        name: Full name of the person.
        appearance: Appearance of the person.
        view: Clothes and place.
    """
    place = _PLACES[view.place]
    clothes = f"{view.garment_colour} {view.garment}"
    return Caption(
        caption=f"{name}, {_person(appearance)}, stands {place} wearing a {clothes}.",
        paraphrased_caption=(
            f"This is {name} {place}, a {_noun(appearance)} in a {clothes} who {_has(appearance)}."
        ),
    )


def perturb(caption: Caption, name: str, fresh_names: Sequence[str]) -> tuple[str, ...]:
    """Replaces the true name in the paraphrased caption by each of the other names.

    Args:
        caption: Caption of the image.
        name: True name in it.
        fresh_names: Names that nobody bears.
    """
    return tuple(caption.paraphrased_caption.replace(name, fresh, 1) for fresh in fresh_names)


def _noun(appearance: Appearance) -> str:
    return "woman" if appearance.gender == "female" else "man"


def _extras(appearance: Appearance) -> tuple[str, ...]:
    """Names beard and glasses, where there are any."""
    beard = ("a beard",) if appearance.beard else ()
    return (*beard, "glasses") if appearance.glasses else beard


def _hair(appearance: Appearance) -> str:
    return f"{appearance.hair_style} {appearance.hair_colour} hair"


def _person(appearance: Appearance) -> str:
    """Describes a person: 'a woman with short grey hair and glasses', or 'a bald man'."""
    noun, extras = _noun(appearance), _extras(appearance)
    if appearance.hair_style == "bald":
        return f"a bald {noun} with {listed(extras)}" if extras else f"a bald {noun}"
    return f"a {noun} with {listed((_hair(appearance), *extras))}"


def _has(appearance: Appearance) -> str:
    """Describes the hair and extras: 'has short grey hair and glasses', or 'is bald'."""
    extras = _extras(appearance)
    if appearance.hair_style == "bald":
        return f"is bald and has {listed(extras)}" if extras else "is bald"
    return f"has {listed((_hair(appearance), *extras))}"
