"""The folder of a model that a single command makes: once, resumed after a kill, by one process."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearbench.errors import StorageError
from clearbench.models.adapters import is_adapter, load_adapter
from clearbench.models.base import Model
from clearbench.models.load import load_model
from clearbench.processes import processes
from clearbench.storage import MANIFEST, content_hash, is_finished, new_folder, read_json


@dataclass(frozen=True)
class ModelFolder:
    """Where a command leaves a model.

    Attributes:
        out: The folder.
        about: All that decides the model, as JSON: its manifest records it.
    """

    out: Path
    about: dict[str, Any]

    @property
    def checkpoints(self) -> Path:
        """Where a long training keeps its state; other settings have another place."""
        return self.out.with_name(f"{self.out.name}.unfinished-{content_hash(self.about)}")

    def is_there(self) -> bool:
        """Whether the same model has been finished here.

        Raises:
            StorageError: There is something else, which is left as it is.
        """
        if is_finished(self.out):
            if read_json(self.out / MANIFEST)["about"] == self.about:
                return True
            what = "this folder holds what other settings, another model or other data gave"
        elif self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            what = "there is something else already"
        else:
            return False
        raise StorageError(what, str(self.out), "choose another --out, or remove it")

    def load(self, model: Model) -> Model:
        """Loads the finished model; adapters are put on a copy of the one they are for."""
        if not is_adapter(self.out):
            return load_model(self.out, kind=model.kind)
        adapted = model.duplicate()
        load_adapter(adapted, self.out)
        return adapted

    def save(self, model: Model) -> None:
        """Writes the model by the main process of a launch; the others wait for it."""
        if processes().is_main_process:
            with new_folder(self.out, self.about) as folder:
                model.save(folder)
            shutil.rmtree(self.checkpoints, ignore_errors=True)
        processes().wait_for_everyone()
