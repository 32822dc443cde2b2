"""Runs a recipe into a folder: data, stages, results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from clearbench.data.dataset import Dataset
from clearbench.errors import StorageError
from clearbench.runs.cache import WorkerCache
from clearbench.runs.details import details
from clearbench.runs.execute import Runtime, execute
from clearbench.runs.making import make_stage
from clearbench.runs.plan import Family, PlannedBand, PlannedRow, null_bands, plan
from clearbench.runs.recipe import WORDS, Recipe, dump_recipe
from clearbench.runs.results import EndedRun, assemble
from clearbench.runs.schema import DETAILS, RESULTS, Results, read_results
from clearbench.runs.stage import Stage
from clearbench.runs.stages.data import DataStage, stored_data
from clearbench.runs.store import Store
from clearbench.storage import write_bytes

RECIPE, STAGES = "recipe.yaml", "stages"


@dataclass(frozen=True)
class RunPlan:
    """Stages and rows that a run makes.

    Attributes:
        store: Store that keeps the stages.
        data: Finished stage of the people.
        dataset: Dataset of the people.
        families: Rows of the results.
        bands: Null bands of golds.
    """

    store: Store
    data: DataStage
    dataset: Dataset
    families: tuple[Family, ...]
    bands: tuple[PlannedBand, ...]

    @property
    def rows(self) -> tuple[PlannedRow, ...]:
        """Rows in the order of the results."""
        return tuple(row for family in self.families for row in family.rows)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Stages that no other stage starts from."""
        return (*(row.score for row in self.rows), *(band.stage for band in self.bands))


def data_stage(recipe: Recipe) -> DataStage:
    """Builds the stage of a recipe's people."""
    part = recipe.data
    return DataStage(
        *(
            part.source,
            part.people,
            part.strangers,
            part.forget,
            part.half,
            recipe.seed,
            part.images,
        )
    )


def plan_run(recipe: Recipe, out: Path, store: Path | None = None) -> RunPlan:
    """Plans a run; its people are made on the way.

    Args:
        recipe: Checked recipe.
        out: Folder for the results.
        store: Folder for the stages; one below `out` where none is given.
    """
    place, cache = Store(store or out / STAGES), WorkerCache()
    people = data_stage(recipe)
    make_stage(people, place, cache, lambda doing, done, total: None)
    dataset = cache.dataset(place.folder(people.key))
    families = tuple(plan(recipe, dataset, stored_data(people, place)))
    bands = tuple(null_bands(families, recipe.evaluation))
    return RunPlan(place, people, dataset, families, bands)


def run(
    recipe: Recipe,
    out: Path,
    runtime: Runtime | None = None,
    console: Console | None = None,
    store: Path | None = None,
) -> Results:
    """Runs a recipe into `out`; finished stages are never made again.

    Other processes may work on the same folder or the same store: what one makes the others read.

    Raises:
        StorageError: `out` holds another recipe's results.
    """
    runtime = runtime or Runtime()
    refuse_other_recipe(recipe, out)
    planned = plan_run(recipe, out, store)
    known = _known_results(planned, out)
    if known is not None:
        return known
    write_bytes(out / RECIPE, dump_recipe(recipe).encode())
    shown = console or Console(stderr=True)
    anew = _made_anew(planned, out)
    if anew:
        shown.print(f"made anew: {anew}; what has not changed is reused", soft_wrap=True)
    outcomes = execute(planned.stages, planned.store, runtime, shown)
    ended = EndedRun(planned.store, outcomes)
    results = assemble(recipe, planned.dataset, runtime, planned.families, planned.bands, ended)
    details(planned.dataset, planned.families, ended).write(out / DETAILS)
    results.write(out / RESULTS)
    return results


def refuse_other_recipe(recipe: Recipe, out: Path) -> None:
    """Refuses a folder in which another recipe is running or has run."""
    if (out / RECIPE).is_file() and _deciding(out / RECIPE) != _deciding_part(recipe):
        raise StorageError(
            "this folder holds the results of another recipe", str(out), "choose another --out"
        )


def _deciding(path: Path) -> dict[str, Any]:
    """What decides the numbers, of a resolved recipe: read without the plugins that it names."""
    try:
        content = dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        fix = "remove it, or choose another --out"
        raise StorageError("not a resolved recipe", str(path), fix) from error
    return {key: value for key, value in content.items() if key not in WORDS}


def _deciding_part(recipe: Recipe) -> dict[str, Any]:
    content = yaml.safe_load(dump_recipe(recipe))
    return {key: value for key, value in content.items() if key not in WORDS}


def _known_results(planned: RunPlan, out: Path) -> Results | None:
    """Reads existing results, if they were made of the same stages and no row failed."""
    if not (out / RESULTS).is_file() or not (out / DETAILS).is_file():
        return None
    results = read_results(out)
    same = [row.stages for row in results.rows] == [row.stage_keys for row in planned.rows]
    whole = same and all(row.status != "failed" for row in results.rows)
    return results if whole else None


def _made_anew(planned: RunPlan, out: Path) -> str:
    """Names what earlier results were made of and is different today; empty without results."""
    if not (out / RESULTS).is_file():
        return ""
    earlier = {row.id: row.stages for row in read_results(out).rows}
    changed = {
        role
        for row in planned.rows
        for role, key in row.stage_keys.items()
        if earlier.get(row.id, {}).get(role) != key
    }
    return ", ".join(sorted(changed))
