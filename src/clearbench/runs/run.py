"""From a recipe to a finished folder: data, models, records, results, page."""

from __future__ import annotations

from concurrent.futures import Future, ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

from rich.console import Console

from clearbench.data.dataset import Dataset
from clearbench.data.halves import in_half
from clearbench.data.load import BUILTIN, load_dataset
from clearbench.data.store_folder import write_rows
from clearbench.errors import StorageError
from clearbench.report.html import write_report
from clearbench.runs import work
from clearbench.runs.compare import rivals
from clearbench.runs.execute import Outcome, Runtime, execute, is_done, only_one
from clearbench.runs.plan import STAGE_VERSION, Family, Job, plan
from clearbench.runs.recipe import Recipe, dump_recipe
from clearbench.runs.results import assemble, details, result_row
from clearbench.storage import content_hash, once, read_json, write_bytes, write_json

RESULTS, DETAILS, PAGE, RECIPE = "results.json", "details.json", "report.html", "recipe.yaml"
STAGES = "stages"


def data_stage(recipe: Recipe, stages: Path) -> str:
    """Writes the recipe's rows as a folder; returns its name."""
    part = recipe.data
    about = part.model_dump(exclude={"fold", "requests", "half"}) | {"version": STAGE_VERSION}
    if part.half:
        about["half"] = part.half
    if part.source == BUILTIN:
        about["seed"] = recipe.seed
    else:
        about["content"] = _dataset(recipe).fingerprint
    name = f"data-{content_hash(about)}"
    once(stages / name, about, lambda folder: write_rows(_dataset(recipe), folder))
    return name


def _dataset(recipe: Recipe) -> Dataset:
    part = recipe.data
    whole = _loaded(part.source, part.forget, part.people, part.strangers, recipe.seed)
    return whole if part.half is None else in_half(whole, part.half, recipe.seed)


@lru_cache(maxsize=2)
def _loaded(
    source: str, forget: int | str | None, people: int | None, strangers: int, seed: int
) -> Dataset:
    return load_dataset(source, forget, people=people, strangers=strangers, seed=seed)


def planned(recipe: Recipe, out: Path, store: Path | None = None) -> tuple[Dataset, list[Family]]:
    """The jobs of a recipe; writes its data."""
    stages = store or out / STAGES
    data = data_stage(recipe, stages)
    dataset = load_dataset(stages / data)
    return dataset, plan(recipe, dataset, data)


def run(
    recipe: Recipe,
    out: Path,
    runtime: Runtime | None = None,
    console: Console | None = None,
    store: Path | None = None,
) -> dict[str, Any]:
    """Runs a recipe into `out`; what is finished is never done again.

    Returns:
        The content of `results.json`.
    """
    runtime = runtime or Runtime()
    console = console or Console(stderr=True)
    stages = store or out / STAGES
    with only_one(out):
        if _finished(recipe, out):
            return dict(read_json(out / RESULTS))
        write_bytes(out / RECIPE, dump_recipe(recipe).encode())
        dataset, families = planned(recipe, out, store)
        scored: dict[str, Any] = {}
        bands: list[dict[str, Any]] = []

        def then(pool: ProcessPoolExecutor, outcome: Outcome) -> None:
            waiting = _bands(pool, stages, families, recipe, outcome)
            scored.update(_score(pool, stages, families, recipe, outcome))
            bands.extend(each | {"bands": future.result()} for each, future in waiting)

        outcome = execute(stages, families, recipe.evaluation, runtime, console, then)
        rows = [
            result_row(
                stages,
                job,
                family.golds[0],
                scored.get(job.id),
                outcome,
                recipe.evaluation,
                bands,
            )
            for family in families
            for job in family.jobs
        ]
        results = assemble(recipe, runtime, rows, bands)
        shown = details(stages, dataset, families, scored, recipe.evaluation)
        write_json(out / DETAILS, shown)
        write_report(results, shown, out / PAGE)
        write_json(out / RESULTS, results)
        return results


def _finished(recipe: Recipe, out: Path) -> bool:
    """Whether `out` holds this recipe's results, all stages ended, written whole."""
    if not (out / RESULTS).is_file() or not (out / PAGE).is_file():
        return False
    results = read_json(out / RESULTS)
    known = results.get("recipe", {}).get("identity")
    if known != recipe.identity:
        raise StorageError(
            "this folder holds the results of another recipe", str(out), "choose another --out"
        )
    return all(row["status"] != "failed" for row in results["rows"])


def _score(
    pool: ProcessPoolExecutor,
    stages: Path,
    families: list[Family],
    recipe: Recipe,
    outcome: Outcome,
) -> dict[str, Any]:
    waiting: dict[str, Future[dict[str, Any]]] = {}
    status = _status_by_stage(families, recipe, outcome)
    for family in families:
        gold = family.golds[0]
        if status.get(gold.stage) != "ok" or status.get(family.original.stage) != "ok":
            continue
        for job in family.jobs:
            if status.get(job.stage) == "ok":
                waiting[job.id] = pool.submit(
                    work.score_job, stages, job, gold, family.original, recipe.evaluation
                )
    return {name: future.result() for name, future in waiting.items()}


def _bands(
    pool: ProcessPoolExecutor,
    stages: Path,
    families: list[Family],
    recipe: Recipe,
    outcome: Outcome,
) -> list[tuple[dict[str, Any], Future[dict[str, Any]]]]:
    waiting = []
    for original, golds in rivals(families):
        made = tuple(gold for gold in golds if outcome.status.get(gold.id) == "ok")
        if len(made) > 1:
            about = {
                "model": made[0].model,
                "share": round(made[0].share, 6),
                "golds": [gold.id for gold in made],
            }
            task = pool.submit(work.band_golds, stages, made, original, recipe.evaluation)
            waiting.append((about, task))
    return waiting


def _status_by_stage(families: list[Family], recipe: Recipe, outcome: Outcome) -> dict[str, str]:
    jobs: list[Job] = [job for family in families for job in family.jobs]
    return {job.stage: outcome.status[job.id] for job in jobs if job.id in outcome.status}


def show_plan(recipe: Recipe, out: Path, console: Console, store: Path | None = None) -> None:
    """Prints every stage and whether it is done."""
    stages = store or out / STAGES
    _, families = planned(recipe, out, store)
    for family in families:
        for job in family.jobs:
            done = is_done(stages, job, recipe.evaluation)
            where = f"{STAGES}/{job.stage}"
            console.print(f"{'done' if done else 'to do':6} {job.id:55} {where}", highlight=False)
