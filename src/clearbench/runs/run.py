"""Runs a recipe into a folder: data, stages, results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console

from clearbench.errors import StorageError
from clearbench.runs.cache import WorkerCache
from clearbench.runs.data_part import data_stage
from clearbench.runs.details import details
from clearbench.runs.execute import Runtime, execute, set_aside
from clearbench.runs.files import STAGES, damaged_files
from clearbench.runs.made_of import made_of, plugin_digests
from clearbench.runs.making import make_stage
from clearbench.runs.plan import null_bands, plan
from clearbench.runs.recipe import Recipe
from clearbench.runs.results import EndedRun, assemble
from clearbench.runs.run_plan import RunPlan
from clearbench.runs.schema import Results, read_results
from clearbench.runs.stages.data import DataStage, stored_data
from clearbench.runs.store import Store
from clearbench.runs.wording import wording
from clearbench.runs.written import (
    current_results,
    refuse_other_recipe,
    remove_unfinished,
    write_recipe,
    write_results,
)
from clearbench.writing import writing

if TYPE_CHECKING:
    from clearbench.runs.plan_shadows import ShadowPeople


def plan_run(recipe: Recipe, out: Path, store: Path | None = None, *, keep: bool = True) -> RunPlan:
    """Plans a run; its people are made on the way.

    Args:
        recipe: Checked recipe.
        out: Folder for the results.
        store: Folder for the stages; one below `out` where none is given.
        keep: True to keep the people in the store; else nothing is written there.
    """
    place, people = Store(store or out / STAGES), data_stage(recipe.data, recipe.seed)
    if keep or place.holds(people.key):
        return _planned(recipe, people, place, place)
    with TemporaryDirectory() as folder:
        return _planned(recipe, people, place, Store(Path(folder)))


def _planned(recipe: Recipe, people: DataStage, place: Store, read_from: Store) -> RunPlan:
    cache = WorkerCache()
    make_stage(people, read_from, cache, lambda doing, done, total: None)
    dataset = cache.dataset(read_from.finished(people.key))
    shadows = _shadow_people(recipe, people, cache, read_from) if recipe.shadows else None
    families = tuple(plan(recipe, dataset, stored_data(people, read_from), shadows))
    bands = tuple(null_bands(families, recipe.evaluation))
    return RunPlan(place, people, dataset, families, bands)


def _shadow_people(
    recipe: Recipe, people: DataStage, cache: WorkerCache, store: Store
) -> ShadowPeople:
    """Makes the people of the shadow models: all, and both halves."""
    from clearbench.runs.plan_shadows import HalfData, ShadowPeople

    stages = [replace(people, half=which) for which in (None, "first", "second")]
    for stage in stages:
        make_stage(stage, store, cache, lambda doing, done, total: None)
    whole, *halves = (stored_data(stage, store) for stage in stages)
    first, second = (HalfData(data, cache.dataset(store.finished(data.key))) for data in halves)
    return ShadowPeople(whole, (first, second))


def run(
    recipe: Recipe,
    out: Path,
    runtime: Runtime | None = None,
    console: Console | None = None,
    store: Path | None = None,
) -> Results:
    """Runs a recipe into `out`; finished stages are never made again.

    Stages and results that are damaged are named and made again. Other processes may work on the
    same store: what one makes the others read.

    Raises:
        StorageError: `out` holds another recipe's results, or another process is running in it.
        WriteError: `out` or the store cannot be written.
    """
    runtime, console = runtime or Runtime(), console or Console(stderr=True)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    refuse_other_recipe(recipe, out)
    place = Store(store or out / STAGES)
    with place.running(out) as mine:
        if not mine:
            fix = "wait for it, or choose another --out"
            raise StorageError("another process is running in this folder", str(out), fix)
        remove_unfinished(out)
        place.tidy()
        for line in damaged_files(out):
            console.print(f"{line}; written again", markup=False, highlight=False, soft_wrap=True)
        set_aside([data_stage(recipe.data, recipe.seed).key], place, console)
        planned = plan_run(recipe, out, store)
        current = current_results(made_of(recipe, planned, runtime), out)
        anew = "" if current else _made_anew(planned, out)
        if anew:
            console.print(f"made anew: {anew}; what has not changed is reused", soft_wrap=True)
        write_recipe(recipe, out)
        if current:
            return current
        plugins = plugin_digests(runtime)
        outcomes = execute(planned.stages, planned.store, runtime, console)
        ended = EndedRun(planned.store, outcomes)
        results = assemble(recipe, planned.dataset, runtime, planned.families, planned.bands, ended)
        shown = details(planned.dataset, planned.families, ended, wording(results))
        same = plugin_digests(runtime) == plugins  # what was edited meanwhile computed nothing
        sealed = made_of(recipe, planned, runtime) if same else None
        return write_results(results, shown, recipe, out, sealed)


def _made_anew(planned: RunPlan, out: Path) -> str:
    """Names what earlier results were made of and is different today; empty without results."""
    try:
        earlier = {row.id: row.stages for row in read_results(out).rows}
    except StorageError:
        return ""
    changed = {
        role
        for row in planned.rows
        for role, key in row.stage_keys.items()
        if earlier.get(row.id, {}).get(role) != key
    }
    return ", ".join(sorted(changed))
