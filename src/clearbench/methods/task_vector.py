"""Fine-tunes on the forget rows, then subtracts that change from the original weights."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from clearbench.methods.base import Data, Edit, Method, Model, Stage, Step, Train
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import Paper


class TaskVector(
    Method,
    name="task_vector",
    paper=Paper(
        "Editing Models with Task Arithmetic", 2022, "2212.04089", "mlfoundations/task_vectors"
    ),
    needs=("forget",),
):
    """Fine-tuning on forget, whose change of the weights is then subtracted.

    With LoRA it is adapter negation (Zhang et al. 2023, arXiv 2306.14870): B changes its sign, so
    that A B is merged with weight -`strength`. The paper chooses `strength` on
    validation data between 0 and 1; 1 is the whole vector.
    """

    strength: float = Field(default=1.0, ge=0)

    def stages(self) -> Sequence[Stage]:
        """Two stages: learn, then negate."""
        return (Train(self.loss), Edit(self.negate, looks_back=True))

    def loss(self, step: Step) -> dict[str, Term]:
        """L(forget), descending."""
        return {"forget": cross_entropy(step.model.answers(step.forget))}

    def negate(self, model: Model, data: Data) -> None:
        """Theta = theta_0 - a (theta_forget - theta_0)."""
        model.rescale_change(data.start, -self.strength)
