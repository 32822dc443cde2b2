"""Writes docs/methods/results.md: one table a kind of model, the smallest shortfall first."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from method_pages.golds import JudgedGold
from method_pages.measured import Setting, counted
from method_pages.ranks import Rank, ranks
from method_pages.words import interval, mean, number, short, trains

_COLUMNS = (
    *("method", "words", "rank", "shortfall", "distance", "kept (least)"),
    *("fails most often", "CPU seconds", "stopped early, repaired", "settings"),
)
_TITLES = {
    "vision-language": "Vision-language model",
    "classifier": "Classifier",
    "language": "Language model",
}
_MODALITIES = {"both": "text and faces together", "text": "text", "image": "faces"}

_SEARCH = """\
**The search was as large for all.** Four settings for each method and kind of model, drawn from one
prior that was stated before (`recipes/search-methods.yaml`, which lists what was not varied; a
method with nothing to set has one), and of them the best on eight other people, with seed 0 and
fewer rows and tokens than here. Those eight are among the people who stay in the runs below, and
the original of seed 0 is the one that the search began from. Four settings cover a method with one
number to set better than one with three, and methods without a retain term were searched as
published. The models of the search were unlearned by earlier versions of the code than those below
(docs/progress.md), all judged by one verdict, version 2; version 3 reads this world's English the
same (docs/verdict.md)."""

_SHORTFALL = """\
**Shortfall** is the distance to gold plus twice the mean loss of what must survive: 0 is gold, 1
the original. Distance is the mean, without sign, of what is left of probability, of truths
preferred and of names chosen, between gold (0) and the original (1). Tables are sorted by the
shortfall, and the search minimised it, among settings that had begun to forget and got the same
word (`runs/choose.py`). It sees neither garbage nor truths that are told; the word tests both,
within margins ([the verdict](../verdict.md)): of sixty answers a few may tell the truth. So the
first of a table need not be good: see what fails. *Undecided* covers one interval that touches its
margin and fifteen that do. Distance is the mean over seeds; kept is the least ratio to the original
(to gold, where gold has less), over seeds and all that must survive. Intervals are 95 % t intervals
over seeds, cut at 0."""

_NOTHING = """\
**A shortfall of 1 mostly means that nothing was done.** A method none of whose settings began to
forget stands there, above methods that forgot and did damage: that is a cost of the number, and of
a search that prefers forgetting with damage to doing nothing."""

_RANK = """\
**Rank** is the place by mean shortfall, and in brackets its interval: from 1 + the number of
methods that are surely better to the number of those that are not surely worse. *Surely* means that
the 95 % t interval of the paired difference over seeds excludes 0 (its ends are rounded to .0001),
without correction for the number of comparisons (Mogstad, Romano, Shaikh and Wilhelm 2024,
"Inference for Ranks", correct for it). A method of which a seed diverged or failed has no mean and
shares the last places. Methods that forget only text or only faces are judged on less than the
others beside them."""

_WORTH = """\
**What it is worth.** One small world of forty fictitious people, and {count} trainings of the same
people: intervals cover other trainings, not other people or other models."""


def page(settings: Sequence[Setting], golds: Sequence[JudgedGold] = ()) -> str:
    """The whole page.

    Args:
        settings: What was measured of each setting.
        golds: What the gold of one seed gets beside another's.
    """
    tried = [setting for setting in settings if not setting.is_gold]
    lines = [
        "# Every method on the demo world\n",
        "Written by `python docs/write_methods.py RUN`; do not edit it.\n",
    ]
    if not tried:
        return "\n".join([*lines, "Nothing was run yet.\n"])
    heads = (_run(tried), _SEARCH, _SHORTFALL, _NOTHING, _RANK)
    lines += [_paragraph(text) for text in heads]
    lines.append(_paragraph(_WORTH.format(count=_number(len(tried[0].runs)))))
    lines.append(f"Of {_said(tried)}\n")
    for model in dict.fromkeys(setting.model for setting in tried):
        own = [setting for setting in settings if setting.model == model]
        lines += [*_section(model, own), _floor([gold for gold in golds if gold.model == model])]
    return "\n".join(lines).rstrip() + "\n"


def _run(tried: Sequence[Setting]) -> str:
    """Writes what was run, and whether all took the same steps and none stopped early."""
    seeds = ", ".join(map(str, tried[0].seeds))
    stopped = [setting for setting in tried if setting.stopped != "no"]
    same = (
        f"{len(stopped)} of {len(tried)} settings could stop early or were repaired"
        if stopped
        else "No run could stop early or was repaired"
    )
    return (
        "**What was run.** `recipes/all-methods.yaml`: forty people, eight forgotten; every method "
        f"with seeds {seeds}, from the original of its seed and beside the gold of its seed. "
        f"Methods that train took {_steps(tried)}; edits and guards take none. {same}."
    )


def _steps(tried: Sequence[Setting]) -> str:
    """Writes the steps of training by kind of model: `30 steps (vision-language)`."""
    found: dict[str, set[int]] = {}
    for setting in tried:
        if trains(setting):
            found.setdefault(setting.model, set()).add(setting.training.steps)
    return " and ".join(
        f"{' or '.join(map(str, sorted(steps)))} steps ({model})" for model, steps in found.items()
    )


def _said(settings: Sequence[Setting]) -> str:
    """Writes how many runs got which word."""
    words = Counter(run.word for setting in settings for run in setting.runs)
    return f"{words.total()} runs: {counted(words, '{count} {word}')}."


def _section(model: str, settings: Sequence[Setting]) -> Iterator[str]:
    tried = [setting for setting in settings if not setting.is_gold]
    usual = Counter(setting.modality for setting in tried).most_common(1)[0][0]
    yield f"## {_TITLES.get(model, model)}\n"
    yield f"{len(tried)} settings, {_said(tried)} They forget {_forgets(usual)}, unless said.\n"
    yield f"| {' | '.join(_COLUMNS)} |"
    yield "|" + "---|" * len(_COLUMNS)
    ranked = zip(tried, ranks([setting.shortfalls for setting in tried]), strict=True)
    for setting, rank in sorted(ranked, key=lambda each: (each[1].place, each[0].method)):
        yield _row(setting, rank, usual)
    yield ""
    yield from (_gold(setting) for setting in settings if setting.is_gold)


def _forgets(modality: str) -> str:
    return _MODALITIES.get(modality, modality)


def _row(setting: Setting, rank: Rank, usual: str) -> str:
    only = "" if setting.modality == usual else f" ({_forgets(setting.modality)})"
    cells = (
        f"[{setting.method}]({setting.method}.md){only}",
        setting.words,
        str(rank),
        interval(setting.estimate("shortfall")),
        mean(setting.estimate("distance")),
        number(setting.kept),
        _fails(setting),
        number(setting.seconds, 1),
        setting.stopped,
        short(setting),
    )
    return f"| {' | '.join(cells)} |"


def _gold(setting: Setting) -> str:
    return (
        f"Retraining is gold and gets neither word nor rank: [{setting.method}]"
        f"({setting.method}.md), {_forgets(setting.modality)}, {number(setting.seconds, 1)} CPU "
        "seconds.\n"
    )


def _floor(golds: Sequence[JudgedGold]) -> str:
    """Writes what golds get as runs; nothing where none was judged."""
    if not golds:
        return ""
    shortfalls = [gold.shortfall for gold in golds if gold.shortfall is not None]
    least, most = (number(pick(shortfalls, default=None)) for pick in (min, max))
    words = counted(Counter(gold.word for gold in golds), "{count} {word}")
    text = (
        "**What a gold gets.** The gold of one seed, judged beside the gold and the original of "
        f"another as if it were a run, {len(golds)} pairs: {words}, shortfall "
        f"{least} to {most}. No method can be expected to do better, and where golds stay "
        "undecided, so would a method that forgot."
    )
    return _paragraph(text)


def _fails(setting: Setting) -> str:
    """Writes the test that failed with most seeds, the earliest of those that failed as often."""
    judged = [run.judged for run in setting.runs if run.judged]
    counts = Counter(title for each in judged for title in dict.fromkeys(each.failing))
    if not counts:
        return ""
    (title, count), *_ = counts.most_common(1)
    others = sum(other == count for other in counts.values()) - 1
    also = f", as {others} other{'s' * (others > 1)}" if others else ""
    return f"{title} ({count} of {len(setting.runs)}{also})"


_NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}


def _number(count: int) -> str:
    return _NUMBERS.get(count, str(count))


def _paragraph(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False) + "\n"
