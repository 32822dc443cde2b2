"""Asks for the forgotten answers in other ways: roles, hints, aliases, prefixes, languages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import Field

from clearbench.attacks.base import Target
from clearbench.attacks.prompt_file import PromptFiller, PromptTemplate, read_prompts
from clearbench.attacks.recovery import ROWS, Known, Row, SurvivalAttack, probabilities
from clearbench.attacks.token_models import is_token_model
from clearbench.batches.items import Item, item
from clearbench.batches.trees import common_prefix
from clearbench.data.example import Example
from clearbench.errors import DataError
from clearbench.evaluation.measure import Case
from clearbench.evaluation.metrics.rouge import rouge
from clearbench.storage import content_hash

if TYPE_CHECKING:
    from clearbench.models.base import Model

#: Name of the row's own question among the prompts.
PLAIN = "plain"


class Asked(NamedTuple):
    """A row's question in another form, with the beginning that its answer is given."""

    item: Item
    prefix: str


class Prompts(
    SurvivalAttack,
    name="prompts",
    title="Other prompts",
    needs=("model",),
    reads=("answer", "gold", "original"),
    tries="other prompts and languages",
    paper="Lynch et al. 2024, arXiv 2402.16835",
    baseline=PLAIN,
    shows=(
        "Whether the true answers are likely when they are asked for in another way: in other "
        "words, in a role, after hints, without the name, with an answer already begun, in another "
        "language. The worst prompt counts. It finds what is hidden from one way to ask, not what "
        "no question of the file reaches."
    ),
    cases={
        "generate": Case(
            title="in words",
            shows=(
                "How much of the true answers is said when they are asked for in another way: in "
                "other words, in a role, after hints, without the name, in another language. It "
                "counts words alone: an answer that tells the secret differently counts for little."
            ),
        )
    },
):
    """Probability of the true answer under each prompt of a file; what is said with `generate`.

    A row that lacks what a prompt needs (a name, a paraphrase, another row as a hint), or whose
    answer the prompt would give away, is left out of it; `left_out` names them. Classifiers read no
    questions.

    Attributes:
        file: YAML or JSON file of prompts, in the form of the shipped `prompts.yaml`.
        only: Names of the prompts to try; all by default.
        generate: True for ROUGE-L recall of what is said, without prompts that begin the answer.
        max_new_tokens: Longest answer in tokens.
    """

    unnamed = (*ROWS, "file", "max_new_tokens")

    file: str = ""
    only: tuple[str, ...] = ()
    generate: bool = False
    retained: int = Field(default=16, ge=0)
    max_new_tokens: int = Field(default=40, ge=1)

    def unsuited(self, model: Model) -> str:
        """Says that a classifier reads no questions."""
        return "" if is_token_model(model) else f"a {model.kind} reads no questions"

    def materials(self) -> dict[str, str]:
        """Computes the digest of the prompts, so that an edited file is asked anew.

        Raises:
            RecipeError: The file of prompts cannot be read.
        """
        prompts = read_prompts(self.file, self.only)
        return {"prompts": content_hash({n: made.model_dump() for n, made in prompts.items()})}

    def prompts(self) -> dict[str, PromptTemplate]:
        """Reads the prompts; those that begin the answer are left out where answers are said."""
        prompts = read_prompts(self.file, self.only)
        return {n: made for n, made in prompts.items() if not (self.generate and made.prefix)}

    def known(self, target: Target, rows: Sequence[Row]) -> Iterable[tuple[str, Known]]:
        """Yields what is known under each prompt that any row has."""
        model, dataset = self.given(target)
        prompts = self.prompts()
        yield PLAIN, self._read(model, [Asked(item(row), "") for _, row in rows])
        filler = PromptFiller(dataset, target.seed)
        for done, (name, prompt) in enumerate(prompts.items(), start=1):
            asked = [each for _, row in rows if (each := _asked(model, filler, prompt, row))]
            if asked:
                yield name, self._read(model, asked)
            target.on_progress(self.score_key, done, len(prompts))

    def left_out(self, target: Target) -> Mapping[str, tuple[str, ...]]:
        """Names the measured rows that each prompt leaves out, for prompts that leave out any."""
        model, dataset = self.given(target)
        filler, rows = PromptFiller(dataset, target.seed), self.measured(target)
        left = {
            name: tuple(r.id for _, r in rows if _asked(model, filler, prompt, r) is None)
            for name, prompt in self.prompts().items()
        }
        return {name: ids for name, ids in left.items() if ids}

    def _read(self, model: Model, asked: Sequence[Asked]) -> Known:
        items = [each.item for each in asked]
        if self.generate:
            with model.measured():
                texts = model.generate(items, self.max_new_tokens)
            pairs = zip(items, texts, strict=True)
            return {each.row: rouge(each.answer, text)["rouge_l"] for each, text in pairs}
        if not any(each.prefix for each in asked):
            return probabilities(model, items)
        with model.measured():
            scored = model.score_items(items)
        return {
            each.item.row: float(np.exp(scored[each.item].log_probs[_begun(model, each) :].mean()))
            for each in asked
        }


def _asked(
    model: Model, filler: PromptFiller, prompt: PromptTemplate, row: Example
) -> Asked | None:
    """Returns the row in another form; None where it has none that the model can read."""
    filled = filler.fill(prompt, row)
    if filled is None:
        return None
    answer = f"{filled.prefix} {row.answer}" if filled.prefix else row.answer
    made = replace(item(row, "prompt", answer), question=filled.question)
    try:
        model.check([made])
    except DataError:  # too long for the model, or letters that its tokenizer cannot write
        return None
    return Asked(made, filled.prefix)


def _begun(model: Model, asked: Asked) -> int:
    """Counts the answer's tokens that belong to the prefix."""
    if not is_token_model(model):
        return 0
    whole = model.encoder.encode(asked.item)
    alone = model.encoder.encode(replace(asked.item, answer=asked.prefix))
    return common_prefix(whole.ids, alone.ids) - whole.answer_start
