"""Compares a dataset with its published form: counts, columns, people, odd rows, images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.join import Names, plain
from clearbench.data.layouts import CLEAR, TOFU, Layout
from clearbench.data.load import load_dataset
from clearbench.data.modalities.image import CAPTION_QUESTIONS
from clearbench.data.published import TOFU as TOFU_ON_THE_HUB
from clearbench.data.sources.base import Request, source_of
from clearbench.data.sources.built import BuiltFolder
from clearbench.data.sources.builtin import Builtin
from clearbench.data.sources.clear import Clear
from clearbench.data.sources.own_rows import OwnRows
from clearbench.data.sources.tofu import Tofu
from clearbench.data.tables import Tables
from clearbench.errors import DataError

#: Configuration in which CLEAR's questions are counted: 4,000, twenty per person, 200 people.
QUESTIONS = "questions"
#: Number of wrong answers that published rows have.
WRONG_ANSWERS = 5
#: Layouts of sources that are not published, by class; of others the name of the source.
_NAMES = {Builtin: "clearbench", BuiltFolder: "clearbench", OwnRows: "own rows"}


@dataclass(frozen=True)
class Configuration:
    """Comparison of one configuration with its published form.

    Attributes:
        name: Published name.
        expected: Published rows; None where uploads differ.
        found: Rows in this copy; None where there is no such configuration.
        fields: Fields of rows that each column becomes.
        missing: Published columns that this copy lacks.
        problem: Reason why its files cannot be read, if so.
    """

    name: str
    expected: int | None
    found: int | None
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether this copy has the configuration with the published number of rows."""
        return self.found is not None and self.expected in (None, self.found)


@dataclass(frozen=True)
class Checkup:
    """Result of comparing a dataset with its published form.

    Attributes:
        source: Folder or hub id.
        layout: `clear`, `tofu`, `clearbench`, `own rows`, or the name of another source.
        configurations: Its configurations, for published data.
        problems: Reasons why it cannot be loaded, or differs from its published form.
        dataset: The dataset as loaded; None where it cannot be.
        notes: What a person should know of how its rows were taken.
    """

    source: str
    layout: str
    configurations: tuple[Configuration, ...]
    problems: tuple[str, ...]
    dataset: Dataset | None
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it loads and holds everything that was published."""
        return not self.problems and all(configuration.ok for configuration in self.configurations)


def check(source: str | Path, images: Path | None = None) -> Checkup:
    """Counts and loads a dataset; from the hub, everything that is counted is downloaded.

    Args:
        source: Dataset, or a file of own rows.
        images: Folder of the pictures that own rows name; the folder of the rows by default.

    Raises:
        DataError: There is no dataset at all.
    """
    found = source_of(Request(str(source)))
    if not isinstance(found, Clear | Tofu):
        layout_name = _NAMES.get(type(found), found.name)
        return Checkup(str(source), layout_name, (), *_loaded(source, images))
    tables, layout = Tables(source), CLEAR if isinstance(found, Clear) else TOFU
    counted = [_configuration(tables, layout, name) for name in layout.counts]
    if layout is CLEAR:
        counted.append(_questions(tables))
    problems, dataset = _loaded(source)
    unread = [
        f"{configuration.name}: {configuration.problem}"
        for configuration in counted
        if configuration.problem
    ]
    return Checkup(str(source), layout.name, tuple(counted), (*unread, *problems), dataset)


def _loaded(
    source: str | Path, images: Path | None = None
) -> tuple[tuple[str, ...], Dataset | None]:
    try:
        return (), load_dataset(source, images=images)
    except DataError as error:
        return error.problems, None


def _configuration(tables: Tables, layout: Layout, name: str) -> Configuration:
    expected = layout.counts[name]
    if name not in tables.names:
        return Configuration(name, expected, None)
    form = layout.form(name)
    try:
        columns, count = tables.columns(name), tables.count(name)
    except DataError as error:
        return Configuration(name, expected, None, problem=f"{error.what} ({error.where})")
    return Configuration(
        name,
        expected,
        count,
        {column: form.fields(column) for column in columns},
        tuple(column for column in form.columns if column not in columns),
    )


def _questions(tables: Tables) -> Configuration:
    """Counts questions where `load_dataset` reads them: with the images, or in the hub's TOFU."""
    expected = TOFU.counts["full"]
    try:
        if tables.remote:
            count = Tables(TOFU_ON_THE_HUB).count("full")
        else:
            rows = tables.rows("full+tofu", ("question",))
            count = sum(line.get("question") is not None for _, line in rows)
    except DataError as error:
        return Configuration(QUESTIONS, expected, None, problem=f"{error.what} ({error.where})")
    return Configuration(QUESTIONS, expected, count)


def odd_rows(dataset: Dataset) -> Iterator[str]:
    """Yields a line per row that loads but that a person should check."""
    yield from dataset.doubts
    rows = {row.source + row.id: row for row in _all_rows(dataset)}.values()
    images: dict[str, tuple[Example, set[int]]] = {}
    for row in rows:
        if row.image is not None:
            shown = images.setdefault(row.image.key, (row, set()))[1]
            shown |= set() if row.person is None else {row.person}
        yield from (f"{row.source}: {what}" for what in _oddities(row, dataset.names))
    for row, people in images.values():
        if len(people) > 1:
            yield f"{row.source}: the same picture shows {len(people)} people"
    yield from _half_known(dataset)


def _all_rows(dataset: Dataset) -> Iterator[Example]:
    for splits in (dataset.training, dataset.evaluation):
        for rows in splits.values():
            yield from rows


def _oddities(row: Example, names: dict[int, str]) -> Iterator[str]:
    name = names.get(-1 if row.person is None else row.person, "")
    described = row.task == "caption" and row.question in CAPTION_QUESTIONS
    if described and not name:
        yield "neither a name nor a caption that says one"
    elif described and Names([name]).find(row.answer) is None:
        yield f"the caption does not say {name}"
    wrong = Counter(map(plain, row.perturbed_answers))
    if plain(row.answer) in wrong:
        yield "the true answer is among the wrong ones"
    if any(count > 1 for count in wrong.values()):
        yield "a wrong answer is there twice"
    if row.task in ("caption", "qa") and wrong and len(row.perturbed_answers) != WRONG_ANSWERS:
        yield f"{len(row.perturbed_answers)} wrong answers, not {WRONG_ANSWERS}"


def _half_known(dataset: Dataset) -> Iterator[str]:
    """Yields a line for people who have rows of one track only, where the data have both."""
    tracks: dict[int, set[str]] = {}
    for rows in dataset.training.values():
        for row in rows:
            if row.person is not None:
                tracks.setdefault(row.person, set()).add(row.track)
    if len(set().union(*tracks.values())) == 2:
        for person, known in sorted(tracks.items()):
            if len(known) == 1:
                only = "questions" if "text" in known else "pictures"
                yield f"person {person} ({dataset.names.get(person, '')}): {only} alone"
