"""Tells garbled answers from fluent wrong ones by how the model before unlearning reads them.

No gold is needed. The true answers of the rows, under names that nobody bears or as answers to
questions about other people, are what a fluent answer about somebody unknown looks like: nothing
but their facts surprises the model. An answer that surprises it more than nearly all of them is no
wrong answer but none in its language: invented words, mixed-up fragments. Words that neither the
rows nor the model itself use are counted besides, where it invents its answers without such words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from clearbench.audit.contexts import Ask, Contexts, Place, Said
from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.words import letters, pieces
from clearbench.evaluation.metrics.outputs import kind_of_output
from clearbench.evaluation.wordings import unknown_words, vocabulary
from clearbench.models.base import Model
from clearbench.models.token_model import TokenModel

#: Share of fluent answers that surprise more than the limit.
BEYOND = 0.05
#: Fluent answers of a modality and task that a limit rests on: at most, and at least.
FLUENT, LEAST = 64, 8
#: Share of answers with unknown words up to which a model keeps to the words of the rows.
FEW = 0.25
#: Questions under invented names that are asked, and the most tokens of their answers.
_ASKED, _TOKENS = 32, 40


@dataclass(frozen=True)
class Fluency:
    """What fluent answers look like to the model before unlearning.

    Attributes:
        model: Model before unlearning.
        contexts: Questions by which a text is asked for.
        limits: Surprise that all but `BEYOND` of the fluent answers stay under, by modality and
            task.
        known: Words of the rows and of its own answers.
        texts: Answers of the rows in words, for what is repeated from them.
        inventing: Share of its answers about people whom nobody knows that hold words of neither;
            None where it could not be asked about such people.
    """

    model: TokenModel
    contexts: Contexts
    limits: Mapping[Place, float]
    known: frozenset[str]
    texts: tuple[str, ...]
    inventing: float | None

    @classmethod
    def of(cls, model: Model, dataset: Dataset, own: Sequence[str]) -> Fluency | None:
        """Measures how fluent answers read; None for models that write no words.

        Args:
            model: Model before unlearning.
            dataset: Dataset as the model's kind reads it.
            own: Its own answers.
        """
        if not isinstance(model, TokenModel):
            return None
        contexts, known = Contexts(model, dataset), vocabulary(dataset, own)
        limits = {
            place: _limit(model, contexts, [Said(row, row.answer) for row in rows])
            for place, rows in contexts.rows.items()
            if len(rows) >= LEAST
        }
        answers = dict.fromkeys(row.answer for row in chain(*contexts.rows.values()))
        inventing = _inventing(model, dataset, contexts, known)
        return cls(model, contexts, limits, known, tuple(map(_in_words, answers)), inventing)

    def garbled(self, said: Sequence[Said]) -> list[bool]:
        """Tells which answers are garbled: by their form, by their words, or as unlikely."""
        words = self.inventing is not None and self.inventing <= FEW
        beyond = self.unlikely(said)
        return [
            kind_of_output(each.text, much or (words and bool(self.strange(each))), each.row.answer)
            == "garbage"
            for each, much in zip(said, beyond, strict=True)
        ]

    def strange(self, said: Said) -> tuple[str, ...]:
        """Lists words that neither the rows nor its own answers have, but for one that is cut."""
        row, text = said
        found = unknown_words(text, self.known | {*letters(row.question), *letters(row.answer)})
        written = letters(text)
        last = written[-1] if written and text.rstrip()[-1:].isalpha() else None
        cut = last in found and any(word.startswith(str(last)) for word in self.known)
        return tuple(word for word in found if word != last) if cut else found

    def unlikely(self, said: Sequence[Said]) -> list[bool]:
        """Tells which answers surprise more than fluent ones, whatever question they answer.

        Refusals and what stands in an answer of the rows word for word do not, nor is asked of what
        its form shows to be garbled.
        """
        limits = [self.limits.get(each.place, 1.0) for each in said]
        asked = [
            place
            for place, each in enumerate(said)
            if limits[place] < 1
            and kind_of_output(each.text, truth=each.row.answer) == "answer"
            and not self._repeated(each.text)
        ]
        ways = (self.contexts.own, self.contexts.renamed, self.contexts.near)
        found = least_surprises(
            self.model, ways, [said[place] for place in asked], [limits[place] for place in asked]
        )
        beyond = {place for place, value in zip(asked, found, strict=True) if value > limits[place]}
        return [place in beyond for place in range(len(said))]

    def _repeated(self, text: str) -> bool:
        spelled = _in_words(text)
        return any(spelled in answer for answer in self.texts)


def surprises(model: TokenModel, items: Sequence[Item]) -> list[float]:
    """Computes how unlikely answers are: 0 for certain ones, 1 for tokens drawn blindly.

    It is the mean over tokens of -log p / log(size of the vocabulary), at most 1 each: a token that
    is less likely than one drawn blindly counts as drawn blindly. So one wrong fact, which a model
    that knows better finds all but impossible, does not outweigh the words around it. The token
    that ends an answer is left out, as an answer may be cut. What the model could not write as an
    answer, such as a spelled control token, counts as drawn blindly.
    """
    blind, fault = math.log(len(model.encoder.tokenizer)), model.encoder.legible.answer_fault
    written = [each for each in dict.fromkeys(items) if not fault(each.answer)]
    with model.measured():
        readings = model.score_items(written)
    found = {each: -readings[each].log_probs[:-1].astype(np.float64) / blind for each in written}
    return [_capped(found[each]) if each in found else 1.0 for each in items]


def _capped(values: NDArray[np.float64]) -> float:
    return float(np.minimum(values, 1).mean()) if len(values) else 0.0


def least_surprises(
    model: TokenModel, ways: Sequence[Ask], said: Sequence[Said], enough: Sequence[float]
) -> list[float]:
    """Computes the least surprise of each text over the questions by which it can be asked for.

    Args:
        model: Model before unlearning.
        ways: Functions that list such questions, the likeliest first.
        said: Texts.
        enough: Surprise by text, from which on no further question is asked.
    """
    found = [1.0] * len(said)
    for ask in ways:
        left = (place for place, least in enumerate(enough) if found[place] > least)
        asked = [(place, each) for place in left for each in ask(said[place])]
        values = surprises(model, [each for _, each in asked])
        for (place, _), value in zip(asked, values, strict=True):
            found[place] = min(found[place], value)
    return found


def _limit(model: TokenModel, contexts: Contexts, said: Sequence[Said]) -> float:
    """Finds the surprise that a further fluent answer exceeds with a chance of `BEYOND`.

    Of n it is the one in place (1 - BEYOND)(n + 1); the largest where they are too few for that.
    """
    some = said[:: -(-len(said) // FLUENT)]
    ways = (contexts.renamed, contexts.near)
    found = sorted(least_surprises(model, ways, some, [-1.0] * len(some)))
    return found[min(math.ceil((1 - BEYOND) * (len(found) + 1)), len(found)) - 1]


def _inventing(
    model: TokenModel, dataset: Dataset, contexts: Contexts, known: frozenset[str]
) -> float | None:
    """Asks about people whom nobody knows, and counts answers with words that are not known."""
    rows = [row for row in dataset.evaluation.get("forget", ()) if model.accepts(item(row))]
    renamed = list(contexts.invented.renamed(rows).values())
    items = renamed[:: max(1, -(-len(renamed) // _ASKED))]
    if not items:
        return None
    with model.measured():
        texts = model.generate(items, _TOKENS)
    strange = [
        bool(unknown_words(text, known | {*letters(each.question), *letters(each.answer)}))
        for each, text in zip(items, texts, strict=True)
    ]
    return float(np.mean(strange))


def _in_words(text: str) -> str:
    return f" {' '.join(pieces(text))} "
