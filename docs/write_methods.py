"""Writes docs/methods/, one page per method, from the classes and from one run of them all.

    python docs/write_methods.py [RUN]

RUN is the folder of `clearbench run all-methods`; what it measured is kept in
docs/methods/measured.json. Without RUN the pages are written again from there.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.fields import FieldInfo

from clearbench.evaluation.verdict.judge import Verdict, shown_keys
from clearbench.methods.base import Edit, Method, methods
from clearbench.methods.guard import Guard
from clearbench.runs.schema import Cost, Results, Row, Variant, read_results
from clearbench.testing.bench import Bench

FOLDER = Path(__file__).parent / "methods"
MEASURED = FOLDER / "measured.json"
WRITTEN = "Written by `python docs/write_methods.py` from the class itself; do not edit it.\n"
#: The score that says what is left of the rest of the world, by kind of model.
KEPT = {
    "language": "retain.text.probability",
    "vision-language": "retain.text.probability",
    "classifier": "retain.image.name_probability",
}


class Ended(BaseModel):
    """What is shown of a run that ended well.

    Attributes:
        scores: By key, the run's value, gold's and the original's.
        kept: Least ratio to the original among what must survive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scores: dict[str, tuple[float, float, float]]
    distance: float
    kept: float
    outcome: str
    cost: Cost


class Shown(BaseModel):
    """What is shown of a run.

    Attributes:
        ended: None where it diverged or failed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    model: str
    modality: str
    status: Literal["ok", "diverged", "failed"]
    variant: Variant
    hyperparameters: dict[str, float | int | str | bool]
    steps: int
    learning_rate: float
    ended: Ended | None = None

    @property
    def outcome(self) -> str:
        """What the run did, in a few words."""
        return self.ended.outcome if self.ended else self.status


SHOWN = TypeAdapter(tuple[Shown, ...])


def measured(results: Results) -> tuple[Shown, ...]:
    """Chooses what is shown of each run: settings, judged scores, the verdict, the cost."""
    return tuple(_shown(row) for row in results.rows if not row.is_anchor)


def _shown(row: Row) -> Shown:
    return Shown(
        method=row.method,
        model=row.model,
        modality=row.modality,
        status=row.status,
        variant=row.variant,
        hyperparameters=row.hyperparameters,
        steps=row.training.steps,
        learning_rate=row.training.learning_rate,
        ended=_ended(row, row.verdict) if row.verdict else None,
    )


def _ended(row: Row, verdict: Verdict) -> Ended:
    keys = (*shown_keys(row.modality, row.model), KEPT[row.model])
    three = (row.values(), row.values("gold"), row.values("original"))
    return Ended(
        scores={key: tuple(round(values[key], 3) for values in three) for key in keys},
        distance=round(verdict.distance or 0.0, 3),
        kept=round(min(verdict.kept.values(), default=0.0), 3),
        outcome=outcome(verdict),
        cost=Cost(**{key: round(value, 1) for key, value in _training_cost(row.cost).items()}),
    )


def _training_cost(cost: Cost) -> dict[str, float]:
    return {k: value for k, value in cost.items().items() if not k.startswith("measuring_")}


#: A run that moved no tenth of the way to gold and harmed nothing did nothing; one that left less
#: than half of something that must survive destroyed it.
NOTHING, DESTROYED = 0.1, 0.5


def outcome(verdict: Verdict) -> str:
    """What a run did, in a few words."""
    kept = min(verdict.kept.values(), default=0.0)
    if verdict.word != "did not":
        return verdict.word
    if kept < DESTROYED:
        return "destroys the rest"
    if verdict.distance is not None and verdict.distance > 1 - NOTHING and kept > 1 - NOTHING:
        return "does nothing"
    failing = verdict.of("fails")
    if any(finding.key.endswith(".garbage_rate") for finding in failing):
        return "answers with garbage"
    harmed = any(finding.kind in ("kept", "harm") for finding in failing)
    return "harms the rest" if harmed else "forgets too little"


def page(cls: type[Method], rows: Sequence[Shown]) -> str:
    """One method's page."""
    doc, _, fields = inspect.cleandoc(cls.__doc__ or "").partition("\n\nAttributes:\n")
    first, _, reasons = doc.partition("\n\n")
    idea = (inspect.getmodule(cls).__doc__ or "").strip()
    parts = [
        f"# {cls.name}\n",
        WRITTEN,
        f"**{idea}** {first}\n",
        f"- Paper: {cls.paper}",
        f"- Formula: {cls.status}",
        f"- Models: {', '.join(cls.kinds)}; forgets {', '.join(cls.modalities)}",
        f"- Reads: {', '.join(cls.needs)}",
        f"- Leaves: {cls.artefact}\n",
        "## Equation\n",
        *_equations(cls),
        *(["## Why so\n", reasons + "\n"] if reasons else []),
        *_hyperparameters(cls, fields),
        *_cost(cls),
        *_results(rows),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _equations(cls: type[Method]) -> Iterator[str]:
    steps = _steps(cls)
    for number, function in enumerate(steps, start=1):
        text = inspect.getdoc(function) or ""
        yield (f"{number}. " if len(steps) > 1 else "") + f"`{text.splitlines()[0]}`\n"


def _steps(cls: type[Method]) -> list[Any]:
    """The functions that are the method, in order."""
    if issubclass(cls, Guard):
        return [getattr(cls, name) for name in ("ask", "change") if name in vars(cls)]
    stages = cls().stages()
    return [each.function if isinstance(each, Edit) else each.loss for each in stages]


def _hyperparameters(cls: type[Method], described: str) -> Iterator[str]:
    if not cls.model_fields:
        return
    said = dict(re.findall(r"^    (\w+): (.*(?:\n        .*)*)", described, re.MULTILINE))
    yield from ("## Hyper-parameters\n", "| name | default | allowed | |", "|---|---|---|---|")
    for name, field in cls.model_fields.items():
        about = " ".join(said.get(name, "").split())
        yield f"| `{name}` | {field.default} | {_allowed(field)} | {about} |"
    yield ""


_SIGNS = {"ge": "at least", "gt": "over", "le": "at most", "lt": "under"}


def _allowed(field: FieldInfo) -> str:
    bounds = [
        f"{word} {getattr(bound, sign)}"
        for bound in field.metadata
        for sign, word in _SIGNS.items()
        if hasattr(bound, sign)
    ]
    choices = [f"`{each}`" for each in get_args(field.annotation) if isinstance(each, str)]
    return ", ".join(bounds) or " or ".join(choices)


def _cost(cls: type[Method]) -> Iterator[str]:
    """Counted, not stated: passes of a run of three steps and of one of four."""
    bench = Bench(cls, cls.kinds[0])
    if not bench.trains:
        return
    counts = []
    for steps in (3, 4):
        model = bench.model()
        model.forwards = model.backwards = 0
        bench.run(model, steps=steps)
        counts.append((model.forwards, model.backwards))
    forwards, backwards = (late - early for early, late in zip(*counts, strict=True))
    before = counts[0][0] - 3 * forwards
    yield "## Cost\n"
    yield f"{forwards} forward and {backwards} backward passes a step" + (
        f"; {before} forward passes before the first on eight tiny people.\n"
        if before > 0
        else ".\n"
    )


def _results(rows: Sequence[Shown]) -> Iterator[str]:
    if not rows:
        return
    yield "## On the demo world\n"
    yield (
        "Forgotten people's scores as *this method / gold / original*; distance 0 is gold, 1 the "
        "original; kept is the least ratio to the original among what must survive.\n"
    )
    yield "| model | forgets | probability, name choice | distance | kept | verdict | seconds |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        start = f"| {row.model} | {row.modality} "
        if row.ended is None:
            yield start + f"| | | | {row.status} | |"
            continue
        keys = [key for key in row.ended.scores if key.startswith("forget.")]
        shown = "; ".join(
            f"{key.removeprefix('forget.')} "
            + " / ".join(f"{v:.2f}" for v in row.ended.scores[key])
            for key in keys
        )
        yield (
            f"{start}| {shown} | {row.ended.distance:.2f} | {row.ended.kept:.2f} | {row.outcome} "
            f"| {row.ended.cost.seconds or 0:.1f} |"
        )
    yield ""
    yield from _settings(rows)


def _settings(rows: Sequence[Shown]) -> Iterator[str]:
    """Lists the settings of every run, which were chosen on other people."""
    yield "Settings, chosen on the validation fold:\n"
    for row in rows:
        values = ", ".join(
            f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in row.hyperparameters.items()
        )
        train = f"; {row.steps} steps at most, rate {row.learning_rate:g}"
        trains = Bench(methods()[row.method], row.model).trains
        yield f"- {row.model}, {row.modality}: {values or 'defaults'}{train if trains else ''}"
    yield ""


def index(rows: Sequence[Shown]) -> str:
    """The page that lists them all; formulas that nobody confirmed stand apart."""
    known = methods()
    lines = ["# Methods\n", WRITTEN, "What each did on the demo world: [results](results.md).\n"]
    for status, title in (
        ("verified", "## Confirmed by paper, authors' code or derivation\n"),
        ("adapted", "## Adapted: the page says how it departs from the publication\n"),
        ("unverified", "## Not confirmed: the page says what is uncertain\n"),
    ):
        chosen = {name: cls for name, cls in known.items() if cls.status == status}
        if chosen:
            lines += [
                title,
                "| method | idea | models | nearer to gold on the demo world |",
                "|---|---|---|---|",
            ]
            lines += [_index_row(name, cls, rows) for name, cls in chosen.items()]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def results(rows: Sequence[Shown]) -> str:
    """The page with every run, the nearest to gold first among those that passed."""
    lines = [
        "# Every method on the demo world\n",
        "Written by `python docs/write_methods.py RUN`; do not edit it.\n",
        "What `recipes/all-methods.yaml` gave: forty people, eight forgotten, one original and one "
        "gold for all, settings chosen on eight other people (`recipes/search-methods.yaml`). "
        "Distance 0 is gold and 1 the original; kept is the least ratio to the original among what "
        f"must survive. *Does nothing*: not a tenth of the way to gold, and nothing harmed. "
        f"*Destroys the rest*: under {DESTROYED:.0%} of something is left. Peak "
        "memory is the worker process's, which holds on to what earlier runs took (a fresh one "
        "begins near 700 MB): it bounds a run's need from above. One seed and a small world: read "
        "it as what a method did here, not as a ranking of methods.\n",
        "**These runs were judged by an earlier rule**, whose *passed* said only that a run was "
        "nearer to gold than to the original on probability and name choice, with little garbage. "
        "It is not *forgot* ([the verdict](../verdict.md)), and the settings were not searched "
        "equally: grids were of different sizes, and some methods alone stopped early and "
        "repaired. They are to be run again.\n",
    ]
    for model, modality in dict.fromkeys((row.model, row.modality) for row in rows):
        own = [row for row in rows if (row.model, row.modality) == (model, modality)]
        counts = Counter(row.outcome for row in own)
        said = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        lines += [f"## {model}: {modality}\n", f"{len(own)} runs: {said}.\n"]
        lines += [
            "| method | outcome | distance | kept | CPU seconds | peak MB | weights trained |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [_result_row(row) for row in sorted(own, key=_rank)]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _rank(row: Shown) -> tuple[bool, bool, float]:
    distance = row.ended.distance if row.ended else 0.0
    return row.outcome != "passed", row.ended is None, distance


def _result_row(row: Shown) -> str:
    name = f"[{row.method}]({row.method}.md)"
    if row.ended is None:
        return f"| {name} | {row.status} | | | | | |"
    cost = row.ended.cost
    return (
        f"| {name} | {row.outcome} | {row.ended.distance:.2f} | {row.ended.kept:.2f} "
        f"| {cost.seconds or 0:.1f} | {(cost.peak_memory_bytes or 0) / 1e6:.0f} "
        f"| {cost.trainable_parameters or 0:,.0f} |"
    )


def _index_row(name: str, cls: type[Method], rows: Sequence[Shown]) -> str:
    idea = (inspect.getmodule(cls).__doc__ or "").strip().rstrip(".")
    own = [row for row in rows if row.method == name]
    passed = [f"{row.model}: {row.modality}" for row in own if row.outcome == "passed"]
    said = ", ".join(passed) or ("none" if own else "not run")
    return f"| [{name}]({name}.md) | {idea} | {', '.join(cls.kinds)} | {said} |"


def write(rows: Sequence[Shown], folder: Path) -> None:
    """Writes every page, and takes away those of methods that are gone."""
    folder.mkdir(exist_ok=True)
    pages = {"README.md": index(rows), "results.md": results(rows)}
    for name, cls in methods().items():
        pages[f"{name}.md"] = page(cls, [row for row in rows if row.method == name])
    for path in folder.glob("*.md"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


def main() -> None:
    """Writes docs/methods/."""
    FOLDER.mkdir(exist_ok=True)
    if len(sys.argv) > 1:
        keep(measured(read_results(Path(sys.argv[1]))))
    write(kept(), FOLDER)


def keep(rows: Sequence[Shown]) -> None:
    """Writes what was measured to docs/methods/measured.json."""
    content = SHOWN.dump_python(tuple(rows), mode="json")
    MEASURED.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def kept() -> tuple[Shown, ...]:
    """What was measured by an earlier run."""
    return SHOWN.validate_json(MEASURED.read_bytes()) if MEASURED.exists() else ()


if __name__ == "__main__":
    main()
