"""Defines the schema of `results.json` and `details.json`, which every program uses.

A file of an older schema is upgraded when it is read. `docs/results.schema.json` is made from here.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from clearbench.evaluation.description import Description
from clearbench.evaluation.score import Band
from clearbench.runs.rows import AnyRow, CombinedRow, Cost, CurvePoint, Drawn, Row, Scored, Variant
from clearbench.runs.stored import SCHEMA, Open, Stored, StoredFile, is_none, schema_in
from clearbench.storage import read_json

__all__ = [
    "DETAILS", "RESULTS", "SCHEMA", "AnyRow", "CombinedRow", "Cost", "CurvePoint", "Details",
    "Environment", "NullBand", "Plugin", "RankCorrelation", "RecordedRecipe", "Results", "Row",
    "Scored", "ShownPerson", "ShownQuestion", "Variant", "WordedMethod", "Wording", "read_details",
    "read_results", "schema_of",
]  # fmt: skip

RESULTS, DETAILS = "results.json", "details.json"


class Environment(Open):
    """Software and machine that made the numbers; no host name, no paths.

    Attributes:
        packages: Versions by package.
        accelerator: Name of the GPU, or `none`.
        device: Kind of device that models computed on: `cpu`, `cuda` or `mps`; empty in old files.
    """

    python: str
    machine: str
    system: str
    packages: dict[str, str]
    accelerator: str
    device: str = ""
    workers: int
    threads_per_worker: int


class Plugin(Stored):
    """A plugin's source file, or a file beside it that it imports.

    Attributes:
        name: Name of the file; of an installed package its name, version and module.
        sha256: Hash of the content.
    """

    name: str
    sha256: str


class RecordedData(Open):
    """Settings of the recipe's people."""

    fold: str = "reported"


class RecordedEvaluation(Open):
    """Settings of the recipe's evaluation."""

    protocol: str = "clear"
    eligible: str = "all"


class RecordedRecipe(Open):
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


class NullBand(Stored):
    """Distance between golds of different seeds, by score.

    Attributes:
        golds: Ids of the golds.
    """

    model: str
    share: float
    golds: tuple[str, ...]
    bands: dict[str, Band]


class RankCorrelation(Stored):
    """Spearman's correlations between metrics over the runs of one kind of model and one track.

    Attributes:
        runs: Number of runs that were ranked.
        metrics: Keys of the rows and columns.
        spearman: Correlations, (metrics, metrics).
    """

    model: str
    track: str
    runs: int
    metrics: tuple[str, ...]
    spearman: tuple[tuple[float, ...], ...]


class Results(StoredFile):
    """The content of `results.json`.

    Attributes:
        rows: Rows of runs, in the order of the recipe.
        combined: Rows of settings that ran with several seeds.
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
        """Finds the run of an id."""
        return next((row for row in self.rows if row.id == id), None)

    def null_gaps(self, gold: str) -> dict[str, float]:
        """Returns the largest distance between golds by score key, of the first band with a gold.

        Args:
            gold: Id of the gold's row.
        """
        band = next((band for band in self.null_bands if gold in band.golds), None)
        return {key: entry.gap for key, entry in band.bands.items()} if band else {}


class ShownPerson(Stored):
    """A fictitious person with some portraits in base64."""

    id: str
    name: str
    portraits: tuple[str, ...] = ()


class ShownQuestion(Stored):
    """One question with the answers of all runs.

    Attributes:
        image: Image that it is asked about, in base64.
        answers: Answers by row id.
    """

    split: str
    track: str
    question: str
    truth: str
    person: str | None = None
    name: str = ""
    image: str | None = None
    answers: dict[str, str] = Field(default_factory=dict)


class WordedMethod(Stored):
    """A method in words.

    Attributes:
        title: Name in print.
        retrains: True if it is retraining, which is gold by another name.
    """

    title: str
    retrains: bool = False


class Wording(Stored):
    """Words of a run's methods and scores at the time of the run.

    Attributes:
        methods: Methods by name.
        scores: Descriptions of scores by the last part of their keys.
    """

    methods: dict[str, WordedMethod] = Field(default_factory=dict)
    scores: dict[str, Description] = Field(default_factory=dict)

    def retrains(self, method: str) -> bool:
        """Whether a method is retraining; False for one without words."""
        return method in self.methods and self.methods[method].retrains

    @property
    def titles(self) -> dict[str, str]:
        """Titles of scores by the last part of their keys."""
        return {name: described.title for name, described in self.scores.items()}


class Details(StoredFile):
    """The content of `details.json`: what the page shows besides numbers.

    Attributes:
        people: Forgotten (`forget`) and kept (`retain`) people.
        truth_ratios: Truth ratios by row id and `forget.<track>`.
        wording: Words of methods and scores; None in files of versions that kept none.
    """

    file_name = DETAILS

    people: dict[str, tuple[ShownPerson, ...]] = Field(default_factory=dict)
    truth_ratios: dict[str, dict[str, tuple[Drawn, ...]]] = Field(default_factory=dict)
    questions: tuple[ShownQuestion, ...] = ()
    wording: Wording | None = Field(default=None, exclude_if=is_none)

    def ratios(self, id: str, track: str) -> list[float]:
        """Returns a run's finite truth ratios on the forgotten people."""
        ratios = self.truth_ratios.get(id, {}).get(f"forget.{track}", ())
        return [ratio for ratio in ratios if ratio is not None]


def read_results(path: Path) -> Results:
    """Reads a `results.json`, or that of a run's folder; older schemas are upgraded.

    Args:
        path: File, or folder that a run wrote.

    Returns:
        Results: a row per run, gold and original, with scores by key and their intervals.

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
    """Reads the schema number of a `results.json`, or of that in a folder."""
    file = path / RESULTS if path.is_dir() else path
    return schema_in(read_json(file), str(file))
