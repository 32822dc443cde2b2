"""Command line: one thin command per step of a benchmark."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from contextlib import suppress

import typer
from rich.console import Console

from clearbench.cli import runs
from clearbench.cli.about import list_
from clearbench.cli.checks import doctor, validate
from clearbench.cli.recipes import demo, report, run, view
from clearbench.cli.steps import build, evaluate, finetune, score, unlearn
from clearbench.cli.stopping import Stopped, flush, show_anything, stopping
from clearbench.errors import ClearbenchError
from clearbench.quiet import quiet_libraries
from clearbench.writing import closed

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
    show_anything()
    code: str | int | None = 1
    try:
        with stopping():
            app()
    except SystemExit as end:
        code = end.code
    except ClearbenchError as error:
        code = _fail(str(error), 2)
    except Stopped as stopped:
        resumes = sys.argv[1:2] and sys.argv[1] in _RESUMED
        hint = "; run the same command again to go on" if resumes else ""
        with suppress(OSError):
            Console(stderr=True).print(f"stopped{hint}")
        code = 128 + stopped.number
    except OSError as error:
        if closed(error) is None:
            raise
        code = _fail(f"cannot write the output: {error.strerror}", 1)
    finally:
        unwritten = flush()
    if unwritten is not None and not code:
        code = 1 if unwritten.errno == errno.EPIPE else _fail(f"output: {unwritten.strerror}", 1)
    sys.exit(code)


def _fail(message: str, code: int) -> int:
    """Prints an error, where it can be printed; returns the exit status."""
    with suppress(OSError):
        Console(stderr=True, soft_wrap=True).print(
            f"error: {message}", markup=False, highlight=False
        )
    return code
