"""Every command explains itself whole, and every command line in the documents is one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from clearbench.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))


def commands(
    found: Any = None, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group with the words that call it."""
    found = found or typer.main.get_command(app)
    yield words, found
    for name, inner in getattr(found, "commands", {}).items():
        yield from commands(inner, (*words, name))


def squeezed(text: str) -> str:
    """The text without white space, which depends on where lines break."""
    return "".join(text.split())


@pytest.mark.parametrize(("words", "command"), list(commands()), ids=str)
def test_help_is_whole(words: tuple[str, ...], command: Any) -> None:
    """In brackets, too: `[build]` is no markup."""
    answer = CliRunner().invoke(app, [*words, "--help"])
    assert answer.exit_code == 0
    shown = squeezed(answer.output)
    assert squeezed(command.help) in shown
    for parameter in command.params:
        assert squeezed(getattr(parameter, "help", "") or "") in shown, parameter.name
    for name, inner in getattr(command, "commands", {}).items():
        assert name in shown and inner.help


def written() -> Iterator[tuple[str, str]]:
    """Document and command line of every command line in the documents."""
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
        lines = [line[2:] for block in blocks for line in block.splitlines() if line[:2] == "$ "]
        lines += re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        for line in lines:
            for part in " ".join(line.split("#")[0].split()).split(" && "):
                if part.startswith("clearbench "):
                    yield path.name, part


@pytest.mark.parametrize(("document", "line"), sorted(set(written())))
def test_a_command_in_the_documents_is_one(document: str, line: str) -> None:
    """It is parsed, not run."""
    command: Any = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    assert not getattr(command, "commands", {}), f"{document}: no such command: {line}"
    if words:  # a name alone is that of the command
        command.make_context(line, words)


def test_there_are_many() -> None:
    assert len({line for _, line in written()}) > 15
