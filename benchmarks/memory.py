"""Prints the peak of resident memory, stage by stage, beside the weights in float32.

OMP_NUM_THREADS=1 python benchmarks/memory.py [--model MODEL ...] [--data DATA] [--set FIELD=VALUE]

Loading, measuring and unlearning follow each other in one process. A stage's own peak is what the
process held at most while it lasted, less what it holds of libraries once a tiny model was
unlearned; on a GPU it is what torch had allocated. The built-in model is small beside that:
give one of the size that is meant, or `random:FAMILY` for random weights: 150 MB of a language
model's family, 13 to 40 MB of a vision-language one. Beside what unlearning took stands what was
foreseen of it without weights, as `clearbench run --plan` does; several models end in one table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import torch
import yaml
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

from clearbench import api
from clearbench.builtin.families.base import tiny_families
from clearbench.builtin.folder import BUILTIN
from clearbench.builtin.models import builtin_model
from clearbench.builtin.tiny import tiny_model
from clearbench.data.dataset import Dataset
from clearbench.data.load import load_dataset
from clearbench.data.modality import parse_modalities
from clearbench.devices import compute_device
from clearbench.methods.base import method as named_method
from clearbench.models.base import Model
from clearbench.models.load import load_model
from clearbench.models.outline import outlined, untaught
from clearbench.runs.cost import release_memory
from clearbench.runs.stages.model import ModelSource
from clearbench.testing import tiny_dataset
from clearbench.training.peak_memory import PeakMemory, unlearning_memory
from clearbench.training.settings import TrainSettings

MEGABYTE = 2**20
#: What recipes/tofu-smollm2.yaml unlearns with, in few steps.
SETTINGS = {
    "steps": 3, "batch_size": 8, "learning_rate": 5e-4, "parts": ["language"], "lora_rank": 16,
}  # fmt: skip
#: Sizes of random models, by the names that configurations have for them.
WIDTH, LAYERS, HEADS = 640, 10, 8
SIZES = {
    "hidden_size": WIDTH, "n_embd": WIDTH, "intermediate_size": 3 * WIDTH, "n_inner": 3 * WIDTH,
    "num_hidden_layers": LAYERS, "n_layer": LAYERS, "num_attention_heads": HEADS, "n_head": HEADS,
    "num_key_value_heads": HEADS // 2, "head_dim": WIDTH // HEADS,
}  # fmt: skip
#: Width of the perceptrons of a vision-language family's two layers, where the weights are.
PERCEPTRON = 16384


class Peaks:
    """Peaks of memory by stage, in bytes.

    Args:
        device: Device that computes.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.by_stage: dict[str, int] = {}
        self.libraries = self._held()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Notes the peak while entered."""
        release_memory()
        self._forget_peak()
        try:
            yield
        finally:
            self.by_stage[name] = self._peak() - self.libraries

    def _held(self) -> int:
        if self.device.type == "cuda":
            return 0
        release_memory()
        return int(psutil.Process().memory_info().rss)

    def _forget_peak(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            Path("/proc/self/clear_refs").write_text("5")

    def _peak(self) -> int:
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        status = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024


def measured(
    model: str, dataset: Dataset, settings: dict[str, Any], method: str
) -> tuple[Peaks, int]:
    """Measures loading, scoring and one run of a method; returns peaks and weights."""
    place = compute_device()
    peaks = Peaks(place)
    with peaks.stage("load"):
        loaded = _loaded(model)
    with peaks.stage("evaluate"):
        api.evaluate(loaded, dataset, limit=8, max_new_tokens=8)
    track = "text" if loaded.kind == "language" else "both"
    with peaks.stage(f"unlearn, {method}"):
        api.unlearn(loaded, dataset, method, track, settings=TrainSettings.of(**settings))
    return peaks, 4 * sum(weight.numel() for weight in loaded.module.parameters())


def foreseen(model: str, dataset: Dataset, settings: dict[str, Any], method: str) -> PeakMemory:
    """Foresees the run of a method without weights."""
    source = ModelSource("vision-language", BUILTIN)
    outline = outlined(lambda: source.outline(dataset) if model == BUILTIN else untaught(model))
    track = "text" if outline.kind == "language" else "both"
    return unlearning_memory(
        outline,
        dataset.for_kind(outline.kind),
        named_method(method),
        parse_modalities(track),
        TrainSettings.of(**settings),
    )


def load_libraries(family: str) -> None:
    """Unlearns with a tiny model once, so that nothing is left to import."""
    tiny = tiny_model(family if family in tiny_families() else "vision-language")
    settings = TrainSettings.of(**SETTINGS | {"steps": 1, "batch_size": 1, "lora_rank": 1})
    api.unlearn(tiny, tiny_dataset(), "npo", settings=settings)


def random_model(family: str, folder: Path) -> str:
    """Writes random weights of a family; of a language model's with the built-in tokenizer."""
    torch.manual_seed(0)
    if family in tiny_families():
        tiny = tiny_families()[family]()
        tokenizer = tiny.tokenizer()
        config = tiny.config(tokenizer)
        config.get_text_config().intermediate_size = PERCEPTRON
        AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
        tiny.processor(tokenizer).save_pretrained(folder)
        return str(folder)
    tokenizer = builtin_model("language").processor
    config = AutoConfig.for_model(family)
    for name, size in SIZES.items():
        if hasattr(config, name):
            setattr(config, name, size)
    config.vocab_size, config.tie_word_embeddings = 32768, True
    config.pad_token_id, config.eos_token_id = tokenizer.pad_token_id, tokenizer.eos_token_id
    config.bos_token_id = None
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _loaded(model: str) -> Model:
    return builtin_model("vision-language") if model == "builtin" else load_model(model)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", nargs="+", default=["builtin"], help="folder, hub id, `smollm2`, `builtin`"
    )
    parser.add_argument("--data", default="builtin", help="what `load_dataset` takes")
    parser.add_argument("--method", default="npo")
    parser.add_argument("--set", action="append", default=[], help="training field=value")
    given = parser.parse_args()
    changes = {
        key: yaml.safe_load(value) for key, _, value in (s.partition("=") for s in given.set)
    }
    about = {"people": 20, "forget": 4} if given.data != "builtin" else {}
    dataset, settings = load_dataset(given.data, **about), SETTINGS | changes
    rows = [_row(model, dataset, settings, given.method) for model in given.model]
    print(f"\n{'MB, unlearning with ' + given.method:<30}{'weights':>9}{'took':>9}{'foreseen':>9}")
    for name, weights, took, of_copy in rows:
        sizes = "".join(f"{size / MEGABYTE:9.0f}" for size in (weights, took, of_copy))
        print(f"{name:<30}{sizes}{of_copy / took - 1:+9.0%}")


def _row(
    name: str, dataset: Dataset, settings: dict[str, Any], method: str
) -> tuple[str, int, int, int]:
    """Measures and foresees one model; returns its name, weights, peak and forecast."""
    family = name.removeprefix("random:")
    load_libraries(family)
    with TemporaryDirectory() as folder:
        model = random_model(family, Path(folder)) if family != name else name
        peaks, weights = measured(model, dataset, settings, method)
        memory = foreseen(model, dataset, settings, method)
    print(f"{name} on {peaks.device.type}: weights in float32 {weights / MEGABYTE:.0f} MB")
    if peaks.libraries:
        print(f"libraries {peaks.libraries / MEGABYTE:.0f} MB, not counted below")
    for stage, peak in peaks.by_stage.items():
        print(f"{stage:<20}{peak / MEGABYTE:8.0f} MB  {peak / weights:5.2f} x the weights")
    shown = ", ".join(f"{part} {n / MEGABYTE:.0f}" for part, n in memory.parts.items() if n)
    print(f"{'foreseen':<20}{memory.of_copy() / MEGABYTE:8.0f} MB  ({shown})", flush=True)
    *_, last = peaks.by_stage.values()
    return name, weights, last, memory.of_copy()


if __name__ == "__main__":
    main()
