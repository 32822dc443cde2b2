"""Makes a model forget some people by one method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from clearbench.data.modality import parse_modalities
from clearbench.methods.base import Method, Train, method
from clearbench.runs.code import modules_of
from clearbench.runs.cost import metered
from clearbench.runs.stage import Stage, StageInputs, Status, write_outcome
from clearbench.runs.stages.model import ModelStage, curve_points, training_cost

if TYPE_CHECKING:
    from clearbench.models.base import Model


class Observer:
    """Measures a model during its training; this base class never does.

    Attributes:
        seconds: Time that it has taken, which is no cost of the training.
    """

    seconds: float = 0.0

    def wants(self, step: int) -> bool:
        """Whether the model is measured after so many steps."""
        return False

    def measure(self, model: Model, step: int) -> dict[str, float]:
        """Computes scores by key; none where the step is not measured."""
        return {}


@dataclass(frozen=True)
class UnlearnStage(ModelStage):
    """Makes a model forget people by one method.

    Attributes:
        start: Stage whose model is changed.
        method: Name of the method.
        hyperparameters: Settings of the method itself.
        modality: Modalities that are forgotten, as a recipe spells them.
        forget: People to forget.
        gone: People who were forgotten before; none of their rows are used.
        observed: Whether the model is measured during the training.
    """

    kind: ClassVar[str] = "unlearn"
    observed: ClassVar[bool] = False

    start: ModelStage
    method: str
    hyperparameters: Mapping[str, Any]
    modality: str
    forget: tuple[int, ...]
    gone: tuple[int, ...] = ()

    @property
    def configured(self) -> Method:
        """The method with its hyper-parameters."""
        return method(self.method, **self.hyperparameters)

    @property
    def label(self) -> str:
        """Kind of model and method."""
        return f"{self.base.kind}-{self.method}"

    @property
    def settings(self) -> dict[str, Any]:
        """Method, schedule, seed, and the people to forget."""
        return {
            "model": self.base.kind,
            "method": self.method,
            "hyperparameters": dict(self.hyperparameters),
            "modality": self.modality,
            "train": self.train.model_dump(mode="json"),
            "seed": self.seed,
            "forget": list(self.forget),
            "gone": list(self.gone),
        }

    @property
    def parents(self) -> Mapping[str, Stage]:
        """Stage it starts from."""
        return {"start": self.start}

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of the method and of its base classes."""
        return (*super().modules, *modules_of(self.configured))

    def start_model(self, inputs: StageInputs) -> Model:
        """Loads the model that forgets."""
        return self.start.load(inputs)

    @property
    def _learns(self) -> tuple[str, ...]:
        """Parts whose own weights are trained in every step, unobserved."""
        alone = self.train.lora_rank is None and self.configured.artefact == "weights"
        return self.train.parts if alone and not self.observed else ()

    def observer(self, inputs: StageInputs) -> Observer:
        """Returns the observer that measures the model during the training; here none."""
        return Observer()

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Runs the method and writes the model, its adapter, or the guard."""
        from clearbench.models.embedding_heads import on_features
        from clearbench.models.guards import save_guards
        from clearbench.training.unlearn import unlearn
        from clearbench.training.watch import Diverged

        dataset = self.data.dataset(inputs).forgetting(self.forget, self.gone)
        observer = self.observer(inputs)
        guards = self.configured.artefact == "guard"
        status: Status = "ok"
        reason = ""
        with metered(inputs.device) as cost:
            model = self.start_model(inputs)

            def on_step(done: int, steps: int, values: Mapping[str, float]) -> dict[str, float]:
                inputs.on_progress("training", done, steps)
                return observer.measure(model, done)

            first = observer.measure(model, 0)
            needs = self.configured.needed
            try:
                with on_features(model, self._learns, needs, inputs.cache.features) as learner:
                    history = unlearn(
                        learner,
                        dataset.for_kind(self.base.kind),
                        self.configured,
                        parse_modalities(self.modality),
                        self.train,
                        self.seed,
                        checkpoints=inputs.scratch,
                        on_step=on_step,
                    )
            except Diverged as error:
                status, reason, history = "diverged", error.what, error.history
        cost["seconds"] -= observer.seconds
        trains = any(isinstance(stage, Train) for stage in self.configured.stages())
        cost |= training_cost(model, trains_weights=trains or not guards)
        if status == "ok" and guards:
            save_guards(model, folder)
        elif status == "ok":
            model.save(folder)
        points = [{"step": 0, **first}] if first else []
        points += curve_points(history, set(filter(observer.wants, range(1, len(history) + 1))))
        return write_outcome(folder, status, reason, curve=points, cost=cost, reading=model.reading)
