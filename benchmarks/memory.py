"""Prints the peak of resident memory, stage by stage, beside the weights in float32.

OMP_NUM_THREADS=1 python benchmarks/memory.py [--model MODEL] [--data DATA] [--set field=value ...]

Loading, measuring and unlearning follow each other in one process. A stage's own peak is what the
process held at most while it lasted, less what it holds of libraries; on a GPU it is what torch had
allocated. The built-in model is small beside the libraries: give one of the size that is meant, or
`random:FAMILY` for random weights of a family at about 150 MB. Beside what unlearning took stands
what was foreseen of it without weights, as `clearbench run --plan` does.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import torch
import yaml
from transformers import AutoConfig, AutoModelForCausalLM

from clearbench import api
from clearbench.builtin.models import builtin_model
from clearbench.data.dataset import Dataset
from clearbench.data.load import load_dataset
from clearbench.data.modality import parse_modalities
from clearbench.devices import compute_device
from clearbench.methods.base import method as named_method
from clearbench.models.base import Model
from clearbench.models.load import load_model
from clearbench.models.outline import outlined, untaught
from clearbench.runs.cost import release_memory
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
        gc.collect()
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


def foreseen(
    model: str, dataset: Dataset, settings: dict[str, Any], method: str
) -> PeakMemory | None:
    """Foresees the run of a method without weights; None for the built-in model."""
    if model == "builtin":
        return None
    outline = outlined(lambda: untaught(model))
    track = "text" if outline.kind == "language" else "both"
    return unlearning_memory(
        outline,
        dataset.for_kind(outline.kind),
        named_method(method),
        parse_modalities(track),
        TrainSettings.of(**settings),
    )


def random_model(family: str, folder: Path) -> str:
    """Writes random weights of a language model's family, with the built-in tokenizer."""
    tokenizer = builtin_model("language").processor
    torch.manual_seed(0)
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
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="builtin", help="folder, hub id, `smollm2`, `builtin`")
    parser.add_argument("--data", default="builtin", help="what `load_dataset` takes")
    parser.add_argument("--method", default="npo")
    parser.add_argument("--set", action="append", default=[], help="training field=value")
    given = parser.parse_args()
    changes = {
        key: yaml.safe_load(value) for key, _, value in (s.partition("=") for s in given.set)
    }
    about = {"people": 20, "forget": 4} if given.data != "builtin" else {}
    dataset, settings = load_dataset(given.data, **about), SETTINGS | changes
    with TemporaryDirectory() as folder:
        model = given.model
        if model.startswith("random:"):
            model = random_model(model.removeprefix("random:"), Path(folder))
        peaks, weights = measured(model, dataset, settings, given.method)
        memory = foreseen(model, dataset, settings, given.method)
    print(f"{given.model} on {peaks.device.type}: weights in float32 {weights / MEGABYTE:.0f} MB")
    if peaks.libraries:
        print(f"libraries {peaks.libraries / MEGABYTE:.0f} MB, not counted below")
    for stage, peak in peaks.by_stage.items():
        print(f"{stage:<20}{peak / MEGABYTE:8.0f} MB  {peak / weights:5.2f} x the weights")
    if memory is not None:
        *_, last = peaks.by_stage.values()
        of_copy = memory.of_copy()
        shown = ", ".join(f"{name} {n / MEGABYTE:.0f}" for name, n in memory.parts.items() if n)
        print(f"{'foreseen':<20}{of_copy / MEGABYTE:8.0f} MB  {of_copy / last - 1:+.0%} ({shown})")


if __name__ == "__main__":
    main()
