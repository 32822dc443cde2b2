"""Forms of own rows: a question and an answer, a conversation, an instruction and so on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from clearbench.plugins import Registry

_REGISTRY: Registry[RowForm]
Fields = Mapping[str, Any]


class RowForm(ABC):
    """Base of all forms. A named subclass in a file of `data/row_forms` or a plugin is one.

    Attributes:
        name: Words for the form in messages.
        needs: Fields that make a row be of the form, each with its other names.
        further: Fields that it reads besides.
    """

    name: ClassVar[str] = ""
    needs: ClassVar[tuple[tuple[str, ...], ...]] = ()
    further: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, name: str = "") -> None:
        if name:
            cls.name = name
            _REGISTRY.add(name, cls)

    @abstractmethod
    def examples(self, fields: Fields, doubts: list[str]) -> list[dict[str, Any]]:
        """Returns fields of an example for each question of a row.

        Args:
            fields: The row.
            doubts: List that gets a sentence about what is left out.

        Raises:
            ValueError: The row cannot be read.
        """

    def taken(self, fields: Fields) -> tuple[Any, ...]:
        """Returns the values of the needed fields, in their order."""
        return tuple(fields[name] for name in self.called(fields))

    def called(self, fields: Fields) -> tuple[str, ...]:
        """Returns the names by which a row has the needed fields.

        Raises:
            ValueError: It has one by two names.
        """
        found = [[n for n in names if fields.get(n) is not None] for names in self.needs]
        twice = next((given for given in found if len(given) > 1), None)
        if twice is not None:
            raise ValueError(f"has {' and '.join(twice)}; keep one of them")
        return tuple(given[0] for given in found)


_REGISTRY = Registry("row form", "clearbench.data.row_forms", "clearbench.row_forms")


def forms() -> list[RowForm]:
    """Lists every form, by name."""
    return [cls() for _, cls in sorted(_REGISTRY.items())]


def readable() -> str:
    """Names every form."""
    return "; ".join(form.name for form in forms())


def field_name(text: str) -> str:
    """Spells a field's name as it is known: lower case, words joined by `_`."""
    return "_".join(str(text).strip().casefold().replace("-", " ").split())


def forms_of(fields: Fields) -> list[RowForm]:
    """Returns the forms whose needed fields a row has."""
    return [
        form
        for form in forms()
        if all(any(fields.get(name) is not None for name in names) for names in form.needs)
    ]


def form_of(fields: Fields) -> RowForm:
    """Returns the form of a row.

    Raises:
        ValueError: It has none, or several.
    """
    found = forms_of(fields)
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(form.name for form in found)
        raise ValueError(f"is {names} at once; keep the fields of one form")
    for form in forms():
        missing = [names[0] for names in form.needs if not set(names) & {*fields}]
        empty = [n for names in form.needs for n in names if n in fields and fields[n] is None]
        if len(missing) < len(form.needs) and (missing or empty):
            what = f"no field '{missing[0]}'" if missing else f"{empty[0]} = None"
            raise ValueError(f"{what}; a row of this form has {form.name}")
    raise ValueError(f"has the fields {', '.join(fields) or '(none)'}; give {readable()}")
