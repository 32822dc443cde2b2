"""Names the files of a run's folder, and finds those that have changed since the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from clearbench.errors import StorageError
from clearbench.runs.schema import RESULTS
from clearbench.storage import MANIFEST, changed_files

RECIPE, PAGE = "recipe.yaml", "report.html"
#: Folder of the stages in a run's folder, unless it names a store.
STAGES = "stages"


def damaged_files(out: Path) -> Iterator[str]:
    """Yields a line for every file of a run's folder that is not what the run wrote."""
    if (out / MANIFEST).is_file() or (out / RESULTS).is_file():
        try:
            yield from (f"{name}: changed or missing" for name in changed_files(out))
        except StorageError as error:
            yield f"{MANIFEST}: {error.what}"


def stages_of(folder: Path, store: Path | None) -> Path:
    """Finds the stages of a run: in the store it shares, or in its own folder.

    Raises:
        StorageError: There are none.
    """
    place = store or folder / STAGES
    if not place.is_dir():
        raise StorageError(
            "no stages here", str(place), "give the folder of a run, and --store as for the run"
        )
    return place
