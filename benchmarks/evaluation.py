"""Measuring against a plain baseline: CPU-seconds, peak memory, and the largest difference.

    OMP_NUM_THREADS=1 python benchmarks/evaluation.py [MODEL ...]

Rows, models and numbers are the same on both sides, and each run of each side sends its pictures
through the vision tower. *Products alone* are the seconds that the matrix products of a run would
take at the rate of one large product: nothing that reads the same tokens can be faster.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import baseline
import torch
from measure import cpu_seconds, matrix_rate, operations, peak, sized_model
from rich.console import Console
from rich.table import Table
from torch import Tensor

from clearbench.batches.batch import Batch
from clearbench.batches.items import Item, cut
from clearbench.data.load import load_dataset
from clearbench.evaluation.engine import variants
from clearbench.methods.retrain import Retrain
from clearbench.methods.stages import Train
from clearbench.models.token_model import TokenModel
from clearbench.training.feed import Pool, mixed_feed
from clearbench.training.loop import train
from clearbench.training.settings import TrainSettings

#: Questions on people to forget, and as many on people to keep; each has seven answers.
ROWS = {"language 1 M": 64, "language 35 M": 32, "64 image tokens": 16, "576 image tokens": 8}
NEW_TOKENS, TEACHING_STEPS = 64, 30
#: Numbers of pictures, a question each, of which the memory is measured.
PICTURES = (4, 16, 64)
Found = dict[str, Tensor]


@dataclass(frozen=True)
class Work:
    """A model and the answers it is to score."""

    model: TokenModel
    forget: list[Item]
    retain: list[Item]

    @property
    def items(self) -> list[Item]:
        """All of them."""
        return self.forget + self.retain


def make(name: str) -> Work:
    """A model of a size, and every answer variant of some rows, all tokenised."""
    model, sees = sized_model(name), "image" in name
    rows = load_dataset("builtin").evaluation
    task = ("image", "caption") if sees else ("text", "qa")
    chosen = {
        split: [r for r in rows[split] if (r.track, r.task) == task][: ROWS[name]]
        for split in ("forget", "retain")
    }
    work = Work(model, *([e for r in part for e in variants(r, ())] for part in chosen.values()))
    for each in work.items:
        model.encoder.encode(each)
    return work


def plain(work: Work) -> Found:
    """The baseline."""
    found: Found = {}
    for chunk in baseline.chunks(work.forget, work.retain):
        found |= baseline.read(work.model, chunk)
    return found


def head_only(work: Work) -> Found:
    """The same passes, with logits on answer tokens alone."""
    _forget_features(work.model)
    chunks = baseline.chunks(work.forget, work.retain)
    return _read(work.model, (batch for chunk in chunks for batch in work.model.batch(chunk)))


def buckets(work: Work) -> Found:
    """Every answer once, cut by length into a token budget."""
    model = work.model
    _forget_features(model)
    trees = [model.tree([each]) for each in work.items]
    groups = cut([len(tree) for tree in trees], model.token_budget)
    cuts = ([trees[k] for k in group] for group in groups)
    return _read(model, (batch for group in cuts for batch in model.collate(group)))


def shared(work: Work) -> Found:
    """What the engine does: answers share what they have in common."""
    _forget_features(work.model)
    found = work.model.score_items(work.items)
    return {each.key: torch.from_numpy(one.log_probs) for each, one in found.items()}


def _forget_features(model: TokenModel) -> None:
    """Lets the next pass send its pictures through the vision tower again."""
    model.cache.drop(lambda key: isinstance(key, tuple) and "features" in key)


def _read(model: TokenModel, batches: Iterable[Batch]) -> Found:
    pairs = (pair for b in batches for pair in zip(b.items, model.statistics(b), strict=True))
    return {each.key: torch.from_numpy(one.log_probs) for each, one in pairs}


STEPS: dict[str, Callable[[Work], Found]] = {
    "baseline": plain,
    "head only": head_only,
    "+ buckets": buckets,
    "+ shared prompt": shared,
}


def prepared(name: str, step: str) -> Callable[[], object]:
    """A step, ready to run."""
    work = make(name)
    return lambda: STEPS[step](work)


def scoring(name: str, rate: float) -> list[dict[str, Any]]:
    """Median CPU-seconds, peak memory and largest difference of every step.

    Args:
        name: Size of the model.
        rate: Operations a second of the core.
    """
    work = make(name)
    first = {step: run(work) for step, run in STEPS.items()}
    counted = {step: operations(lambda run=run: run(work)) for step, run in STEPS.items()}
    seconds = cpu_seconds({step: lambda run=run: run(work) for step, run in STEPS.items()})
    lines = []
    for step, found in first.items():
        added, whole = peak(prepared, name, step)
        apart = (
            float((first["baseline"][key] - value).abs().max()) for key, value in found.items()
        )
        lines.append({
            "model": name,
            "parameters": sum(p.numel() for p in work.model.module.parameters()),
            "step": step,
            "cpu_seconds": seconds[step],
            "products_alone": counted[step] / rate,
            "added_bytes": added,
            "process_bytes": whole,
            "largest_difference": max(apart),
        })  # fmt: skip
    return lines


def pictures_held(count: int) -> Callable[[], object]:
    """Scoring of so many pictures of 576 tokens with a question each, ready to run."""
    model = sized_model("576 image tokens")
    rows = load_dataset("builtin").evaluation
    captions = [
        row for split in ("forget", "retain") for row in rows[split] if row.track == "image"
    ]
    answers = (each for row in captions for each in variants(row, ()) if each.variant == "answer")
    by_picture = {each.media.key: each for each in answers if each.media is not None}
    items = list(by_picture.values())[:count]
    return lambda: model.score_items(items)


def generation(name: str) -> dict[str, Any]:
    """Our decoding beside the library's, on a model that was taught.

    A model that was never taught does not stop, so it first learns the rows it is asked about.
    """
    work = make(name)
    model, asked = work.model, [each for each in work.items if each.variant == "answer"]
    model.train_only(("language",))
    feed = mixed_feed({"retain": [Pool(tuple(asked), 16)]})
    settings = TrainSettings(steps=TEACHING_STEPS, learning_rate=1e-3, parts=("language",))
    train(model, Train(Retrain().loss), feed, settings, 0)
    model.train_only(())
    runs = {
        "baseline": lambda: baseline.generate(model, asked, NEW_TOKENS),
        "ours": lambda: model.generate(asked, NEW_TOKENS),
    }
    texts = {step: run() for step, run in runs.items()}
    equal = sum(a == b for a, b in zip(texts["baseline"], texts["ours"], strict=True))
    return {"model": name, "answers": len(asked), "equal": equal, **cpu_seconds(dict(runs))}


def main(names: Sequence[str]) -> None:
    """Prints the tables, and the figures as JSON lines."""
    torch.set_num_threads(1)
    console = Console()
    rate = matrix_rate()
    console.print(f"one core: {rate / 1e9:.1f} GFLOP/s in float32")
    table = Table(
        "model", "step", "CPU s", "ratio", "products alone", "added MB", "ratio", "process MB",
        "apart",
    )  # fmt: skip
    for name in names:
        lines = scoring(name, rate)
        first = lines[0]
        for line in lines:
            table.add_row(
                name,
                line["step"],
                f"{line['cpu_seconds']:.2f}",
                f"{first['cpu_seconds'] / line['cpu_seconds']:.2f}x",
                f"{line['products_alone']:.2f}",
                f"{line['added_bytes'] / 1e6:.0f}",
                f"{line['added_bytes'] / first['added_bytes']:.2f}x",
                f"{line['process_bytes'] / 1e6:.0f}",
                f"{line['largest_difference']:.1e}",
            )
            console.print_json(json.dumps(line), indent=None)
    console.print(table)
    for name in (name for name in names if name.startswith("language")):
        found = generation(name)
        console.print_json(json.dumps(found), indent=None)
        console.print(f"generation, {name}: {found['baseline'] / found['ours']:.2f}x")
    if any("image" in name for name in names):
        for count in PICTURES:
            added, _ = peak(pictures_held, count)
            console.print(f"scoring {count} pictures of 576 tokens: {added / 1e6:.0f} MB added")


if __name__ == "__main__":
    main(sys.argv[1:] or list(ROWS))
