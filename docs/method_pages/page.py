"""Writes one method's page, from its class and from what it did on the demo world."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic.fields import FieldInfo

from clearbench.methods.base import Edit, Method
from clearbench.methods.guard import Guard
from clearbench.testing.bench import Bench
from method_pages.measured import RATES, Setting, Three
from method_pages.words import interval, mean, number, short, trains

WRITTEN = "Written by `python docs/write_methods.py` from the class itself; do not edit it.\n"


def page(cls: type[Method], settings: Sequence[Setting]) -> str:
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
        *_measured(settings),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _equations(cls: type[Method]) -> Iterator[str]:
    steps = _steps(cls)
    for place, function in enumerate(steps, start=1):
        text = inspect.getdoc(function) or ""
        yield (f"{place}. " if len(steps) > 1 else "") + f"`{text.splitlines()[0]}`\n"


def _steps(cls: type[Method]) -> list[Any]:
    """The functions that are the method, in order."""
    if issubclass(cls, Guard):
        trained = [each.loss for each in cls().stages() if not isinstance(each, Edit)]
        applied = [name for name in ("ask", "change", "see", "compose") if name in vars(cls)]
        return [*trained, *(getattr(cls, name) for name in applied)]
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


def _measured(settings: Sequence[Setting]) -> Iterator[str]:
    """Shows the means over the seeds of each setting, and what it was set to."""
    if not settings:
        return
    seeds = ", ".join(map(str, settings[0].seeds))
    yield "## On the demo world\n"
    yield (
        f"Means over seeds {seeds} ([how it was run, and ranks](results.md)). Forgotten people's "
        "scores as *this method / gold / original*; distance 0 is gold, 1 the original; kept is "
        "the least ratio to the original among what must survive.\n"
    )
    yield from (f"| {' | '.join(_COLUMNS)} |", "|" + "---|" * len(_COLUMNS))
    yield from map(_measured_row, settings)
    yield ""
    yield from (_ended_badly(setting) for setting in settings if not setting.judged)
    yield "Settings, chosen on the validation fold:\n"
    yield from map(_set_to, settings)
    yield ""


_COLUMNS = (
    *("model", "forgets", "verdicts", "probability, name choice", "truths told, garbage"),
    *("shortfall", "distance", "kept", "seconds"),
)


def _measured_row(setting: Setting) -> str:
    cells = (
        setting.model,
        setting.modality,
        "gold" if setting.is_gold else setting.words,
        _scores(setting.scores(lambda key: not key.endswith(RATES))),
        _scores(setting.scores(lambda key: key.endswith(RATES))),
        interval(setting.estimate("shortfall")),
        mean(setting.estimate("distance")),
        number(setting.kept),
        number(setting.seconds, 1),
    )
    return f"| {' | '.join(cells)} |"


def _scores(scores: dict[str, Three]) -> str:
    return "; ".join(
        f"{key.removeprefix('forget.')} {' / '.join(number(value) or '?' for value in three)}"
        for key, three in scores.items()
    )


def _ended_badly(setting: Setting) -> str:
    """Names the seeds that ended without a shortfall, so that there is no mean."""
    bad = [run for run in setting.runs if run.shortfall is None]
    said = "; ".join(
        f"seed {run.seed} {run.word}" + (f" ({run.reason})" if run.reason else "") for run in bad
    )
    return f"No means for {setting.model}, {setting.modality}: {said}.\n"


def _set_to(setting: Setting) -> str:
    steps = f"; {setting.training.steps} steps" if trains(setting) else ""
    stopped = "" if setting.stopped == "no" else f", {setting.stopped}"
    values = short(setting) or "defaults"
    return f"- {setting.model}, {setting.modality}: {values}{steps}{stopped}"
