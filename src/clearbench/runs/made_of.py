"""Hashes all that the results of a run are made of, so that results that are current are found."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

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
    named = {path.name: path for path in map(Path, runtime.plugins)}
    return {name: sha256_file(path) for name, path in (named | installed_plugins()).items()}


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
