"""Trains the model on wrong answers to the forget questions."""

from __future__ import annotations

from typing import Literal

from clearbench.methods.base import Data, Model, State, Step
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import Paper
from clearbench.methods.retain import ForgetAndRetain, by_rows, row_shares


class RandomLabels(
    ForgetAndRetain,
    name="random_labels",
    paper=Paper("Amnesiac Machine Learning", 2020, "2010.10981", "lmgraves/AmnesiacML"),
    needs=("forget", "random", "retain"),
    status="adapted",
):
    """Fine-tuning on forget questions with other people's answers, and on the retain set.

    The wrong answer is a retained person's, drawn anew in each step; published code draws one of
    all labels but the true one, once. The code that others use (`amnesiac` in the repository of
    SSD) shuffles both sets into one, so that the losses weigh as their numbers of rows: that is
    `weighting` "rows". The default is "equal", because a step here has as many forget rows as
    retain rows, and the size of the retain set would else decide how much is forgotten.

    Attributes:
        weighting: Weights of the forget and retain loss before `retain_weight`: `equal`, 1 and 1;
            or `rows`, the shares of forget and retain rows in both together.
    """

    weighting: Literal["equal", "rows"] = "equal"

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Counts the rows, where they are weights."""
        return row_shares(data) if self.weighting == "rows" else {}

    def loss(self, step: Step) -> dict[str, Term]:
        """L(forget questions, random answers) + lambda L(retain), each with its weight."""
        wrong, *retain = step.answers(step.random, *self.retained(step))
        terms = {"forget": cross_entropy(wrong), **self.retain_term(step, retain)}
        return by_rows(step.state, terms)
