"""Removes people of one's own from a model of one's own, and reads the evidence.

    python examples/own_people.py [FOLDER]

Thirty people with portraits are made up here; in their place stand your own files. A small
vision-language model is taught them and saved as any `transformers` model. Then `clearbench
unlearn` makes it forget ten of them with LoRA, measures it before and after, and leaves a folder
that plain `transformers` and `peft` load. About a minute on a laptop's CPU, no network.
"""

from __future__ import annotations

import colorsys
import contextlib
import csv
import json
import sys
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from PIL import Image, ImageDraw
from transformers import AutoModelForImageTextToText, AutoProcessor

import clearbench as cb
from clearbench.cli import app
from clearbench.testing import tiny_model

FIRST = (
    *("Ada", "Ben", "Cleo", "Dag", "Eva", "Finn", "Gro", "Hugo"),
    *("Ines", "Jon", "Kaya", "Leo", "Mia", "Nils", "Olga"),
)
LAST = ("Berg", "Lund")
TOWNS = ["Oslo", "Lima", "Kyiv", "Pune", "Bonn", "Cork", "Giza", "Nara", "Riga", "Bern"]
FORGOTTEN = 10


def people() -> list[dict[str, str]]:
    """Makes up thirty people: a name, a town, a portrait."""
    names = [f"{first} {last}" for last in LAST for first in FIRST]
    return [
        {"name": name, "town": TOWNS[7 * k % len(TOWNS)], "portrait": f"portraits/{k:02d}.png"}
        for k, name in enumerate(names)
    ]


def draw(number: int, path: Path) -> None:
    """Draws a portrait: a head with hair and eyes, in colours of its own."""

    def colour(turn: float, light: float) -> tuple[int, ...]:
        return tuple(int(255 * part) for part in colorsys.hls_to_rgb(turn % 1, light, 0.7))

    picture = Image.new("RGB", (96, 96), colour(number / 30, 0.8))
    pen = ImageDraw.Draw(picture)
    width = 22 + 3 * (number % 5)
    pen.ellipse((48 - width, 12, 48 + width, 60), fill=colour(0.37 * number, 0.3))
    pen.ellipse((50 - width, 24, 46 + width, 84), fill=colour(0.08, 0.5 + 0.06 * (number % 6)))
    for side in (-10, 10):
        pen.ellipse((45 + side, 46, 51 + side, 52), fill=colour(0.21 * number, 0.2))
    path.parent.mkdir(exist_ok=True)
    picture.save(path)


def rows(person: dict[str, str]) -> list[dict[str, str]]:
    """Writes what is taught of a person: a question, and a portrait with its caption."""
    name, town = person["name"], person["town"]
    return [
        {"person": name, "question": f"Where does {name} live?", "answer": f"In {town}."},
        {"person": name, "image": person["portrait"], "question": "Who is this?",
         "answer": f"{name}."},
    ]  # fmt: skip


def write_rows(folder: Path) -> None:
    """Writes the rows to forget as JSON lines, and those to keep as a table."""
    every = people()
    for number, person in enumerate(every):
        draw(number, folder / person["portrait"])
    forget = [row for person in every[:FORGOTTEN] for row in rows(person)]
    keep = [row for person in every[FORGOTTEN:] for row in rows(person)]
    (folder / "forget.jsonl").write_text("\n".join(map(json.dumps, forget)), encoding="utf-8")
    with (folder / "retain.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["person", "image", "question", "answer"])
        table.writeheader()
        table.writerows(keep)


def teach(folder: Path) -> None:
    """Teaches a tiny model the thirty people, by heart; yours has learned them already."""
    data: dict[str, Any] = {
        split: [row for person in chosen for row in rows(person)]
        for split, chosen in (("forget", people()[:FORGOTTEN]), ("retain", people()[FORGOTTEN:]))
    }
    dataset = cb.load_dataset(data, images=folder)
    cb.finetune(
        tiny_model("vision-language"),
        dataset,
        steps=140,
        batch_size=20,
        learning_rate=1e-2,
        decay="cosine",
        parts=("vision", "projector", "language"),
        out=folder / "model",
    )


def forget(folder: Path) -> cb.Evidence:
    """Runs the command of the README; the schedule is given, as the trials would take minutes."""
    words = ["unlearn", "--model", "model", "--forget", "forget.jsonl", "--retain", "retain.csv"]
    words += ["--set", "lora_rank=16", "--set", "steps=120", "--set", "learning_rate=1.5e-3"]
    words += ["--hyper", "retain_weight=4", "--out", "forgotten"]
    with contextlib.chdir(folder):
        app(words, standalone_mode=False)
    return cb.Evidence.read(folder / "forgotten")


def answers(folder: Path, adapter: Path | None = None) -> list[str]:
    """Asks a folder's model who is on the first portraits, with plain `transformers` and `peft`.

    Args:
        folder: Folder of a whole model.
        adapter: Folder of an adapter for it.
    """
    model = AutoModelForImageTextToText.from_pretrained(folder)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    processor = AutoProcessor.from_pretrained(folder)
    content = [{"type": "image"}, {"type": "text", "text": " Who is this?"}]
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    said = []
    for number in range(3):
        portrait = Image.open(folder.parent / "portraits" / f"{number:02d}.png")
        inputs = processor(images=portrait, text=prompt, return_tensors="pt")
        with torch.no_grad():
            ids = model.generate(**inputs, max_new_tokens=16, do_sample=False)
        text = processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        said.append(text.strip())
    return said


def main(place: str = "own_people") -> None:
    """Walks through all of it."""
    folder = Path(place).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder)
    teach(folder)
    evidence = forget(folder)
    made = folder / "forgotten"
    print("\nThe same portraits, asked with plain transformers and peft:")
    print("before:           ", answers(folder / "model"))
    print("merged model:     ", answers(made))
    print("base and adapter: ", answers(folder / "model", made / "adapter"))
    print(f"\n{evidence.word}. Open {made / 'evidence.html'} in a browser.")


if __name__ == "__main__":
    main(*sys.argv[1:2])
