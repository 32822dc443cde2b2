"""Models and records that `clearbench attack` compares with, and checks of them before any work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clearbench.errors import DataError, ModelError, RecipeError
from clearbench.storage import content_hash, sha256_file

if TYPE_CHECKING:
    from clearbench.attacks.base import Attack
    from clearbench.attacks.inputs import Lack
    from clearbench.data.dataset import Dataset
    from clearbench.evaluation.records import Records
    from clearbench.models.base import Model

#: How to give what an attack lacks.
_WAYS = {
    "forget": "--forget FILE",
    "retain": "--retain FILE",
    "holdout": "--holdout FILE",
    "gold": "--reference GOLD",
    "original": "--original MODEL",
    "shadow models": "--shadow-forget MODEL and --shadow-holdout MODEL, each several times",
}
#: Inputs that records alone can serve.
_OF_RECORDS = {"records", "shadow_models"}


@dataclass(frozen=True)
class Source:
    """A model that the attacked one is compared with, or learned from: its folder or its records.

    Attributes:
        role: `gold` or `original`; of shadow models the split whose people it was taught.
        option: Option that names it.
        place: Folder or hub id.
    """

    role: str
    option: str
    place: str

    @property
    def is_records(self) -> bool:
        """Whether it is a folder of records."""
        return (Path(self.place) / "answers.parquet").is_file()

    def loaded(self, loading: Mapping[str, Any]) -> Model | Records:
        """Loads the model or reads the records."""
        from clearbench.evaluation.records import Records
        from clearbench.models.load import load_model

        return (
            Records.load(Path(self.place)) if self.is_records else load_model(self.place, **loading)
        )

    @property
    def digest(self) -> str:
        """A hash of every file of its folder, guards and settings too; for a hub id its name."""
        place = Path(self.place)
        files = sorted(path for path in (place, *place.rglob("*")) if path.is_file())
        held = [[path.relative_to(place).as_posix(), sha256_file(path)] for path in files]
        return content_hash(held or self.place)


def check_sources(chosen: Sequence[Attack], dataset: Dataset, sources: Sequence[Source]) -> None:
    """Refuses attacks that lack an input, and models that are not there; all are named.

    Raises:
        RecipeError: Says what is missing, and how to give it.
        ModelError: A folder of a shadow model is none.
    """
    problems = list(_problems(chosen, dataset, sources))
    if problems:
        ways = ", ".join(dict.fromkeys(_WAYS[lack.input] for lack in problems))
        needs = [f"{lack.attack} needs {lack.what}" for lack in problems]
        raise RecipeError("\n".join(needs), "attack", f"give {ways}")
    reading = [each.name for each in chosen if set(each.needs) - _OF_RECORDS]
    for source in sources:
        shadow = source.role not in ("gold", "original")
        if reading and source.is_records and not shadow:
            what = f"{', '.join(reading)} attacks models alike, and these are only records"
            fix = f"give the model's folder to {source.option}, or leave it out"
            raise RecipeError(what, f"{source.option} {source.place}", fix)
        if shadow and not Path(source.place).is_dir():
            fix = "give a model's folder, or records of `clearbench evaluate`"
            raise ModelError("there is no such folder", f"{source.option} {source.place}", fix)
    places = [Path(source.place).resolve() for source in sources]
    for source, place in zip(sources, places, strict=True):
        if places.count(place) > 1:
            what = "this model is given twice"
            raise RecipeError(what, f"{source.option} {source.place}", "give every model once")


def _problems(
    chosen: Sequence[Attack], dataset: Dataset, sources: Sequence[Source]
) -> Iterator[Lack]:
    """Yields what attacks lack."""
    from clearbench.attacks.inputs import lacks

    roles = {source.role: source for source in sources}
    original = roles.get("original")
    for each in chosen:
        yield from lacks(
            each,
            dataset,
            gold="gold" in roles,
            original=original is not None and not original.is_records,
            taught=[people for _, people in shadow_people(dataset, sources)],
        )


def shadow_people(
    dataset: Dataset, sources: Sequence[Source]
) -> list[tuple[Source, frozenset[int]]]:
    """Returns the people whom each shadow model was taught, of those that are attacked."""
    people = {"forget": dataset.people("forget"), "holdout": dataset.people("holdout")}
    return [(each, frozenset(people[each.role])) for each in sources if each.role in people]


def check_records(source: Source, records: Records, model: Model, rows: Dataset) -> None:
    """Refuses records that lack attacked rows, or have other answers to them.

    Raises:
        DataError: Names how many rows of which split differ.
    """
    from clearbench.attacks.membership import SIDES
    from clearbench.batches.items import item

    told = dict(zip(records.generations["row"], records.generations["truth"], strict=True))
    wrong = []
    for split in SIDES:
        mine = [row for row in rows.evaluation.get(split, ()) if model.accepts(item(row))]
        theirs = set(records.answers.loc[records.answers["split"] == split, "row"])
        other = sum(
            row.id not in theirs or told.get(row.id, row.answer) != row.answer for row in mine
        )
        if other:
            wrong.append(f"{split}: {other} of {len(mine)} rows are missing or differ")
    if wrong:
        fix = "measure it on the same rows (`clearbench evaluate`, the same --limit)"
        where = f"{source.option} {source.place}"
        raise DataError(f"these records are of other rows; {'; '.join(wrong)}", where, fix)
