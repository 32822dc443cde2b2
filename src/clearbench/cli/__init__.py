"""Command line: one thin command per step of a benchmark."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer
from rich.console import Console

from clearbench.cli import runs
from clearbench.cli.about import list_
from clearbench.cli.checks import doctor, validate
from clearbench.cli.recipes import demo, report, run, view
from clearbench.cli.steps import build, evaluate, finetune, score, unlearn
from clearbench.errors import ClearbenchError
from clearbench.quiet import quiet_libraries

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
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
#: Commands that keep finished work, and resume.
_RESUMED = ("demo", "run", "finetune", "unlearn", "evaluate")
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(runs.app, name="runs")


def main() -> None:
    """Runs the command line; a mistake a user can correct is shown without a stack trace."""
    quiet_libraries()
    try:
        app()
    except ClearbenchError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", markup=False, highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        resumes = next((word for word in sys.argv[1:] if word in _RESUMED), None)
        hint = "; run the same command again to go on" if resumes else ""
        Console(stderr=True).print(f"stopped{hint}")
        sys.exit(130)
