"""What a model is asked in one measurement, cut into batches, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pandas as pd

from clearbench.batches.items import Item
from clearbench.batches.trees import Tree
from clearbench.evaluation import side
from clearbench.evaluation.batchwise import OnBatch, Parts, measure
from clearbench.evaluation.records import NEUTRAL_COLUMNS, TOKEN_COLUMNS
from clearbench.models.base import Model
from clearbench.models.token_statistics import TokenStatistics
from clearbench.storage import content_hash

#: Columns of a batch: the number of an item, and its reading or the text that was said.
ITEM, TEXT = "item", "text"
#: Measures one batch.
Measure = Callable[[], pd.DataFrame]


@dataclass(frozen=True)
class Found:
    """What a model answered.

    Attributes:
        readings: Of each scored item.
        texts: Of each item that was asked, for each of `Task.asked`.
        neutral: `Records.neutral`.
    """

    readings: dict[Item, TokenStatistics]
    texts: tuple[dict[Item, str], ...]
    neutral: pd.DataFrame


@dataclass(frozen=True)
class Task:
    """Answers to score and questions to answer, each once.

    Attributes:
        model: Whom to ask; left as it was.
        scored: Items whose answers are scored.
        asked: Items whose questions are answered, with the longest answer in tokens; no batch of
            one mapping depends on another.
        neutral: Whether neutral prompts are read.
    """

    model: Model
    scored: tuple[Item, ...]
    asked: tuple[Mapping[Item, int], ...]
    neutral: bool

    def run(self, folder: Path | None, on_batch: OnBatch | None) -> Found:
        """All answers; `folder` is where parts are kept."""
        with self.model.frozen():
            read = self.model.scoring_groups(self.scored)
            said = [self.model.generation_groups(list(each)) for each in self.asked]
            prompts = side.neutral_batches(self.model) if self.neutral else ()
            batches: list[Measure] = [
                *self._read(read),
                *chain.from_iterable(map(self._say, self.asked, said)),
                *(partial(side.neutral, self.model, batch) for batch in prompts),
            ]
            cuts = [
                *([each for tree in group for each in tree.items] for group in read),
                *chain.from_iterable(said),
                *(batch.items for batch in prompts),
            ]
            parts = Parts(folder, self._name(cuts)) if folder else None
            done = iter(measure(batches, parts, on_batch))
        readings = {
            self.scored[line[ITEM]]: TokenStatistics(*(line[name] for name in TOKEN_COLUMNS))
            for line in _lines(done, len(read))
        }
        texts = tuple(
            {items[line[ITEM]]: str(line[TEXT]) for line in _lines(done, len(groups))}
            for items, groups in zip(map(list, self.asked), said, strict=True)
        )
        none = pd.DataFrame(columns=NEUTRAL_COLUMNS)
        return Found(readings, texts, pd.concat(done, ignore_index=True) if prompts else none)

    def _read(self, groups: Sequence[Sequence[Tree]]) -> Iterator[Measure]:
        numbers = {each: number for number, each in enumerate(self.scored)}

        def read(group: Sequence[Tree]) -> pd.DataFrame:
            lines = [
                (numbers[each], one.log_probs, one.hits, one.means, one.variances)
                for each, one in self.model.score_group(group).items()
            ]
            return pd.DataFrame(lines, columns=[ITEM, *TOKEN_COLUMNS])

        return (partial(read, group) for group in groups)

    def _say(self, longest: Mapping[Item, int], groups: Sequence[list[Item]]) -> Iterator[Measure]:
        numbers = {each: number for number, each in enumerate(longest)}

        def say(group: list[Item]) -> pd.DataFrame:
            texts = self.model.generate(group, [longest[each] for each in group])
            lines = [(numbers[each], text) for each, text in zip(group, texts, strict=True)]
            return pd.DataFrame(lines, columns=[ITEM, TEXT])

        return (partial(say, group) for group in groups)

    def _name(self, cuts: Sequence[Sequence[Item]]) -> str:
        """What decides the answers, hashed: program, weights, rows, batches and longest answers."""
        rows = [
            [(e.key, e.question, e.answer, e.media.key if e.media else "") for e in cut]
            for cut in cuts
        ]
        longest = [list(each.values()) for each in self.asked]
        return content_hash([version("clearbench"), self.model.fingerprint, rows, longest])


def _lines(frames: Iterator[pd.DataFrame], count: int) -> Iterator[dict[Hashable, Any]]:
    """The lines of the next frames."""
    for frame in islice(frames, count):
        yield from frame.to_dict("records")
