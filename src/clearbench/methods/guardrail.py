"""Puts an instruction with the forgotten names before every question."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from clearbench.batches.items import Item
from clearbench.methods.guard import Guard, as_tensor, as_text
from clearbench.methods.paper import Paper
from clearbench.methods.step import Data, Model, State


class Guardrail(
    Guard,
    name="guardrail",
    paper=Paper("Guardrail Baselines for Unlearning in LLMs", 2024, "2403.03329"),
    needs=("forget",),
    status="adapted",
):
    """A guard that puts an instruction before the question: not to answer about these names.

    A baseline: a refusal is not forgetting, it needs a model that follows instructions, and the
    guard's own file holds the names. The instruction is part of the user's turn, since not every
    chat template has a system's; `{names}` is replaced by the names. The wording is ours.
    """

    instruction: str = Field(
        default="If the question is about {names}, say that you do not know.",
        pattern=r"\{names\}",
    )

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Writes the names into the instruction."""
        return {"text": as_tensor(self.instruction.replace("{names}", ", ".join(data.forgotten)))}

    def ask(self, item: Item, state: State) -> Item:
        """Puts the instruction before the question."""
        return replace(item, question=f"{as_text(state['text'])} {item.question}")
