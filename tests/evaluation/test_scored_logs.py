"""What `score` reads, refuses and says: task files, other questions, copies, what cannot be."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import clearbench as cb
from clearbench.errors import ClearbenchError, DataError, StorageError
from clearbench.evaluation.comparable import check_no_copy, check_same_questions, swapped
from clearbench.evaluation.doubts import doubts
from clearbench.evaluation.logs.read import read_log
from clearbench.evaluation.protocols import protocol
from clearbench.evaluation.records import Records
from clearbench.testing.records import records

ROWS = 6
TOFU = ("--protocol", "tofu")


def task(prefix: str, loss: float, wrong: int, recall: float = 0.5) -> dict[str, Any]:
    """Rows with losses around one, each with a question and a truth of its own."""
    rows = [str(row) for row in range(ROWS)]
    return {
        "avg_gt_loss": {row: loss + int(row) / 100 for row in rows},
        "avg_paraphrased_loss": {row: loss + int(row) / 50 for row in rows},
        "average_perturb_loss": {
            row: [2 + int(row) / 10 + k for k in range(wrong)] for row in rows
        },
        "rougeL_recall": dict.fromkeys(rows, recall),
        "generated_text": {row: [f"{prefix} {row}?", "said", f"{prefix} is {row}"] for row in rows},
    }


def log(name: str = "ten", forget: float = 2.0, retain: float = 0.1) -> dict[str, Any]:
    return {
        "eval_log_forget.json": task(name, forget, 5),
        "eval_log.json": task("kept", retain, 5),
        "eval_real_author_wo_options.json": task("author", 0.3, 3),
        "eval_real_world_wo_options.json": task("world", 0.4, 3),
    }


def written(path: Path, content: Any, encode: Callable[[str], bytes] = str.encode) -> Path:
    path.write_bytes(encode(json.dumps(content)))
    return path


def in_tasks(folder: Path, content: dict[str, Any], ending: str = "") -> Path:
    folder.mkdir()
    encode = (lambda text: gzip.compress(text.encode())) if ending else str.encode
    for name, fields in content.items():
        written(folder / f"{name}{ending}", fields, encode)
    return folder


def test_a_folder_of_tasks_is_the_whole_log(tmp_path: Path) -> None:
    whole = cb.score(read_log(written(tmp_path / "log.json", log())), protocol="tofu")
    assert "all.text.model_utility" in whole
    for name, ending in (("plain", ""), ("packed", ".gz")):
        found = read_log(in_tasks(tmp_path / name, log(), ending))
        assert cb.score(found, protocol="tofu") == whole
    one = read_log(tmp_path / "plain" / "eval_log.json")
    assert set(one.answers["split"]) == {"retain"} and len(one.generations) == ROWS
    other = written(tmp_path / "mine.json", log()["eval_log.json"])
    with pytest.raises(DataError, match="call it one of eval_log_forget"):
        read_log(other)


@pytest.mark.parametrize(
    "encode",
    [lambda t: b"\xef\xbb\xbf" + t.encode(), lambda t: t.encode("utf-16"),
     lambda t: gzip.compress(t.encode()), lambda t: t.replace(",", ",\r\n").encode()],
)  # fmt: skip
def test_encodings_of_a_log(tmp_path: Path, encode: Callable[[str], bytes]) -> None:
    plain = read_log(written(tmp_path / "a.json", log()))
    found = read_log(written(tmp_path / "b.json", log(), encode))
    assert cb.score(found, protocol="tofu") == cb.score(plain, protocol="tofu")


MUSE = {
    "forget_knowmem_ROUGE": {"agg_value": 0.5, "value_by_index": {"0": {"rougeL_f1": 0.5}}},
    "extraction_strength": {"value_by_index": {"0": {"score": 0.5}}},
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(MUSE), "another benchmark than TOFU: its metrics are forget_knowmem_ROUGE"),
        ('{"eval_log.json": {"avg_gt_loss": {"0": 1, "0": 2}}}', "'0' is there twice"),
        ('{"eval_log.json": {}, "eval_log.json": {}}', "'eval_log.json' is there twice"),
        ("", "not valid JSON"),
        ('{"eval_log.json": ', "not valid JSON"),
        ("\x1f\x8b", "not valid JSON"),
        ('{"results": {"wmdp_bio": {"acc": 0.3}}}', "no log that we know"),
        ('{"eval_log_forget.json": {}}', "no field 'avg_gt_loss'"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "MUSE_EVAL.json"
    path.write_text(text)
    with pytest.raises(ClearbenchError, match=message):
        read_log(path)


def test_folders_without_a_log_and_cut_archives_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no log in this folder"):
        read_log(tmp_path)
    cut = written(tmp_path / "a.gz", log(), lambda text: gzip.compress(text.encode())[:-20])
    with pytest.raises(StorageError, match="cannot be read"):
        read_log(cut)


def without(content: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: fields for name, fields in content.items() if name not in names}


def said(content: Records, name: str, gold: Records | None = None) -> str:
    return "\n".join(doubts(cb.score(content, gold, protocol=name), protocol(name), content, gold))


def test_what_a_partial_log_lacks_is_named(tmp_path: Path) -> None:
    part = read_log(written(tmp_path / "a.json", without(log(), "eval_real_world_wo_options.json")))
    found = cb.score(part, protocol="tofu")
    assert "real_authors.text.truth_ratio" in found and "all.text.model_utility" not in found
    told = said(part, "tofu")
    assert "all.text.model_utility is left out: there is no real_world.text.rouge_l" in told
    assert "'tofu', needs gold" in told and "real_authors.text.rouge_l" not in told
    whole = read_log(written(tmp_path / "b.json", log()))
    gold = read_log(written(tmp_path / "c.json", log(forget=3.0)))
    assert said(whole, "tofu", gold) == ""
    assert said(whole, "openunlearning").count("\n") == 0, "gold alone is missing"


def open_log(*names: str) -> dict[str, Any]:
    fields = {
        "Prob": {"prob": 0.5, "avg_loss": math.log(2)},
        "PARA_Prob": {"prob": 0.5, "avg_loss": math.log(2)},
        "PERT_Prob": {"prob": [0.25], "avg_loss": [math.log(4)]},
        "ROUGE": {"rougeL_recall": 0.5, "rougeL_f1": 0.5, "rouge1_recall": 0.5},
    }
    return {f"forget_Q_A_{n}": {"value_by_index": {"0": fields[n], "1": fields[n]}} for n in names}


def test_openunlearning_logs_with_fewer_metrics(tmp_path: Path) -> None:
    """A truth ratio needs the paraphrase: the answer does not take its place."""
    few = read_log(written(tmp_path / "a.json", open_log("Prob", "PERT_Prob", "ROUGE")))
    found = cb.score(few, protocol="openunlearning")
    assert found["forget.text.probability"].value == 0.5
    assert "forget.text.truth_ratio" not in found
    assert "forget.text.truth_ratio is left out" in said(few, "openunlearning")
    more = open_log("Prob", "PARA_Prob", "PERT_Prob")
    found = cb.score(read_log(written(tmp_path / "b.json", more)), protocol="openunlearning")
    assert found["forget.text.truth_ratio"].value == pytest.approx(0.5)
    assert "forget.text.rouge_l" not in found


def asking(*questions: str, truths: list[str] | None = None, split: str = "forget") -> Records:
    truths = truths or [f"truth {q}" for q in questions]
    pairs = enumerate(zip(questions, truths, strict=True))
    return records(
        [
            {"p": {"answer": [0.5 / (k + 1)]}, "said": (t, "x", q), "split": split, "row": f"r{k}"}
            for k, (q, t) in pairs
        ]
    )


def test_other_questions_are_refused_with_their_number() -> None:
    ours = asking("a", "b", "c")
    check_same_questions(ours, asking("A ", "b", "c"), "reference")
    for other, message in (
        (asking("a", "b", "d"), "1 of 3 rows differ"),
        (asking("a", "b"), "1 of 3 rows differ"),
        (asking("x", "y", "z"), "3 of 3 rows differ"),
        (asking("a", "b", "c", "d"), "1 of 4 rows differ"),
        (asking("a", "b", "c", truths=["truth a", "truth b", "other"]), "1 of 3 rows differ"),
        (asking("a", "b", "c", split="retain"), "none of 3 rows is there"),
    ):
        with pytest.raises(DataError, match=message):
            check_same_questions(ours, other, "reference")
        with pytest.raises(DataError, match=message):
            cb.score(ours, other)
    same = ["yes", "yes", "yes"]
    with pytest.raises(DataError, match="3 of 3 rows differ"):
        check_same_questions(asking("a", "b", "c", truths=same), asking("d", "e", "f", truths=same),
                             "reference")  # fmt: skip


def test_a_template_around_a_question_does_not_matter() -> None:
    truths = ["Oslo", "1952", "a poet"]
    ours = asking("a?", "b?", "c?", truths=truths)
    check_same_questions(ours, asking("[INST] a?", "[INST] b?", "[INST] c?", truths=truths), "gold")


def test_logs_of_two_formats_are_compared_by_their_questions(tmp_path: Path) -> None:
    asked = [(f"ten is {k}", "x", f"ten {k}?") for k in range(ROWS)]
    ours = records([{"said": said_, "p": {"answer": [0.5]}, "row": said_[2]} for said_ in asked])
    check_same_questions(ours, read_log(written(tmp_path / "a.json", log())), "reference")
    with pytest.raises(DataError, match="6 of 6 rows differ"):
        check_same_questions(ours, read_log(written(tmp_path / "b.json", log("five"))), "reference")


def test_a_copy_is_no_reference_wherever_it_lies(
    clearbench: Callable[..., Any], tmp_path: Path
) -> None:
    path = written(tmp_path / "log.json", log())
    (tmp_path / "link.json").symlink_to(path)
    copied = written(tmp_path / "copy.json", dict(reversed(log().items())))
    tasks = in_tasks(tmp_path / "tasks", log())
    own = tmp_path / "own"
    own.mkdir()
    read_log(path).save(own)
    for other in (path, tmp_path / "link.json", copied, tasks, own, tasks / "eval_log_forget.json"):
        done = clearbench("score", path, "--reference", other, "--json", code=2)
        assert "reference and log are the same" in done.stderr and not done.stdout
    gold = written(tmp_path / "gold.json", log(forget=3.0))
    twice = ("--reference", gold, "--reference", gold)
    assert "are the same" in clearbench("score", path, *twice, code=2).stderr
    check_no_copy(read_log(path), read_log(gold), "gold", "reference")


def test_a_reference_that_was_taught_the_forgotten_is_refused(
    clearbench: Callable[..., Any], tmp_path: Path
) -> None:
    """The original in gold's place: it knows the forgotten as the others; the log does not."""
    unlearned = written(tmp_path / "a.json", log(forget=2.0))
    original = log(forget=0.1)
    first = written(tmp_path / "b.json", original)
    done = clearbench("score", *TOFU, unlearned, "--reference", first, code=2)
    assert "in each other's place" in done.stderr
    clearbench("score", *TOFU, first, "--reference", unlearned, "--json")
    original["eval_log_forget.json"]["rougeL_recall"] = dict.fromkeys(map(str, range(ROWS)), 0.2)
    unsure = written(tmp_path / "c.json", original)
    told = json.loads(clearbench("score", *TOFU, unlearned, "--reference", unsure, "--json").stdout)
    assert any("in each other's place" in sentence for sentence in told["doubts"])
    assert not list(swapped(read_log(first), read_log(unlearned)))


def test_doubts_are_said_below_the_table(clearbench: Callable[..., Any], tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", log())
    shown = clearbench("score", path, "--protocol", "tofu").stdout
    assert "doubtful: forget.text.forget_quality, a main number of 'tofu', needs gold" in shown
