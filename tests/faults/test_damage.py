"""A finished run that is damaged is named and made again; the whole matrix is `matrix.py`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import matrix
import pytest
import yaml

from clearbench.cli import main
from clearbench.errors import StorageError
from clearbench.runs.folders import list_runs, show_run
from clearbench.runs.verify import verify_run


def test_a_damaged_file_of_every_kind_is_named_and_made_again(
    whole: Path, small: dict[str, Any]
) -> None:
    endings = {
        (case.name, case.how): matrix.after(case, whole, small) for case in matrix.some(whole)
    }
    assert {Path(name).parts[1].partition("-")[0] for name, _ in endings if "/" in name} == {
        "data", "teach", "unlearn", "measure", "score", "nullband",
    }  # fmt: skip
    assert {how for _, how in endings} == {*matrix.FILE_DAMAGES}
    assert {about: end for about, end in endings.items() if end.word != "mended"} == {}


@pytest.mark.parametrize("how", matrix.FOLDER_DAMAGES)
def test_a_folder_that_is_not_what_it_was_is_made_again(
    how: str, whole: Path, small: dict[str, Any]
) -> None:
    found = [case for case in matrix.cases(whole) if case.how == how and "score-" in case.name]
    assert matrix.after(found[0], whole, small).word == "mended"


@pytest.mark.slow
def test_every_damage_of_every_file_is_named_and_made_again(
    whole: Path, small: dict[str, Any]
) -> None:
    endings = {(c.name, c.how): matrix.after(c, whole, small) for c in matrix.cases(whole)}
    assert {about: end for about, end in endings.items() if end.word != "mended"} == {}


def test_a_whole_run_is_left_as_it_is(whole: Path, small: dict[str, Any], tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert matrix.run_here(small, out) == ""
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.fixture
def changed(whole: Path, tmp_path: Path) -> Path:
    """A run in whose results one digit was changed."""
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    text = (out / "results.json").read_text()
    place = text.index('"value": ') + len('"value": ')
    digit = "1" if text[place] != "1" else "2"
    (out / "results.json").write_text(text[:place] + digit + text[place + 1 :])
    return out


def test_changed_results_are_not_believed(changed: Path, whole: Path) -> None:
    with pytest.raises(StorageError, match="changed or missing since it was written"):
        show_run(changed)
    assert list_runs(changed.parent) == ([], ["out: changed or missing since it was written"])
    assert verify_run(changed).damaged == ("results.json: changed or missing",)
    assert verify_run(whole).damaged == ()


def test_a_recipe_that_cannot_be_read_is_named(
    whole: Path, small: dict[str, Any], tmp_path: Path
) -> None:
    """While a run is under way, nothing else says which recipe the folder is of."""
    for content in ("", "a: [", "\0\0", "[" * 5000):
        (tmp_path / "recipe.yaml").write_text(content)
        with pytest.raises(StorageError, match="not a resolved recipe") as caught:
            matrix.run_here(small, tmp_path)
        assert "remove it" in caught.value.fix
    other = yaml.safe_load((whole / "recipe.yaml").read_text()) | {"seed": 5}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(other))
    with pytest.raises(StorageError, match="another recipe"):
        matrix.run_here(small, tmp_path)


def test_checkpoints_that_are_damaged_are_not_resumed_from(
    whole: Path, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training stops after its second checkpoint; every file of it is damaged in turn."""
    from clearbench.training import loop

    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    expected = matrix.contents(whole)
    for kind in ("unlearn-language-npo", "score-language-npo", "measure-language-npo"):
        shutil.rmtree(next(copy.glob(f"stages/{kind}*")))
    saved: list[int] = []

    def save_and_stop(*given: Any, save: Any = loop.save_checkpoint) -> None:
        save(*given)
        saved.append(1)
        if len(saved) == 2:
            raise RuntimeError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", save_and_stop)
        matrix.run_here(small, copy)
    (checkpoint,) = copy.glob("stages/*.unfinished/**/checkpoint-*")
    names = sorted(path.name for path in checkpoint.iterdir())
    assert len(names) >= 4
    for number, name in enumerate(names):
        out = Path(shutil.copytree(copy, tmp_path / name))
        target = out / checkpoint.relative_to(copy) / name
        how = ("flip", "zero", "truncate", "delete")[number % 4]
        matrix.damage(target, how, target)
        matrix.run_here(small, out)
        assert matrix.contents(out) == expected, (name, how)
        assert not list(out.glob("stages/*.unfinished"))


def test_a_plan_writes_nothing(
    recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["clearbench", "run", str(recipes / "smallest.yaml"), "--plan", "--out", "out"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="0"):
        main()
    assert "10 of 10 stages to make" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
