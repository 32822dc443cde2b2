"""Modalities: media besides a row's question, their encoding and their scores.

A modality is one class in one file: in `data/modalities/`, in a plugin, or behind an entry point
of the group `clearbench.modalities`. All other code uses it through this class.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any, ClassVar

from clearbench.data.media import Media
from clearbench.errors import RecipeError, did_you_mean
from clearbench.plugins import Registry

_REGISTRY: Registry[Modality]
#: Spelling of text and image together, in recipes and results.
BOTH = "both"
_PAIR = ("text", "image")
#: Tests of what is left about the forgotten people: truths told, likelihood, and how it is said.
JUDGED = (
    *("whole_truth", "near_truth", "key_facts", "truth_preferred", "probability"),
    *("garbage_rate", "refusal_rate", "empty_rate"),
)


class Modality:
    """One form in which a person is known to a model, such as text or image.

    `class Voice(Modality, name="voice")` with the attributes below is a whole new modality.

    Attributes:
        name: Word in score keys, recipes and rows (there called track), and the name of the field
            of a JSON row that holds a media file's path.
        position: Place in lists; lower is earlier.
        title: Heading of its answers on the page.
        heading: Heading of its columns in tables.
        noun: Words for what is forgotten of a person (`faces`).
        introduction: Label of a question in the summary (`Shown a portrait`).
        media: Class of its rows' media; None where a question needs none.
        inputs: Names of the tensors by which models take it; a classifier reads the modality that
            has its `main_input_name`.
        content: Type of the media in chat templates, and with `_token` behind it the attribute of
            a processor that holds its placeholder.
        tasks: Tasks that its rows may set.
        main_task: Task whose score represents the whole modality.
        identifying_task: Task whose answer is the person's name.
        kinds: Kinds of model that can read it.
        controls: Names of the controls that its media can be replaced by.
        shown: Metrics that stand for it in tables; `shown_labels` for classifiers.
        judged: Metrics that a run that forgot it is tested on, against gold; `judged_labels` for
            classifiers.
        kept: Scores that must survive, as `split.metric`, where `real` joins the splits about the
            real world; `kept_labels` for classifiers.
        unharmed: Rates that must not rise where nothing was to be forgotten, as `split.metric`;
            classifiers have none.
        questions: Question bank by task; a dataset's own questions win where it has any.
    """

    name: ClassVar[str] = ""
    position: ClassVar[int] = 100
    title: ClassVar[str] = ""
    heading: ClassVar[str] = ""
    noun: ClassVar[str] = ""
    introduction: ClassVar[str] = "Question"
    media: ClassVar[type[Media] | None] = None
    inputs: ClassVar[tuple[str, ...]] = ()
    content: ClassVar[str] = ""
    tasks: ClassVar[tuple[str, ...]] = ()
    main_task: ClassVar[str] = ""
    identifying_task: ClassVar[str] = ""
    kinds: ClassVar[tuple[str, ...]] = ()
    controls: ClassVar[tuple[str, ...]] = ()
    shown: ClassVar[tuple[str, ...]] = ("probability", "rouge_l")
    shown_labels: ClassVar[tuple[str, ...]] = ("name_probability", "name_choice_known")
    judged: ClassVar[tuple[str, ...]] = JUDGED
    judged_labels: ClassVar[tuple[str, ...]] = ("name_probability", "name_choice_known")
    kept: ClassVar[tuple[str, ...]] = ("retain.probability", "retain.rouge_l")
    kept_labels: ClassVar[tuple[str, ...]] = (
        "retain.name_probability",
        "retain.name_choice_known",
    )
    unharmed: ClassVar[tuple[str, ...]] = (
        "retain.garbage_rate",
        "retain.refusal_rate",
        "side.false_recognition",
    )
    questions: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __init_subclass__(cls, name: str = "") -> None:
        if name:
            cls.name = name
            _REGISTRY.add(name, cls)
            _instances.cache_clear()

    def alone(self, media: Media) -> dict[str, Any]:
        """Returns arguments of a processor that encodes the media without a text."""
        raise NotImplementedError(f"the modality '{self.name}' cannot be encoded alone")

    def beside_text(self, media: Media) -> dict[str, Any]:
        """Returns arguments of a processor that encodes media with texts; a list per row."""
        return {name: [[value]] for name, value in self.alone(media).items()}

    def blank(self, media: Media) -> Media:
        """Returns media of the same form without content: the control `blank`."""
        raise NotImplementedError(f"the modality '{self.name}' has no blank media")

    def shown_keys(self, kind: str) -> tuple[str, ...]:
        """Lists the score keys that stand for it in tables, for a kind of model."""
        names = self.shown_labels if kind == "classifier" else self.shown
        return tuple(f"forget.{self.name}.{metric}" for metric in names)

    def judged_keys(self, kind: str) -> tuple[str, ...]:
        """Lists the score keys that a run that forgot it is tested on, for a kind of model."""
        names = self.judged_labels if kind == "classifier" else self.judged
        return tuple(f"forget.{self.name}.{metric}" for metric in names)

    def kept_keys(self, kind: str) -> tuple[str, ...]:
        """Lists the score keys that must survive, for a kind of model."""
        return self._keys(self.kept_labels if kind == "classifier" else self.kept)

    def unharmed_keys(self, kind: str) -> tuple[str, ...]:
        """Lists the keys of rates that must not rise, for a kind of model."""
        return self._keys(() if kind == "classifier" else self.unharmed)

    def _keys(self, names: Iterable[str]) -> tuple[str, ...]:
        parts = (name.partition(".") for name in names)
        return tuple(f"{split}.{self.name}.{metric}" for split, _, metric in parts)


_REGISTRY = Registry("modality", "clearbench.data.modalities", "clearbench.modalities")


def modalities() -> dict[str, Modality]:
    """Returns every modality by name: text, image, then those of entry points and plugins."""
    len(_REGISTRY)
    return dict(_instances())


@cache
def _instances() -> dict[str, Modality]:
    ordered = sorted(_REGISTRY.items(), key=lambda entry: entry[1].position)
    return {name: cls() for name, cls in ordered}


def modality(name: str) -> Modality:
    """Returns the modality of that name.

    Raises:
        RecipeError: There is none of that name.
    """
    known = modalities()
    if name not in known:
        raise RecipeError(
            f"unknown modality '{name}'", "modality", did_you_mean(name, [*known, BOTH])
        )
    return known[name]


def modality_of(media: Media | None) -> Modality:
    """Returns the modality of a row with this media; text without any."""
    if media is None:
        return modality("text")
    return next(
        kind for kind in modalities().values() if kind.media and isinstance(media, kind.media)
    )


def parse_modalities(spelling: str) -> tuple[str, ...]:
    """Parses a spelling (`text`, `both`, `text+voice`) into names, in the order of `modalities`.

    Raises:
        RecipeError: A name is unknown.
    """
    parts = [name for part in spelling.split("+") for name in (_PAIR if part == BOTH else (part,))]
    chosen = {modality(name).name for name in parts}
    return tuple(name for name in modalities() if name in chosen)


def tracks_of(spelling: str) -> tuple[str, ...]:
    """Parses a stored spelling; names from plugins that are not loaded stay."""
    try:
        return parse_modalities(spelling)
    except RecipeError:
        return tuple(spelling.split("+"))


def spell_modalities(names: Collection[str]) -> str:
    """Spells a set of names; `both` is text and image."""
    ordered = tuple(name for name in modalities() if name in names)
    return BOTH if ordered == _PAIR else "+".join(ordered)


def readable_by(kind: str) -> tuple[str, ...]:
    """Names the modalities that a kind of model can read."""
    return tuple(name for name, entry in modalities().items() if kind in entry.kinds)


def spellings(names: Iterable[str]) -> tuple[str, ...]:
    """Spells all of the names together, then each alone."""
    every = tuple(names)
    return tuple(dict.fromkeys((spell_modalities(every), *every)))
