"""Scores answers and generates texts in one pass of a model, cut into batches."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import Any

from clearbench.batches.items import Item
from clearbench.batches.trees import Tree
from clearbench.evaluation import side_effects
from clearbench.evaluation.batchwise import OnBatch, Parts, measure
from clearbench.evaluation.groups import TOKEN_COLUMNS
from clearbench.evaluation.metrics.divergence import NEUTRAL
from clearbench.libraries import pd
from clearbench.models.base import Model
from clearbench.models.token_statistics import TokenStatistics
from clearbench.storage import content_hash

#: Columns of a batch: the number of an item, and its token statistics or the generated text.
ITEM, TEXT = "item", "text"
#: Function that measures one batch.
MeasureBatch = Callable[[], "pd.DataFrame"]


@dataclass(frozen=True)
class Results:
    """Token statistics, generated texts and neutral-prompt distributions of one pass.

    Attributes:
        statistics: Token statistics of each scored item.
        texts: Generated text of each prompt, one mapping per mapping of `Measurement.prompts`.
        neutral: Lines of the table `NEUTRAL`.
    """

    statistics: dict[Item, TokenStatistics]
    texts: tuple[dict[Item, str], ...]
    neutral: pd.DataFrame


@dataclass(frozen=True)
class Measurement:
    """Answers to score and prompts to generate from, each once.

    Attributes:
        model: Measured model; left as it was.
        scored: Items whose answers are scored.
        prompts: Items whose questions are answered, with the longest answer in tokens; no batch
            of one mapping depends on another.
        neutral: True if neutral prompts are measured.
    """

    model: Model
    scored: tuple[Item, ...]
    prompts: tuple[Mapping[Item, int], ...]
    neutral: bool

    def run(self, folder: Path | None, on_batch: OnBatch | None) -> Results:
        """Measures everything; `folder` keeps the finished parts."""
        with self.model.frozen():
            scoring = self.model.scoring_groups(self.scored)
            generating = [self.model.generation_groups(list(items)) for items in self.prompts]
            neutral = side_effects.neutral_batches(self.model) if self.neutral else ()
            batches: list[MeasureBatch] = [
                *self._score(scoring),
                *chain.from_iterable(map(self._generate, self.prompts, generating)),
                *(partial(side_effects.neutral_distributions, self.model, b) for b in neutral),
            ]
            cuts = [
                *([answer for tree in group for answer in tree.items] for group in scoring),
                *chain.from_iterable(generating),
                *(batch.items for batch in neutral),
            ]
            parts = Parts(folder, self._name(cuts)) if folder else None
            done = iter(measure(batches, parts, on_batch))
        statistics = {
            self.scored[line[ITEM]]: TokenStatistics(*(line[name] for name in TOKEN_COLUMNS))
            for line in _lines(done, len(scoring))
        }
        texts = tuple(
            {items[line[ITEM]]: str(line[TEXT]) for line in _lines(done, len(groups))}
            for items, groups in zip(map(list, self.prompts), generating, strict=True)
        )
        distributions = pd.concat(done, ignore_index=True) if neutral else NEUTRAL.frame()
        return Results(statistics, texts, distributions)

    def _score(self, groups: Sequence[Sequence[Tree]]) -> Iterator[MeasureBatch]:
        numbers = {scored: number for number, scored in enumerate(self.scored)}

        def score(group: Sequence[Tree]) -> pd.DataFrame:
            lines = [
                (numbers[scored], s.log_probs, s.hits, s.means, s.variances)
                for scored, s in self.model.score_group(group).items()
            ]
            return pd.DataFrame(lines, columns=[ITEM, *TOKEN_COLUMNS])

        return (partial(score, group) for group in groups)

    def _generate(
        self, longest: Mapping[Item, int], groups: Sequence[list[Item]]
    ) -> Iterator[MeasureBatch]:
        numbers = {prompt: number for number, prompt in enumerate(longest)}

        def generate(group: list[Item]) -> pd.DataFrame:
            texts = self.model.generate(group, [longest[prompt] for prompt in group])
            lines = [(numbers[prompt], text) for prompt, text in zip(group, texts, strict=True)]
            return pd.DataFrame(lines, columns=[ITEM, TEXT])

        return (partial(generate, group) for group in groups)

    def _name(self, cuts: Sequence[Sequence[Item]]) -> str:
        """Hashes what decides the results: program, weights, rows, batches, longest answers."""
        rows = [
            [(e.key, e.question, e.answer, e.image.key if e.image else "") for e in cut]
            for cut in cuts
        ]
        longest = [list(items.values()) for items in self.prompts]
        return content_hash([version("clearbench"), self.model.fingerprint, rows, longest])


def _lines(frames: Iterator[pd.DataFrame], count: int) -> Iterator[dict[Hashable, Any]]:
    """Yields the lines of the next frames."""
    for frame in islice(frames, count):
        yield from frame.to_dict("records")
