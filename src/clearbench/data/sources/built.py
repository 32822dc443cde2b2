"""Source of folders that `clearbench build` wrote."""

from __future__ import annotations

from clearbench.data.clear import configurations, is_clear_folder, read_dataset, share_of
from clearbench.data.dataset import Dataset
from clearbench.data.sources.base import DatasetSource, Request, last_forgotten
from clearbench.errors import DataError


class BuiltFolder(DatasetSource, name="FOLDER"):
    """A folder in the layout of CLEAR with its own division."""

    shows = "a folder from `clearbench build`, in the layout of CLEAR"
    position = 10

    def recognises(self, request: Request) -> bool:
        """Whether the folder has the file that `clearbench build` writes."""
        return is_clear_folder(request.path)

    def load(self, request: Request) -> Dataset:
        """Reads the folder; a number of people to forget divides the same people anew."""
        dataset = read_dataset(request.path)
        if isinstance(request.forget, int):
            return last_forgotten(dataset, request.forget)
        names = configurations(share_of(dataset))
        for split, wanted in (("forget", request.forget), ("retain", request.retain)):
            own = names["training", split].removesuffix("+tofu")
            if wanted not in (None, own):
                fix = f"this folder has '{own}'; leave {split} out, or give a number of people"
                raise DataError(f"unknown split '{wanted}'", request.source, fix)
        return dataset
