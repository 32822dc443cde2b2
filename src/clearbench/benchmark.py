"""Functions around models: people to make, records to score, recipes to run, pages to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from clearbench.attacks import scoring
from clearbench.data.dataset import Dataset
from clearbench.data.load import BUILTIN, load_dataset
from clearbench.evaluation.checks import check_records
from clearbench.evaluation.comparable import check_same_questions
from clearbench.evaluation.metric import metric
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.runs.execute import Runtime
from clearbench.runs.recipe import Recipe, load_recipe
from clearbench.runs.schema import Details, Results
from clearbench.storage import new_folder


def build_dataset(
    people: int = 40,
    forget: int = 8,
    strangers: int = 8,
    seed: int = 0,
    out: str | Path | None = None,
) -> Dataset:
    """Makes fictitious people with their questions, portraits and captions.

    Args:
        people: Number of people who are taught.
        forget: Number of them who are to be forgotten.
        strangers: Number of people who are kept apart, never taught.
        seed: Seed for the people; the same one gives the same bytes.
        out: Folder to write them to, in the layout of CLEAR.

    Returns:
        Dataset of these people: two tracks (text and image), with holdout rows about strangers.

    Raises:
        DataError: There are not so many people, or nobody would be left to keep.
        StorageError: `out` holds something else.
    """
    dataset = load_dataset(BUILTIN, forget, people=people, strangers=strangers, seed=seed)
    if out is not None:
        from clearbench.data.write_clear import write_dataset  # it needs `datasets`

        with new_folder(Path(out), {"people": people, "forget": forget, "seed": seed}) as folder:
            write_dataset(dataset, folder)
    return dataset


def score(
    records: Records,
    reference: Records | None = None,
    original: Records | None = None,
    protocol: str = "clear",
    metrics: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Score]:
    """Computes scores by key.

    Args:
        records: Records of the model.
        reference: Records of the gold model.
        original: Records of the model before unlearning.
        protocol: Name of a set of metrics.
        metrics: Further metrics with parameters: `[{"name": "min_k", "share": 0.2}]`.

    Returns:
        Scores by key, `<split>.<track>.<metric>`: value, 95 % interval over people, number of rows
        and, where they were given, the values of gold and of the original.

    Raises:
        DataError: Records hold what no model can give, or answer other questions than others; or
            nothing of the protocol can be computed. Rows and scores are named.
    """
    further = tuple(metric(**entry) for entry in metrics)
    check_records(records, "records")
    for role, other in (("reference", reference), ("original", original)):
        if other is not None:
            check_records(other, role)
            check_same_questions(records, other, role)
    return scoring.score(records, reference, original, protocol, metrics=further)


def run_recipe(
    recipe: Recipe | str | Path,
    out: str | Path,
    *,
    runtime: Runtime | None = None,
    store: str | Path | None = None,
    console: Console | None = None,
) -> Results:
    """Runs a recipe into a folder and writes its page; finished stages are not made again.

    Args:
        recipe: Recipe, its file, or a name from `clearbench list recipes`.
        out: Folder for the results.
        runtime: Processes, threads and plugins.
        store: Folder of stages that several runs share; None for one in `out`.
        console: Console for the progress; None for standard error.

    Returns:
        Results: scores of every run beside gold and original, as `results.json` in `out`.

    Raises:
        RecipeError: The recipe is unknown or asks for what cannot be done; every problem is named.
        DataError: Its rows are bad.
        StorageError: `out` cannot be written, or holds the results of another recipe.
    """
    from clearbench.report.refresh import refresh_page
    from clearbench.runs.run import run

    resolved = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    results = run(resolved, Path(out), runtime, console, None if store is None else Path(store))
    refresh_page(Path(out))
    return results


def report(
    results: Results | Mapping[str, Any], out: str | Path, details: Details | None = None
) -> Path:
    """Writes the self-contained page of a run's results.

    Args:
        results: Results of a run, or the content of a `results.json`.
        out: File to write.
        details: People, answers and truth ratios of the run; None leaves them out.

    Returns:
        Path of the page.

    Raises:
        StorageError: The content is none of a `results.json`, or the file cannot be written.
    """
    from clearbench.report import html

    return html.report(results, out, details)
