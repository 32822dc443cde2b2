"""Combines the gradients of forgetting and keeping by a Nash bargain in every step."""

from __future__ import annotations

from collections.abc import Sequence

from clearbench.methods.base import Method, Stage, Step, Train
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import Paper
from clearbench.methods.rules import bargaining


class MUNBa(
    Method,
    name="munba",
    paper=Paper(
        "MUNBa: Machine Unlearning via Nash Bargaining", 2024, "2411.15537", "JingWu321/MUNBa"
    ),
    needs=("forget", "random", "retain"),
    status="adapted",
):
    """Random labels on forget and descent on retain, joined by the Nash bargain of two gradients.

    Both gradients count as unit vectors (`rules.bargaining`), so weights of the two losses would
    cancel and there are none. Random labels are what the authors' classification code forgets with;
    any other pair of losses takes the same rule with `train.rule: bargaining`.
    Departures: their code leaves the bargain for L(retain) + 0.1 L(forget) where rounding makes a
    coefficient negative, here the cosine is bounded below; its random labels are any, the true one
    too, here a retained person's answer; and once its forget batches end it goes on with retain
    rows alone, here every step has both.
    """

    def stages(self) -> Sequence[Stage]:
        """One stage, with the rule."""
        return (Train(self.loss, rule=bargaining),)

    def loss(self, step: Step) -> dict[str, Term]:
        """The two players: L(forget questions, random answers) and L(retain)."""
        return {
            "forget": cross_entropy(step.model.answers(step.random)),
            "retain": cross_entropy(step.model.answers(step.retain)),
        }
