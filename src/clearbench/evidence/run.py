"""Makes a model forget, measures it before and after, and writes what that shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clearbench.attacks.base import OnProgress, unreported
from clearbench.data.dataset import Dataset
from clearbench.data.load import load_dataset
from clearbench.data.modality import parse_modalities, spell_modalities
from clearbench.errors import RecipeError
from clearbench.evidence.html import write_evidence
from clearbench.evidence.removal import Removal, Say
from clearbench.evidence.schema import EVIDENCE, Evidence
from clearbench.evidence.search import BUDGET, searches
from clearbench.models.base import Model
from clearbench.models.load import load_model
from clearbench.processes import processes
from clearbench.runs.model_folder import ModelFolder, model_folder
from clearbench.storage import seal_more
from clearbench.training.checks import check
from clearbench.training.method_checks import check_seed, named_method
from clearbench.training.settings import TrainSettings


def unlearn_with_evidence(
    model: Model | Any,
    dataset: Dataset | Any,
    method: str = "npo",
    modality: str | None = None,
    *,
    out: str | Path,
    settings: TrainSettings | None = None,
    budget: int | None = None,
    seed: int = 0,
    gold: Model | Any | None = None,
    limit: int | None = None,
    files: Iterable[str | Path] = (),
    names: Mapping[str, str] | None = None,
    say: Say = lambda _: None,
    on_progress: OnProgress = unreported,
    **hyperparameters: Any,
) -> Evidence:
    """Makes a copy of a model forget, and writes it with evidence of what it knew and says now.

    Args:
        model: Model before unlearning, or what `load_model` takes; it is not changed.
        dataset: Dataset with the people to forget and to keep, or what `load_dataset` takes.
        method: Name from `clearbench list methods`.
        modality: Modalities to forget; None for those of the rows.
        out: Folder for the model, `evidence.json` and `evidence.html`. Adapters are merged into the
            model, and stand in its folder `adapter` as well.
        settings: Training schedule, or that of the first trial where a budget is given.
        budget: Most trials by which the learning rate is chosen, on a part of the people; with 1
            the first schedule is taken as it is. None for 5, or for no choice where settings are
            given.
        seed: Seed.
        gold: Model that never met the people, or what `load_model` takes.
        limit: Rows per split and task that are asked; None for all rows to forget, and 200 of
            others at least.
        files: Files of rows, whose sums are recorded.
        names: Names of the models by role (original, gold) for the page.
        say: Function told of doubts and of trials, in words.
        on_progress: Function called with what is done, how much of it, and of how much.
        **hyperparameters: Hyper-parameters of the method.

    Returns:
        Evidence, as it is in the folder.

    Raises:
        RecipeError: Something cannot be done, which is said before any work.
        StorageError: The folder holds something else.
    """
    check_seed(seed)
    chosen = named_method(method, hyperparameters, "settings=TrainSettings({}={!r})")
    model = model if isinstance(model, Model) else load_model(model)
    gold = gold if gold is None or isinstance(gold, Model) else load_model(gold)
    dataset = load_dataset(dataset)
    forget = dataset.for_kind(model.kind).train_rows("forget")
    spelled = modality or spell_modalities({row.track for row in forget})
    trials = budget or (BUDGET if settings is None else 1)
    removal = Removal(
        model=model,
        dataset=dataset,
        chosen=chosen,
        tracks=parse_modalities(spelled),
        modality=spelled,
        settings=settings or TrainSettings(steps=30),
        seed=seed,
        budget=trials if trials > 1 and searches(chosen, model.kind) else 0,
        told=settings is not None and budget is None,
        gold=gold,
        names={"model": Path(out).name, **(names or {})},
        files=tuple(Path(path) for path in files),
        say=say,
        on_progress=on_progress,
    )
    check(model, removal.rows, chosen, removal.tracks, removal.settings)
    _check_gold(gold, model)
    return _made(removal, model_folder(out, removal.folder_about, model, dataset, seed), limit)


def _check_gold(gold: Model | None, model: Model) -> None:
    """Refuses a gold of another kind, or with the weights of the model itself."""
    if gold is None:
        return
    fix = "give a model that never met the people"
    if gold.kind != model.kind:
        raise RecipeError(f"gold is a {gold.kind} model, no {model.kind} model", "--gold", fix)
    if gold.fingerprint == model.fingerprint:
        what = "gold is the model before unlearning: it has the same weights"
        raise RecipeError(what, "--gold", fix)


def _made(removal: Removal, folder: ModelFolder, limit: int | None) -> Evidence:
    """Makes the folder with its evidence, or adds that to a finished one, or reads it there."""
    there = folder.is_there()
    if there and (folder.out / EVIDENCE).is_file():
        return Evidence.read(folder.out)
    before = removal.before(limit)
    if there:
        after, schedule, validation = removal.there(folder, before)
        evidence = removal.evidence(after, before, schedule, validation, folder.out)
        if processes().is_main_process:
            for path in write_evidence(evidence, folder.out):
                seal_more(folder.out, path.name)
        return evidence
    after, schedule, validation = removal.forgotten(before, folder.checkpoints)
    found: list[Evidence] = []

    def measured(out: Path | None) -> None:
        found.append(removal.evidence(after, before, schedule, validation, out))
        if out is not None:
            write_evidence(found[0], out)

    folder.save(after, removal.model.place, measured)
    return found[0]
