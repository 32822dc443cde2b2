"""Writes the files of a run's folder, with a manifest by which a later change is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from clearbench.errors import StorageError
from clearbench.runs.files import PAGE, RECIPE
from clearbench.runs.recipe import WORDS, Recipe, dump_recipe
from clearbench.runs.schema import DETAILS, RESULTS, Details, Results, read_details, read_results
from clearbench.storage import (
    MANIFEST,
    about,
    canonical_json,
    changed_files,
    seal,
    seal_about,
    seal_more,
    write_bytes,
)
from clearbench.writing import remove_leftovers

#: Entry of the manifest with the hash of what the results are made of.
MADE_OF = "made_of"
#: Files of a run's folder besides its stages.
FILES = (RECIPE, DETAILS, RESULTS, PAGE, MANIFEST)


def refuse_other_recipe(recipe: Recipe, out: Path) -> None:
    """Refuses a folder in which another recipe is running or has run.

    Raises:
        StorageError: The folder holds another recipe, or none that can be read.
    """
    if _recorded(out) not in (None, recipe.identity):
        other = True
    elif _recorded(out) is None and (out / RECIPE).is_file():
        other = _deciding(out / RECIPE) != _deciding_part(recipe)
    else:
        other = False
    if other:
        raise StorageError(
            "this folder holds the results of another recipe", str(out), "choose another --out"
        )


def _recorded(out: Path) -> str | None:
    """Reads the identity of the recipe from the manifest; None where that is damaged or missing."""
    try:
        return str(about(out).get("recipe"))
    except StorageError:
        return None


def _deciding(path: Path) -> dict[str, Any]:
    """What decides the numbers, of a resolved recipe: read without the plugins that it names."""
    fix = "remove it, or choose another --out"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise StorageError("not a resolved recipe", str(path), fix) from error
    if not isinstance(content, dict):
        raise StorageError("not a resolved recipe", str(path), fix)
    return {key: value for key, value in content.items() if key not in WORDS}


def _deciding_part(recipe: Recipe) -> dict[str, Any]:
    content = yaml.safe_load(dump_recipe(recipe))
    return {key: value for key, value in content.items() if key not in WORDS}


def write_recipe(recipe: Recipe, out: Path) -> None:
    """Writes the resolved recipe, unless it is there already."""
    content = dump_recipe(recipe).encode()
    known = _recorded(out) is not None
    if known and RECIPE not in changed_files(out) and (out / RECIPE).read_bytes() == content:
        return
    write_bytes(out / RECIPE, content)
    if known:
        seal_more(out, RECIPE)
    else:
        seal(out, {"recipe": recipe.identity}, [RECIPE])


def remove_unfinished(out: Path) -> None:
    """Removes what killed processes left of writing the files."""
    for name in FILES:
        remove_leftovers(out / name)


def current_results(made_of: str | None, out: Path) -> Results | None:
    """Reads the results in a folder, if they are whole and made of what a hash says.

    Args:
        made_of: Hash of all that today's results would be made of; None where that is not there.
        out: Folder of the run.
    """
    try:
        if made_of is None or about(out).get(MADE_OF) != made_of:
            return None
        return None if {RESULTS, DETAILS} & {*changed_files(out)} else read_results(out)
    except StorageError:
        return None


def write_results(
    results: Results, details: Details, recipe: Recipe, out: Path, made_of: str | None = None
) -> Results:
    """Writes results and details, unless the same numbers are there already.

    Args:
        results: Results of the run.
        details: What its page shows besides numbers.
        recipe: Recipe of the run.
        out: Folder of the run.
        made_of: Hash of all that they are made of, recorded for `current_results`; None where
            that cannot be said.

    Returns:
        Results in the folder. They may name another environment, of an earlier run.
    """
    made = {"recipe": recipe.identity} | ({} if made_of is None else {MADE_OF: made_of})
    known = _known(results, details, out)
    if known is not None:
        if about(out) != made:
            seal_about(out, made)
        return known
    details.write(out / DETAILS)
    results.write(out / RESULTS)
    seal(out, made, [RECIPE, DETAILS, RESULTS])
    return results


def _known(results: Results, details: Details, out: Path) -> Results | None:
    """Reads the results in a folder, if they and the details are as given but the environment."""
    try:
        if {RESULTS, DETAILS} & {*changed_files(out)}:
            return None
        known, shown = read_results(out), read_details(out)
    except StorageError:
        return None
    same = known.model_copy(update={"environment": results.environment}).json_value()
    unchanged = canonical_json(same) == canonical_json(results.json_value())
    return known if unchanged and shown.json_value() == details.json_value() else None
