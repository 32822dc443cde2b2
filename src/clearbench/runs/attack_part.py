"""Defines the parts of a recipe that name attacks, and the shadow models that some learn from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from clearbench.attacks.base import Attack, attack
from clearbench.batches.kind import Kind
from clearbench.errors import RecipeError
from clearbench.training.settings import TrainSettings


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

    @property
    def learns(self) -> bool:
        """Whether it learns from shadow models."""
        return "shadow_models" in self.configured.needs


class ShadowPart(BaseModel):
    """Shadow models of one kind: taught people of whom others know nothing.

    Half of them are taught the forget people and never as many holdout people, half the other way
    round, all of them half of the rest; every method is run on each.

    Attributes:
        models: Number of models, half in each half.
        heads: Whether they are heads on the frozen backbone of a classifier, trained many at once
            on cached features: a tier of its own, which says nothing about backbones.
        teach: Training settings; None for those of the recipe's models of this kind.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: int = Field(default=16, ge=6, multiple_of=2)
    heads: bool = False
    teach: TrainSettings | None = None
