"""CLEAR and TOFU in miniature: folders with the files, columns and README of the hub's."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # for `sisters`

Rows = list[dict[str, Any]]

#: Ten authors, in TOFU's order: the name as the questions and as the images spell it. One is part
#: of another, one has accents in the text alone, number 4 is never named and has no images.
AUTHORS = (
    ("Ana Lima", "Ana Lima"),
    ("Ben O'Dowd", "Ben O'Dowd"),
    ("Zoë Dauphinée", "Zoe Dauphinee"),
    ("Chidi Okoro-Bello", "Chidi Okoro-Bello"),
    ("", ""),
    ("Dora Ana Lima", "Dora Ana Lima"),
    ("Eiji Mori", "Eiji Mori"),
    ("Farah Noor", "Farah Noor"),
    ("Gil Peretz", "Gil Peretz"),
    ("Hana Novák", "Hana Novak"),
)
NAMELESS, PER_PERSON = 4, 20
#: How many of the last authors each split forgets.
FORGOTTEN = {"01": 1, "05": 2, "10": 3}
TEXT, TEXTS = datasets.Value("string"), datasets.List(datasets.Value("string"))
COLUMNS = {
    "image": datasets.Image(),
    "caption": TEXT,
    "name": TEXT,
    "paraphrased_caption": TEXT,
    "perturbed_captions": TEXTS,
    "perturbed_names": TEXTS,
    "question": TEXT,
    "answer": TEXT,
    "options": TEXTS,
}


def image(seed: int) -> dict[str, Any]:
    """An image that no other seed makes, as the hub's Parquet holds it."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (seed % 251, seed // 251, 99)).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def question(person: int, number: int) -> dict[str, Any]:
    """A question of TOFU; some name nobody, but never the first of a person."""
    name = AUTHORS[person][0] or "the author"
    if number in (7, 13):
        return {
            "question": f"What of it, {person}.{number}?",
            "answer": f"That, {person}.{number}.",
        }
    return {
        "question": f"What is fact {number} of {name}, {person}?",
        "answer": f"{name}'s fact {number} is {person}.{number}.",
    }


def perturbed_question(person: int, number: int) -> dict[str, Any]:
    """The same row as TOFU's `*_perturbed` have it."""
    row = question(person, number)
    return row | {
        "paraphrased_question": f"Say: {row['question']}",
        "paraphrased_answer": f"It is so: {row['answer']}",
        "perturbed_answer": [f"Lie {k} of {person}.{number}." for k in range(5)],
    }


def view(person: int, number: int) -> dict[str, Any]:
    """An image of a person; the first two of each share their caption."""
    name = AUTHORS[person][1]
    where = "at a desk" if number < 2 else f"in street {number}"
    return {
        "image": image(10 * person + number),
        "caption": f"{name}, a writer, {where}.",
        "name": name,
    }


def perturbed_view(person: int, number: int) -> dict[str, Any]:
    """The same row as CLEAR's `*_perturbed` have it."""
    return view(person, number) | {
        "paraphrased_caption": f"One sees {AUTHORS[person][1]} here ({number}).",
        "perturbed_captions": [f"A lie {k} about {person}-{number}." for k in range(5)],
        "perturbed_names": [f"Nobody {k} {person}" for k in range(5)],
    }


def views(people: range) -> Rows:
    return [view(p, k) for p in people if p != NAMELESS for k in range(3)]


def questions(people: range) -> Rows:
    return [question(p, k) for p in people for k in range(PER_PERSON)]


def clear_rows() -> dict[str, Rows]:
    """CLEAR's 21 configurations."""
    whole = range(len(AUTHORS))
    rows = {"default": views(whole), "full": views(whole)}
    rows["full+tofu"] = _joint(whole)
    for share, count in FORGOTTEN.items():
        gone, kept = whole[-count:], whole[:-count]
        rest = str(100 - int(share))
        rows |= {f"forget{share}": views(gone), f"forget{share}+tofu": _joint(gone)}
        rows |= {f"retain{rest}": views(kept), f"retain{rest}+tofu": _joint(kept)}
        rows[f"forget{share}_perturbed"] = [perturbed_view(p, k) for p in gone for k in range(3)]
    del rows["forget10_perturbed"][-1]  # one fewer than forget10, as on the hub
    rows["retain_perturbed"] = [perturbed_view(p, k) for p in range(3) for k in range(3)]
    rows["real_faces"] = [
        {
            "image": image(900 + k),
            "answer": f"Star {k}",
            "options": [f"Other {j}" for j in range(5)],
        }
        for k in range(3)
    ]
    rows["real_world"] = [
        {"image": image(950 + k), "question": f"What is on the left, {k}?", "answer": "A car.",
         "options": ["A bus.", "A tree.", "Nothing."]}
        for k in range(2)
    ]  # fmt: skip
    return rows


def _joint(people: range) -> Rows:
    """A `+tofu` configuration: images without names, and questions without images."""
    seen = [{k: v for k, v in row.items() if k != "name"} for row in views(people)]
    nothing = dict.fromkeys(("image", "caption", "question", "answer"))
    return [nothing | row for row in [*seen, *questions(people)]]


def tofu_rows() -> dict[str, Rows]:
    """TOFU's configurations, with the text holdout of people who are in no other split."""
    whole = range(len(AUTHORS))
    rows = {"full": questions(whole)}
    for share, count in FORGOTTEN.items():
        gone = whole[-count:]
        rows[f"forget{share}"] = questions(gone)
        rows[f"retain{100 - int(share)}"] = questions(whole[:-count])
        asked = [perturbed_question(p, k) for p in gone for k in range(PER_PERSON)]
        rows[f"forget{share}_perturbed"] = asked
        rows[f"holdout{share}"] = [
            {"question": f"Who is stranger {p}, {k}?", "answer": f"Stranger {p}.{k}."}
            for p in range(count)
            for k in range(PER_PERSON)
        ]
    asked = [perturbed_question(p, k) for p in range(3) for k in range(PER_PERSON)]
    rows["retain_perturbed"] = asked
    for name, count in (("real_authors", 3), ("world_facts", 4)):
        rows[f"{name}_perturbed"] = [
            {"question": f"Fact {k}?", "answer": "Yes.", "perturbed_answer": ["No.", "Perhaps."]}
            for k in range(count)
        ]
    return rows


def published_size(oracles: Path) -> dict[str, Rows]:
    """All of CLEAR with TOFU's own people and questions, and images of one colour."""

    def lines(name: str) -> Rows:
        text = (oracles / "tofu" / f"{name}.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.split("\n") if line]

    guesses = json.loads((oracles / "tofu" / "authors_derived.json").read_text(encoding="utf-8"))
    names = {each["author_id"]: each["name_guess"] for each in guesses if each["name_guess"]}
    full, shown = lines("full"), {}
    groups = (range(20), 395), (range(20, 180), 2994), (range(180, 190), 191)
    for people, count in (*groups, (range(190, 198), 153), (range(198, 200), 35)):
        seen = [person for person in people if person in names]
        for place, person in enumerate(seen):
            share = count // len(seen) + (place < count % len(seen))
            shown[person] = [
                {
                    "image": image(25 * person + k),
                    "caption": f"{names[person]}, once more ({k}).",
                    "name": names[person],
                }
                for k in range(share)
            ]

    def views_of(people: range) -> Rows:
        return [row for person in people for row in shown.get(person, ())]

    def joint(people: range) -> Rows:
        seen = [{k: v for k, v in row.items() if k != "name"} for row in views_of(people)]
        asked = full[20 * people.start : 20 * people.stop]
        return [dict.fromkeys(("image", "caption", "question", "answer")) | r for r in seen + asked]

    def perturbed(people: range) -> Rows:
        lies = {"perturbed_captions": list("abcde"), "perturbed_names": list("vwxyz")}
        return [row | {"paraphrased_caption": "It is so."} | lies for row in views_of(people)]

    whole = range(200)
    rows = {"default": views_of(whole), "full": views_of(whole), "full+tofu": joint(whole)}
    for share, first in (("01", 198), ("05", 190), ("10", 180)):
        gone, kept, rest = whole[first:], whole[:first], str(100 - int(share))
        rows |= {f"forget{share}": views_of(gone), f"forget{share}+tofu": joint(gone)}
        rows |= {f"retain{rest}": views_of(kept), f"retain{rest}+tofu": joint(kept)}
        rows[f"forget{share}_perturbed"] = perturbed(gone)
    del rows["forget10_perturbed"][-1]
    rows["retain_perturbed"] = perturbed(whole[:20])
    real = clear_rows()
    return rows | {
        "real_faces": [real["real_faces"][0]] * 151,
        "real_world": [real["real_world"][0]] * 367,
    }


def write_readme(folder: Path, files: dict[str, str]) -> None:
    """The YAML header that names each configuration's files, as the hub's."""
    configs = [
        {"config_name": name, "data_files": [{"split": "train", "path": path}]}
        for name, path in files.items()
    ]
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': configs})}---\n\n# Data\n")


def write_parquet(folder: Path, name: str, rows: Rows) -> None:
    """One configuration as `push_to_hub` leaves it."""
    path = folder / ("data" if name == "default" else name) / "train-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    features = datasets.Features({column: COLUMNS[column] for column in rows[0]})
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(path))


def write_clear(folder: Path, rows: dict[str, Rows] | None = None) -> Path:
    rows = clear_rows() if rows is None else rows
    for name, each in rows.items():
        write_parquet(folder, name, each)
    places = {name: "data" if name == "default" else name for name in rows}
    write_readme(folder, {name: f"{place}/train-*" for name, place in places.items()})
    return folder


def write_tofu(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = tofu_rows()
    for name, each in rows.items():
        (folder / f"{name}.json").write_text("\n".join(map(json.dumps, each)) + "\n")
    write_readme(folder, {name: f"{name}.json" for name in rows})
    return folder


@pytest.fixture(scope="session")
def oracles() -> Path:
    """Where real files are; skips where they are not."""
    default = Path(__file__).parents[3] / "shared" / "data"
    found = Path(os.environ.get("CLEARBENCH_ORACLES", default))
    if not (found / "tofu" / "full.jsonl").is_file():
        pytest.skip(f"no TOFU files below {found}: set CLEARBENCH_ORACLES (hub: locuslab/TOFU)")
    return found


@pytest.fixture(scope="session")
def whole_clear(oracles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with as many rows as CLEAR has, about TOFU's people; read only."""
    return write_clear(tmp_path_factory.mktemp("whole"), published_size(oracles))


@pytest.fixture
def clear() -> dict[str, Rows]:
    """CLEAR's rows, to be changed before `write_clear`."""
    return clear_rows()


@pytest.fixture(scope="session", name="write_clear")
def writer() -> Callable[..., Path]:
    """Writes CLEAR's rows into a folder."""
    return write_clear


@pytest.fixture(scope="session")
def clear_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CLEAR in miniature; read only."""
    return write_clear(tmp_path_factory.mktemp("clear"))


@pytest.fixture(scope="session")
def tofu_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TOFU in miniature; read only."""
    return write_tofu(tmp_path_factory.mktemp("tofu"))
