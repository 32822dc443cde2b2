"""Shadow models per CPU-second: heads at once against plain loops, and against a core's rate.

    OMP_NUM_THREADS=1 python benchmarks/shadow_models.py [HEADS]

The heads are those of recipes/clear-vision.yaml: a projection and an additive-margin head on the
frozen tower of the built-in base. All sides see the same rows in the same order and take as many
steps of AdamW. The plain loops are what one writes by hand with torch: one model after the other,
over features that are computed once, or over whole networks, of which a few steps are timed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import torch
from measure import cpu_seconds
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional

from clearbench.builtin.models import builtin_model
from clearbench.data.dataset import Dataset
from clearbench.data.halves import in_half
from clearbench.data.sources.base import Request, load_request
from clearbench.models.classifier import Classifier
from clearbench.models.embedding_heads import Features, HeadModel
from clearbench.models.heads import with_head
from clearbench.runs.stages.match import images
from clearbench.training.finetune import teaching_feed
from clearbench.training.heads import stacked
from clearbench.training.many import teach_many
from clearbench.training.settings import TrainSettings

TEACH = TrainSettings(
    steps=60, batch_size=32, learning_rate=1e-2, warmup=0.0, decay="none", parts=("projector",)
)
SCALE, MARGIN = 30.0, 0.4
#: Steps of whole networks that are timed, and heads at once that are tried.
WHOLE_STEPS, AT_ONCE = 4, (1, 4, 8, 16, 32, 64)
#: Multiplications and additions of a head's forward and backward pass, per weight and row.
OPERATIONS = 6
WIDTH, TIMES = 192, 400
WHOLE, PLAIN = "a plain loop over whole networks", "a plain loop over stored features"
RATE = "what the core's matrix rate allows"


class PlainHead(nn.Module):
    """What one writes by hand."""

    def __init__(self, head: HeadModel) -> None:
        super().__init__()
        self.projection = nn.Parameter(head.module.projection.weight.detach().clone())
        self.directions = nn.Parameter(head.module.classifier.weight.detach().clone())

    def forward(self, features: Tensor) -> Tensor:
        """The (rows, labels) logits."""
        embeddings = functional.normalize(features @ self.projection.T, dim=-1)
        return SCALE * embeddings @ functional.normalize(self.directions, dim=-1).T


def margin_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, the true label's cosine lowered by the margin."""
    lowered = logits - SCALE * MARGIN * functional.one_hot(labels, logits.shape[1])
    return functional.cross_entropy(lowered, labels)


def step(loss: Tensor, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Makes one update."""
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), TEACH.clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


class Task:
    """People, features, and the rows of every step of a seed."""

    def __init__(self) -> None:
        people = load_request(Request("builtin", 8, people=64, strangers=0, seed=0))
        self.dataset: Dataset = in_half(people, "first").for_kind("classifier")
        known = sorted(self.dataset.people("forget") | self.dataset.people("retain"))
        names = [self.dataset.names[person] for person in known]
        backbone = with_head(builtin_model("classifier", names), names, "projected_margin")
        self.features = Features(cast(Classifier, backbone), {})
        began = time.process_time()
        self.features.read(images(self.dataset)[0])
        self.seconds = time.process_time() - began
        rows = [row for split in ("forget", "retain") for row in self.dataset.train_rows(split)]
        self.feed = teaching_feed(rows, [], TEACH, backbone.accepts)

    def heads(self, seeds: Sequence[int]) -> list[HeadModel]:
        """New heads."""
        return [HeadModel.new(self.features, seed) for seed in seeds]

    def at_once(self, seeds: Sequence[int], together: int) -> list[Tensor]:
        """Projections of heads of which some are taught at once."""
        found = []
        for begin in range(0, len(seeds), together):
            chosen = seeds[begin : begin + together]
            many = stacked(self.heads(chosen))
            teach_many(many, self.dataset, TEACH, chosen)
            found += list(many.module.projection.weight.detach())
        return found

    def plain(self, seeds: Sequence[int]) -> list[Tensor]:
        """Projections of heads that are taught one after the other."""
        labels, found = self.features.backbone.labels, []
        for head, seed in zip(self.heads(seeds), seeds, strict=True):
            model = PlainHead(head)
            optimizer = torch.optim.AdamW(
                model.parameters(), lr=TEACH.learning_rate, weight_decay=0.0, fused=True
            )
            for number in range(TEACH.steps):
                items = self.feed(seed, number)["retain"]
                rows = torch.stack([self.features.known[item.media.key] for item in items])
                targets = torch.tensor([labels[item.answer] for item in items])
                step(margin_loss(model(rows), targets), model, optimizer)
            found.append(model.projection.detach())
        return found

    def whole(self, steps: int) -> None:
        """Makes some steps of a whole network."""
        model, labels = self.features.backbone.duplicate(), self.features.backbone.labels
        model.train_only(("vision", "projector"))
        optimizer = torch.optim.AdamW(model.module.parameters(), lr=1e-3, fused=True)
        for number in range(steps):
            items = self.feed(0, number)["retain"]
            (batch,) = model.batch(items)
            targets = torch.tensor([labels[item.answer] for item in items])
            logits = model.module(**batch.inputs).logits
            step(margin_loss(logits, targets), model.module, optimizer)


def multiplied() -> None:
    """Multiplies matrices of the sizes of eight heads, `TIMES` times."""
    rows, weights = torch.randn(8, TEACH.batch_size, WIDTH), torch.randn(8, WIDTH, WIDTH)
    out = torch.empty_like(rows)
    for _ in range(TIMES):
        torch.bmm(rows, weights, out=out)


def main(count: int) -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    task, seeds, console = Task(), range(100, 100 + count), Console()
    found: dict[str, list[Tensor]] = {}
    few = seeds[: max(4, count // 8)]

    def kept(name: str, make: Callable[[], list[Tensor]]) -> Callable[[], None]:
        return lambda: found.update({name: make()})

    tried = [together for together in AT_ONCE if together <= count]
    runs = {
        WHOLE: lambda: task.whole(WHOLE_STEPS),
        PLAIN: kept(PLAIN, partial(task.plain, few)),
        **{f"{k} at once": kept(f"{k} at once", partial(task.at_once, seeds, k)) for k in tried},
        RATE: multiplied,
    }
    taken = cpu_seconds(runs)
    rate = TIMES * 2 * 8 * TEACH.batch_size * WIDTH * WIDTH / taken.pop(RATE)
    weights = WIDTH * (WIDTH + len(task.features.backbone.labels))
    each = {name: seconds / count for name, seconds in taken.items()}
    each[WHOLE] = taken[WHOLE] * TEACH.steps / WHOLE_STEPS
    each[PLAIN] = taken[PLAIN] / len(few)
    each[RATE] = OPERATIONS * weights * TEACH.batch_size * TEACH.steps / rate
    table = Table(title=f"{count} heads, {TEACH.steps} steps of {TEACH.batch_size} rows, one core")
    for head in ("", "ms a model", "models per CPU-second", "times the plain loop over features"):
        table.add_column(head)
    for name, seconds in each.items():
        ratio = each[PLAIN] / seconds
        table.add_row(name, f"{1000 * seconds:.1f}", f"{1 / seconds:.2f}", f"{ratio:.2f}")
    console.print(table)
    alike = zip(found[PLAIN], found[f"{tried[-1]} at once"], strict=False)
    apart = max(float((one - other).abs().max()) for one, other in alike)
    console.print(f"features of all pictures, once: {task.seconds:.2f} CPU-s")
    console.print(
        f"one core: {rate / 1e9:.1f} GFLOP/s; largest difference of a weight: {apart:.1e}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 32)
