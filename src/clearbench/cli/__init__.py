"""Command line: one thin command per step of a benchmark."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from contextlib import suppress

import typer

from clearbench.cli.about import list_
from clearbench.cli.attacking import attack
from clearbench.cli.audits import audit
from clearbench.cli.checks import doctor, validate
from clearbench.cli.command import OnceCommand, in_words, worded
from clearbench.cli.completing import complete
from clearbench.cli.ratings import trust
from clearbench.cli.recipes import demo, report, run, view
from clearbench.cli.runs import runs_best, runs_list, runs_prune, runs_show, runs_verify
from clearbench.cli.scores import score
from clearbench.cli.steps import build, evaluate, finetune
from clearbench.cli.stopping import Stopped, flush, show_anything, stopping
from clearbench.cli.unlearning import unlearn
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
    "complete": complete,
    "finetune": finetune,
    "unlearn": unlearn,
    "evaluate": evaluate,
    "score": score,
    "attack": attack,
    "audit": audit,
    "trust": trust,
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
        resumes = next((word for word in sys.argv[1:] if word in _RESUMED), None)
        hint = "; run the same command again to go on" if resumes else ""
        with suppress(OSError):
            typer.echo(f"stopped{hint}", err=True)
        code = 128 + stopped.number
    except BrokenPipeError:
        code = 1
    except OSError as error:
        code = _fail(str(in_words(error)), 2)
    finally:
        unwritten = flush()
    if unwritten is not None and not code:
        gone = unwritten.errno == errno.EPIPE
        code = 1 if gone else _fail(f"cannot write the output: {unwritten.strerror}", 2)
    sys.exit(code)


def _fail(message: str, code: int) -> int:
    """Prints an error, where it can be printed; returns the exit status."""
    with suppress(OSError):
        typer.echo(f"error: {message}", err=True)
    return code
