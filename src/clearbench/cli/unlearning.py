"""Command that makes a model forget, and leaves evidence of what it knew and says now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clearbench.cli.data import Data, Forget, Holdout, Images, Retain, chosen_dataset
from clearbench.cli.options import Base, Device, Dtype, Plugins, load_plugins
from clearbench.cli.output import check_writable, say
from clearbench.cli.progress import progress, stepwise
from clearbench.cli.settings import STEPS, method_settings, one_method
from clearbench.errors import RecipeError, StorageError
from clearbench.storage import MANIFEST, is_finished

if TYPE_CHECKING:
    from clearbench.data.dataset import Dataset
    from clearbench.models.base import Model
    from clearbench.training.settings import TrainSettings

#: Settings by which a user gives the schedule.
_SCHEDULE = ("steps", "learning_rate", "until")
_UNCHANGED_WEIGHTS = (
    "the weights are unchanged: a guard lies beside them in the folder, and only clearbench "
    "applies it (GUARD.txt)"
)


def unlearn(
    model: Annotated[str, typer.Option(help="The original: a folder or hub id.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the model and the evidence.")],
    data: Data = None,
    forget: Forget = None,
    retain: Retain = None,
    holdout: Holdout = None,
    images: Images = None,
    gold: Annotated[
        str | None,
        typer.Option("--gold", "--reference", help="A model that never met the people."),
    ] = None,
    method: Annotated[str, typer.Option(help="One method of `clearbench list methods`.")] = "npo",
    modality: Annotated[str | None, typer.Option(help="text, image or both")] = None,
    seed: int = 0,
    set: Annotated[
        list[str] | None,
        typer.Option(
            help="Training field=value, such as lora_rank=8. With steps or learning_rate the "
            "schedule is yours, and none is searched."
        ),
    ] = None,
    hyper: Annotated[
        list[str] | None, typer.Option(help="The method's own hyper-parameter=value.")
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Most trials by which the schedule is chosen, each a whole unlearning; 1 takes "
            "the first one. By default 5.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Rows per split and task that evidence asks. By default all to forget, and 200 "
            "of others.",
        ),
    ] = None,
    evidence: Annotated[
        bool,
        typer.Option(
            "--evidence/--no-evidence",
            help="Measure before and after, and write evidence.html and evidence.json.",
        ),
    ] = True,
    plugin: Plugins = None,
    dtype: Dtype = "float32",
    device: Device = "auto",
    base: Base = None,
) -> None:
    """Removes people from a model, and leaves evidence of what it knew and says now.

    Out of the rows to forget and to keep, a schedule is chosen on one person in five and the result
    is reported on the others. The folder holds the model, evidence.html and evidence.json; with
    --set lora_rank=N the model has the adapter merged, and adapter/ holds it alone. Warnings
    (answers turned to garbage, nothing changed, others hurt) are printed and written, and leave the
    exit status at 0: read them.
    """
    load_plugins(plugin)
    name = one_method(method)
    given, own = method_settings(name, set, hyper)
    told = any(key in given for key in _SCHEDULE)
    _check_options(told, budget, evidence, gold, limit)
    check_writable(out)
    _check_out(out)
    dataset = chosen_dataset("unlearn", data, forget, retain, images, holdout)
    if not dataset.training.get("forget"):
        raise RecipeError(
            "nobody is to be forgotten",
            str(data or retain or holdout),
            'give --forget FILE, or rows with "split": "forget"',
        )
    request = _Request(model, dataset, name, out, given, own, modality, seed, dtype, device, base)
    if evidence:
        files = [path for path in (forget, retain, holdout, data) if path and Path(path).is_file()]
        _with_evidence(request, None if told else budget, gold, limit, files, told=told)
    else:
        _alone(request)


@dataclass(frozen=True)
class _Request:
    """What is to be forgotten, from which model, and how."""

    model: str
    dataset: Dataset
    method: str
    out: Path
    given: dict[str, Any]
    own: dict[str, Any]
    modality: str | None
    seed: int
    dtype: str
    device: str
    base: str | None

    def loaded(self) -> Model:
        """Loads the model."""
        from clearbench.models.load import load_model

        return load_model(self.model, dtype=self.dtype, base=self.base, device=self.device)

    def settings(self) -> TrainSettings:
        """Returns the schedule, or that of the first trial."""
        from clearbench.training.settings import TrainSettings

        return TrainSettings.of(**{"steps": STEPS, **self.given})


def _check_options(
    told: bool, budget: int | None, evidence: bool, gold: str | None, limit: int | None
) -> None:
    """Refuses options that would have no effect."""
    if told and budget is not None:
        what = "--budget is for a schedule that is chosen, and --set gives one"
        raise RecipeError(what, "--budget", "leave out --budget, or steps and learning_rate")
    for option, value in (("--budget", budget), ("--gold", gold), ("--limit", limit)):
        if not evidence and value is not None:
            what = f"{option} is for evidence, and --no-evidence leaves that out"
            raise RecipeError(what, option, "leave out one of them")


def _check_out(out: Path) -> None:
    """Refuses a folder that holds something else, before anything is read or loaded."""
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        fix = "choose another --out, or remove it"
        raise StorageError("there is something else already", str(out), fix)


def _alone(asked: _Request) -> None:
    """Unlearns and measures nothing."""
    from clearbench import api
    from clearbench.data.modality import spell_modalities

    tracks = {row.track for row in asked.dataset.train_rows("forget")}
    chosen = asked.modality or spell_modalities(tracks)
    there = is_finished(asked.out)
    with progress("forgetting") as on_step:
        unlearned = api.unlearn(
            asked.loaded(),
            asked.dataset,
            asked.method,
            chosen,
            settings=asked.settings(),
            seed=asked.seed,
            out=asked.out,
            on_step=on_step,
            **asked.own,
        )
    rows = {part: len(asked.dataset.training.get(part, ())) for part in ("forget", "retain")}
    say(
        f"{asked.method} on {chosen}, seed {asked.seed}: {rows['forget']} rows to forget, "
        f"{rows['retain']} to keep",
        f"{'was there already, nothing was done' if there else 'saved to'}: {asked.out}",
    )
    if unlearned.guards:
        say(_UNCHANGED_WEIGHTS)
    say(
        "not measured: whether anything was forgotten, and what else was lost. The same command "
        "without --no-evidence asks the questions; a verdict needs a model never taught these rows"
    )


def _with_evidence(
    asked: _Request,
    budget: int | None,
    gold: str | None,
    limit: int | None,
    files: list[str | Path],
    *,
    told: bool,
) -> None:
    """Unlearns, measures before and after, and prints what that shows."""
    from rich.console import Console

    from clearbench.evidence.html import PAGE
    from clearbench.evidence.run import unlearn_with_evidence
    from clearbench.evidence.search import BUDGET
    from clearbench.evidence.summary import print_evidence
    from clearbench.models.load import load_model
    from clearbench.processes import processes

    there = is_finished(asked.out)
    names = {"original": Path(asked.model).name} | ({"gold": Path(gold).name} if gold else {})
    with stepwise() as on_progress:
        found = unlearn_with_evidence(
            asked.loaded(),
            asked.dataset,
            asked.method,
            asked.modality,
            out=asked.out,
            settings=asked.settings(),
            budget=None if told else budget or BUDGET,
            seed=asked.seed,
            gold=None if gold is None else load_model(gold, dtype=asked.dtype, device=asked.device),
            limit=limit,
            files=files,
            names=names,
            say=lambda line: say(line, err=True),
            on_progress=on_progress,
            **asked.own,
        )
    if not processes().is_main_process:
        return
    if there:
        say(f"was there already, nothing was trained: {asked.out}")
    print_evidence(found, Console(), asked.out, asked.out / PAGE)
