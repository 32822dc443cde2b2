"""Base of metrics and attacks: a frozen configuration that describes itself."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clearbench.errors import RecipeError, did_you_mean, explain
from clearbench.evaluation.description import Description
from clearbench.evaluation.intervals import mean_score
from clearbench.evaluation.score import Direction, Range, Score
from clearbench.libraries import pd
from clearbench.plugins import Registry

_NOT_IN_A_KEY = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Case:
    """Changes that one value of a parameter makes to the description of its class.

    Attributes:
        title: Words in place of the value in the title.
        shows: Paragraph in place of the class's.
        paper: Source in place of the class's.
        erratum: Published defect that this value reproduces.
        range: Bounds in place of the class's.
        pooled: True if a row's value depends on the other rows.
    """

    title: str = ""
    shows: str = ""
    paper: str = ""
    erratum: str = ""
    range: Range | None = None
    pooled: bool = False


class Measure(BaseModel):
    """Base of metrics and attacks: a frozen configuration whose fields are its parameters.

    A named subclass registers itself: `class MinK(Metric, name="min_k", needs=(...), ...)`. The
    class keywords are the class variables below.

    Attributes:
        name: Name in recipes; last part of the score keys of the default configuration.
        title: Name in print; by default the name in words.
        group: Heading under which a page lists its scores.
        needs: Inputs that it is computed from, in words.
        directions: Good direction by split: more (`up`), less (`down`) or gold's value (`gold`);
            `*` for the rest. On forgotten people the ideal is always gold's value.
        range: Bounds of its values, from 0 to 1 by default; None where there is no bound.
        version: Number that is raised whenever the value changes its meaning.
        erratum: Published defect that every configuration reproduces; empty for a right one.
        shows: Paragraph on what it shows and what it does not.
        cases: Changes of this description by single values of its parameters, by value (by field
            for a switch).
        unnamed: Parameters that only choose rows and are no part of keys and titles.
        variants: Parameters of the configurations that protocol `clear` computes.
        key: Last part of the score keys; by default the name and every parameter that differs
            from its default: `min_k` with `share=0.2` has `min_k_share_0_2`, a choice gives its
            value alone (`forget_quality_js`), a switch its name (`rouge_l_f1`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    group: ClassVar[str] = "Other scores"
    needs: ClassVar[tuple[str, ...]] = ()
    directions: ClassVar[Mapping[str, Direction]] = {"forget": "gold", "*": "up"}
    range: ClassVar[Range] = (0.0, 1.0)
    version: ClassVar[int] = 1
    paper: ClassVar[str] = ""
    erratum: ClassVar[str] = ""
    shows: ClassVar[str] = ""
    cases: ClassVar[Mapping[str, Case]] = {}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)
    unnamed: ClassVar[tuple[str, ...]] = ()
    registry: ClassVar[Registry[Any] | None] = None

    key: str = Field(default="", pattern=r"^([a-z][a-z0-9_]*)?$")

    @classmethod
    def __pydantic_init_subclass__(cls, name: str = "", **about: Any) -> None:
        for keyword, value in about.items():
            if keyword not in cls.__class_vars__:
                raise RecipeError(
                    f"{name or cls.__name__} says '{keyword}'",
                    cls.__module__,
                    did_you_mean(keyword, cls.__class_vars__),
                )
            setattr(cls, keyword, value)
        if not name:
            return
        if any(bound is not None and not math.isfinite(bound) for bound in cls.range):
            raise RecipeError(
                f"the range of '{name}' is {cls.range}", cls.__module__, "write None for no bound"
            )
        cls.name = name
        title = cls.model_config.get("title")  # pydantic takes this class keyword for itself
        inherited = getattr(cls.__mro__[1], "model_config", {}).get("title")
        in_words = name.replace("_", " ").capitalize()
        cls.title = in_words if title is None or title == inherited else title
        if cls.registry is not None:
            cls.registry.add(name, cls)

    def __init_subclass__(cls, **about: Any) -> None:
        super().__init_subclass__()

    @classmethod
    def direction(cls, split: str) -> Direction:
        """Returns the good direction on a split."""
        return cls.directions.get(split, cls.directions["*"])

    @classmethod
    def configured(cls) -> Iterator[Self]:
        """Yields the configurations that protocol `clear` computes."""
        return (cls(**parameters) for parameters in cls.variants)

    def mean(self, values: pd.Series, people: Mapping[str, int], split: str) -> Score:
        """Computes the mean of per-row values with an interval clustered by person."""
        bounds = self.description.range
        return mean_score(values, people, self.direction(split), self.version, bounds)

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters that differ from their defaults."""
        return self.model_dump(exclude_defaults=True, exclude={"key"})

    def _named(self) -> list[tuple[str, Any]]:
        return [pair for pair in self.parameters.items() if pair[0] not in self.unnamed]

    @property
    def own_key(self) -> str:
        """Name and parameters that differ from their defaults, without a dot."""
        parts = [self.name]
        for field, value in self._named():
            if isinstance(value, bool):
                parts.append(field if value else f"no_{field}")
            elif _is_choice(value):
                parts.append(_spelled(value))
            else:
                parts.append(f"{field}_{_spelled(value)}")
        return _NOT_IN_A_KEY.sub("_", "_".join(parts))

    @property
    def score_key(self) -> str:
        """Last part of its score keys."""
        return self.key or self.own_key

    @property
    def case(self) -> Case:
        """First case of its parameters; an empty one for the default configuration."""
        cases = (self._case(*parameter) for parameter in self.parameters.items())
        return next((case for case in cases if case is not None), Case())

    def _case(self, field: str, value: Any) -> Case | None:
        return self.cases.get(field if isinstance(value, bool) else str(value))

    def _words(self, field: str, value: Any) -> str:
        case = self._case(field, value)
        if case is not None and case.title:
            return case.title
        if isinstance(value, bool):
            return field if value else f"no {field}"
        words = _spelled(value, ", ")
        return (words if _is_choice(value) else f"{field} {words}").replace("_", " ")

    @property
    def description(self) -> Description:
        """Description of the class with the changes by its parameters."""
        case = self.case
        parameters = ", ".join(self._words(*parameter) for parameter in self._named())
        return Description(
            key=self.score_key,
            title=f"{self.title} ({parameters})" if parameters else self.title,
            group=self.group,
            shows=case.shows or self.shows,
            paper=case.paper or self.paper,
            erratum=case.erratum or self.erratum,
            range=self.range if case.range is None else case.range,
            version=self.version,
        )


def _is_choice(value: Any) -> bool:
    """Whether a value says what it is without its field: a word, or several."""
    return isinstance(value, str) or (
        isinstance(value, tuple) and all(isinstance(each, str) for each in value)
    )


def _spelled(value: Any, between: str = "_") -> str:
    """Spells a number, a word or several of them."""
    if isinstance(value, tuple):
        return between.join(_spelled(each) for each in value)
    return value if isinstance(value, str) else f"{value:g}"


def configured(registry: Registry[Any], name: str, parameters: Mapping[str, Any]) -> Any:
    """Builds an instance of a registered class, by name, with checked parameters.

    Raises:
        RecipeError: A name or parameter is unknown, or a value is out of range.
    """
    cls = registry.named(name)
    try:
        return cls(**parameters)
    except ValidationError as error:
        known = [field for field in cls.model_fields if field != "key"]
        raise RecipeError(
            explain(error, cls.model_fields),
            f"{registry.kind} '{name}'",
            f"its parameters: {', '.join(known) or 'none'}",
        ) from error
