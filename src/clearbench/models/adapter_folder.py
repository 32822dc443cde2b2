"""Reads saved PEFT adapters and merges them into the model that they were trained on."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import peft
import torch
from huggingface_hub import snapshot_download
from peft import PeftConfig, PeftType, get_peft_model
from safetensors.torch import load_file
from torch import Tensor
from transformers.utils.peft_utils import find_adapter_config_file

from clearbench.errors import ModelError
from clearbench.models.adapters import merge_adapters, refuse_prompts
from clearbench.models.base import Model
from clearbench.models.loaded_weights import check_finite
from clearbench.models.model_files import (
    INDEX,
    WEIGHTS,
    check_adapter_files,
    first_line,
    named,
    read_object,
)

CONFIG, ADAPTER = "adapter_config.json", "adapter_model.safetensors"
_PROCESSORS = ("tokenizer_config.json", "processor_config.json", "preprocessor_config.json")
#: Files of an adapter's repository, without the checkpoints and pickles beside them.
_READ = ("*.json", "*.jinja", "*.txt", "*.model", ADAPTER)
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
GIVE_BASE = "give its base: base=..., --base, or models.KIND.base in a recipe"


@dataclass(frozen=True)
class AdapterFolder:
    """A folder with an adapter alone.

    Attributes:
        folder: Folder with `adapter_config.json`.
    """

    folder: Path

    @cached_property
    def _about(self) -> dict[str, Any]:
        return read_object(self.folder / CONFIG)

    @property
    def has_processor(self) -> bool:
        """Whether a processor or tokenizer was saved with it."""
        return any((self.folder / name).is_file() for name in _PROCESSORS)

    def base(self, given: str | Path | None = None) -> str | Path:
        """Finds its base: a folder, or the id of a repository.

        Args:
            given: Place that counts instead of the one that `adapter_config.json` names.

        Raises:
            ModelError: It names none, or one that is not there.
        """
        if given is not None:
            return given
        name = self._about.get("base_model_name_or_path")
        if not isinstance(name, str) or not name:
            raise ModelError("the adapter does not say its base", str(self.folder), GIVE_BASE)
        for place in (Path(name), self.folder / name):
            if place.exists() and place.resolve() != self.folder.resolve():
                return place
        if not _HUB_ID.fullmatch(name):
            what = f"the adapter's base is not there: {name}"
            raise ModelError(what, str(self.folder / CONFIG), GIVE_BASE)
        return name

    def merge_into(self, model: Model) -> None:
        """Merges the adapter into its base, in place.

        Raises:
            ModelError: It is damaged, does not fit the base, or is of a type that cannot be merged.
        """
        check_adapter_files(self.folder, ADAPTER)
        if self._about.get("megatron_config"):
            raise self._unfit("it was made for Megatron's layers", "save it for plain ones")
        self._refuse_type()
        weights = load_file(self.folder / ADAPTER)
        check_finite(weights, str(self.folder / ADAPTER))
        device = str(model.device)
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PEFT about ties and keys, which are checked here
            if model.kind != "classifier":
                self._resize(model, weights)
            try:
                config = PeftConfig.from_pretrained(str(self.folder))
                config.inference_mode = True
                refuse_prompts(config)
                model.module = get_peft_model(model.module, config)
                mapping = getattr(model.core, "_checkpoint_conversion_mapping", {})
                report = model.module.load_adapter(
                    self.folder, "default", torch_device=device, key_mapping=mapping
                )
            except ModelError:
                raise
            except Exception as error:  # PEFT raises anything on what does not fit
                raise self._unfit(first_line(error), GIVE_BASE) from error
        self._refuse_rest(report.missing_keys, "are missing")
        odd = [name for name in report.unexpected_keys if not _is_saved_twice(name, weights)]
        self._refuse_rest(odd, "have no place in its base")
        merge_adapters(model)

    def _refuse_type(self) -> None:
        name = self._about.get("peft_type")
        if name not in PeftType.__members__:
            what = f"{CONFIG}: peft_type = {name!r} is not known to `peft` {peft.__version__}"
            fix = "give an adapter that PEFT can read, such as LORA, or a newer `peft`"
            raise ModelError(what, str(self.folder), fix)

    def _refuse_rest(self, names: list[str], what: str) -> None:
        if names:
            plain = [name.removeprefix("base_model.model.") for name in names]
            raise self._unfit(f"{len(names)} of its weights {what}: {named(plain)}", GIVE_BASE)

    def _unfit(self, why: str, fix: str) -> ModelError:
        return ModelError(f"the adapter does not fit its base: {why}", str(self.folder), fix)

    def _resize(self, model: Model, weights: dict[str, Tensor]) -> None:
        """Gives the base the rows of embeddings that the adapter brings along."""
        core = model.core
        rows = core.get_input_embeddings().num_embeddings
        brought = {
            part: values
            for name, values in weights.items()
            if (part := _embedding_part(core, name)) is not None
        }
        if "input" not in brought or len(brought["input"]) == rows:
            return
        if not _is_tied(core) and "output" not in brought:
            why = f"it brings {len(brought['input'])} embeddings for {rows}, but no head"
            raise self._unfit(why, "save embeddings and head with it")
        core.resize_token_embeddings(len(brought["input"]), mean_resizing=False)


def _embedding_part(core: Any, saved: str) -> str | None:
    """Whether a saved tensor holds all input embeddings, or the whole output head."""
    plain = saved.removeprefix("base_model.model.").replace(".base_layer.", ".")
    layers = {"input": core.get_input_embeddings(), "output": core.get_output_embeddings()}
    names = dict(core.named_modules())
    owner = names.get(plain.removesuffix(".weight"))
    return next(
        (part for part, layer in layers.items() if owner is not None and layer is owner), None
    )


def _is_saved_twice(name: str, weights: dict[str, Tensor]) -> bool:
    """Whether a tensor of a module that is saved whole is there under the module's name as well."""
    return ".modules_to_save" in name and name.replace(".modules_to_save", "") in weights


def _is_tied(core: Any) -> bool:
    head = core.get_output_embeddings()
    return head is not None and head.weight is core.get_input_embeddings().weight


def adapter_at(source: str | Path) -> AdapterFolder | None:
    """Finds an adapter at a source; None where there is a whole model, or nothing yet.

    Raises:
        ModelError: A folder holds a model and an adapter, or models in its subfolders alone.
    """
    folder = Path(source)
    if not folder.exists():
        return _on_hub(str(source))
    if not folder.is_dir():
        return None
    if not (folder / CONFIG).is_file():
        _refuse_nested(folder)
        return None
    whole = [name for name in (WEIGHTS, INDEX) if (folder / name).is_file()]
    whole += sorted(path.name for path in folder.glob("pytorch_model*.bin"))
    if whole:
        raise ModelError(
            f"this folder holds a whole model ({whole[0]}) and an adapter ({CONFIG})",
            str(folder),
            f"move {CONFIG} and {ADAPTER} to a folder of their own, or remove what is not meant",
        )
    return AdapterFolder(folder)


def _refuse_nested(folder: Path) -> None:
    """Refuses a folder with models or adapters in subfolders alone."""
    if (folder / "config.json").is_file() or any(folder.glob("*.gguf")):
        return
    found = {p.parent.name for name in (CONFIG, "config.json") for p in folder.glob(f"*/{name}")}
    if found and not any(folder.glob("guard-*")):
        raise ModelError(
            f"models are in its subfolders: {named(found)}",
            str(folder),
            f"give one of them, such as {folder / sorted(found)[0]}",
        )


def _on_hub(source: str) -> AdapterFolder | None:
    """Downloads an adapter whose repository is given by its id."""
    if not _HUB_ID.fullmatch(source):
        return None
    try:
        if find_adapter_config_file(source) is None:
            return None
        return AdapterFolder(Path(snapshot_download(source, allow_patterns=list(_READ))))
    except (OSError, ValueError):
        return None  # loading it as a model says why it cannot be reached
