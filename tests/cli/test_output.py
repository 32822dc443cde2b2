"""What commands print is whole in a pipe, and fits a terminal by leaving out columns, said so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clearbench.cli import app, output
from clearbench.errors import RecipeError, StorageError
from clearbench.methods.base import methods
from clearbench.storage import new_folder, write_json
from clearbench.testing.records import records


def printed(*words: object) -> list[str]:
    answer = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output.splitlines()


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setattr(output, "terminal_width", lambda: 80)


LONG = "a-name-" * 20


def test_in_a_pipe_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(LONG, "x" * 90, "one\ntwo"), ("b", "", "雪")]
    output.show_table(("name", "much", "more"), rows, dropped_first=("more", "much"))
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "much", "more"]
    assert first == f"{LONG}  {'x' * 90}  one two"
    assert second == "b" + " " * (len(LONG) - 1 + 2 + 90 + 2) + "雪"


@pytest.mark.usefixtures("narrow")
def test_on_a_terminal_the_least_important_columns_give_way(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [("x" * 40, "y" * 30, "z" * 20)]
    output.show_table(("a", "b", "c"), rows, dropped_first=("b", "c"), all_of_it="--json")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"{'x' * 40}  {'z' * 20}"
    assert lines[2] == "(no room for: b; to see them: --json)"


@pytest.mark.usefixtures("narrow")
def test_cells_of_one_column_may_go_over_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Of 80 columns two of 10 and their gaps are taken, so that 56 are left."""
    rows = [("x" * 10, "word " * 15, "y" * 10)]
    output.show_table(("a", "b", "c"), rows, wrapped="b", dropped_first=("c",))
    first, second = capsys.readouterr().out.splitlines()[1:]
    assert first == f"{'x' * 10}  {('word ' * 11).strip():<56}  {'y' * 10}"
    assert second == f"{' ' * 12}{('word ' * 4).strip()}"


@pytest.mark.usefixtures("narrow")
def test_a_first_column_that_is_too_wide_stays_whole(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_table(("name", "n"), [(LONG, "1")], dropped_first=("n",))
    assert LONG in capsys.readouterr().out


def test_methods_are_listed_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    names = sorted(methods())
    lines = printed("list", "methods")
    assert [line.split()[0] for line in lines] == ["name", *names]
    assert "hyperparameters" in lines[0] and "retain_weight=1.0" in "".join(lines)
    monkeypatch.setattr(output, "terminal_width", lambda: 80)
    lines = printed("list", "methods")
    assert max(map(len, lines)) <= 80
    lines, note = lines[:-2], " ".join(lines[-2:])
    assert [line.split()[0] for line in lines if line[0] != " "] == ["name", *names]
    assert "(no room for: " in note and "hyperparameters" in note and "--json" in note
    assert lines[0].split() == ["name", "does", "status"]
    listed = json.loads("".join(printed("list", "methods", "--json")))
    rows = {row["name"]: row["does"] for row in listed}
    assert rows["retrain"].endswith("the forgotten people: exact unlearning.")
    told = " ".join(line[25:70].strip() for line in lines[1:])
    assert all(sentence in told and sentence.endswith(".") for sentence in rows.values())


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("what", ["metrics", "attacks", "protocols", "datasets", "models"])
def test_names_are_whole_at_80_columns(what: str) -> None:
    names = {row["name"] for row in json.loads("".join(printed("list", what, "--json")))}
    text = "\n".join(printed("list", what))
    assert all(name in text for name in names)


@pytest.mark.usefixtures("narrow")
def test_score_keys_are_whole_at_80_columns(tmp_path: Path) -> None:
    for name, p in {"model": 0.3, "gold": 0.2}.items():
        (tmp_path / name).mkdir()
        records([{"p": {"answer": [p]}, "said": ("a b", "a c")}] * 2).save(tmp_path / name)
    words = ("score", tmp_path / "model", "--reference", tmp_path / "gold")
    keys = json.loads("".join(printed(*words, "--json")))["scores"]
    lines = printed(*words)
    assert [line.split()[0] for line in lines[1 : len(keys) + 1]] == list(keys)


def test_a_folder_without_runs_says_so(tmp_path: Path) -> None:
    assert printed("runs", "list", tmp_path) == [f"no runs below {tmp_path}"]
    with pytest.raises(StorageError, match="no such folder"):
        printed("runs", "list", tmp_path / "none")


def test_what_single_commands_left_is_listed(tmp_path: Path) -> None:
    """A model and records; an audit has no manifest, and what lies inside a run is the run's."""
    for name, made in {
        "model": {"command": "unlearn", "method": "npo", "modality": "text", "seed": 3},
        "gold": {"command": "finetune", "seed": 0, "without": ["forget"]},
        "records": {"command": "evaluate", "model": {"source": "m"}, "protocol": "clear"},
        "a/mia_loss": {"command": "attack", "attack": "mia_loss", "model": {"source": "m"}},
        "stage": {"kind": "teach"},
        "run/below": {"command": "finetune", "seed": 1},
    }.items():
        with new_folder(tmp_path / name, made) as folder:
            write_json(folder / "evidence.json", {"word": "Forgotten"})
    (tmp_path / "run" / "results.json").write_text("{}")
    (tmp_path / "audit").mkdir()
    content = {"conclusion": {"word": "knows"}, "made": {"names": {"model": "m"}}}
    write_json(tmp_path / "audit" / "audit.json", content)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    answer = CliRunner().invoke(app, ["runs", "list", str(tmp_path), "--json"])
    found = json.loads(answer.output)
    assert answer.exit_code == 2 and len(found["damaged"]) == 2
    assert any(line.startswith("broken: not valid JSON") for line in found["damaged"])
    assert {each["folder"]: (each["command"], each["what"]) for each in found["folders"]} == {
        "audit": ("audit", "of m"),
        "model": ("unlearn", "npo on text, seed 3"),
        "gold": ("finetune", "taught, seed 0, without forget"),
        "records": ("evaluate", "records of m for clear"),
        "a/mia_loss": ("attack", "mia_loss on m"),
    }
    words = {each["folder"]: each["word"] for each in found["folders"]}
    assert (words["model"], words["audit"]) == ("Forgotten", "knows")


def test_a_damaged_run_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "results.json").write_text("{}")
    answer = CliRunner().invoke(app, ["runs", "list", str(tmp_path), "--json"])
    assert answer.exit_code == 2
    (line,) = json.loads(answer.output)["damaged"]
    assert line.startswith("bad: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--hyper", "steps=10"), "write --set steps=10"),
        (("--set", "beta=0.2"), "write --hyper beta=0.2"),
        (("--set", "step=10"), "did you mean 'steps'"),
        (("--hyper", "bata=1"), "did you mean 'beta'"),
        (("--hyper", "learning_rat=1"), "did you mean 'learning_rate'"),
        (("--set", "steps=0"), "greater than or equal to 1"),
        (("--set", "steps"), "is not name=value"),
        (("--set", "=3"), "is not name=value"),
        (("--set", "steps=[1"), "is no value"),
        (("--set", "steps=" + "[" * 1500), "is no value"),
        (("--method", "idk,npo"), "one method at a time"),
        (("--method", "idk", "--method", "npo"), "--method is given 2 times"),
        (("--method", "npoo"), "did you mean 'npo'"),
        (("--seed", "1", "--seed=2"), "--seed is given 2 times"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_read(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        printed("unlearn", "--model", tmp_path / "none", "--forget", tmp_path / "none.jsonl",
                "--out", tmp_path / "out", *words)  # fmt: skip
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no data are given"),
        (("--forget", "3"), "3 is a number of people"),
        (("--data", "builtin", "--retain", "r.jsonl"), "two ways to name rows"),
        (("--data", "r.jsonl", "--forget", __file__), "is a file of rows"),
        (("--data", "builtin", "--images", "blank"), "write --control blank"),
    ],
)
def test_data_that_contradict_each_other_are_refused(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        printed("evaluate", "--model", "none", "--out", tmp_path / "out", *words)
