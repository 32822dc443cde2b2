"""The plots of docs/claims.md: a point for setting seed, a line through their means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from claims.figures import FORGOTTEN, Measured, Setting, name_of, scientific
from claims.rules import DESTROYERS, FORGETS, KEEPS
from clearbench.report.colours import GOLD, ORIGINAL, PALETTE

#: Light colours of the report's page.
INK, MUTED, LINE, PAPER = "#1b1e23", "#666d78", "#d9d9d3", "#ffffff"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
}
SHOWN = {"kept": ("retain set kept", PALETTE[0], "o"), "forgotten": ("forgotten", PALETTE[1], "s")}
MODALITIES = {"text": PALETTE[0], "image": PALETTE[2], "both": PALETTE[1]}
RATES = (PALETTE[4], PALETTE[0], PALETTE[1])
ARMS = {True: "LoRA", False: "all weights"}


@contextmanager
def _figure(
    path: Path, rows: int, columns: int, size: tuple[float, float]
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure with panels that share their axes, written when it is drawn."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, dpi=144, facecolor=PAPER, layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        yield figure, list(panels.flat)
        FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})


def _points(
    axes: Axes, place: float, setting: Setting, name: str, colour: str, mark: str = "o"
) -> None:
    """Every seed, a little apart so that equal ones are seen."""
    values = setting.values(name)
    across = [place + 0.06 * (number - (len(values) - 1) / 2) for number in range(len(values))]
    axes.plot(across, values, mark, color=colour, ms=3.5, alpha=0.55, mec="none", clip_on=False)


def _kept_and_forgotten(
    axes: Axes, settings: Sequence[Setting], gold: Setting, joined: int | None = None
) -> None:
    """Both by setting, between what the original and gold keep; a line joins the first ones."""
    said = "kept by the original, forgotten by gold"
    axes.axhline(gold.estimate("kept").mean, color=GOLD, lw=1.2, label="kept by gold")
    axes.axhline(1, color=ORIGINAL, lw=1.2, dashes=(4, 3), label=said)
    for name, (text, colour, mark) in SHOWN.items():
        for place, setting in enumerate(settings):
            _points(axes, place, setting, name, colour, mark)
        means = [setting.estimate(name).mean for setting in settings]
        axes.plot(range(len(means[:joined])), means[:joined], color=colour, lw=1.8, label=text)
        for place in range(len(means))[joined or len(means) :]:
            axes.plot([place - 0.15, place + 0.15], [means[place]] * 2, color=colour, lw=1.8)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -0.04), max(high, 1.12))


def _legend(figure: Figure, axes: Axes) -> None:
    """In one line below the panels."""
    handles, texts = axes.get_legend_handles_labels()
    figure.legend(
        handles, texts, loc="outside lower center", ncols=len(texts), columnspacing=1.4, fontsize=8
    )


def l1(measured: Measured, path: Path) -> None:
    """Kept and forgotten by the penalty, for both arms; the sums are joined by a line."""
    ranks = measured.taken("rank")
    with _figure(path, 1, len(ranks), (7.2, 3.4)) as (figure, panels):
        for axes, rank in zip(panels, ranks, strict=True):
            means = list(measured.all(rank=rank, reduce="mean"))
            sums = list(measured.all(rank=rank, reduce="sum"))
            settings = [measured.find(rank=rank, strength=0.0), *sums, *means]
            _kept_and_forgotten(axes, settings, measured.gold, joined=1 + len(sums))
            axes.set_title(ARMS[rank is not None])
            names = [scientific(setting.about["strength"]) for setting in settings[1:]]
            names[len(sums) :] = [f"{name}\nmean" for name in names[len(sums) :]]
            axes.set_xticks(range(len(settings)), ["none", *names])
            axes.set_xlabel("strength of the L1 penalty")
        _legend(figure, panels[0])


def both(measured: Measured, path: Path) -> None:
    """The distance to gold on each track, by what was forgotten."""
    methods = measured.taken("method")
    with _figure(path, 1, len(FORGOTTEN), (7.2, 3.4)) as (figure, panels):
        for axes, track in zip(panels, FORGOTTEN, strict=True):
            axes.axhline(1, color=ORIGINAL, lw=1, dashes=(4, 3), label="original")
            axes.axhline(0, color=GOLD, lw=1.5, label="gold")
            for number, (modality, colour) in enumerate(MODALITIES.items()):
                axes.plot([], [], color=colour, lw=2, label=f"{modality} forgotten")
                for place, method in enumerate(methods):
                    across = place + 0.25 * (number - 1)
                    setting = measured.find(method=method, modality=modality)
                    mean = setting.estimate(f"distance.{track}").mean
                    axes.plot([across - 0.1, across + 0.1], [mean, mean], color=colour, lw=2)
                    _points(axes, across, setting, f"distance.{track}", colour)
            axes.set_title(f"{track} track")
            axes.set_xticks(range(len(methods)), [name_of(method) for method in methods])
        panels[0].set_ylabel("distance to gold")
        _legend(figure, panels[0])


def destroy(measured: Measured, path: Path) -> None:
    """Kept and forgotten of every method at every rate, CLEAR's destroyers above the line."""
    methods, rates = measured.taken("method"), measured.taken("rate")
    limits = {"kept": KEEPS, "forgotten": FORGETS}
    with _figure(path, 1, len(limits), (7.2, 4.6)) as (figure, panels):
        for axes, (name, limit) in zip(panels, limits.items(), strict=True):
            axes.axvline(limit, color=MUTED, lw=0.9, dashes=(2, 2), label="limit of the rule")
            axes.axvline(measured.gold.estimate(name).mean, color=GOLD, lw=1.5, label="gold")
            axes.axhline(len(DESTROYERS) - 0.5, color=LINE, lw=1)
            for rate, colour in zip(rates, RATES, strict=False):
                style: Any = {"color": colour, "ms": 4.5, "mec": "none"}
                axes.plot([], [], "o", **style, label=f"rate {scientific(rate)}")
                for place, method in enumerate(methods):
                    values = measured.find(method=method, rate=rate).values(name)
                    axes.plot(values, [place] * len(values), "o", **style, alpha=0.6)
            axes.set_title(SHOWN[name][0])
        panels[0].set_yticks(range(len(methods)), [name_of(method) for method in methods])
        panels[0].invert_yaxis()
        _legend(figure, panels[0])


def lambdas(measured: Measured, path: Path) -> None:
    """Kept and forgotten by lambda; the distance to gold of each track."""
    settings = measured.settings
    with _figure(path, 1, 2, (7.2, 3.4)) as (figure, panels):
        left, right = panels
        left.set_title("kept and forgotten")
        _kept_and_forgotten(left, settings, measured.gold)
        right.set_title("distance to gold")
        for track in FORGOTTEN:
            name, colour = f"distance.{track}", MODALITIES[track]
            means = [setting.estimate(name).mean for setting in settings]
            right.plot(range(len(settings)), means, color=colour, lw=1.8, label=f"{track} track")
            for place, setting in enumerate(settings):
                _points(right, place, setting, name, colour)
        right.legend(loc="best")
        names = [f"{setting.about['retain_weight']:g}" for setting in settings]
        for axes in panels:
            axes.set_xticks(range(len(settings)), names)
            axes.set_xlabel("lambda, the weight of the retain term")
        _legend(figure, left)
