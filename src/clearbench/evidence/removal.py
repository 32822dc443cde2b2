"""Makes a model forget by a schedule that is given or searched, and collects the evidence."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clearbench.attacks.base import OnProgress
from clearbench.audit.run import audit
from clearbench.audit.schema import AuditedAnswer
from clearbench.data.dataset import Dataset
from clearbench.evaluation.metrics.leaks import WHOLE
from clearbench.evaluation.metrics.rouge import rouge
from clearbench.evidence.before import Before, measured_before
from clearbench.evidence.division import divided, undivided
from clearbench.evidence.found import Found
from clearbench.evidence.schema import Digests, Evidence, Schedule, Trial
from clearbench.evidence.search import (
    CRITERION,
    LEGEND,
    LONGEST,
    Search,
)
from clearbench.evidence.statement import not_shown, statement, word
from clearbench.evidence.validation import Validation
from clearbench.evidence.warnings import warnings
from clearbench.methods.base import Method
from clearbench.models.adapters import copy_to_train
from clearbench.models.base import Model
from clearbench.models.weights import digest
from clearbench.runs.code import code_digests, modules_of
from clearbench.runs.model_folder import ADAPTER, ModelFolder, unlearning
from clearbench.storage import sha256_file
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

Say = Callable[[str], None]


@dataclass(frozen=True)
class Removal:
    """What is to be forgotten, by which model, and how.

    Attributes:
        settings: Schedule of the user, or that of the first trial.
        budget: Most trials; 0 where the schedule is not searched.
        told: Whether the user gave the schedule.
        gold: Model that never met the people.
        names: Names of the models by role.
        files: Files of rows.
    """

    model: Model
    dataset: Dataset
    chosen: Method
    tracks: tuple[str, ...]
    modality: str
    settings: TrainSettings
    seed: int
    budget: int
    told: bool
    gold: Model | None
    names: Mapping[str, str]
    files: tuple[Path, ...]
    say: Say
    on_progress: OnProgress

    @property
    def rows(self) -> Dataset:
        """Dataset as the model's kind reads it."""
        return self.dataset.for_kind(self.model.kind)

    @property
    def folder_about(self) -> dict[str, Any]:
        """What decides the result besides the model, the data and the seed."""
        about = unlearning(self.chosen, self.modality, self.settings)
        if self.budget:
            about["schedule"] = {"criterion": CRITERION, "budget": self.budget}
        return about

    def before(self, limit: int | None) -> Before:
        """Measures the model before, and says what is doubtful."""
        rows = self.rows
        division = (
            divided(rows, self.model, self.tracks, self.seed) if self.budget else undivided(rows)
        )
        found = measured_before(self.model, rows, self.tracks, division, limit, self.on_progress)
        for warning in found.doubts():
            self.say(f"warning: {warning.sentence}")
        return found

    def forgotten(self, before: Before, checkpoints: Path) -> tuple[Model, Schedule, Validation]:
        """Makes a copy of the model forget, by the schedule that was given or is chosen."""
        validation = Validation(self.model, before.division, before.floors, before.fluency)

        def make(settings: TrainSettings, trial: int) -> Model:
            return self._changed(settings, f"trial {trial}", checkpoints / f"trial-{trial}")

        if not self.budget:
            changed = self._changed(self.settings, "forgetting", checkpoints)
            return changed, self._unsearched(), validation
        self.say(
            f"the schedule is chosen by at most {self.budget} trials of {self.settings.steps} "
            f"steps (up to {LONGEST * self.settings.steps} where no learning rate will do with so "
            f"few), measured on {before.division.people} people "
            "(--budget N; --set steps=... gives your own)"
        )
        self.say(LEGEND)
        search = Search(
            validation, self.settings, self.budget, make, self.say, checkpoints / "trials.json"
        )
        settings, best, changed = search.run()
        schedule = self._schedule(settings, before, tuple(search.trials), best)
        return changed, schedule, validation

    def _changed(self, settings: TrainSettings, doing: str, checkpoints: Path) -> Model:
        with copy_to_train(self.model, self.model.device, settings.lora_rank) as changed:
            unlearn(
                changed,
                self.rows,
                self.chosen,
                self.tracks,
                settings,
                self.seed,
                checkpoints=checkpoints,
                on_step=lambda done, total, *_: self.on_progress(doing, done, total),
            )
        return changed

    def _unsearched(self) -> Schedule:
        return Schedule(told=self.told, settings=self.settings.model_dump(mode="json"))

    def _schedule(
        self, settings: TrainSettings, before: Before, trials: tuple[Trial, ...], best: Trial
    ) -> Schedule:
        return Schedule(
            told=False,
            criterion=CRITERION,
            budget=self.budget,
            people=before.division.people,
            apart=before.division.apart,
            trials=trials,
            chosen=best.number,
            settings=settings.model_dump(mode="json"),
        )

    def there(self, folder: ModelFolder, before: Before) -> tuple[Model, Schedule, Validation]:
        """Loads a finished model that was made without evidence."""
        validation = Validation(self.model, before.division, before.floors, before.fluency)
        return folder.load(self.model), self._unsearched(), validation

    def evidence(
        self,
        after: Model,
        before: Before,
        schedule: Schedule,
        validation: Validation,
        out: Path | None,
    ) -> Evidence:
        """Measures the model after, and says what that shows."""
        reported = before.division.reported
        found = Found(
            audit=audit(
                after,
                reported,
                self.gold,
                before.records,
                attacks="records",
                limit=before.limit,
                names=self.names,
                fluency=before.fluency,
                on_progress=self.on_progress,
            ),
            levels=before.levels(after),
            schedule=schedule,
            known=before.known,
            same=digest(after.module.state_dict()) == digest(self.model.module.state_dict()),
            guarded=bool(after.guards),
            no_retain=before.no_retain,
        )
        return Evidence(
            word=word(found),
            statement=statement(found),
            not_shown=not_shown(found),
            warnings=warnings(found),
            method=self.chosen.name,
            hyperparameters=self.chosen.model_dump(mode="json"),
            modality=self.modality,
            seed=self.seed,
            adapter=ADAPTER if out is not None and (out / ADAPTER).is_dir() else None,
            known=before.known,
            levels=found.levels,
            schedule=schedule,
            digests=Digests(
                before=self.model.fingerprint,
                after=after.fingerprint,
                gold=None if self.gold is None else self.gold.fingerprint,
                data=self.dataset.fingerprint,
                files={path.name: sha256_file(path) for path in self.files},
                code=code_digests((*modules_of(self.chosen), __name__)),
            ),
            chosen_on=self._chosen_on(after, schedule, validation),
            audit=found.audit,
            environment=_environment(self.model),
        )

    def _chosen_on(
        self, after: Model, schedule: Schedule, validation: Validation
    ) -> tuple[AuditedAnswer, ...]:
        """Lists questions about the validation people, where they are reported nowhere else."""
        if not (schedule.trials and schedule.apart):
            return ()
        said, before = validation.said(after), validation.said_before
        garbled = validation.garbled_rows(said)
        return tuple(
            AuditedAnswer(
                track=row.track,
                person=-1 if row.person is None else row.person,
                name="" if row.person is None else self.dataset.names.get(row.person, ""),
                question=row.question,
                truth=row.answer,
                answer=said[row.id],
                told=rouge(row.answer, said[row.id])["rouge_l"] >= WHOLE,
                garbled=row.id in garbled,
                original=before[row.id],
            )
            for row in validation.division.forget
            if row.id in said
        )


def _environment(model: Model) -> dict[str, str]:
    """Describes what may differ between two equal runs."""
    libraries = {name: version(name) for name in ("clearbench", "torch", "transformers", "peft")}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": str(model.device),
        **libraries,
    }
