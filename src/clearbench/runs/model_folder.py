"""Keeps the model of a single command in a folder: made once, by one process, and resumable."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearbench.data.dataset import Dataset
from clearbench.errors import StorageError
from clearbench.methods.base import Method
from clearbench.models.adapters import (
    is_adapted,
    is_adapter,
    load_adapter,
    merge_adapters,
    name_base,
)
from clearbench.models.base import Model
from clearbench.models.load import load_model
from clearbench.processes import processes
from clearbench.runs.code import code_digests, modules_of
from clearbench.storage import MANIFEST, about, canonical_json, content_hash, damage, new_folder
from clearbench.training.settings import TrainSettings

#: Folder of the adapter, in that of the model into which it is merged.
ADAPTER = "adapter"
#: What writes more into a folder; None in a process that does not write.
Also = Callable[[Path | None], None]


def unlearning(chosen: Method, modality: str, train: TrainSettings) -> dict[str, Any]:
    """Returns what decides a model that unlearned, besides the model and the data before it."""
    return {
        "command": "unlearn",
        "method": chosen.name,
        "hyperparameters": chosen.model_dump(mode="json"),
        "code": code_digests(modules_of(chosen)),
        "modality": modality,
        "train": train.model_dump(mode="json"),
    }


def model_folder(
    out: str | Path, about: dict[str, Any], model: Model, dataset: Dataset, seed: int
) -> ModelFolder:
    """Names the folder of what becomes of a model, and all that decides it.

    Args:
        out: Path of the folder.
        about: Command and settings.
        model: Model before it.
        dataset: Rows.
        seed: Seed.
    """
    return ModelFolder(
        Path(out),
        about
        | {
            "seed": int(seed),
            "model": model.fingerprint,
            "dtype": str(model.core.dtype).removeprefix("torch."),
            "data": dataset.fingerprint,
        },
    )


@dataclass(frozen=True)
class ModelFolder:
    """Folder that a command writes a model to.

    Attributes:
        out: Path of the folder.
        about: Settings and inputs that decide the model, as JSON: its manifest records them.
    """

    out: Path
    about: dict[str, Any]

    @property
    def checkpoints(self) -> Path:
        """Folder of a long training's state; other settings have another one."""
        return self.out.with_name(f"{self.out.name}.unfinished-{content_hash(self.about)}")

    def is_there(self) -> bool:
        """Whether the same model has been finished here.

        Raises:
            StorageError: There is something else, or a damaged model, which is left as it is.
        """
        if (self.out / MANIFEST).is_file():
            if wrong := damage(self.out):
                what = f"this folder is damaged: {'; '.join(wrong)}"
                raise StorageError(what, str(self.out), "remove it, and it is made again")
            if about(self.out) == json.loads(canonical_json(self.about)):
                return True
            what = "this folder holds what other settings, another model or other data gave"
        elif self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            what = "there is something else already"
        else:
            return False
        raise StorageError(what, str(self.out), "choose another --out, or remove it")

    def load(self, model: Model) -> Model:
        """Loads the finished model; adapters and guards are added to a copy of their base."""
        if not is_adapter(self.out):
            return load_model(
                self.out, kind=model.kind, dtype=model.core.dtype, device=model.device
            )
        adapted = model.duplicate()
        load_adapter(adapted, self.out)
        return adapted

    def save(self, model: Model, base: str | None, also: Also | None = None) -> None:
        """Writes the model by the main process of a launch; the others wait for it.

        Adapters are merged into the weights, in place, and are written beside them as well; on
        quantised weights, which cannot take them without loss, they are written alone.

        Args:
            model: Model.
            base: Where the weights under the adapters can be loaded from; None for nowhere.
            also: Function called by every process before the folder counts as finished, with its
                temporary place in the main one, to write more into it.
        """
        adapted, main = is_adapted(model), processes().is_main_process
        whole = base is None or not getattr(model.core, "is_quantized", False)
        name_base(model, base)
        with new_folder(self.out, self.about) if main else nullcontext() as folder:
            if folder is not None and adapted and whole and base is not None:
                model.save(folder / ADAPTER)
            if whole:
                merge_adapters(model)
            if folder is not None:
                model.save(folder)
            if also is not None:
                also(folder)
        if main:
            self.forget_checkpoints()
        processes().wait_for_everyone()

    def forget_checkpoints(self) -> None:
        """Removes the state of a training that has ended."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)
