"""Draws docs/images/architecture.svg: the rooms in their order, the way of a row and of a method.

python docs/write_architecture.py
"""

from __future__ import annotations

from pathlib import Path

OUT = Path(__file__).parent / "images" / "architecture.svg"
WIDTH, ROOM_WIDTH, ROOM_HEIGHT, GAP, LEFT, TOP = 860, 250, 44, 12, 30, 92
#: Rooms in the order of imports, and what each holds.
ROOMS = (
    ("people", "persons, lives, portraits, captions"),
    ("data", "rows, modalities, sources, splits"),
    ("batches", "items, trees, padded batches, answers"),
    ("methods", "one file per unlearning method"),
    ("models", "one interface, families, adapters, guards"),
    ("training", "the one loop, stages of methods"),
    ("builtin", "what ships, and how it was made"),
    ("completion", "paraphrases and wrong answers of own rows"),
    ("evaluation", "records, metrics, protocols, verdict"),
    ("attacks", "membership; more to come"),
    ("runs", "recipe, stages, store, workers, results"),
    ("report", "tables, plots, one page"),
    ("audit", "what can be said of one model, in words"),
    ("evidence", "what `clearbench unlearn` leaves beside a model"),
    ("cli", "one thin command per step"),
)
#: Stops of each way: the room and what happens there.
ROW = (
    ("people", "a person is written"),
    ("data", "becomes rows: Example"),
    ("batches", "becomes an Item, a Tree, a Batch"),
    ("models", "becomes Answers and TokenStatistics"),
    ("evaluation", "becomes Records, then Scores"),
    ("runs", "becomes a Row of Results"),
    ("report", "is shown beside gold and original"),
)
METHOD = (
    ("methods", "fields, loss or edit, stages"),
    ("training", "StageRunner and the loop call the loss"),
    ("runs", "an UnlearnStage keeps the model"),
)
COLOURS = {"row": "#1f6f8b", "method": "#b5541c"}


def middle(room: str) -> float:
    """The height of a room's middle."""
    place = [name for name, _ in ROOMS].index(room)
    return TOP + place * (ROOM_HEIGHT + GAP) + ROOM_HEIGHT / 2


def rooms() -> list[str]:
    """A box for each room."""
    lines = []
    for name, holds in ROOMS:
        top = middle(name) - ROOM_HEIGHT / 2
        lines += [
            f'<rect x="{LEFT}" y="{top:g}" width="{ROOM_WIDTH}" height="{ROOM_HEIGHT}" rx="6" '
            'fill="#f4f1ea" stroke="#8a8577"/>',
            f'<text x="{LEFT + 12}" y="{top + 19:g}" class="name">{name}</text>',
            f'<text x="{LEFT + 12}" y="{top + 35:g}" class="note">{holds}</text>',
        ]
    return lines


def way(stops: tuple[tuple[str, str], ...], colour: str, x: float, shift: float = 0.0) -> list[str]:
    """A line past the rooms with a dot and a word at each stop."""
    heights = [middle(room) + shift for room, _ in stops]
    lines = [
        f'<line x1="{x}" y1="{heights[0]:g}" x2="{x}" y2="{heights[-1] - 12:g}" stroke="{colour}" '
        f'stroke-width="3" marker-end="url(#tip-{colour[1:]})"/>'
    ]
    for height, (_, words) in zip(heights, stops, strict=True):
        lines += [
            f'<line x1="{LEFT + ROOM_WIDTH}" y1="{height:g}" x2="{x}" y2="{height:g}" '
            f'stroke="{colour}" stroke-width="1" stroke-dasharray="3 4"/>',
            f'<circle cx="{x}" cy="{height:g}" r="5" fill="{colour}"/>',
            f'<text x="{x + 12}" y="{height + 4:g}" class="stop" fill="{colour}">{words}</text>',
        ]
    return lines


def tip(colour: str) -> str:
    """The head of an arrow."""
    return (
        f'<marker id="tip-{colour[1:]}" markerWidth="8" markerHeight="8" refX="4" refY="3" '
        f'orient="auto"><path d="M0,0 L6,3 L0,6 z" fill="{colour}"/></marker>'
    )


def drawing() -> str:
    """The whole picture."""
    height = TOP + len(ROOMS) * (ROOM_HEIGHT + GAP) + 10
    style = (
        "text{font-family:Helvetica,Arial,sans-serif}.name{font-size:14px;font-weight:bold;"
        "fill:#222}.note{font-size:11px;fill:#555}.stop{font-size:12px}.head{font-size:15px;"
        "font-weight:bold}"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img">',
        "<title>The rooms of clearbench, the way of a row and the way of a method</title>",
        f"<style>{style}</style><defs>{tip(COLOURS['row'])}{tip(COLOURS['method'])}</defs>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="36" class="head" fill="#222">'
        "Rooms: each imports only from above</text>",
        f'<text x="{LEFT}" y="58" class="note">before them: errors, plugins, storage, '
        "processes, quiet; "
        "after them: api, testing, catalogue, doctor</text>",
        f'<text x="340" y="36" class="head" fill="{COLOURS["row"]}">the way of a row</text>',
        f'<text x="620" y="36" class="head" fill="{COLOURS["method"]}">the way of a method</text>',
        *rooms(),
        *way(ROW, COLOURS["row"], 350),
        *way(METHOD, COLOURS["method"], 610, shift=-12),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    OUT.write_text(drawing(), encoding="utf-8")
