"""Defines the part of a recipe that names attacks."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from clearbench.attacks.base import Attack, attack
from clearbench.batches.items import Kind
from clearbench.errors import RecipeError


class AttackPart(BaseModel):
    """One entry of `attacks`: an attack on every model of some kinds.

    Attributes:
        attack: Name of the attack (`clearbench list attacks`).
        models: Kinds of models that it is made on; empty for all of the recipe.
        methods: Methods whose models it is made on, besides originals and golds; empty for all.
        parameters: The attack's own settings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attack: str
    models: tuple[Kind, ...] = ()
    methods: tuple[str, ...] = ()
    parameters: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> AttackPart:
        try:
            self.configured  # noqa: B018 - raises where a name or a parameter is wrong
        except RecipeError as error:
            raise ValueError(f"{error.what}; {error.fix}") from error
        return self

    @property
    def configured(self) -> Attack:
        """The attack with its parameters."""
        return attack(self.attack, **self.parameters)

    def meets(self, kind: Kind, method: str | None) -> bool:
        """Whether it is made on a model of a kind, made by a method or only taught (None)."""
        on_kind = not self.models or kind in self.models
        return on_kind and (method is None or not self.methods or method in self.methods)
