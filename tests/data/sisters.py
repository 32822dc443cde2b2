"""Rows of our own in the published layouts of MLLMU-Bench, UMU-Bench, FIUBench and MUSE."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

Rows = list[dict[str, Any]]

#: Eight people: the last of `forget_5`, the last two of `forget_10`; two more are real.
PEOPLE, TOWNS = 8, ("Oslo", "Bern", "Riga", "Cork", "Lyon", "Graz", "Pisa", "Gent", "Brno", "Faro")


def picture(seed: int) -> bytes:
    """A picture that no other seed makes."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (seed * 20, 90, 200 - seed)).save(buffer, "PNG")
    return buffer.getvalue()


def options(person: int) -> dict[str, str]:
    """Four towns, of which the person's own is option B."""
    others = [TOWNS[(person + k) % len(TOWNS)] for k in (1, 2, 3)]
    return dict(zip("ABCD", (others[0], TOWNS[person], *others[1:]), strict=True))


def mllmu_row(person: int) -> dict[str, Any]:
    """A person of MLLMU-Bench."""
    town = TOWNS[person]

    def typed(question: str, answer: str) -> Rows:
        forms = (("Image_Textual", "this person"), ("Pure_Text", f"Pat {person}"))
        return [
            {"Type": form, "Question": question.format(who), "Ground_Truth": answer}
            for form, who in forms
        ]

    chosen = {"Options": options(person), "Correct_Answer": "B"}
    return {
        "ID": f"{person:03d}",
        "image": {"bytes": picture(person), "path": None},
        "biography": f"Pat {person} lives in {town}.",
        "question": f"Who is this, number {person}?",
        "answer": f"Pat {person} of {town}.",
        "Classification_Task": {
            "Image_Textual_Questions": [{"Question": f"Which town suits {person}?", **chosen}],
            "Pure_Text_Questions": [{"Question": f"Where does Pat {person} live?", **chosen}],
        },
        "Generation_Task": typed("Where is the home of {}?", f"The home is in {town}."),
        "Mask_Task": typed("{} works in __.", town),
    }


def mllmu_rows() -> dict[str, Rows]:
    """MLLMU-Bench's configurations that are read; the test set has other words and pictures."""
    rows = [mllmu_row(person) for person in range(PEOPLE)]
    test = []
    for person, row in enumerate(rows):
        again = [
            entry | {"Question": f"Say: {entry['Question']}"} for entry in row["Generation_Task"]
        ]
        shown = [{"bytes": picture(person + 50), "path": None}]
        test.append({"ID": row["ID"], "images": shown, "Generation_Task": again})
    return {
        "forget_5": rows[-1:],
        "forget_10": rows[-2:],
        "retain_95": rows[:-1],
        "retain_90": rows[:-2],
        "Test_Set": test,
        "Retain_Set": [mllmu_row(person) for person in (8, 9)],
    }


def umu_row(person: int) -> dict[str, Any]:
    """A person of UMU-Bench, whose columns hold text with Python's quotation marks."""
    town = TOWNS[person]

    def both(question: str, answer: str, **more: Any) -> str:
        forms = (("unimodal", f"Kim {person}"), ("muitimodal", "this person"))
        return str(
            {
                form: {"town": {"question": question.format(who), "answer": answer, **more}}
                for form, who in forms
            }
        )

    def pairs(who: str) -> str:
        asked = {"town": f"Where does {who} live?", "job": f"What does {who} do?"}
        return str({"question": asked, "answer": {"town": f"In {town}.", "job": f"Job {person}."}})

    return {
        "ID": str(person),
        "image": {"bytes": picture(person), "path": None},
        "Biography": f"Kim {person} lives in {town}.",
        "MM_QA": pairs("this person"),
        "UM_QA": pairs(f"Kim {person}"),
        "Classify": both("Which town is home to {}?", "B. " + town, options=options(person)),
        "Cloze": both("{} lives in __.", town),
        "Generation": both("Where is the home of {}?", f"The home is in {town}."),
    }


def umu_rows() -> dict[str, Rows]:
    """UMU-Bench's configurations that are read."""
    rows = [umu_row(person) for person in range(PEOPLE)]
    return {
        "forget_5": rows[-1:],
        "retain_95": rows[:-1],
        "Real_Person_Set": [umu_row(person) for person in (8, 9)],
    }


def fiubench_row(person: int) -> dict[str, Any]:
    """A face of FIUBench."""
    town = TOWNS[person]
    wrong = [f"In {TOWNS[(person + k) % PEOPLE]}." for k in (1, 2)]
    return {
        "unique_id": f"{person:08d}",
        "image_path": f"./dataset/faces/{person:08d}.png",
        "caption": "A face.",
        "qa_list": [
            {
                "question": "Where does this person live?",
                "answer": f"In {town}.",
                "paraphrased_question": ["What is the home of this person?", "Home town?"],
                "paraphrased_answer": f"{town} is home.",
                "perturbed_answer": wrong,
                "keywords": [town],
            }
        ],
    }


#: FIUBench's splits: people 0 and 1 measured among the kept ones 0 to 3, 4 in another split.
FIUBENCH_SPLITS = {"forget1": (4,), "forget5": (6, 7), "forget10": (5,), "retain5": (0, 1)}


def article(number: int) -> str:
    """A text of forty words that no other number makes."""
    return " ".join(f"word{number}x{k}" for k in range(40))


def muse_rows() -> dict[str, Rows]:
    """MUSE's splits that are read, by configuration and split."""
    texts = [{"text": article(number)} for number in range(9)]
    asked = [{"question": f"What of {k}?", "answer": f"That is {k}."} for k in range(4)]
    words = article(3).split()
    return {
        "raw/forget": texts[3:6],
        "raw/retain1": texts[:2],
        "raw/retain2": texts[2:3],
        "raw/holdout": texts[6:],
        "knowmem/forget_qa": asked[:2],
        "knowmem/retain_qa": asked[2:],
        "verbmem/forget": [{"prompt": " ".join(words[:20]), "gt": " ".join(words[20:])}],
        "privleak/forget": texts[3:6],
        "privleak/retain": texts[:2],
        "privleak/holdout": texts[6:],
    }


def write_parquet(folder: Path, rows: dict[str, Rows], readme: bool = True) -> Path:
    """Configurations as `push_to_hub` leaves them; `name/split` is a split of its own."""
    configs: dict[str, list[dict[str, str]]] = {}
    for name, each in rows.items():
        configuration, _, split = name.partition("/")
        split = split or "train"
        path = folder / configuration / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(each), path)
        part = {"split": split, "path": f"{configuration}/{split}-*"}
        configs.setdefault(configuration, []).append(part)
    if readme:
        listed = [{"config_name": name, "data_files": parts} for name, parts in configs.items()]
        header = yaml.safe_dump({"configs": listed})
        (folder / "README.md").write_text(f"---\n{header}---\n")
    return folder


def write_fiubench(folder: Path) -> Path:
    """FIUBench's files, with the pictures unpacked beside them."""
    (folder / "faces").mkdir(parents=True)
    rows = [fiubench_row(person) for person in range(PEOPLE)]
    for person in range(PEOPLE):
        (folder / "faces" / f"{person:08d}.png").write_bytes(picture(person))
    (folder / "full.json").write_text(json.dumps(rows, indent=1))
    splits = {name: [f"{p:08d}" for p in people] for name, people in FIUBENCH_SPLITS.items()}
    (folder / "split.json").write_text(json.dumps(splits))
    return folder


#: Writer of each benchmark's folder.
WRITERS = {
    "mllmu": lambda folder: write_parquet(folder, mllmu_rows()),
    "umu": lambda folder: write_parquet(folder, umu_rows()),
    "fiubench": write_fiubench,
    "muse": lambda folder: write_parquet(folder, muse_rows()),
}
