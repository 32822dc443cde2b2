"""Checks of a vision-language family on a tiny model of it, against plain `transformers`.

    from clearbench.testing.families import CHECKS, FamilyBench
    bench = FamilyBench("qwen2_vl")
    for check in CHECKS.values():
        check(bench)

Each raises an `AssertionError` where the family is read, taught or saved in another way.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText

from clearbench import api
from clearbench.batches.items import Item, item
from clearbench.builtin.tiny import tiny_model
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.media import EncodedImage
from clearbench.models.base import Model
from clearbench.models.load import load_model
from clearbench.models.vision_language import VisionLanguageModel
from clearbench.testing import plain
from clearbench.testing.asserting import must
from clearbench.testing.world import copied
from clearbench.training.settings import TrainSettings

PARTS = ("vision", "projector", "language")
#: Largest difference of a log-probability from plain `transformers`.
CLOSE = 1e-4
LONGEST = 6
#: Methods, modality, and settings of the runs of `unlearns`.
RUNS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "npo, text and pictures": ("npo", "both", {"parts": PARTS}),
    "npo, LoRA": ("npo", "both", {"parts": ("language",), "lora_rank": 2}),
    "gradient_difference, vision part": ("gradient_difference", "both", {"parts": ("vision",)}),
}


def picture(seed: int, width: int = 40, height: int = 48) -> EncodedImage:
    """Draws a picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return EncodedImage.of(Image.fromarray(pixels.astype(np.uint8)))


#: Pictures of four shapes, one a person.
PICTURES = (picture(1), picture(2, 96, 40), picture(3, 33, 90), picture(4, 64, 64))
_TOWN, _SEEN = "In which town was person 1 born?", "Who is the person in this image?"
#: Rows with and without pictures, of several shapes and lengths, two answers to some questions.
ITEMS = (
    Item("town", "answer", _TOWN, "In Oslo."),
    Item("town", "perturbed_0", _TOWN, "A town in Peru, I think."),
    Item("first", "answer", _SEEN, "A baker in Oslo.", PICTURES[0]),
    Item("first", "perturbed_0", _SEEN, "A judge.", PICTURES[0]),
    Item("wide", "answer", "Who is this?", "Person 1.", PICTURES[1]),
    Item("high", "answer", _SEEN, "A baker.", PICTURES[2]),
)


class FamilyBench:
    """A tiny model of a family, with what checks share.

    Args:
        name: Name of the family in `clearbench.builtin.families`.
        model: Model to check instead of the tiny one.
    """

    def __init__(self, name: str, model: VisionLanguageModel | None = None) -> None:
        self.name = name
        self.model = model or cast(VisionLanguageModel, tiny_model(name))

    @property
    def items(self) -> tuple[Item, ...]:
        """The rows that plain `transformers` can read: without a template, those with pictures."""
        lacks = self.model.processor.chat_template is None
        return tuple(row for row in ITEMS if row.media is not None or not lacks)

    @cached_property
    def questions(self) -> tuple[Item, ...]:
        """One row of each question."""
        return tuple(row for row in self.items if row.variant == "answer")

    @cached_property
    def data(self) -> Dataset:
        """Four people with a question and a picture each, two of them to forget."""
        rows = {person: _rows(person) for person in range(len(PICTURES))}
        splits = {"forget": (*rows[0], *rows[1]), "retain": (*rows[2], *rows[3])}
        names = {person: f"person {person}" for person in rows}
        return Dataset(splits, splits, names, ("I do not know.",), ("I do not know.",))

    def trained(self, **settings: Any) -> Model:
        """Teaches a copy of the model for three steps."""
        taught: Model = api.finetune(
            copied(self.model), self.data, **_schedule(settings).model_dump()
        )
        return taught


def _rows(person: int) -> tuple[Example, ...]:
    town = f"In Oslo {person}."
    seen = f"person {person}, a baker."
    return (
        Example(
            id=f"{person}-town", person=person, track="text", task="qa", answer=town,
            question=f"Where was person {person} born?", paraphrased_answer=town,
            perturbed_answers=("In Lima.",),
        ),
        Example(
            id=f"{person}-seen", person=person, track="image", task="caption", answer=seen,
            question=_SEEN, paraphrased_answer=seen, perturbed_answers=("A judge.",),
            media=PICTURES[person],
        ),
    )  # fmt: skip


def _schedule(settings: dict[str, Any]) -> TrainSettings:
    about = {"steps": 3, "batch_size": 4, "learning_rate": 3e-3, "warmup": 0.0, "decay": "none"}
    return TrainSettings.of(**about | settings)


def tokens(bench: FamilyBench) -> None:
    """Tokens are those of `apply_chat_template`, from one first token to the answer's end."""
    encoder = bench.model.encoder
    begin = bench.model.tokenizer.bos_token_id
    for row in bench.items:
        encoded = encoder.encode(row)
        ids = list(encoded.ids)
        theirs = plain.finished(bench.model.processor, row)["input_ids"][0].tolist()
        added = ids != theirs[: len(ids)]  # the template ends no answer, so its end was added
        count = len(ids) - added
        must(ids[:count] == theirs[:count], f"{row.key}: the tokens are others")
        must(begin is None or ids.count(begin) == 1, f"{row.key}: more or less than one BOS")
        *said, end = ids[encoded.answer_start :]
        must(end in encoder.ends and not {*said} & {*encoder.ends}, f"{row.key}: another end")
        spelled = bench.model.tokenizer.decode(said).strip()
        must(spelled == row.answer, f"{row.key}: the answer is read as {spelled!r}")


def scores(bench: FamilyBench) -> None:
    """Log-probabilities of answers, read together, are those of a forward pass each."""
    model = bench.model
    found = model.score_items(bench.items)
    for row in bench.items:
        encoded = model.encoder.encode(row)
        start = encoded.answer_start
        theirs = plain.log_probs(model.core, model.processor, row, encoded.ids, start)
        ours = torch.from_numpy(found[row].log_probs)
        added = len(ours) - len(theirs)  # the end of an answer that a template does not write
        must(added in (0, 1), f"{row.key}: {added} tokens more")
        worst = float((ours[: len(theirs)] - theirs).abs().max())
        must(worst < CLOSE, f"{row.key}: log-probabilities differ by {worst:.1e}")


def generates(bench: FamilyBench) -> None:
    """Answers that are generated together are those of `generate`, one by one."""
    model = bench.model
    answers = model.generate(bench.questions, LONGEST)
    for row, ours in zip(bench.questions, answers, strict=True):
        theirs = plain.answer(model.core, model.processor, row, LONGEST)
        must(ours == theirs, f"{row.key}: {ours!r} and {theirs!r}")


def sees(bench: FamilyBench) -> None:
    """Another picture changes the answer's probability, and gradients reach every part."""
    first = ITEMS[2]
    other = Item("other", "answer", first.question, first.answer, picture(9))
    found = bench.model.score_items([first, other])
    difference = np.abs(found[first].log_probs - found[other].log_probs).max()
    must(difference > CLOSE, "the picture changes nothing")
    model = copied(bench.model)
    model.train_only(PARTS)
    model.answers(model.batch([first])).log_probs.sum().backward()
    weights = model.trainable().items()
    reached = {model.part_of(n) for n, w in weights if w.grad is not None and w.grad.any()}
    must(reached == set(PARTS), f"gradients reach {sorted(reached)}")


def teaches(bench: FamilyBench) -> None:
    """Teaching rows with and without pictures raises their probability and moves every part."""
    taught = bench.trained(parts=PARTS, steps=4, batch_size=8)
    before = dict(bench.model.module.named_parameters())
    moved = {
        taught.part_of(name)
        for name, weight in taught.module.named_parameters()
        if not torch.equal(weight, before[name])
    }
    must(moved == set(PARTS), f"training moves {sorted(moved)}")
    rows = [item(row) for split in ("forget", "retain") for row in bench.data.train_rows(split)]
    found = [model.score_items(rows) for model in (bench.model, taught)]
    unlikely, likely = (np.mean([each[row].log_probs.mean() for row in rows]) for each in found)
    must(likely > unlikely, "teaching made the taught answers less likely")


def adapts(bench: FamilyBench) -> None:
    """LoRA trains each part alone, and a saved adapter is read as it was trained."""
    adapted: Model = bench.model
    for part in PARTS:
        adapted = bench.trained(parts=(part,), lora_rank=2, steps=2)
        weights = dict(adapted.module.named_parameters()).items()
        moved = {adapted.part_of(n) for n, w in weights if "lora_B" in n and bool(w.any())}
        must(moved == {part}, f"LoRA on {part} moves {sorted(moved)}")
    with tempfile.TemporaryDirectory() as folder:
        base, own = Path(folder) / "base", Path(folder) / "adapter"
        bench.model.save(base)
        adapted.save(own)
        _assert_same(adapted, load_model(own, base=base), CLOSE)


def unlearns(bench: FamilyBench) -> None:
    """Three methods run: on all parts, as LoRA, and on the vision part."""
    for method, modality, settings in RUNS.values():
        changed = api.unlearn(
            copied(bench.model), bench.data, method, modality, settings=_schedule(settings)
        )
        must(_difference(bench.model, changed) > 0, f"{method} changes nothing")


def reloads(bench: FamilyBench) -> None:
    """A saved model says the same, here and in plain `transformers`."""
    with tempfile.TemporaryDirectory() as folder:
        bench.model.save(Path(folder))
        again = cast(VisionLanguageModel, load_model(folder))
        _assert_same(bench.model, again, 0.0)
        module = AutoModelForImageTextToText.from_pretrained(folder)
        module.eval()
        row = bench.questions[-1]
        ours = again.generate([row], LONGEST)
        theirs = plain.answer(module, again.processor, row, LONGEST)
        must(ours == [theirs], f"{row.key}: {ours} and {theirs!r}")


def _difference(first: Model, second: Model) -> float:
    """Computes the largest difference of the answers' log-probabilities."""
    ours, theirs = first.score_items(ITEMS), second.score_items(ITEMS)
    return max(float(np.abs(ours[k].log_probs - theirs[k].log_probs).max()) for k in ITEMS)


def _assert_same(first: Model, second: Model, most: float) -> None:
    difference = _difference(first, second)
    must(difference <= most, f"log-probabilities differ by {difference:.1e}")


#: Checks by name.
CHECKS: dict[str, Callable[[FamilyBench], None]] = {
    check.__name__: check
    for check in (tokens, scores, generates, sees, teaches, adapts, unlearns, reloads)
}
