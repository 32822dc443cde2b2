"""The road by hand, one command after the other, on a small world and a language model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clearbench.cli import app, progress
from clearbench.data.dataset import Dataset
from clearbench.data.load import load_dataset
from clearbench.errors import RecipeError
from clearbench.evaluation.records import Records


def run(*words: object) -> str:
    """What a command prints; its error, if it fails, is raised."""
    answer = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world of six people and a language model that was taught them for two steps."""
    folder = tmp_path_factory.mktemp("road")
    run("build", "--out", folder / "world", "--people", 6, "--forget", 3, "--strangers", 1)
    run("finetune", "--model", "builtin", "--kind", "language", "--data", folder / "world",
        "--out", folder / "original", "--set", "steps=2", "--set", "batch_size=2")  # fmt: skip
    return folder


def people(records: Records, split: str) -> set[int]:
    return set(records.answers.query("split == @split").person)


def test_fewer_people_than_the_folder_names_can_be_forgotten(folder: Path) -> None:
    run("unlearn", "--model", folder / "original", "--data", folder / "world", "--forget", 1,
        "--set", "steps=1", "--set", "batch_size=2", "--no-evidence",
        "--out", folder / "after")  # fmt: skip
    run("evaluate", "--model", folder / "after", "--data", folder / "world", "--forget", 1,
        "--out", folder / "records", "--limit", 2)  # fmt: skip
    records = Records.load(folder / "records")
    whole: Dataset = load_dataset(folder / "world")
    assert len(whole.people("forget")) == 3
    assert people(records, "forget") == {max(whole.people("forget") | whole.people("retain"))}
    scores = json.loads(run("score", folder / "records", "--json"))["scores"]
    assert 0 < scores["forget.text.probability"]["value"] < 1


def test_own_rows_are_forgotten_from_files(folder: Path, tmp_path: Path) -> None:
    for name in ("forget", "retain"):
        lines = [{"question": f"Who {name} {n}?", "answer": f"It was {n}."} for n in range(3)]
        (tmp_path / name).write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    run("unlearn", "--model", folder / "original", "--forget", tmp_path / "forget", "--retain",
        tmp_path / "retain", "--set", "steps=1", "--no-evidence",
        "--out", tmp_path / "after")  # fmt: skip
    assert (tmp_path / "after" / "model.safetensors").is_file()


def test_whom_to_forget_must_be_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no data are given"):
        run("unlearn", "--model", folder / "original", "--out", tmp_path / "after")
    assert not (tmp_path / "after").exists()


def test_losses_are_looked_at_a_few_times(capsys: pytest.CaptureFixture[str]) -> None:
    """Of forty steps the first, the last and every fourth; each look would wait for a device."""
    with progress.training("teaching") as losses:
        for step in range(1, 41):
            losses(step, 40, {"loss": 50.0 - step})
    assert list(losses.seen) == [1, *range(4, 41, 4)]
    assert str(losses) == "loss of a batch: 49.000 at step 1, 10.000 at step 40"
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "teaching: step 1 of 40, loss 49.000" and len(lines) == 11


def test_without_a_terminal_progress_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0, 4, 11, 12, 21])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    said = progress.NowAndThen()
    for line in ("a", "b", "c", "d"):  # after 4, 11, 12 and 21 seconds
        said(line)
    assert capsys.readouterr().err.splitlines() == ["b", "d"]


def test_rows_that_are_all_kept_apart_teach_nothing(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("question,answer\nWho?,Nobody.\n")
    with pytest.raises(RecipeError, match="there are no rows to teach"):
        run("finetune", "--model", "none", "--holdout", tmp_path / "rows.csv",
            "--out", tmp_path / "out")  # fmt: skip


def test_own_rows_are_taught_measured_and_checked_by_every_command(
    folder: Path, tmp_path: Path
) -> None:
    """One way to name them: two files, or one file whose rows name a split or are all kept."""
    for name in ("forget", "retain"):
        lines = [{"question": f"Who {name} {n}?", "answer": f"It was {n}."} for n in range(2)]
        (tmp_path / f"{name}.json").write_text(json.dumps(lines), encoding="utf-8")
    pair = ("--forget", tmp_path / "forget.json", "--retain", tmp_path / "retain.json")
    (tmp_path / "holdout.csv").write_text("question,answer\nWho else 1?,It was 9.\n")
    words = ("finetune", "--model", folder / "original", *pair, "--without-forget",
             "--holdout", tmp_path / "holdout.csv", "--set", "steps=1",
             "--out", tmp_path / "gold")  # fmt: skip
    said = run(*words)
    table = [line.split()[:3] for line in said.splitlines() if " no " in line or " yes " in line]
    assert table == [["forget", "no", "2"], ["retain", "yes", "2"], ["holdout", "no", "1"]]
    assert "loss of a batch: " in said and " at step 1" in said
    assert "nothing was trained" in run(*words)
    said = run("evaluate", "--model", tmp_path / "gold", *pair, "--out", tmp_path / "records",
               "--limit", 1, "--protocol", "clear-vqa")  # fmt: skip
    assert "forget" in said and "retain" in said
    about = json.loads((tmp_path / "records" / "manifest.json").read_text())["about"]
    assert (about["protocol"], about["limit"], about["control"]) == ("clear-vqa", 1, None)
    assert about["asks"] == ["letter"] and len(about["data"]["fingerprint"]) == 16
    said = run("evaluate", "--model", tmp_path / "gold", "--data", tmp_path / "forget.json",
               "--out", tmp_path / "kept")  # fmt: skip
    assert "2 retain" in said
    for command in ("doctor", "validate"):
        assert "no problems" in run(command, *pair)
        assert "no problems" in run(command, tmp_path / "forget.json")
    pair = (*pair, "--holdout", tmp_path / "holdout.csv")
    assert "1 holdout" in run("evaluate", "--model", tmp_path / "gold", *pair, "--limit", 1,
                              "--out", tmp_path / "three")  # fmt: skip
    for command in ("doctor", "validate"):
        assert "no problems" in run(command, *pair)
    run("unlearn", "--model", tmp_path / "gold", *pair, "--method", "guardrail",
        "--no-evidence", "--out", tmp_path / "guarded")  # fmt: skip
    assert "weights in this folder are unchanged" in (tmp_path / "guarded/GUARD.txt").read_text()
    about = json.loads((tmp_path / "guarded" / "manifest.json").read_text())["about"]
    assert (about["method"], about["seed"], about["modality"]) == ("guardrail", 0, "text")
    assert {"hyperparameters", "train", "model", "data"} <= set(about)
