"""The schema of `results.json` and `details.json`: every program reads and writes these classes.

A file of an older schema is upgraded when it is read. `docs/results.schema.json` is made from here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from clearbench.errors import StorageError
from clearbench.evaluation.score import Score
from clearbench.evaluation.statistics import Band, Combined
from clearbench.evaluation.verdict import Verdict
from clearbench.storage import read_json, write_json
from clearbench.training.settings import Penalty, TrainSettings

SCHEMA = 2
RESULTS, DETAILS = "results.json", "details.json"
#: Roles that methods are compared with.
ANCHORS = ("original", "gold")
#: Problems of a damaged file that are named at once.
_MOST_PROBLEMS = 5


def _finite(score: Score) -> Score:
    if not math.isfinite(score.value):
        raise ValueError(f"{score.value} is not a finite number")
    return score


def _none_unless_finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_none(value: object) -> bool:
    return value is None


FiniteScore = Annotated[Score, AfterValidator(_finite)]
#: A number of a drawing; infinities are stored as null, which JSON has.
Drawn = Annotated[float | None, BeforeValidator(_none_unless_finite)]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Open(BaseModel):
    """Part of a file that keeps whatever else it holds."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Environment(_Open):
    """The software and the machine that the numbers were made with; no host name, no paths.

    Attributes:
        packages: Versions by package.
        accelerator: Name of the GPU, or `none`.
    """

    python: str
    machine: str
    system: str
    packages: dict[str, str]
    accelerator: str
    workers: int
    threads_per_worker: int


class Plugin(_Stored):
    """A plugin's file by name and content."""

    name: str
    sha256: str


class RecordedData(_Open):
    """The recipe's people."""

    fold: str = "reported"


class RecordedEvaluation(_Open):
    """The recipe's evaluation."""

    eligible: str = "all"


class RecordedRecipe(_Open):
    """The resolved recipe as it was run, readable without the plugins that it names.

    Attributes:
        identity: Hash of all that decides the numbers.
    """

    name: str
    title: str = ""
    description: str = ""
    identity: str = ""
    data: RecordedData = RecordedData()
    evaluation: RecordedEvaluation = RecordedEvaluation()


class Variant(_Stored):
    """What a run trained.

    Attributes:
        parts: Parts of the model that learned.
        rank: Rank of LoRA's adapters; None where the weights themselves learned.
        penalty: The penalty on what learned, if any.
    """

    parts: tuple[str, ...] = ()
    rank: int | None = None
    penalty: Penalty | None = None


Amount = Annotated[int | float | None, Field(exclude_if=_is_none)]


class Cost(_Stored):
    """What making and measuring one model took; a number that nobody took is absent."""

    seconds: Amount = None
    peak_memory_bytes: Amount = None
    trainable_parameters: Amount = None
    forwards: Amount = None
    backwards: Amount = None
    measuring_seconds: Amount = None
    measuring_peak_memory_bytes: Amount = None

    def items(self) -> dict[str, float]:
        """The numbers that were taken, by name."""
        return {key: value for key, value in self if value is not None}


class CurvePoint(_Stored):
    """One step of training: loss terms, the gradient's norm, and scores measured on the way.

    Attributes:
        step: Updates done; 0 is before the first.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, float]

    step: int

    def value(self, name: str) -> float | None:
        """A term, norm or score of this step; None where it was not measured."""
        return self.__pydantic_extra__.get(name)


class Scored(_Stored):
    """The scores of one run before they are part of a row.

    Attributes:
        truth_ratios: By `forget.<track>`, for the page's drawings.
    """

    scores: dict[str, FiniteScore]
    truth_ratios: dict[str, tuple[Drawn, ...]] = Field(default_factory=dict)


class AnyRow(_Stored):
    """What a row of one run and a row over several seeds have in common.

    Attributes:
        model: Kind of model.
        modality: What it was asked to forget.
        share: Share of the taught people who were to be forgotten.
        gold: Id of the row that it is compared with.
        reason: Why it did not end well.
        scores: By key, `<split>.<track>.<metric>`.
        verdict: None for originals and for runs without scores.
    """

    id: str
    method: str
    model: str
    modality: str
    share: float
    variant: Variant
    hyperparameters: dict[str, float | int | str | bool]
    training: TrainSettings
    protocol: str
    gold: str
    status: Literal["ok", "diverged", "failed"]
    reason: str
    scores: Mapping[str, FiniteScore]
    cost: Cost
    verdict: Verdict | None = Field(default=None, exclude_if=_is_none)

    @property
    def ok(self) -> bool:
        """Whether the run ended as it should."""
        return self.status == "ok"

    @property
    def is_anchor(self) -> bool:
        """Whether it is an original or a gold, rather than a method's."""
        return self.method in ANCHORS

    def value(self, key: str) -> float | None:
        """A score's value; None where it was not measured."""
        return self.scores[key].value if key in self.scores else None

    def values(self, field: Literal["value", "gold", "original"] = "value") -> dict[str, float]:
        """The values of all scores, or those of gold or the original, as far as they are known."""
        numbers = ((key, getattr(score, field)) for key, score in self.scores.items())
        return {key: number for key, number in numbers if number is not None}


class Row(AnyRow):
    """One run: one model that was made, measured and scored.

    Attributes:
        reference: How the reference model was held, where the method has one.
        attacks: Scores of attacks by key.
        stages: Keys of the stages that it was made of, by role.
    """

    seed: int
    reference: str | None = None
    attacks: dict[str, FiniteScore] = Field(default_factory=dict)
    curve: tuple[CurvePoint, ...] = ()
    stages: dict[str, str] = Field(default_factory=dict)

    @property
    def first_seed(self) -> int:
        """The seed of training."""
        return self.seed


class CombinedRow(AnyRow):
    """One setting over several seeds, under the id of the first.

    Attributes:
        seeds: Seeds of the runs.
        rows: Ids of the runs.
        seeds_passed: Number of seeds that passed; None where there is no verdict.
    """

    scores: Mapping[str, Combined]
    seeds: tuple[int, ...]
    rows: tuple[str, ...]
    seeds_passed: int | None = Field(default=None, exclude_if=_is_none)

    @property
    def first_seed(self) -> int:
        """The seed of the run whose id the row has."""
        return self.seeds[0]


class NullBand(_Stored):
    """How far golds of different seeds are from each other, by score.

    Attributes:
        golds: Ids of the golds.
    """

    model: str
    share: float
    golds: tuple[str, ...]
    bands: dict[str, Band]


class RankCorrelation(_Stored):
    """Spearman's correlations between metrics over the runs of one kind of model and one track.

    Attributes:
        runs: Number of runs that were ranked.
        metrics: Keys of the rows and columns.
        spearman: (metrics, metrics).
    """

    model: str
    track: str
    runs: int
    metrics: tuple[str, ...]
    spearman: tuple[tuple[float, ...], ...]


class _File(_Stored):
    """A whole file with the number of its schema."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, serialize_by_alias=True
    )
    file_name: ClassVar[str]

    schema_number: Literal[2] = Field(default=SCHEMA, alias="schema")

    def json_value(self) -> dict[str, Any]:
        """The content of the file."""
        return self.model_dump(mode="json")

    def write(self, path: Path) -> None:
        """Writes canonical JSON: equal contents give equal bytes."""
        write_json(path, self.json_value())

    @classmethod
    def parse(cls, content: Any, where: str) -> Self:
        """Checks the content of a file, after an upgrade where it is of an older schema.

        Args:
            content: Parsed JSON.
            where: The file's name, for the message.

        Raises:
            StorageError: The schema is unknown, or fields are missing or wrong.
        """
        number = _schema_number(content, where)
        try:
            return cls.model_validate(_upgraded(content) if number < SCHEMA else content)
        except ValidationError as error:
            problems = _problems(error)
            raise StorageError(
                f"not what clearbench writes: {problems}", where, "restore the file, or run again"
            ) from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file, or the one in a run's folder."""
        file = path / cls.file_name if path.is_dir() else path
        return cls.parse(read_json(file), str(file))


class Results(_File):
    """The content of `results.json`.

    Attributes:
        rows: One for each run, in the order of the recipe.
        combined: One for each setting that ran with several seeds.
    """

    file_name = RESULTS

    recipe: RecordedRecipe
    environment: Environment
    rows: tuple[Row, ...]
    plugins: tuple[Plugin, ...] = ()
    combined: tuple[CombinedRow, ...] = ()
    null_bands: tuple[NullBand, ...] = ()
    rank_correlations: tuple[RankCorrelation, ...] = ()

    def row(self, id: str) -> Row | None:
        """The run of an id."""
        return next((row for row in self.rows if row.id == id), None)


class ShownPerson(_Stored):
    """A fictitious person with some portraits in base64."""

    id: str
    name: str
    portraits: tuple[str, ...] = ()


class ShownQuestion(_Stored):
    """One question with the answers of all runs.

    Attributes:
        image: The image that it is asked about, in base64.
        answers: By row id.
    """

    split: str
    track: str
    question: str
    truth: str
    person: str | None = None
    name: str = ""
    image: str | None = None
    answers: dict[str, str] = Field(default_factory=dict)


class Details(_File):
    """The content of `details.json`: what the page shows besides numbers.

    Attributes:
        people: Forgotten (`forget`) and kept (`retain`) people.
        truth_ratios: By row id and `forget.<track>`.
    """

    file_name = DETAILS

    people: dict[str, tuple[ShownPerson, ...]] = Field(default_factory=dict)
    truth_ratios: dict[str, dict[str, tuple[Drawn, ...]]] = Field(default_factory=dict)
    questions: tuple[ShownQuestion, ...] = ()

    def ratios(self, id: str, track: str) -> list[float]:
        """A run's finite truth ratios on the forgotten people."""
        ratios = self.truth_ratios.get(id, {}).get(f"forget.{track}", ())
        return [ratio for ratio in ratios if ratio is not None]


def read_results(path: Path) -> Results:
    """Reads a `results.json`, or that of a run's folder; older schemas are upgraded.

    Raises:
        StorageError: There is none, or it is damaged; the message names the fields.
    """
    return Results.read(path)


def read_details(path: Path) -> Details:
    """Reads a `details.json`, or that of a run's folder; older schemas are upgraded.

    Raises:
        StorageError: There is none, or it is damaged; the message names the fields.
    """
    return Details.read(path)


def schema_of(path: Path) -> int:
    """The number of the schema that a `results.json`, or that of a folder, was written in."""
    file = path / RESULTS if path.is_dir() else path
    return _schema_number(read_json(file), str(file))


def _schema_number(content: Any, where: str) -> int:
    if not isinstance(content, dict):
        raise StorageError("not what clearbench writes: no JSON object", where, "restore the file")
    number = content.get("schema", 1)  # `details.json` had no number under schema 1
    if number not in range(1, SCHEMA + 1):
        raise StorageError(
            f"schema = {number!r}: this version of clearbench reads 1 to {SCHEMA}",
            where,
            "read it with the version that wrote it, or a later one",
        )
    return int(number)


def _upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """The content under schema 2. Schema 1 called a question's image `picture`."""
    upgraded = content | {"schema": SCHEMA}
    questions = content.get("questions")
    if isinstance(questions, list):
        upgraded["questions"] = [_upgraded_question(question) for question in questions]
    return upgraded


def _upgraded_question(question: Any) -> Any:
    if not isinstance(question, dict):
        return question  # damaged; the check of the fields names it
    return {"image" if key == "picture" else key: value for key, value in question.items()}


def _problems(error: ValidationError) -> str:
    problems = error.errors(include_input=False, include_url=False)
    told = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in problems[:_MOST_PROBLEMS]]
    more = len(problems) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more > 0 else "")
