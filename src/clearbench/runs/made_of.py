"""Hashes all that the results of a run are made of, so that results that are current are found."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from clearbench.imports import modules_beside
from clearbench.plugins import installed_plugins
from clearbench.runs.code import package_digest, package_files
from clearbench.runs.stage import package_versions, with_parents
from clearbench.storage import content_hash, sha256_file

if TYPE_CHECKING:
    from clearbench.runs.execute import Runtime
    from clearbench.runs.recipe import Recipe
    from clearbench.runs.run_plan import RunPlan


def plugin_digests(runtime: Runtime) -> dict[str, str]:
    """Hashes the files of plugins that were named, then the modules of installed packages."""
    installed = {name: sha256_file(path) for name, path in installed_plugins().items()}
    return file_digests(runtime.plugins) | installed


def file_digests(plugins: Iterable[str]) -> dict[str, str]:
    """Hashes plugin files, and the modules that each imports from beside it.

    Args:
        plugins: Paths of plugin files.

    Returns:
        Sha256 by the place of a file in the folder of the plugin.
    """
    return {
        place.relative_to(path.parent).as_posix(): sha256_file(place)
        for path in map(Path, plugins)
        for place in (path, *modules_beside(path).values())
    }


def _sources_changed() -> bool:
    """Whether a source file of this package is newer than this process."""
    began = psutil.Process().create_time()
    return any(path.stat().st_mtime > began for path in package_files())


def made_of(recipe: Recipe, planned: RunPlan, runtime: Runtime) -> str | None:
    """Hashes what results and details are made of; None where that cannot be said.

    It cannot while a stage is still to be made, nor once a source file has changed since this
    process began: what is on the disk is no longer what computes.

    That is the recipe with its words, the rows, the content of every stage, and the code that
    reads them: every source file, since what is left out by mistake would show stale numbers.

    Args:
        recipe: Recipe of the run.
        planned: Its stages and rows.
        runtime: Its plugins.
    """
    store = planned.store
    keys = {planned.data.key, *with_parents(planned.stages)}
    if _sources_changed() or not all(store.holds(key) for key in sorted(keys)):
        return None
    content = {
        "recipe": recipe.model_dump(mode="json"),
        "rows": [[row.id, row.stage_keys] for row in planned.rows],
        "bands": [band.stage.key for band in planned.bands],
        "stages": {key: store.content_digest(key) for key in sorted(keys)},
        "code": package_digest(),
        "packages": package_versions() | {"python": platform.python_version()},
        "plugins": plugin_digests(runtime),
    }
    return content_hash(content)
