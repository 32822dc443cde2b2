"""Makes attacks on one model for the command line; those that a folder holds already are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from clearbench.attacks.base import Attack, OnProgress
from clearbench.attacks.point import Point
from clearbench.attacks.removal import Removal
from clearbench.attacks.run import Attacked, Subject, check_suited, measured, run
from clearbench.audit.measure import NOT_THERE
from clearbench.audit.run import check_different, kind_of
from clearbench.cli.attack_inputs import Source, check_records, shadow_people
from clearbench.data.dataset import Dataset
from clearbench.errors import RecipeError, StorageError
from clearbench.evaluation.engine import sample
from clearbench.evaluation.metric import Shadow
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.libraries import pq
from clearbench.models.base import Model
from clearbench.models.load import load_model
from clearbench.runs.code import code_digests, modules_of
from clearbench.runs.stages.attack import TABLE, read_attack_scores, write_scores, write_table
from clearbench.storage import about as about_of
from clearbench.storage import canonical_json, is_finished, new_folder


@dataclass(frozen=True)
class Attacks:
    """One model with all that attacks on it read.

    Attributes:
        model: Attacked model.
        rows: Dataset with the attacked rows, as the model's kind reads it.
        compared: Gold and the original, those that there are.
        shadows: Shadow models, and people whom each was taught.
        seed: Seed of what attacks draw.
        loading: Options by which models are loaded.
        about: All that decides what an attack gives, besides the attack.
        on_progress: Function told of the progress.
    """

    model: Model
    rows: Dataset
    compared: Mapping[str, Model | Records]
    shadows: Sequence[tuple[Source, frozenset[int]]]
    seed: int
    loading: Mapping[str, Any]
    about: Mapping[str, Any]
    on_progress: OnProgress

    @classmethod
    def on(
        cls,
        model: str,
        dataset: Dataset,
        sources: Sequence[Source],
        limit: int | None,
        seed: int,
        loading: Mapping[str, Any],
        on_progress: OnProgress,
    ) -> Self:
        """Loads the models and checks that they go together; shadow models are loaded later.

        Raises:
            ModelError: A model cannot be loaded.
            RecipeError: The models are of different kinds, or one is another itself.
            DataError: Records are of other rows.
        """
        on_progress("loading the models", 0, 1)
        attacked = load_model(model, **loading)
        beside = [source for source in sources if source.role in ("gold", "original")]
        compared = {source.role: source.loaded(loading) for source in beside}
        every: dict[str, Model | Records | None] = {"model": attacked, "gold": None}
        every |= {"original": None, **compared}
        kind = kind_of(every)
        check_different(every)
        rows = sample(dataset.for_kind(kind), limit)
        shadows = shadow_people(rows, sources)
        for source in (*beside, *(source for source, _ in shadows)):
            if source.is_records:
                check_records(source, Records.load(Path(source.place)), attacked, rows)
        about = {
            "command": "attack",
            "model": {"source": model, "fingerprint": attacked.fingerprint},
            "data": {"fingerprint": dataset.fingerprint},
            "compared": {source.role: source.digest for source in beside},
            "shadows": [[source.role, source.digest] for source, _ in shadows],
            "limit": limit,
            "seed": seed,
            "dtype": loading["dtype"],
        }
        return cls(attacked, rows, compared, shadows, seed, loading, about, on_progress)

    def made(self, chosen: Sequence[Attack], out: Path | None) -> dict[str, Attacked]:
        """Returns what each attack gave, by its score key.

        Args:
            chosen: Attacks.
            out: Folder that gets a folder for each; None for none.

        Raises:
            RecipeError: An attack cannot be made on the model.
            StorageError: A folder holds what other settings gave.
        """
        for each in chosen:
            check_suited(each, self.model)
            if isinstance(each, Removal) and not each.has(self.model):
                fix = "leave this attack out, or give the model with its adapter or guard"
                raise RecipeError(f"{each.name} is {NOT_THERE}", "attack", fix)
        places = {each.score_key: out / each.score_key for each in chosen if out is not None}
        there = [each for each in chosen if self._is_there(each, places.get(each.score_key))]
        found = {each.score_key: _read(places[each.score_key]) for each in there}
        waiting = [each for each in chosen if each not in there]
        for each, made in self._made(waiting) if waiting else ():
            if out is not None:
                with new_folder(places[each.score_key], self._about(each)) as folder:
                    write_table(folder, made.table)
                    write_scores(folder, made.scores, made.curves)
            found[each.score_key] = made
        return found

    def _made(self, chosen: Sequence[Attack]) -> Iterator[tuple[Attack, Attacked]]:
        """Measures every model once, and yields what each attack gives."""
        subjects: dict[str, Subject | Records] = {
            role: given
            if isinstance(given, Records)
            else measured(given, self.rows, chosen, self.on_progress, role)
            for role, given in self.compared.items()
        }
        attacked = measured(self.model, self.rows, chosen, self.on_progress)
        learning = [each for each in chosen if "shadow_models" in each.needs]
        shadows = list(self._shadows(learning)) if learning else []
        for number, each in enumerate(chosen, start=1):
            doing = f"attack {number} of {len(chosen)}, {each.description.title}"
            self.on_progress(doing, 0, 1)
            yield (
                each,
                run(
                    attacked,
                    self.rows,
                    each,
                    subjects.get("gold"),
                    original=subjects.get("original"),
                    shadows=shadows if each in learning else (),
                    seed=self.seed,
                    on_progress=self.on_progress,
                ),
            )

    def _shadows(self, learning: Sequence[Attack]) -> Iterator[Shadow]:
        """Yields the records of shadow models; each is loaded, measured and let go."""
        for number, (source, people) in enumerate(self.shadows, start=1):
            loaded = source.loaded(self.loading)
            if not isinstance(loaded, Records):
                kind_of({"model": self.model, source.option: loaded})
                name = f"shadow model {number} of {len(self.shadows)}"
                loaded = measured(loaded, self.rows, learning, self.on_progress, name).records
            yield Shadow(loaded, people)

    def _about(self, chosen: Attack) -> dict[str, Any]:
        parameters = chosen.model_dump(mode="json")
        code = code_digests(modules_of(chosen))
        return {**self.about, "attack": chosen.name, "parameters": parameters, "code": code}

    def _is_there(self, chosen: Attack, place: Path | None) -> bool:
        """Whether a folder holds the same attack.

        Raises:
            StorageError: It holds something else.
        """
        if place is None or not place.exists():
            return False
        if is_finished(place) and canonical_json(about_of(place)) == canonical_json(
            self._about(chosen)
        ):
            return True
        what = "this folder holds what another model, other data or other settings gave"
        raise StorageError(what, str(place), "choose another --out, or remove it")


def _read(place: Path) -> Attacked:
    """Reads a finished attack."""
    content = read_attack_scores(place)
    table = pq.ParquetFile(place / TABLE).read().to_pandas()
    scores = {key: Score(**score) for key, score in content["scores"].items()}
    curves = {key: [Point(**each) for each in points] for key, points in content["curves"].items()}
    return Attacked(table, scores, curves)
