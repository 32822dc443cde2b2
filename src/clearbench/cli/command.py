"""Makes commands that refuse an option given twice, and word every error of files and text."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from typing import Any

from typer.core import TyperCommand, TyperOption

from clearbench.errors import ClearbenchError, DataError, RecipeError, StorageError


class OnceCommand(TyperCommand):
    """A command whose options with one value are given once: none is overruled in silence."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the words of the command line.

        Raises:
            RecipeError: An option is given twice.
        """
        words = args[: args.index("--")] if "--" in args else args
        for option in self.params:
            if not isinstance(option, TyperOption) or option.multiple or option.is_flag:
                continue
            given = [w for w in words if w.partition("=")[0] in option.opts and w[0] == "-"]
            if len(given) > 1:
                raise RecipeError(
                    f"{option.opts[0]} is given {len(given)} times", "command line", "give it once"
                )
        return super().parse_args(ctx, args)


def worded(command: Callable[..., None]) -> Callable[..., None]:
    """Wraps a command so that what the system refuses is an error of ours, without a trace."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except ClearbenchError:
            raise
        except BrokenPipeError:
            raise  # the reader has seen enough: the end of this process, and no mistake
        except (OSError, RecursionError, UnicodeError) as error:
            raise in_words(error) from error

    return run


def in_words(error: OSError | RecursionError | UnicodeError) -> ClearbenchError:
    """Words an error of a file, of text, or of something nested without end."""
    if isinstance(error, RecursionError):
        return DataError("something is nested too deeply to be read", "", "check the files given")
    if isinstance(error, UnicodeError):
        return DataError(f"text that is not UTF-8: {error}", "", "save the file as UTF-8")
    what = error.strerror or str(error)
    if error.errno == errno.ENOSPC and error.filename is None:
        return StorageError(f"cannot write: {what}", "the output", "free some space")
    where = "" if error.filename is None else str(error.filename)
    return StorageError(f"cannot read or write: {what}", where, "check the path and its rights")
