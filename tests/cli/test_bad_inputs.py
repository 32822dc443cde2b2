"""Whatever is given to a command, a mistake is an error in words: never a trace, never silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clearbench.cli import app
from clearbench.errors import ClearbenchError

#: Contents of files that are no dataset, no recipe, no log and no run.
CONTENTS = {
    "empty": b"",
    "binary": bytes(range(256)) * 8,
    "latin": '{"question": "Zoë?", "answer": "José."}\n'.encode("latin-1"),
    "deep": b"[" * 1200,
    "null": b"null\n",
    "words": b"hello there\n",
    "digits": b'{"question": ' + b"9" * 5000 + b', "answer": "x"}\n',
    "tag": b"!!python/object/apply:os.system ['true']\n",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bad files of every ending, and one good file of rows."""
    place = tmp_path_factory.mktemp("bad")
    for ending in (".jsonl", ".yaml", ".json"):
        for name, content in CONTENTS.items():
            (place / f"{name}{ending}").write_bytes(content)
        (place / f"folder{ending}").mkdir()
    rows = [{"question": f"Q{k}?", "answer": f"A{k}."} for k in range(2)]
    (place / "good.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return place


Words = Callable[[Path, str], list[str]]


def unlearning(option: str) -> Words:
    """Unlearning with a bad file under one option, and good rows to forget else."""

    def words(place: Path, given: str) -> list[str]:
        options = {"--forget": str(place / "good.jsonl")} if option == "--retain" else {}
        pairs = options | {option: given, "--model": str(place), "--out": str(place / "out")}
        return ["unlearn", *(word for pair in pairs.items() for word in pair)]

    return words


#: Words of the command line with the bad path in them, and the ending of files that it reads.
COMMANDS: dict[str, tuple[str, Words]] = {
    "validate rows": (".jsonl", lambda place, given: ["validate", given]),
    "validate a recipe": (".yaml", lambda place, given: ["validate", given]),
    "run": (".yaml", lambda place, given: ["run", given, "--out", str(place / "run")]),
    "plan": (".yaml", lambda place, given: ["run", given, "--plan", "--out", str(place / "run")]),
    "data of a recipe": (
        ".jsonl",
        lambda place, given: ["run", "demo", f"data.source={given}", "--out", str(place / "run")],
    ),
    "score": (".json", lambda place, given: ["score", given]),
    "report": (".json", lambda place, given: ["report", given]),
    "view": (".json", lambda place, given: ["view", given]),
    "runs list": (".json", lambda place, given: ["runs", "list", f"{given}/"]),
    "runs show": (".json", lambda place, given: ["runs", "show", given]),
    "runs verify": (".json", lambda place, given: ["runs", "verify", given]),
    "runs same": (".json", lambda place, given: ["runs", "verify", "--same", given, given]),
    "runs best": (".json", lambda place, given: ["runs", "best", given]),
    "runs prune": (".json", lambda place, given: ["runs", "prune", given]),
    "plugin": (".json", lambda place, given: ["list", "recipes", "--plugin", given]),
    "rows to forget": (".jsonl", unlearning("--forget")),
    "rows to keep": (".jsonl", unlearning("--retain")),
    "rows of --data": (".jsonl", unlearning("--data")),
}  # fmt: skip


def failing(words: list[str]) -> str:
    """What a command that has to fail says; what is raised besides our errors goes through."""
    try:
        answer = CliRunner().invoke(app, words, catch_exceptions=False)
    except ClearbenchError as error:
        return str(error)
    assert answer.exit_code in (1, 2), f"{words} accepts it: {answer.output}"
    return answer.output


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_file_is_an_error_in_words(place: Path, command: str) -> None:
    ending, words = COMMANDS[command]
    for name in (*CONTENTS, "folder", "missing", "good.jsonl/below", "x" * 300):
        if (command, name) == ("runs list", "folder"):
            continue  # an empty folder is one without runs
        said = failing(words(place, f"{place / name}{ending}"))
        assert said.strip() and "Traceback" not in said
    assert not (place / "out").exists()


@pytest.mark.parametrize("command", ["unlearn", "finetune", "evaluate", "build", "run"])
@pytest.mark.parametrize("taken", ["a file", "below a file", "a folder of others"])
def test_a_place_that_is_taken_is_refused_before_any_work(
    tmp_path: Path, command: str, taken: str
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    out = {"a file": "file", "below a file": "file/out", "a folder of others": "folder"}[taken]
    rows = ["--model", "none", "--data", "builtin"]
    words: dict[str, list[str]] = {"run": ["demo"], "build": [], "evaluate": rows}
    if taken == "a folder of others" and command in ("run", "finetune"):
        return  # refused later, see the tests of storage and of models
    said = failing([command, *words.get(command, rows), "--out", str(tmp_path / out)])
    assert "there is" in said or "cannot" in said
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "mine.txt").read_text()


def test_what_no_list_is_called_is_suggested() -> None:
    assert "did you mean 'methods'" in failing(["list", "method"])
