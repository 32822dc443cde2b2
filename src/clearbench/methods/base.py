"""Defines unlearning methods as frozen hyper-parameters with a loss or an edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from clearbench.batches.kind import Kind
from clearbench.data.modality import spell_modalities
from clearbench.errors import RecipeError, did_you_mean, explain, number_or_other
from clearbench.methods.losses import Term
from clearbench.methods.paper import Paper
from clearbench.methods.stages import Edit, Stage, Train
from clearbench.methods.step import NEEDS, Data, Model, State, Step
from clearbench.plugins import Registry

__all__ = [
    "METHODS", "Data", "Edit", "Method", "Model", "Paper", "Stage", "State", "Step", "Train",
    "method", "methods",
]  # fmt: skip


class Method(BaseModel):
    """Base of all methods. Fields are hyper-parameters; unknown ones are refused by name.

    A subclass registers itself from a file of this folder, a plugin file or an entry point:
    `class MyMethod(Method, name="my_method", paper=Paper("Title", 2024, "2401.00001"),
    needs=("forget", "retain"))`.
    A method overrides `loss`, or `edit`, or, where it has several stages, `stages`.

    Attributes:
        name: Name in recipes and results.
        paper: Publication that defines the method; a text stands for its title.
        kinds: Kinds of model that it works on.
        modalities: Modalities that it can forget.
        needs: Roles and references that it reads (`step.NEEDS`).
        artefact: Kind of result: changed `weights`, or a `guard`.
        status: Agreement of the formula with paper or code: `verified`; `adapted` where it departs
            as the docstring says; `unverified` where neither could be read.
        forget_loss: Direction in which the loss on forget rows should move; None for neither.
        from_base: True if it trains the base on retained rows, instead of the original.
        trial: Values for the contract checks where the paper's have no effect on tiny models.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str] = ""
    paper: ClassVar[Paper] = Paper("")
    kinds: ClassVar[tuple[Kind, ...]] = ("language", "vision-language", "classifier")
    #: Spellings of what it can forget; all three of these stand for any set of modalities.
    modalities: ClassVar[tuple[str, ...]] = ("text", "image", "both")
    needs: ClassVar[tuple[str, ...]] = ("forget",)
    artefact: ClassVar[Literal["weights", "guard"]] = "weights"
    status: ClassVar[Literal["verified", "adapted", "unverified"]] = "verified"
    forget_loss: ClassVar[Literal["up", "down"] | None] = "up"
    from_base: ClassVar[bool] = False
    trial: ClassVar[Mapping[str, Any]] = {}

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_values(cls, value: Any, info: ValidationInfo) -> Any:
        return number_or_other(value, cls.model_fields[str(info.field_name)].annotation)

    @classmethod
    def __pydantic_init_subclass__(cls, name: str = "", **about: Any) -> None:
        if not name:
            return
        for key, known in _CHOICES.items():
            _check_choice(f"{name} says {key}=", about.get(key, ()), key, known, cls.__module__)
        for key in about:
            if key not in Method.__class_vars__:
                raise RecipeError(
                    f"{name} says '{key}'", cls.__module__, did_you_mean(key, Method.__class_vars__)
                )
        if isinstance(about.get("paper"), str):
            about["paper"] = Paper(about["paper"])
        for key, value in {"name": name, **about}.items():
            setattr(cls, key, value)
        METHODS.add(name, cls)

    def __init_subclass__(cls, **about: Any) -> None:
        super().__init_subclass__()

    def loss(self, step: Step) -> dict[str, Term]:
        """Computes named terms whose sum is minimised."""
        raise NotImplementedError(f"{self.name} defines no loss")

    def edit(self, model: Model, data: Data) -> None:
        """Changes the trained weights once, in place."""
        raise NotImplementedError(f"{self.name} defines no edit")

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Computes masks, vectors, multipliers or statistics for `step.state` before training.

        Entries named `statistics.MASK` + a parameter's name are masks: only entries of 1 change.
        """
        return {}

    def after_step(self, state: State, values: Mapping[str, float]) -> State:
        """Computes the state of the next step from this one's and the values of its terms."""
        return state

    @classmethod
    def forgets(cls, names: Sequence[str]) -> bool:
        """Whether it claims to forget this set of modalities."""
        anything = {*Method.modalities} <= {*cls.modalities}
        return anything or spell_modalities(names) in cls.modalities

    @classmethod
    def title(cls) -> str:
        """The printed name, in the class's capitals: `kl_minimization` is KL minimization."""
        spelled, words = cls.__name__, list[str]()
        if spelled.lower() != cls.name.replace("_", ""):
            return cls.name.replace("_", " ").capitalize()
        for word in cls.name.split("_"):
            own, spelled = spelled[: len(word)], spelled[len(word) :]
            words.append(own if not words or own.isupper() else own.lower())
        return " ".join(words)

    @property
    def needed(self) -> tuple[str, ...]:
        """The declared needs that the hyper-parameters use."""
        return self.needs

    def reads(self, stage: Train) -> tuple[str, ...]:
        """The needs of a stage's loss: its own, or all of the method's."""
        return self.needed if stage.needs is None else stage.needs

    def stages(self) -> Sequence[Stage]:
        """Declares one `Train` of `loss`, or one `Edit` where the class defines `edit`."""
        edits = type(self).edit is not Method.edit
        return (Edit(self.edit),) if edits else (Train(self.loss),)


#: Values that class keywords may have; of several, any.
_CHOICES: Mapping[str, tuple[Any, ...]] = {
    "needs": NEEDS,
    "kinds": get_args(Kind),
    "artefact": ("weights", "guard"),
    "status": ("verified", "adapted", "unverified"),
    "forget_loss": ("up", "down", None),
}
#: Class keywords that list several values.
_SEVERAL = ("needs", "kinds")


def _check_choice(says: str, given: Any, key: str, known: tuple[Any, ...], module: str) -> None:
    """Refuses a class keyword whose value is none of the known ones."""
    if key in _SEVERAL and isinstance(given, str):
        raise RecipeError(f"{says}{given!r}: one word", module, f"write {key}=({given!r},)")
    for value in given if isinstance(given, tuple | list) else (given,):
        if value not in known:
            words = [str(word) for word in known if word is not None]
            raise RecipeError(f"{says}{value!r}", module, did_you_mean(str(value), words))


METHODS: Registry[Method] = Registry("method", "clearbench.methods", "clearbench.methods")


def methods() -> dict[str, type[Method]]:
    """Every known method by name: this folder, installed entry points and loaded plugins."""
    return dict(METHODS)


def method(name: str, **hyperparameters: Any) -> Method:
    """A method by name with checked hyper-parameters.

    Raises:
        RecipeError: A name or hyper-parameter is unknown, or a value is out of range.
    """
    cls = METHODS.named(name)
    try:
        return cls(**hyperparameters)
    except ValidationError as error:
        raise RecipeError(
            explain(error, cls.model_fields),
            f"method '{name}'",
            f"its hyper-parameters: {', '.join(cls.model_fields) or 'none'}",
        ) from error
