"""Tell the model, before every question, whom not to speak about."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from clearbench.batches.items import Item
from clearbench.methods.guard import Guard, as_tensor, as_text
from clearbench.methods.step import Data, Model, State


class Guardrail(
    Guard,
    name="guardrail",
    paper="Thaker et al. 2024, Guardrail Baselines for Unlearning in LLMs, arXiv 2403.03329",
    needs=("forget",),
):
    """A guard that is a sentence: the names of the forgotten, and the wish not to answer.

    A baseline: a refusal is not forgetting, it needs a model that follows instructions, and the
    guard's own file holds the names. The instruction stands before the question in the user's turn,
    since not every chat template has a system's; `{names}` is where the names go.
    """

    instruction: str = Field(
        default="If the question is about {names}, say that you do not know.",
        pattern=r"\{names\}",
    )

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """The instruction with the names in it."""
        return {"text": as_tensor(self.instruction.replace("{names}", ", ".join(data.forgotten)))}

    def ask(self, each: Item, state: State) -> Item:
        """The instruction, then the question."""
        return replace(each, question=f"{as_text(state['text'])} {each.question}")
