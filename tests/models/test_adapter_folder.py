"""Saved adapters, ours and PEFT's own: read onto their base as PEFT reads them, or refused."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from peft import (
    IA3Config,
    LoraConfig,
    PeftConfig,
    PolyConfig,
    PromptTuningConfig,
    get_peft_model,
)
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LlamaForCausalLM

from clearbench import api
from clearbench.errors import ModelError
from clearbench.methods.base import method
from clearbench.methods.guard import FittedGuard, Guard, as_tensor
from clearbench.models.guards import save_guards
from clearbench.models.load import load_model
from clearbench.runs.stages.model import ModelSource
from clearbench.testing import tiny_dataset
from clearbench.training.settings import TrainSettings

IDS = torch.tensor([[10, 20, 30, 40, 50]])
CONFIG, ADAPTER = "adapter_config.json", "adapter_model.safetensors"


@pytest.fixture
def base(tiny_folder: Path, tmp_path: Path) -> Path:
    """A saved language model with tied embeddings."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "base"))


@torch.no_grad()
def logits(module: Any) -> Tensor:
    found: Tensor = module.eval()(input_ids=IDS).logits
    return found


def lora(**fields: Any) -> LoraConfig:
    about: dict[str, Any] = {"r": 2, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    return LoraConfig(**about | fields)


def saved(base: Path, config: PeftConfig, folder: Path) -> Tensor:
    """Saves an adapter of PEFT's with random weights; returns the logits of the adapted model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PEFT about tied embeddings
        module = get_peft_model(LlamaForCausalLM.from_pretrained(base), config)
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for weight in (p for p in module.parameters() if p.requires_grad):
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
        module.save_pretrained(folder)
        return logits(module)


CONFIGS: dict[str, PeftConfig] = {
    "lora": lora(),
    "alpha": lora(lora_alpha=32),
    "rank stabilised": lora(use_rslora=True),
    "dora": lora(use_dora=True),
    "without a task": lora(task_type=None),
    "biases": lora(bias="all"),
    "whole head": lora(modules_to_save=["lm_head"]),
    "tied head": lora(target_modules=["lm_head"]),
    "tied embeddings": lora(target_modules=["embed_tokens"]),
    "both of a tie": lora(target_modules=["embed_tokens", "lm_head", "q_proj"]),
    "scaled activations": IA3Config(
        target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_an_adapter_gives_what_peft_gives(base: Path, tmp_path: Path, name: str) -> None:
    wanted = saved(base, CONFIGS[name], tmp_path / "adapter")
    found = load_model(tmp_path / "adapter")
    torch.testing.assert_close(logits(found.core), wanted, atol=1e-5, rtol=1e-5)
    assert (wanted - logits(load_model(base).core)).abs().max() > 1e-3
    found.save(tmp_path / "whole")
    torch.testing.assert_close(logits(load_model(tmp_path / "whole").core), logits(found.core))


def test_an_adapter_of_an_adapter(base: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    saved(base, lora(), first)
    load_model(first).save(tmp_path / "whole")
    wanted = saved(tmp_path / "whole", lora(r=4), second)
    edit_config(second, base_model_name_or_path=str(first))
    torch.testing.assert_close(logits(load_model(second).core), wanted, atol=1e-5, rtol=1e-5)


def edit_config(folder: Path, **fields: Any) -> None:
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_base_that_has_moved_is_asked_for(base: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    wanted = saved(base, lora(), adapter)
    moved = base.rename(tmp_path / "moved")
    for name in (None, str(base), "../nowhere", "someone/model"):
        edit_config(adapter, base_model_name_or_path=name)
        with pytest.raises(ModelError, match=r"base=\.\.\., --base"):
            load_model(adapter)
    torch.testing.assert_close(logits(load_model(adapter, base=moved).core), wanted)
    with pytest.raises(ModelError, match="only an adapter has a base"):
        load_model(moved, base=moved)


def test_an_adapter_that_leads_back_to_itself_is_refused(base: Path, tmp_path: Path) -> None:
    for name, other in (("first", "second"), ("second", "first")):
        saved(base, lora(), tmp_path / name)
        edit_config(tmp_path / name, base_model_name_or_path=str(tmp_path / other))
    for given in (None, tmp_path / "first"):
        with pytest.raises(ModelError, match="leads back to itself"):
            load_model(tmp_path / "first", base=given)


UNMERGED: dict[str, PeftConfig] = {
    "a bias for none": lora(lora_bias=True),
    "mixed by task": PolyConfig(target_modules=["q_proj"], r=2, n_tasks=2, task_type="CAUSAL_LM"),
}


@pytest.mark.parametrize("name", UNMERGED)
def test_an_adapter_that_cannot_be_merged_is_refused(base: Path, tmp_path: Path, name: str) -> None:
    folder, module = tmp_path / "adapter", LlamaForCausalLM.from_pretrained(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PEFT about biases
        get_peft_model(module, UNMERGED[name]).save_pretrained(folder)
    with pytest.raises(ModelError, match="cannot be merged into weights"):
        load_model(folder)


def test_a_base_is_found_beside_its_adapter(base: Path, tmp_path: Path) -> None:
    wanted = saved(base, lora(), tmp_path / "adapter")
    edit_config(tmp_path / "adapter", base_model_name_or_path="../base")
    torch.testing.assert_close(logits(load_model(tmp_path / "adapter").core), wanted)


def of_weights(change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Callable[[Path], None]:
    return lambda folder: save_file(change(load_file(folder / ADAPTER)), folder / ADAPTER)


def as_pickle(folder: Path) -> None:
    torch.save(load_file(folder / ADAPTER), folder / "adapter_model.bin")
    (folder / ADAPTER).unlink()


def beside_a_model(folder: Path) -> None:
    shutil.copy(folder.parent / "base" / "config.json", folder)
    shutil.copy(folder.parent / "base" / "model.safetensors", folder)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "nan": (of_weights(lambda w: {n: v * torch.nan for n, v in w.items()}), "NaN.*lora_A"),
    "missing": (
        of_weights(lambda w: {n: v for n, v in w.items() if "layers.1" not in n}),
        r"missing: model\.layers\.1",
    ),
    "whole numbers": (
        of_weights(lambda w: {n: v.to(torch.int8) + 1 for n, v in w.items()}),
        "whole numbers.*lora_A",
    ),
    "too many": (of_weights(lambda w: {**w, "base_model.model.x": torch.ones(1)}), "no place.*: x"),
    "another rank": (lambda folder: edit_config(folder, r=8), "size mismatch"),
    "no such layer": (lambda folder: edit_config(folder, target_modules=["nope"]), "nope"),
    "of no known type": (lambda folder: edit_config(folder, peft_type="MINE"), "MINE"),
    "pickle": (as_pickle, "pickles.*adapter_model.bin"),
    "truncated": (lambda folder: (folder / ADAPTER).write_bytes(b"12345678"), ADAPTER),
    "no weights": (lambda folder: (folder / ADAPTER).unlink(), f"{ADAPTER}: it is missing"),
    "no object": (lambda folder: (folder / CONFIG).write_text("[]"), CONFIG),
    "beside a whole model": (beside_a_model, "a whole model .* and an adapter"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_adapter_that_does_not_fit_is_refused(base: Path, tmp_path: Path, name: str) -> None:
    damage, told = WRONG[name]
    saved(base, lora(), tmp_path / "adapter")
    damage(tmp_path / "adapter")
    with pytest.raises(ModelError, match=told):
        load_model(tmp_path / "adapter")


def test_trained_prompts_are_refused(base: Path, tmp_path: Path) -> None:
    prompts = PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")
    module = get_peft_model(LlamaForCausalLM.from_pretrained(base), prompts)
    module.save_pretrained(tmp_path / "prompts")
    for source in (tmp_path / "prompts", module):
        with pytest.raises(ModelError, match="PROMPT_TUNING cannot be merged"):
            load_model(source, load_model(base).processor)


def test_the_folder_above_adapters_names_them(base: Path, tmp_path: Path) -> None:
    saved(base, lora(), tmp_path / "all" / "one")
    with pytest.raises(ModelError, match="in its subfolders: one"):
        load_model(tmp_path / "all")


SETTINGS = TrainSettings(steps=1, batch_size=2, lora_rank=2, parts=("language",))


def forgetting(model: Any, out: Path, settings: TrainSettings = SETTINGS) -> Tensor:
    return logits(
        api.unlearn(model, tiny_dataset(), "npo", "text", settings=settings, out=out).core
    )


def test_our_own_adapter_is_read_wherever_a_model_is(
    base: Path, tmp_path: Path, clearbench: Callable[..., Any]
) -> None:
    out = tmp_path / "out"
    wanted = forgetting(base, out)
    assert (out / "model.safetensors").is_file() and (out / "adapter" / CONFIG).is_file()
    torch.testing.assert_close(logits(load_model(out / "adapter").core), wanted)
    torch.testing.assert_close(logits(load_model(out).core), wanted)
    again = forgetting(out, tmp_path / "again")
    torch.testing.assert_close(logits(load_model(tmp_path / "again").core), again)
    assert "causal" not in clearbench("doctor", out).stderr
    source = ModelSource("language", str(out / "adapter"))
    digest = source.digest
    torch.testing.assert_close(logits(source.load(tiny_dataset(), 0).core), wanted)
    (base / "config.json").write_text((base / "config.json").read_text() + " ")
    assert source.digest != digest


def test_an_adapter_whose_base_is_nowhere_is_saved_merged(base: Path, tmp_path: Path) -> None:
    """A model that was changed, or made here, cannot be loaded again under its adapter."""
    changed = load_model(base)
    with torch.no_grad():
        changed.core.model.norm.weight.mul_(2)
    taught = api.finetune(load_model(base), tiny_dataset(), steps=1, batch_size=2)
    for number, model in enumerate((changed, taught)):
        out = tmp_path / str(number)
        wanted = forgetting(model, out)
        assert (out / "model.safetensors").is_file() and not (out / CONFIG).exists()
        torch.testing.assert_close(logits(load_model(out).core), wanted)


@pytest.mark.parametrize("rank", [None, 2])
def test_adapters_that_a_model_has_are_merged_before_it_forgets(
    base: Path, tmp_path: Path, rank: int | None
) -> None:
    """Then the reference is the model with them, and new adapters are on top of them."""
    whole = get_peft_model(LlamaForCausalLM.from_pretrained(base), lora())
    with torch.no_grad():
        for name, weight in whole.named_parameters():
            weight.add_(0.1 if "lora_B" in name else 0.0)
    before = logits(whole)
    settings = SETTINGS.model_copy(update={"lora_rank": rank, "learning_rate": 1e-12})
    model = load_model(whole, load_model(base).processor)
    forgot = api.unlearn(model, tiny_dataset(), "npo", "text", settings=settings)
    torch.testing.assert_close(logits(forgot.core), before, atol=1e-5, rtol=1e-5)
    assert torch.equal(logits(whole), before)


def test_guards_of_the_base_stand_before_those_of_the_adapter(base: Path, tmp_path: Path) -> None:
    saved(base, lora(), tmp_path / "adapter")
    for place, words in ((base, "First"), (tmp_path / "adapter", "Then")):
        chosen = cast(Guard, method("guardrail", instruction=f"{words} not {{names}}."))
        guards = (FittedGuard(chosen, {"text": as_tensor(words)}),)
        save_guards(cast(Any, SimpleNamespace(guards=guards)), place)
    found = [guard.about["hyperparameters"] for guard in load_model(tmp_path / "adapter").guards]
    assert found == [{"instruction": "First not {names}."}, {"instruction": "Then not {names}."}]
