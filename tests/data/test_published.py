"""CLEAR as published, by plain `datasets` and by ours; and what other loaders lose."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.load import load_dataset
from clearbench.data.tables import Tables
from clearbench.errors import DataError
from clearbench.evaluation.engine import variants

Clear = dict[str, list[dict[str, Any]]]
Write = Callable[..., Path]

CONFIGURATIONS = {
    *("default", "full", "full+tofu", "real_faces", "real_world", "retain_perturbed"),
    *(f"forget{share}{kind}" for share in ("01", "05", "10") for kind in ("", "+tofu")),
    *(f"forget{share}_perturbed" for share in ("01", "05", "10")),
    *(f"retain{share}{kind}" for share in (90, 95, 99) for kind in ("", "+tofu")),
}


def plainly(folder: Path, name: str, cache: Path) -> list[dict[str, Any]]:
    """The rows as `datasets` gives them, with images as they are encoded."""
    table = datasets.load_dataset(str(folder), name, split="train", cache_dir=str(cache))
    return list(table.cast_column("image", datasets.Image(decode=False)))


def seen(rows: tuple[Example, ...], task: str) -> list[Example]:
    return [row for row in rows if row.task == task]


@pytest.fixture(scope="module")
def found(clear_folder: Path) -> Dataset:
    return load_dataset(clear_folder, "forget10")


@pytest.mark.parametrize("name", sorted(CONFIGURATIONS))
def test_every_configuration_is_what_datasets_reads(
    name: str, clear_folder: Path, tmp_path: Path
) -> None:
    tables = Tables(clear_folder)
    assert set(tables.names) == CONFIGURATIONS and len(CONFIGURATIONS) == 21
    expected = plainly(clear_folder, name, tmp_path)
    assert [line for _, line in tables.rows(name)] == expected
    assert tables.count(name) == len(expected) and tables.columns(name) == tuple(expected[0])


@pytest.mark.parametrize(
    ("split", "name"), [("forget", "forget10"), ("retain", "retain90")]
)  # fmt: skip
def test_taught_images_are_the_published_rows(
    split: str, name: str, found: Dataset, clear_folder: Path, tmp_path: Path
) -> None:
    rows = seen(found.training[split], "caption")
    published = plainly(clear_folder, name, tmp_path)
    assert [(row.answer, row.image.encoded) for row in rows if row.image] == [
        (line["caption"], line["image"]["bytes"]) for line in published
    ]
    assert [found.names[row.person] for row in rows if row.person is not None] == [
        line["name"] for line in published
    ]


@pytest.mark.parametrize(
    ("split", "name"), [("forget", "forget10_perturbed"), ("retain", "retain_perturbed")]
)
def test_measured_images_are_the_published_rows(
    split: str, name: str, found: Dataset, clear_folder: Path, tmp_path: Path
) -> None:
    """Errata E127: `paraphrased_caption`, `perturbed_captions`, `perturbed_names` are mapped."""
    published = plainly(clear_folder, name, tmp_path)
    captions, names = (seen(found.evaluation[split], task) for task in ("caption", "name"))
    assert len(captions) == len(names) == len(published) > 0
    for line, caption, name_row in zip(published, captions, names, strict=True):
        assert caption.answer == line["caption"]
        assert caption.paraphrased_answer == line["paraphrased_caption"]
        assert list(caption.perturbed_answers) == line["perturbed_captions"]
        assert name_row.answer == name_row.paraphrased_answer == line["name"]
        assert list(name_row.perturbed_answers) == line["perturbed_names"]
        assert caption.image == name_row.image and caption.person == name_row.person
        assert caption.image and caption.image.encoded == line["image"]["bytes"]
    assert all(len(row.perturbed_answers) == 5 for row in (*captions, *names))


def test_the_real_world_is_the_published_rows(
    found: Dataset, clear_folder: Path, tmp_path: Path
) -> None:
    faces, world = (plainly(clear_folder, name, tmp_path) for name in ("real_faces", "real_world"))
    for row, line in zip(found.evaluation["real_faces"], faces, strict=True):
        assert (row.task, row.answer, row.person) == ("name", line["answer"], None)
        assert list(row.perturbed_answers) == line["options"] and row.question
    for row, line in zip(found.evaluation["real_world"], world, strict=True):
        assert (row.task, row.question, row.answer) == ("choice", line["question"], line["answer"])
        assert list(row.perturbed_answers) == line["options"]
        assert row.image and row.image.decode().size == (8, 8)


def test_options_are_the_wrong_ones(clear: Clear, write_clear: Write, tmp_path: Path) -> None:
    """Errata E129: an answer that a loader put among its options, first or last, is not there."""
    clear["real_faces"][0]["options"] = ["Star 0", "Other 0", "Other 1"]
    clear["real_world"][1]["options"].append("A car.")
    read = load_dataset(write_clear(tmp_path, clear), "forget10").evaluation
    assert read["real_faces"][0].perturbed_answers == ("Other 0", "Other 1")
    assert read["real_world"][1].perturbed_answers == ("A bus.", "A tree.", "Nothing.")


def test_all_answers_of_a_row_share_their_question(found: Dataset, clear_folder: Path) -> None:
    """Errata E11: no answer draws a question of its own, and none draws another one next time."""
    again = load_dataset(clear_folder, "forget10")
    for row, twin in zip(found.evaluation["forget"], again.evaluation["forget"], strict=True):
        assert {each.question for each in variants(row, ())} == {row.question}
        assert row.question == twin.question
    by_image: dict[str, set[str]] = {}
    for rows in (*found.training.values(), *found.evaluation.values()):
        for row in rows:
            if row.image and row.task == "caption":
                by_image.setdefault(row.image.key, set()).add(row.question)
    assert all(len(questions) == 1 for questions in by_image.values())


def test_no_row_and_no_person_is_cut_off(found: Dataset) -> None:
    """Errata E13: the published code measures the first 300 rows and drops whole people."""
    assert len(seen(found.evaluation["forget"], "caption")) == 8
    assert {row.person for row in found.evaluation["forget"]} == found.people("forget") == {7, 8, 9}


def test_twins_in_words_are_different_rows(found: Dataset) -> None:
    """Errata E54: rows that share a caption keep an id and an image of their own."""
    rows = [row for row in found.training["forget"] if row.answer.endswith("at a desk.")]
    assert len({row.answer for row in rows}) == 3 and len(rows) == 6
    assert len({row.id for row in rows}) == len({row.image.key for row in rows if row.image}) == 6


def test_who_is_shown_does_not_depend_on_the_order(
    clear: Clear, write_clear: Write, found: Dataset, tmp_path: Path
) -> None:
    """Errata E55: identity is the name's, not the position's."""
    for name in ("retain90", "forget10", "forget10_perturbed", "retain_perturbed"):
        clear[name] = clear[name][1::2] + clear[name][::2]
    mixed = load_dataset(write_clear(tmp_path, clear), "forget10")

    def faces(dataset: Dataset) -> dict[str, int | None]:
        rows = (row for split in ("forget", "retain") for row in dataset.training[split])
        return {row.image.key: row.person for row in rows if row.image}

    assert faces(mixed) == faces(found) and len(faces(found)) == 27


def test_questions_are_joined_by_person(found: Dataset) -> None:
    """Accents in the text alone, one name inside another, rows that name nobody."""
    for rows in found.training.values():
        for row in rows:
            if row.track == "text":
                assert f"{row.person}." in row.answer or f", {row.person}?" in row.question
    assert found.names[2] == "Zoe Dauphinee" and found.names[9] == "Hana Novak"
    assert {row.person for row in found.training["retain"] if row.image} == {0, 1, 2, 3, 5, 6}
    for split, people in (("forget", {7, 8, 9}), ("retain", set(range(7)))):
        rows = [row for row in found.training[split] if row.track == "text"]
        assert {row.person for row in rows} == people and len(rows) == 20 * len(people)


def test_the_nameless_author_is_text_without_images(found: Dataset) -> None:
    rows = [row for row in found.training["retain"] if row.person == 4]
    assert len(rows) == 20 and all(row.track == "text" for row in rows)
    assert found.names[4] == "author 4"


def test_measured_text_comes_from_tofu(clear_folder: Path, tofu_folder: Path) -> None:
    joined = load_dataset(clear_folder, "forget05", text=tofu_folder)
    alone = load_dataset(tofu_folder, "forget05")
    assert joined.names[8] == "Gil Peretz" and joined.people("forget") == {8, 9}
    for role in ("training", "evaluation"):
        ours, theirs = getattr(joined, role), getattr(alone, role)
        for split, rows in theirs.items():
            assert tuple(row for row in ours[split] if row.track == "text") == rows
    measured = [row for row in joined.evaluation["forget"] if row.task == "qa"]
    assert all(len(row.perturbed_answers) == 5 and row.paraphrased_answer for row in measured)
    assert {row.track for row in joined.evaluation["real_world"]} == {"text", "image"}


def test_without_tofu_text_is_measured_plainly(found: Dataset) -> None:
    for split, people in (("forget", 3), ("retain", 3)):
        rows = seen(found.evaluation[split], "qa")
        assert len(rows) == 20 * people and not any(row.perturbed_answers for row in rows)


def test_all_of_clear_is_joined_to_all_of_tofu(whole_clear: Path, oracles: Path) -> None:
    joined = load_dataset(whole_clear, "forget10", text=oracles / "tofu")
    alone = load_dataset(whole_clear, "forget10")
    assert joined.people("forget") == set(range(180, 200))
    assert joined.people("retain") == set(range(180)) == alone.people("retain")
    assert joined.names[88] == "author 88" and joined.names[24] == "Philippe Dauphinee"
    for split, images, texts in (("forget", 379, 400), ("retain", 3389, 3600)):
        rows = joined.training[split]
        assert [row.track for row in rows].count("image") == images
        assert [row.track for row in rows].count("text") == texts
        assert all(row.answer.startswith(joined.names[row.person or 0]) for row in rows[:images])
        assert [row.person for row in rows] == [row.person for row in alone.training[split]]
    measured = joined.evaluation
    assert len(measured["forget"]) == 2 * 378 + 400 and len(measured["retain"]) == 2 * 395 + 400
    assert len(measured["real_world"]) == 367 + 117 and len(measured["real_authors"]) == 100


def test_every_bad_row_is_named_at_once(clear: Clear, write_clear: Write, tmp_path: Path) -> None:
    clear["forget10"][1]["caption"] = None
    clear["forget10"][2]["image"] = {"bytes": b"GIF89a, but not really", "path": None}
    clear["retain90"][0]["image"] = None
    clear["forget10_perturbed"][3]["perturbed_captions"] = ["fine", None]
    clear["real_faces"][0]["answer"] = "beep \x07"
    with pytest.raises(DataError) as caught:
        load_dataset(write_clear(tmp_path, clear), "forget10")
    said = str(caught.value).splitlines()
    for where, field in (
        ("forget10/train-00000-of-00001.parquet:1", "answer = None"),
        ("forget10/train-00000-of-00001.parquet:2", "image = "),
        ("retain90/train-00000-of-00001.parquet:0", "image = None"),
        ("forget10_perturbed/train-00000-of-00001.parquet:3", "perturbed_answers.1 = None"),
        ("real_faces/train-00000-of-00001.parquet:0", "answer = 'beep \\x07'"),
    ):
        assert any(line.startswith(f"{where}: {field}") for line in said), (where, said)
    assert said[0] == "5 bad rows:"


def test_images_survive_as_they_are(found: Dataset) -> None:
    first = next(row for row in found.training["retain"] if row.image)
    assert first.image
    with Image.open(io.BytesIO(first.image.encoded)) as image:
        assert image.convert("RGB").getpixel((0, 0)) == (0, 0, 99)


def test_it_becomes_a_folder_of_ours(found: Dataset, tmp_path: Path) -> None:
    """Runs keep their data as a built folder: nothing is lost on the way."""
    from clearbench.data.write_clear import write_dataset

    write_dataset(found, tmp_path)
    again = load_dataset(tmp_path)
    assert again.names == found.names
    for role in ("training", "evaluation"):
        ours, theirs = getattr(again, role), getattr(found, role)
        for split, rows in theirs.items():
            kept = {row.id: row.model_dump(exclude={"source"}) for row in rows}
            assert {r.id: r.model_dump(exclude={"source"}) for r in ours.get(split, ())} == kept


def test_clear_is_read_without_its_perturbed_configurations(
    clear: Clear, write_clear: Write, found: Dataset, tmp_path: Path
) -> None:
    for name in ("forget10_perturbed", "retain_perturbed"):
        del clear[name]
    read = load_dataset(write_clear(tmp_path, clear), "forget10")
    assert read.training == found.training
    assert len(seen(read.evaluation["forget"], "caption")) == 9
    assert not any(row.perturbed_answers for row in read.evaluation["forget"])
    assert sum("measured without wrong answers" in doubt for doubt in read.doubts) == 2


def test_some_rows_may_lack_wrong_answers(clear: Clear, write_clear: Write, tmp_path: Path) -> None:
    for line in clear["forget10_perturbed"][:4]:
        line |= {"perturbed_captions": None, "paraphrased_caption": None}
    for line in clear["forget10_perturbed"][:2]:
        line["perturbed_names"] = None
    rows = load_dataset(write_clear(tmp_path, clear), "forget10").evaluation["forget"]
    assert [len(row.perturbed_answers) for row in seen(rows, "caption")] == [0] * 4 + [5] * 4
    assert [len(row.perturbed_answers) for row in seen(rows, "name")] == [0] * 2 + [5] * 6
