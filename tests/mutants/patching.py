"""Changes imported functions in place, so that a mutant of their code needs no new import.

A mutant that changes more than the code of functions (a constant, a default, a class) cannot be
tried so. One that is not noticed so may still be noticed when its module is imported anew: code
may run while modules are imported.
"""

from __future__ import annotations

import gc
import inspect
from pathlib import Path
from types import CodeType, FunctionType

from mutants import SOURCE, Mutant

#: File, qualified name and first line of a function.
Key = tuple[str, str, int]
_COMPARED = (
    "co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_argcount",
    "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_name", "co_exceptiontable",
)  # fmt: skip


def imported_functions(folder: Path) -> dict[Key, list[FunctionType]]:
    """Lists every function of the modules below a folder that are imported, by its key."""
    found: dict[Key, list[FunctionType]] = {}
    for function in gc.get_objects():
        if type(function) is FunctionType:
            code = function.__code__
            if code.co_filename.startswith(str(folder / SOURCE)):
                key = (code.co_filename, code.co_qualname, code.co_firstlineno)
                found.setdefault(key, []).append(function)
    return found


def changed_code(mutant: Mutant, folder: Path) -> dict[Key, CodeType] | None:
    """Compiles the functions that a mutant changes; None where it changes more than functions."""
    path = folder / SOURCE / mutant.file
    if path.suffix != ".py":
        return None
    before = compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)
    after = compile(mutant.applied(folder), str(path), "exec", dont_inherit=True)
    changes: dict[Key, CodeType] = {}
    return changes if _alike(before, after, changes) else None


def patch(changes: dict[Key, CodeType], functions: dict[Key, list[FunctionType]]) -> bool:
    """Replaces the code of the functions; False where one of them cannot be found."""
    pairs = [
        (function, code) for key, code in changes.items() for function in functions.get(key, ())
    ]
    if len({id(code) for _, code in pairs}) < len(changes):
        return False
    if any(function.__code__.co_freevars != code.co_freevars for function, code in pairs):
        return False
    for function, code in pairs:
        function.__code__ = code
    return True


def _alike(before: CodeType, after: CodeType, changes: dict[Key, CodeType]) -> bool:
    """Whether two codes differ in functions alone, which are added to `changes`."""
    if any(getattr(before, name) != getattr(after, name) for name in _COMPARED):
        return False
    if len(before.co_consts) != len(after.co_consts):
        return False
    for ours, theirs in zip(before.co_consts, after.co_consts, strict=True):
        if not (isinstance(ours, CodeType) and isinstance(theirs, CodeType)):
            if type(ours) is not type(theirs) or ours != theirs:
                return False
        elif _is_function(ours) and _is_function(theirs) and ours.co_name == theirs.co_name:
            if not _alike(ours, theirs, {}):
                changes[ours.co_filename, ours.co_qualname, ours.co_firstlineno] = theirs
            elif inner := _inner(ours, theirs):
                changes.update(inner)
        elif not _alike(ours, theirs, changes):
            return False
    return True


def _inner(before: CodeType, after: CodeType) -> dict[Key, CodeType]:
    """The whole function, where one that is defined within it differs."""
    found: dict[Key, CodeType] = {}
    _alike(before, after, found)
    key = (before.co_filename, before.co_qualname, before.co_firstlineno)
    return {key: after} if found else {}


def _is_function(code: CodeType) -> bool:
    """Whether code is a function's; bodies of classes and comprehensions run where they stand."""
    return bool(code.co_flags & inspect.CO_OPTIMIZED) and not (
        code.co_name.startswith("<") and code.co_name != "<lambda>"
    )
