"""Keeps the model of a single command in a folder: made once, by one process, and resumable."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearbench.errors import StorageError
from clearbench.models.adapters import is_adapter, load_adapter, merge_adapters, name_base
from clearbench.models.base import Model
from clearbench.models.load import load_model
from clearbench.processes import processes
from clearbench.storage import MANIFEST, about, canonical_json, content_hash, damage, new_folder


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

    def save(self, model: Model, base: str | None) -> None:
        """Writes the model by the main process of a launch; the others wait for it.

        Args:
            model: Model whose adapters are written alone where their base can be loaded again, and
                merged into the weights elsewhere.
            base: Where the weights under the adapters can be loaded from; None for nowhere.
        """
        if base is None:
            merge_adapters(model)
        name_base(model, base)
        if processes().is_main_process:
            with new_folder(self.out, self.about) as folder:
                model.save(folder)
            self.forget_checkpoints()
        processes().wait_for_everyone()

    def forget_checkpoints(self) -> None:
        """Removes the state of a training that has ended."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)
