"""Measures one GPU in one call: `make gpu`. Under 8 minutes, without a network.

python benchmarks/gpu.py [--tiny] [--write]

First the rate of the card: a large matrix product in bfloat16. Then the built-in model, taught
on the CPU, is scored there in float32 and on the GPU in bfloat16. Then Qwen2-VL-2B (its text rows)
and Llama-2-7B, of the published sizes with random weights, forget by NPO with LoRA and are scored:
tokens a second, the share of the card's rate, and the peak of memory. `--tiny` runs all of it on
small sizes wherever it is, to try the script; `--write` puts the tables into docs/performance.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)

from clearbench import api
from clearbench.builtin.models import builtin_model
from clearbench.data.dataset import Dataset
from clearbench.devices import compute_device
from clearbench.models.token_model import LanguageModel
from clearbench.training.settings import TrainSettings

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- make gpu: begin -->", "<!-- make gpu: end -->"
#: Largest difference of a score from that of the CPU.
SAME_SCORE = 1e-2
#: Text part of Qwen2-VL-2B-Instruct's config.json, and its image tower.
QWEN2_VL_2B = {
    "text_config": {
        "vocab_size": 151936, "hidden_size": 1536, "intermediate_size": 8960,
        "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2,
        "rope_parameters": {
            "rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24],
        },
        "tie_word_embeddings": True,
    },
    "vision_config": {"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "num_heads": 16},
    "tie_word_embeddings": True,
}  # fmt: skip
#: Llama-2-7B's config.json.
LLAMA_7B = {
    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 32,
}  # fmt: skip
#: What `--tiny` changes in both.
TINY = {
    "vocab_size": 3000, "hidden_size": 96, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip


@dataclass
class Read:
    """Tokens that the network has read, padding included, and the time that it took.

    Attributes:
        tokens: Number of tokens.
        seconds: Wall time.
        peak: Most bytes that torch had allocated on the GPU; 0 on a CPU.
    """

    tokens: int = 0
    seconds: float = 0.0
    peak: int = 0


@dataclass(frozen=True)
class Card:
    """The device and what it can do.

    Attributes:
        rate: Floating-point operations a second of a large matrix product in bfloat16.
    """

    device: torch.device
    tiny: bool
    rate: float = field(default=0.0)

    @property
    def name(self) -> str:
        """Name in the table."""
        on_gpu = self.device.type == "cuda"
        return torch.cuda.get_device_name(self.device) if on_gpu else "CPU, tiny sizes"

    def wait(self) -> None:
        """Waits until the device has done all that was asked of it."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def matrix_rate(card: Card) -> float:
    """Measures the operations a second of a square product in bfloat16: the best of five."""
    size = 128 if card.tiny else 8192
    left, right = (
        torch.randn(size, size, device=card.device, dtype=torch.bfloat16) for _ in range(2)
    )
    best = float("inf")
    for _ in range(6):
        card.wait()
        began = time.perf_counter()
        left @ right
        card.wait()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def built_in_scores(card: Card, steps: int) -> tuple[float, str, int]:
    """Scores the built-in model on the CPU in float32 and on the card in bfloat16.

    Returns:
        The largest difference of a score, the score, and the number of scores.
    """
    people = api.build_dataset(4 if card.tiny else 20, 1, 1)
    settings: dict[str, Any] = {"steps": steps, "parts": ("projector", "language")}
    taught = api.finetune(builtin_model("vision-language", device="cpu"), people, **settings)
    limit = 1 if card.tiny else 20
    records = [api.evaluate(taught, people, limit=limit, max_new_tokens=4 if card.tiny else 12)]
    taught.module.to(card.device, torch.bfloat16)
    records.append(api.evaluate(taught, people, limit=limit, max_new_tokens=4 if card.tiny else 12))
    ours, theirs = (api.score(each) for each in records)
    gaps = {key: abs(ours[key].value - theirs[key].value) for key in ours.keys() & theirs.keys()}
    worst = max(sorted(gaps), key=gaps.__getitem__)
    return gaps[worst], worst, len(gaps)


def random_model(card: Card, name: str) -> LanguageModel:
    """Makes a model of published sizes with random weights in bfloat16; it reads text rows."""
    torch.manual_seed(0)
    tokenizer: Any = builtin_model("language", device="cpu").processor
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with card.device:
            module = _qwen(card.tiny) if name == "Qwen2-VL-2B" else _llama(card.tiny)
    finally:
        torch.set_default_dtype(before)
    model = LanguageModel(module, tokenizer)
    model.token_budget = 512 if card.tiny else 16384
    model.train(False)
    return model


def _qwen(tiny: bool) -> nn.Module:
    text = QWEN2_VL_2B["text_config"] | (TINY if tiny else {})  # type: ignore[operator]
    vision = dict(QWEN2_VL_2B["vision_config"])  # type: ignore[call-overload]
    if tiny:
        text["rope_parameters"] = text["rope_parameters"] | {"mrope_section": [4, 4, 4]}
        vision |= {"depth": 1, "embed_dim": 64, "hidden_size": 96, "num_heads": 2}
    config = Qwen2VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True)
    return Qwen2VLForConditionalGeneration(config)


def _llama(tiny: bool) -> nn.Module:
    return LlamaForCausalLM(LlamaConfig(**(LLAMA_7B | (TINY if tiny else {}))))


@contextmanager
def reading(model: LanguageModel, card: Card) -> Iterator[Read]:
    """Counts the tokens that the network reads while entered, and takes the time."""
    read, layers = Read(), model._layers

    def count(_: nn.Module, args: Any, kwargs: Any) -> None:
        states = args[0] if args else kwargs["hidden_states"]
        read.tokens += states.shape[0] * states.shape[1]

    handle = layers[0].register_forward_pre_hook(count, with_kwargs=True)
    if card.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(card.device)
    card.wait()
    began = time.perf_counter()
    try:
        yield read
    finally:
        card.wait()
        read.seconds = time.perf_counter() - began
        handle.remove()
        if card.device.type == "cuda":
            read.peak = torch.cuda.max_memory_allocated(card.device)


def speed(card: Card, name: str, people: Dataset) -> list[str]:
    """Scores and unlearns with a random model; returns the rows of the table."""
    model = random_model(card, name)
    matrices = sum(
        layer.weight.numel() for layer in model._layers.modules() if isinstance(layer, nn.Linear)
    )
    items = [item for item in _text_items(people) if model.accepts(item)]
    with reading(model, card) as scored:
        model.score_items(items)
    settings = TrainSettings.of(
        steps=2 if card.tiny else 8,
        batch_size=2 if card.tiny else 16,
        parts=["language"],
        lora_rank=16,
        gradient_checkpointing=True,
    )
    copied = model.duplicate() if card.tiny else model
    with reading(copied, card) as trained:
        _unlearn(copied, people, settings)
    rows = []
    # A pass is 2 operations a weight and token; backward as much, without those of frozen weights.
    # The hook sees the forward pass and its recomputation: each counted token has half a backward.
    for what, read, operations in (("score", scored, 2.0), ("NPO, LoRA 16", trained, 3.0)):
        share = operations * matrices * read.tokens / read.seconds / card.rate
        peak = f"{read.peak / 2**30:.1f}" if read.peak else "-"
        line = f"| {name} | {what} | {read.tokens / read.seconds:,.0f} | {share:.0%} | {peak} |"
        rows.append(line)
    return rows


def _unlearn(model: LanguageModel, people: Dataset, settings: TrainSettings) -> None:
    from clearbench.methods.base import method
    from clearbench.training.unlearn import unlearn

    unlearn(model, people.for_kind("language"), method("npo"), ("text",), settings)


def _text_items(people: Dataset) -> Iterator[Any]:
    from clearbench.batches.items import item

    for split in ("forget", "retain"):
        yield from map(item, people.train_rows(split, ("text",)))


def section(card: Card) -> str:
    """Runs everything; returns the page's section."""
    card = Card(card.device, card.tiny, matrix_rate(card))
    gap, worst, scores = built_in_scores(card, 1 if card.tiny else 100)
    people = api.build_dataset(4 if card.tiny else 40, 2, 1)
    rows = [row for name in ("Qwen2-VL-2B", "Llama-2-7B") for row in speed(card, name, people)]
    within = "within" if gap <= SAME_SCORE else "NOT within"
    return "\n".join(
        [
            f"{card.name}, torch {torch.__version__}: a product of two square matrices in bfloat16 "
            f"takes {card.rate / 1e12:.2f} TFLOP/s.",
            "",
            f"The built-in model, taught on the CPU: {scores} scores in bfloat16 there differ from "
            f"the CPU's in float32 by at most {gap:.2g} ({worst}), {within} {SAME_SCORE:g}.",
            "",
            "Published sizes, random weights in bfloat16, text rows of the built-in people:",
            "",
            "| model | work | tokens a second | of the card's rate | peak, GiB |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )


def main() -> None:
    """Prints the section, and writes it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="small sizes, on any device")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    given = parser.parse_args()
    card = Card(compute_device(), given.tiny)
    if card.device.type != "cuda" and not given.tiny:
        print("no GPU here; --tiny tries the script on the CPU")
        return
    text = section(card)
    print(text)
    if given.write:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
