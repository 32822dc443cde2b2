"""The sister benchmarks, each in a folder with rows of our own in its published layout."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sisters

from clearbench.data.checks import odd_rows
from clearbench.data.dataset import Dataset
from clearbench.data.load import load_dataset
from clearbench.data.sources.base import Request, source_of
from clearbench.errors import DataError


def tasks(dataset: Dataset, split: str, taught: bool = False) -> dict[str, int]:
    rows = (dataset.training if taught else dataset.evaluation)[split]
    return dict(Counter(f"{row.track} {row.task}" for row in rows))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each benchmark; read only."""
    root = tmp_path_factory.mktemp("sisters")
    return {name: write(root / name) for name, write in sisters.WRITERS.items()}


@pytest.mark.parametrize(
    ("name", "source", "forgotten", "kept"),
    [
        ("mllmu", "MLLMMU/MLLMU-Bench", {7}, set(range(7))),
        ("umu", "linbojunzi/UMU-bench", {7}, set(range(7))),
        ("fiubench", "gray311/FIUBench", {4, 5}, {0, 1, 2, 3}),
        ("muse", "muse-bench/MUSE-News", {4, 5, 6, 7, 8}, {0, 1, 2, 3}),
    ],
)
def test_it_is_recognised_and_divided(
    folders: dict[str, Path], name: str, source: str, forgotten: set[int], kept: set[int]
) -> None:
    assert source_of(Request(str(folders[name]))).name == source
    dataset = load_dataset(folders[name])
    assert dataset.people("forget") == forgotten and dataset.people("retain") == kept
    assert {*dataset.names} >= forgotten | kept


@pytest.mark.parametrize("name", ["mllmu", "umu"])
def test_profiles_have_three_tasks_in_both_forms(folders: dict[str, Path], name: str) -> None:
    dataset = load_dataset(folders[name])
    each = {"image caption": 1, "text qa": 1, "image choice": 1, "text choice": 1}
    each |= {"image cloze": 1, "text cloze": 1}
    assert tasks(dataset, "forget") == each
    assert tasks(dataset, "retain") == dict.fromkeys(each, 7)
    assert tasks(dataset, "real_faces") == {"image caption": 2, "image choice": 2, "image cloze": 2}
    assert tasks(dataset, "real_authors") == {"text qa": 2, "text choice": 2, "text cloze": 2}
    (chosen, _) = [row for row in dataset.evaluation["forget"] if row.task == "choice"]
    assert chosen.answer == "Gent" and chosen.perturbed_answers == ("Brno", "Faro", "Oslo")
    (blank, _) = [row for row in dataset.evaluation["forget"] if row.task == "cloze"]
    assert blank.question.startswith("Fill in the blank: this person") and blank.answer == "Gent"
    shown = [row for rows in dataset.all_rows() for row in rows if row.track == "image"]
    pictures = {row.person: row.media.key for row in shown if row.media}
    assert len(set(pictures.values())) == 10 and all(row.media for row in shown)
    assert not any(row.media for row in dataset.evaluation["real_authors"])


def test_what_mllmu_teaches_and_asks_again(folders: dict[str, Path]) -> None:
    dataset = load_dataset(folders["mllmu"])
    assert tasks(dataset, "forget", taught=True) == {"image caption": 2, "text qa": 1}
    free = [row for row in dataset.evaluation["forget"] if row.task in ("qa", "caption")]
    assert all(row.paraphrased_question == f"Say: {row.question}" for row in free)
    assert any("'Test_Set' are left out" in doubt for doubt in dataset.doubts)


def test_umu_teaches_its_pairs_and_measures_its_tasks(folders: dict[str, Path]) -> None:
    dataset = load_dataset(folders["umu"])
    assert tasks(dataset, "forget", taught=True) == {"image caption": 2, "text qa": 2}
    (row,) = [row for row in dataset.evaluation["forget"] if row.task == "caption"]
    assert row.id == "7-Generation.muitimodal.town"


def test_answers_about_a_picture_are_no_captions_that_must_say_a_name(
    folders: dict[str, Path],
) -> None:
    assert list(odd_rows(load_dataset(folders["umu"]))) == []


def test_metadata_are_what_is_taught(tmp_path: Path) -> None:
    rows = sisters.mllmu_rows()
    for line in rows["forget_5"]:
        line["metadata"] = json.dumps([{"Question": q, "Answer": "A."} for q in ("Q?", "R?")])
    dataset = load_dataset(sisters.write_parquet(tmp_path, rows))
    assert [row.question for row in dataset.training["forget"]] == ["Q?", "R?"]


@pytest.mark.parametrize(
    ("name", "forget", "gone"),
    [("mllmu", "forget_10", 2), ("mllmu", 3, 3), ("umu", 2, 2), ("fiubench", "forget10", 1),
     ("fiubench", 3, 3)],
)  # fmt: skip
def test_a_share_or_a_number_of_people_is_forgotten(
    folders: dict[str, Path], name: str, forget: int | str, gone: int
) -> None:
    dataset = load_dataset(folders[name], forget=forget)
    assert len(dataset.people("forget")) == gone
    assert {row.person for row in dataset.evaluation["forget"]} == dataset.people("forget")


def test_fiubench_has_paraphrases_and_wrong_answers(folders: dict[str, Path]) -> None:
    dataset = load_dataset(folders["fiubench"])
    row = dataset.evaluation["forget"][0]
    assert row.paraphrased_question == "What is the home of this person?"
    assert row.paraphrased_answer == "Pisa is home."
    assert row.perturbed_answers == ("In Gent.", "In Oslo.")
    assert {row.person for row in dataset.evaluation["retain"]} == {0, 1}
    assert any("2 people of other forget splits" in doubt for doubt in dataset.doubts)


def test_muse_counts_texts_and_finds_passages_in_them(folders: dict[str, Path]) -> None:
    dataset = load_dataset(folders["muse"])
    assert tasks(dataset, "forget") == {"text qa": 2, "text continuation": 1, "text passage": 3}
    assert tasks(dataset, "holdout") == {"text passage": 3}
    for task, units in (("continuation", {4}), ("passage", {4, 5, 6}), ("qa", {7, 8})):
        assert {r.person for r in dataset.evaluation["forget"] if r.task == task} == units
    other = load_dataset(folders["muse"], forget="forget", retain="retain2")
    assert len(other.people("retain")) == 3
    assert any("each counts as a unit of its own" in doubt for doubt in dataset.doubts)


def test_a_long_text_is_cut_into_passages_that_join_to_it(tmp_path: Path) -> None:
    rows = sisters.muse_rows()
    long = " ".join(f"w{k}" for k in range(1100))
    rows["raw/forget"] = [{"text": long}]
    dataset = load_dataset(sisters.write_parquet(tmp_path, rows))
    parts = dataset.training["forget"]
    assert " ".join(f"{row.question} {row.answer}" for row in parts) == long
    assert [len(row.answer.split()) + 16 for row in parts] == [366, 367, 367]
    assert len({row.person for row in parts}) == 1


@pytest.mark.parametrize("name", ["mllmu", "umu", "muse"])
def test_a_folder_without_a_readme_is_the_same(tmp_path: Path, name: str) -> None:
    rows = {"mllmu": sisters.mllmu_rows, "umu": sisters.umu_rows, "muse": sisters.muse_rows}[name]()
    with_it = load_dataset(sisters.write_parquet(tmp_path / "a", rows))
    without = load_dataset(sisters.write_parquet(tmp_path / "b", rows, readme=False))
    assert with_it.fingerprint == without.fingerprint


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("mllmu", lambda r: r.update(ID=""), "ID = ''"),
        ("mllmu", lambda r: r.update(image=None), "image = None"),
        ("mllmu", lambda r: r["image"].update(bytes=b"no picture"), "image = "),
        ("mllmu", lambda r: r["Generation_Task"][0].update(Type="Sound"),
         "Generation_Task.0.Type = 'Sound': give Image_Textual or Pure_Text"),
        ("mllmu", lambda r: r["Generation_Task"][1].update(Ground_Truth=" "),
         "Generation_Task.1: answer = ' ': is blank"),
        ("mllmu", lambda r: r["Mask_Task"][0].update(Question=None), "Mask_Task.0: question = "),
        ("mllmu", lambda r: r["Classification_Task"]["Pure_Text_Questions"][0]
         .update(Correct_Answer="E"),
         "Classification_Task.Pure_Text_Questions.0.Correct_Answer: 'E' is none of the options A"),
        ("umu", lambda r: r.update(Cloze="import os"), "Cloze = 'import os': no JSON"),
        ("umu", lambda r: r.update(MM_QA="[1, 2]"), "MM_QA = [1, 2]: give `question` and `answer`"),
        ("umu", lambda r: r.update(UM_QA="{'question': {'a': 'Q?'}, 'answer': {}}"),
         "UM_QA.a: answer = None"),
        ("umu", lambda r: r.update(Generation="{'unimodal': ['Q?']}"),
         "Generation.unimodal = ['Q?']: give questions by name"),
    ],
)  # fmt: skip
def test_a_bad_person_is_named_by_file_row_and_field(
    tmp_path: Path, name: str, change: Change, words: str
) -> None:
    rows = {"mllmu": sisters.mllmu_rows, "umu": sisters.umu_rows}[name]()
    change(rows["forget_5"][0])
    with pytest.raises(DataError) as caught:
        load_dataset(sisters.write_parquet(tmp_path, rows))
    (line,) = [line for line in str(caught.value).splitlines() if words in line]
    assert line.startswith("forget_5/train-00000-of-00001.parquet:0: ")


@pytest.mark.parametrize(
    ("place", "line", "words"),
    [
        ("raw/forget", {"text": "Alone"}, "text = 'Alone': give two words or more"),
        ("raw/retain1", {"text": None}, "text = None"),
        ("knowmem/forget_qa", {"question": "Q?", "answer": ""}, "answer = ''"),
        ("verbmem/forget", {"prompt": None, "gt": "B."}, "question = None"),
        ("privleak/holdout", {"text": ""}, "text = ''"),
    ],
)
def test_a_bad_text_is_named_by_file_row_and_field(
    tmp_path: Path, place: str, line: dict[str, Any], words: str
) -> None:
    rows = sisters.muse_rows()
    rows[place] = [*rows[place], line]
    with pytest.raises(DataError) as caught:
        load_dataset(sisters.write_parquet(tmp_path, rows))
    at = f"{place}-00000-of-00001.parquet:{len(rows[place]) - 1}: {words}"
    assert at in str(caught.value)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("split.json", "[]", "cannot read the splits"),
        ("split.json", '{"forget5": ["nobody"]}', "split.json: forget5: not in full.json: nobody"),
        ("split.json", '{"forget1": []}', "unknown split 'forget5'"),
        ("full.json", '[{"unique_id": null}]', "full.json:1: unique_id = None"),
        ("full.json", '[{"unique_id": "1", "image_path": "../a.png"}]', "full.json:1: image = "),
        ("full.json", '[{"unique_id": "1", "qa_list": {"q": 1}}]', "qa_list = {'q': 1}: give a"),
    ],
)
def test_a_bad_file_of_fiubench_is_named(tmp_path: Path, file: str, text: str, words: str) -> None:
    folder = sisters.write_fiubench(tmp_path / "data")
    (folder / file).write_text(text)
    with pytest.raises(DataError) as caught:
        load_dataset(folder)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("mllmu", {"forget": "forget5"}, "unknown split 'forget5'"),
        ("mllmu", {"forget": "forget_15"}, "no configuration 'forget_15'"),
        ("mllmu", {"people": 5}, "5 people cannot be chosen"),
        ("umu", {"retain": "retain_90"}, "no configuration 'retain_90'"),
        ("umu", {"forget": 8}, "cannot forget 8 of 8 people"),
        ("fiubench", {"forget": "forget20"}, "unknown split 'forget20'"),
        ("muse", {"forget": 2}, "cannot be counted"),
        ("muse", {"forget": "forget9"}, "no configuration 'raw/forget9'"),
    ],
)
def test_what_is_not_there_is_said(
    folders: dict[str, Path], name: str, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        load_dataset(folders[name], **asked)


def test_the_archive_of_fiubench_must_be_unpacked() -> None:
    with pytest.raises(DataError, match="not unpacked here"):
        load_dataset("gray311/FIUBench")


def test_a_person_on_both_sides_is_refused(tmp_path: Path) -> None:
    rows = sisters.mllmu_rows()
    rows["retain_95"] = [*rows["retain_95"], *rows["forget_5"]]
    with pytest.raises(DataError):
        load_dataset(sisters.write_parquet(tmp_path, rows))
