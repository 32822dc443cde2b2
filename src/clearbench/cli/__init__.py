"""Command line: one thin command per step of a benchmark."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import typer

from clearbench.cli.about import list_
from clearbench.cli.checks import doctor, validate
from clearbench.cli.command import OnceCommand, in_words, worded
from clearbench.cli.recipes import demo, report, run, view
from clearbench.cli.runs import runs_best, runs_list, runs_prune, runs_show, runs_verify
from clearbench.cli.scores import score
from clearbench.cli.steps import build, evaluate, finetune, unlearn
from clearbench.errors import ClearbenchError
from clearbench.quiet import quiet_libraries

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # else words in brackets are taken for markup, and vanish
    help="Did the model really forget this person?",
)
#: Command modules in the order of `--help`.
_COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "run": run,
    "build": build,
    "validate": validate,
    "finetune": finetune,
    "unlearn": unlearn,
    "evaluate": evaluate,
    "score": score,
    "report": report,
    "view": view,
    "list": list_,
    "doctor": doctor,
}
_RUNS_COMMANDS: dict[str, Callable[..., None]] = {
    "list": runs_list,
    "show": runs_show,
    "verify": runs_verify,
    "best": runs_best,
    "prune": runs_prune,
}
#: Commands that keep finished work, and resume.
_RESUMED = ("demo", "run", "finetune", "unlearn", "evaluate")
for _name, _command in _COMMANDS.items():
    app.command(_name, cls=OnceCommand)(worded(_command))
_runs = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Finished runs: list, show, verify, best, prune.",
)
for _name, _command in _RUNS_COMMANDS.items():
    _runs.command(_name, cls=OnceCommand)(worded(_command))
app.add_typer(_runs, name="runs")


def main() -> None:
    """Runs the command line; a mistake a user can correct is shown without a stack trace."""
    quiet_libraries()
    _write_any_text()
    try:
        _run()
    except ClearbenchError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        resumes = next((word for word in sys.argv[1:] if word in _RESUMED), None)
        hint = "; run the same command again to go on" if resumes else ""
        typer.echo(f"stopped{hint}", err=True)
        sys.exit(130)


def _run() -> None:
    """Runs the command line and writes out all that it printed.

    Raises:
        StorageError: The output cannot be written.
    """
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        sys.exit(1)
    except OSError as error:
        _drop_output()
        raise in_words(error) from error


def _drop_output() -> None:
    """Sends what is still to be printed nowhere, so that the end of the process is quiet."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write_any_text() -> None:
    """Prints text that the terminal's encoding lacks as escapes; drops what has nowhere to go."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell: `>&-`
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, nowhere)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
