"""The shape of an unlearning method: a frozen set of hyper-parameters with one loss (or edit)."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from clearbench.data.batches import Answers, Batch, Kind
from clearbench.errors import RecipeError, did_you_mean, explain
from clearbench.methods.losses import Term

Batches = Sequence[Batch]
#: What a method may ask for. `idk` holds the forget questions answered by a refusal (for a
#: classifier, by another person's label); `reference` is the model before unlearning, frozen;
#: `reference_log_probs` only what it thought of whole forget and idk answers, read beforehand.
NEEDS = ("forget", "retain", "idk", "reference", "reference_log_probs")


class Model(Protocol):
    """What a loss needs of a model; `clearbench.models.base.Model` has it."""

    def answers(self, batches: Batches) -> Answers:
        """Logits on the answer tokens, with gradient."""


class Reference(Protocol):
    """The frozen model before unlearning, in whichever form is cheapest and exact."""

    def answers(self, batches: Batches) -> Answers:
        """Its logits on the answer tokens, without gradient."""

    def sequence_log_probs(self, batches: Batches) -> Tensor:
        """(rows,) log-probability of each whole answer."""


class NoReference:
    """Stands where a method asked for no reference."""

    def answers(self, batches: Batches) -> Answers:
        """Refuses."""
        raise self._missing()

    def sequence_log_probs(self, batches: Batches) -> Tensor:
        """Refuses."""
        raise self._missing()

    @staticmethod
    def _missing() -> RecipeError:
        return RecipeError("this step has no reference", "method", "declare it in `needs`")


@dataclass(frozen=True)
class Step:
    """What a loss sees: the model, the reference, and one batch of each kind it asked for."""

    model: Model
    reference: Reference
    batches: Mapping[str, Batches]
    state: dict[str, Tensor] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Batches:
        try:
            return self.batches[name]
        except KeyError:
            raise AttributeError(
                f"this step has no '{name}' batch; declare it in `needs`"
            ) from None

    def log_ratio(self, batches: Batches) -> tuple[Answers, Tensor]:
        """The model's answers and (rows,) log(model / reference) of each whole answer."""
        answers = self.model.answers(batches)
        ours = answers.per_row(answers.log_probs)
        return answers, ours - self.reference.sequence_log_probs(batches)


class Method(BaseModel):
    """Base of all methods. Fields are hyper-parameters; unknown ones are refused by name.

    A subclass in a file of this folder, a plugin file or an installed entry point is all it takes:
    `class MyMethod(Method, name="my_method", paper="arXiv ...", needs=("forget", "retain"))`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    kinds: ClassVar[tuple[Kind, ...]] = ("language", "vision-language", "classifier")
    modalities: ClassVar[tuple[str, ...]] = ("text", "image", "both")
    needs: ClassVar[tuple[str, ...]] = ("forget",)
    artefact: ClassVar[Literal["weights", "adapter", "guard"]] = "weights"
    status: ClassVar[Literal["verified", "unverified"]] = "verified"
    #: `up` when the loss on the forget set should rise, `down` when it should fall, None if neither
    forget_loss: ClassVar[Literal["up", "down"] | None] = "up"
    #: Trained from the base on what is retained, instead of from the original.
    from_base: ClassVar[bool] = False

    @classmethod
    def __pydantic_init_subclass__(cls, name: str = "", **about: Any) -> None:
        if not name:
            return
        unknown = set(about.get("needs", ())) - set(NEEDS)
        if unknown:
            raise RecipeError(
                f"{name} needs {', '.join(sorted(unknown))}", cls.__module__, f"known: {NEEDS}"
            )
        for key, value in {"name": name, **about}.items():
            setattr(cls, key, value)
        known = _METHODS.get(name)
        if known is not None and _origin(known) != _origin(cls):
            raise RecipeError(
                f"two methods are called '{name}'",
                f"{known.__module__} and {cls.__module__}",
                "rename one",
            )
        _METHODS[name] = cls

    def __init_subclass__(cls, **about: Any) -> None:
        super().__init_subclass__()

    def loss(self, step: Step) -> dict[str, Term]:
        """Named terms whose sum is minimised."""
        raise NotImplementedError(f"{self.name} defines no loss")


_METHODS: dict[str, type[Method]] = {}


def _origin(cls: type) -> tuple[str, str]:
    source = sys.modules.get(cls.__module__)
    return str(getattr(source, "__file__", cls.__module__)), cls.__qualname__


def methods() -> dict[str, type[Method]]:
    """Every known method by name: this folder, installed entry points and loaded plugins."""
    package = importlib.import_module("clearbench.methods")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"clearbench.methods.{module.name}")
    for entry in importlib.metadata.entry_points(group="clearbench.methods"):
        entry.load()
    return dict(sorted(_METHODS.items()))


def method(name: str, **hyperparameters: Any) -> Method:
    """A method by name with checked hyper-parameters.

    Raises:
        RecipeError: For an unknown name, an unknown hyper-parameter or a value out of range.
    """
    known = methods()
    if name not in known:
        raise RecipeError(f"unknown method '{name}'", "method", did_you_mean(name, known))
    try:
        return known[name](**hyperparameters)
    except ValidationError as error:
        raise RecipeError(
            explain(error, known[name].model_fields),
            f"method '{name}'",
            f"its hyper-parameters: {', '.join(known[name].model_fields) or 'none'}",
        ) from error


def load_plugin(path: Path) -> None:
    """Runs a Python file the user named on the command line, so that its classes register."""
    if not path.is_file():
        raise RecipeError("no such plugin file", str(path), "give the path of a Python file")
    name = f"clearbench_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RecipeError("not a Python file", str(path), "give the path of a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


Loss = Callable[[Step], dict[str, Term]]
