"""Words names: methods, models, settings, lists and amounts as they are printed."""

from __future__ import annotations

from collections.abc import Callable

from clearbench.runs.schema import Wording

#: Text printed where there is no number.
NONE = "\N{EN DASH}"
_MODELS = {
    "language": "Language",
    "vision-language": "Vision-language",
    "classifier": "Classifier",
}
_LONGEST_NAME = 32


def model_name(kind: str) -> str:
    """Words a kind of model."""
    return _MODELS.get(kind, kind)


def method_label(name: str, wording: Wording) -> str:
    """Spells a method's name as its paper does; the name of one without words is made readable."""
    known = wording.methods.get(name)
    return label(name) if known is None else known.title


def label(name: str) -> str:
    """Spells a name for print: `kl_weight` becomes `KL weight`."""
    words = [w.upper() if len(w) <= 3 else w for w in name.replace("-", "_").split("_")]
    text = " ".join(words)
    text = text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"
    return text[:1].upper() + text[1:]


def shown(value: object) -> str:
    """Writes a setting's value; a list as a sum."""
    return " + ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def listed(names: list[str]) -> str:
    """Joins names as in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def person_words(names: list[str]) -> str:
    """Writes the names of the forgotten people as a sentence."""
    if not names:
        return "Nobody was named."
    return f"{listed(names)} {'was' if len(names) == 1 else 'were'} to be forgotten."


def _or_none(form: Callable[[float], str]) -> Callable[[float | None], str]:
    return lambda value: NONE if value is None else form(value)


def _duration(value: float) -> str:
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes / 60:.1f} h"


def _scaled(value: float, units: tuple[str, ...]) -> str:
    for unit in units[:-1]:
        if abs(value) < 1000:
            return f"{value:.3g} {unit}".strip()
        value /= 1000
    return f"{value:.3g} {units[-1]}"


decimals = _or_none(lambda value: f"{value:z.2f}")
digits = _or_none(lambda value: f"{value:.3g}")
percent = _or_none(lambda value: f"{value:z.0%}")
seconds = _or_none(_duration)
size = _or_none(lambda value: _scaled(value, ("B", "kB", "MB", "GB", "TB")))
amount = _or_none(lambda value: _scaled(value, ("", "k", "M", "G", "T")))
