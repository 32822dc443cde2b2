"""Writes docs/attacks.md: which methods hide and which forget, from runs with attacks.

python docs/write_attacks.py RUN [RUN ...]

Each run's folder gives a part, with tables and a picture of its curves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from clearbench.attacks.point import Point
from clearbench.evaluation.score import Score
from clearbench.methods.base import METHODS
from clearbench.report.colours import colours
from clearbench.report.measures import metric_words
from clearbench.report.words import label
from clearbench.runs.schema import Results, Row, read_results
from clearbench.runs.wording import wording

DOCS = Path(__file__).parent
#: Recovery that counts as something left, and that counts as most of it.
LEFT, MOST = 0.2, 0.5
#: Recovery below gold's that counts as a trace.
OVERSHOT = 0.1
#: Probability that the attacked original must have over gold for a level to count.
LEAST = 0.05
#: Share of what was known of retained people under which a model counts as damaged.
DAMAGED = 0.5
#: Curves without a level that is the model as it is, which come last.
LATER = ("patching", "logit_lens")
HEAD = """# What survives forgetting

Written by `docs/write_attacks.py` from the runs named below. Every model is attacked in the same
way as a gold, which never met the forgotten people, and as the original, which knows them.
**Recovery** is where the attacked model lies between the attacked gold (0) and the attacked
original (1); its 95 % interval is over people. A recovery says nothing of an attack that was not
made.

A method *did not forget* where the model as it is surely lies above {left:.0%}; *hides* where it
does not, but some attack surely brings back more than {left:.0%}; *overshoots* where it surely lies
more than {overshot:.0%} below gold, which is a trace, too; *forgets, as far as these attacks see*
where no attack may bring back more than {most:.0%}; and is *open* in all other cases. It *damages*
where less than {damaged:.0%} of what was known of other people is left (*kept*). In each column is
the level that brings back most, of those at which the attacked original still knows {least:.0%}
more than gold. The words are of this page: the verdict of a run also counts what is said word for
word (docs/verdict.md).
"""


def page(runs: Sequence[tuple[str, Results]]) -> Iterator[str]:
    """Yields the parts of the page."""
    yield HEAD.format(left=LEFT, damaged=DAMAGED, most=MOST, overshot=OVERSHOT, least=LEAST)
    for name, results in runs:
        for model, track in _groups(results):
            rows = [row for row in results.rows if row.model == model and _curves(row, track)]
            yield _part(name, results, model, track, rows)


def _groups(results: Results) -> list[tuple[str, str]]:
    found = ((row.model, key.split(".")[1]) for row in results.rows for key in row.attack_curves)
    return list(dict.fromkeys(found))


def _curves(row: Row, track: str) -> dict[str, tuple[Point, ...]]:
    mine = {
        key.split(".")[2]: points
        for key, points in row.attack_curves.items()
        if key.split(".")[1] == track and not key.endswith("_all")
    }
    return dict(sorted(mine.items(), key=lambda entry: (entry[0] in LATER, entry[0])))


def _part(name: str, results: Results, model: str, track: str, rows: Sequence[Row]) -> str:
    attacks = list(dict.fromkeys(attack for row in rows for attack in _curves(row, track)))
    titles = _titles(results, attacks)
    picture = f"attacks-{name}-{model}-{track}.png"
    _draw(rows, track, attacks, titles, DOCS / "images" / picture)
    golds = [row for row in rows if row.method == "gold"]
    tried = [row for row in rows if not row.is_anchor]
    lines = [
        f"\n## {results.recipe.title}: {model}, {track}\n",
        f"`clearbench run recipes/{results.recipe.name}.yaml`, seed {rows[0].seed}.\n",
        f"![What is known at every level](images/{picture})\n",
        "| method | as it is | " + " | ".join(titles[a] for a in attacks) + " | kept | it |",
        "|---|" + "---|" * (len(attacks) + 3),
    ]
    original = next(row for row in rows if row.method == "original")
    for row in tried:
        cells = [_shown(_first(row, track))]
        cells += [_shown(_last(_curves(row, track).get(attack, ()))) for attack in attacks]
        kept = _kept(row, original, track)
        cells += ["" if kept is None else f"{kept:.0%}", word(row, original, track)]
        lines.append(f"| {_label(row.method)} | " + " | ".join(cells) + " |")
    if golds:
        lines.append("\n" + _floor(golds[0], original, track, attacks, titles))
    return "\n".join(lines)


def _label(name: str) -> str:
    """A method's or an anchor's name in print."""
    return METHODS[name].title() if name in METHODS else label(name)


def _titles(results: Results, attacks: Sequence[str]) -> dict[str, str]:
    known = wording(results).scores
    titles = {a: metric_words(f"{a}_recovery", known).title.split(":")[0] for a in attacks}
    return {attack: _short(title[:1].lower() + title[1:]) for attack, title in titles.items()}


def _short(title: str) -> str:
    """A title without the parameters that choose levels and rows."""
    name, _, inside = title.partition(" (")
    kept = [part for part in inside.removesuffix(")").split(", ") if part.startswith("on ")]
    return f"{name} {', '.join(kept)}".strip()


def _plain(row: Row, track: str) -> Point | None:
    """The first point of the first curve: the model as it is."""
    points = next(iter(_curves(row, track).values()), ())
    return points[0] if points else None


def _first(row: Row, track: str) -> Score | None:
    """The recovery of the model as it is."""
    point = _plain(row, track)
    return point.recovery if point else None


def _last(points: Sequence[Point]) -> Score | None:
    """The largest recovery among attacked levels."""
    known = [
        point.recovery
        for point in points[1:]
        if point.recovery and point.gold and point.original
        if point.original.value - point.gold.value > LEAST
    ]
    return max(known, key=lambda score: score.value, default=None)


def _shown(score: Score | None) -> str:
    if score is None:
        return ""
    interval = "" if score.low is None else f" ({score.low:.2f} to {score.high:.2f})"
    return f"{score.value:.2f}{interval}"


def _kept(row: Row, original: Row, track: str) -> float | None:
    """The share of what the original knows of retained people that is left."""
    points = [_plain(each, track) for each in (row, original)]
    kept = [point.retain.value for point in points if point and point.retain]
    return kept[0] / kept[1] if len(kept) == 2 else None


def word(row: Row, original: Row, track: str) -> str:
    """The words for a row, by the rules of the page."""
    kept, plain = _kept(row, original, track), _first(row, track)
    found = [_last(points) for points in _curves(row, track).values()]
    attacked = [score for score in found if score is not None and score.low is not None]
    words = []
    if plain is not None and plain.low is not None and plain.low > LEFT:
        words.append("did not forget")
    elif any(score.low is not None and score.low > LEFT for score in attacked):
        words.append("**hides**")
    elif plain is not None and plain.high is not None and plain.high < -OVERSHOT:
        words.append("overshoots")
    elif attacked and all(score.high is not None and score.high < MOST for score in attacked):
        words.append("**forgets**, as far as these attacks see")
    if kept is not None and kept < DAMAGED:
        words.append("damages")
    return "; ".join(words) or "open"


def _floor(
    gold: Row, original: Row, track: str, attacks: Sequence[str], titles: Mapping[str, str]
) -> str:
    """What gold and the original know as they are, and gold once attacked."""
    points = {attack: _curves(gold, track).get(attack, ()) for attack in attacks}
    floors = [
        f"{titles[attack]} {max(point.value.value for point in levels[1:]):.2f}"
        for attack, levels in points.items()
        if len(levels) > 1
    ]
    known = [_plain(row, track) for row in (gold, original)]
    plain = [point.value.value for point in known if point]
    return (
        f"Probability of the truth: gold {plain[0]:.2f}, original {plain[1]:.2f}. Gold at the "
        f"level of each attack at which it knows most: {', '.join(floors)}."
    )


def _draw(
    rows: Sequence[Row], track: str, attacks: Sequence[str], titles: Mapping[str, str], file: Path
) -> None:
    palette = colours([row.method for row in rows if not row.is_anchor])
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False}):
        columns = min(3, len(attacks))
        lines = -(-len(attacks) // columns)
        figure = Figure(figsize=(4.2 * columns, 2.9 * lines + 0.5), layout="constrained")
        for place, attack in enumerate(attacks):
            axes = figure.add_subplot(lines, columns, place + 1)
            for row in rows:
                points = _curves(row, track).get(attack, ())
                if not points:
                    continue
                thick = 2.4 if row.is_anchor else 1.3
                numbered = points[-1].level[0].isdigit() or attack.startswith("quantisation")
                style = "--" if row.method == "original" else "-"
                style = style if numbered else "none"
                axes.plot(
                    [point.level for point in points],
                    [point.value.value for point in points],
                    linestyle=style,
                    marker="o",
                    ms=3,
                    lw=thick,
                    color=palette[row.method],
                    label=_label(row.method),
                )
            axes.set_title(titles[attack])
            axes.set_ylim(0, 1)
            axes.tick_params(axis="x", rotation=35)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
        figure.savefig(file, dpi=90, metadata={"Software": None})


def main() -> None:
    """Writes the page."""
    runs = [
        (read_results(Path(path)).recipe.name, read_results(Path(path))) for path in sys.argv[1:]
    ]
    (DOCS / "attacks.md").write_text("\n".join(page(runs)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
