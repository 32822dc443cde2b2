"""Damages every file of a finished run in every way, runs it again, and compares with the whole.

`python tests/faults/matrix.py [WORD]` prints a line per damage, of files whose name has the word,
and how many were mended, refused, or wrong. All of it happens in this process, workers included.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import itertools
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from rich.console import Console  # noqa: E402

from clearbench.errors import ClearbenchError  # noqa: E402
from clearbench.report.refresh import refresh_page  # noqa: E402
from clearbench.runs import execute, work  # noqa: E402
from clearbench.runs.cache import WorkerCache  # noqa: E402
from clearbench.runs.recipe import parse_recipe  # noqa: E402
from clearbench.runs.run import run  # noqa: E402
from clearbench.runs.store import Store  # noqa: E402

FILE_DAMAGES = ("truncate", "zero", "flip", "delete", "swap")
FOLDER_DAMAGES = ("extra file", "link", "a file in its place", "a link in its place", "swap folder")


@dataclass
class WorkerHere:
    """A worker that makes its stages in this process, at once."""

    root: Path
    threads: int
    plugins: tuple[str, ...]
    device: str
    environment: Any
    stage: Any = None
    cache: WorkerCache = field(default_factory=WorkerCache)

    def start(self, stage: Any) -> None:
        self.stage = stage
        self.connection, theirs = multiprocessing.Pipe()
        unheard = type("Unheard", (), {"send": lambda *_: None})()
        theirs.send(work._made(stage, Store(self.root), self.cache, unheard, self.device))

    def receive(self) -> Any:
        self.stage = None
        return self.connection.recv()

    def stop(self) -> None:
        self.cache = WorkerCache()


@contextlib.contextmanager
def workers_here() -> Iterator[None]:
    """Lets runs make their stages in this process, and wait for no disk."""
    worker, sync = execute.Worker, os.fsync
    execute.Worker, os.fsync = WorkerHere, lambda descriptor: None
    try:
        yield
    finally:
        execute.Worker, os.fsync = worker, sync


def run_here(content: dict[str, Any], out: Path, store: Path | None = None) -> str:
    """Runs a recipe in this process and writes its page; returns what was said."""
    said = io.StringIO()
    runtime, console = execute.Runtime(workers=1), Console(file=said, width=200)
    with workers_here():
        run(parse_recipe(content, "test"), out, runtime, console, store)
    refresh_page(out)
    return said.getvalue()


def contents(out: Path) -> dict[str, str]:
    """What a run's folder holds, by name: sums of bytes, without what may differ between runs."""
    found = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = path.relative_to(out).as_posix()
        beside = any(word in name for word in (".corrupt-", ".locks/", "manifest.json"))
        if not beside and path.suffix not in (".html", ".md"):
            found[name] = hashlib.sha256(_without_costs(path)).hexdigest()
    return found


def _without_costs(path: Path) -> bytes:
    if path.name == "adapter_config.json":  # peft names the place of the base, and lists a set
        content = json.loads(path.read_text()) | {"base_model_name_or_path": ""}
        return json.dumps(content | {"target_modules": sorted(content["target_modules"])}).encode()
    if path.name not in ("results.json", "outcome.json"):
        return path.read_bytes()
    content = json.loads(path.read_text())
    content.pop("environment", None)
    for part in [content, *content.get("rows", ()), *content.get("combined", ())]:
        part.pop("cost", None)
    return json.dumps(content).encode()


def damage(path: Path, how: str, other: Path) -> None:
    """Damages a file; `other` is a file of another stage."""
    content = bytearray(path.read_bytes())
    if how == "truncate":
        path.write_bytes(content[: len(content) // 2])
    elif how == "zero":
        path.write_bytes(bytes(len(content)))
    elif how == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif how == "delete":
        path.unlink()
    else:
        theirs = other.read_bytes()
        other.write_bytes(content)
        path.write_bytes(theirs)


def damage_folder(stage: Path, how: str, other: Path) -> None:
    """Damages a stage's folder as a whole; `other` is another stage of its kind."""
    aside = stage.with_name(f"..{stage.name}-aside")
    if how == "extra file":
        (stage / "adapter_config.json").write_text("{}")
    elif how == "link":
        target = next(path for path in stage.iterdir() if path.name != "manifest.json")
        target.rename(aside)
        target.symlink_to(aside)
    elif how == "a file in its place":
        shutil.rmtree(stage)
        stage.write_text("not a folder")
    elif how == "a link in its place":
        stage.rename(aside)
        stage.symlink_to(aside)
    else:
        stage.rename(aside)
        other.rename(stage)
        aside.rename(other)


@dataclass(frozen=True)
class Case:
    """One damage of one file or stage of a run."""

    name: str
    how: str
    apply: Callable[[Path], None]


def cases(out: Path) -> Iterator[Case]:
    """Every damage of every file of a run, and of every stage."""
    stages = [path for path in sorted((out / "stages").iterdir()) if path.name[0] != "."]
    files = [path for stage in stages for path in sorted(stage.rglob("*")) if path.is_file()]
    files += [path for path in sorted(out.iterdir()) if path.is_file()]
    names = [path.relative_to(out) for path in files]
    for name in names:
        content = (out / name).read_bytes()
        others = (o for o in [*_alike(name, names), *names] if o.parent != name.parent)
        other = next(o for o in others if (out / o).read_bytes() != content)
        for how in FILE_DAMAGES:
            yield Case(str(name), how, _file_case(name, how, other))
    kinds = {path.name.partition("-")[0]: path.relative_to(out) for path in stages}
    for stage in kinds.values():
        others = [path.relative_to(out) for path in stages if path.relative_to(out) != stage]
        alike = [o for o in others if o.name.partition("-")[0] == stage.name.partition("-")[0]]
        for how in FOLDER_DAMAGES:
            yield Case(str(stage), how, _folder_case(stage, how, [*alike, *others][0]))


def some(out: Path) -> Iterator[Case]:
    """One damage, in turn, of up to four files of each kind of stage and of the run itself.

    They are the files that decide most: of a model, its weights, manifest and outcome.
    """
    beside = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
    turn = itertools.cycle(FILE_DAMAGES)
    how, seen = next(turn), Counter[str]()
    for case in cases(out):
        *_, parent, name = ("", *Path(case.name).parts)
        kind = parent.partition("-")[0]
        wanted = name not in (*beside, "chat_template.jinja") and f"{kind}/{name}" not in seen
        if wanted and case.how == how and seen[kind] < 4:
            seen.update((kind, f"{kind}/{name}"))
            how = next(turn)
            yield case


def _alike(name: Path, names: list[Path]) -> list[Path]:
    """Files of the same name in other stages, those of the same kind first."""
    same = [other for other in names if other.name == name.name and other != name]
    kind = name.parent.name.partition("-")[0]
    return sorted(same, key=lambda other: other.parent.name.partition("-")[0] != kind)


def _file_case(name: Path, how: str, other: Path) -> Callable[[Path], None]:
    return lambda out: damage(out / name, how, out / other)


def _folder_case(stage: Path, how: str, other: Path) -> Callable[[Path], None]:
    return lambda out: damage_folder(out / stage, how, out / other)


@dataclass(frozen=True)
class Ending:
    """How a rerun after a damage ended: `mended`, `refused`, or what is wrong."""

    word: str
    said: str


def after(case: Case, whole: Path, content: dict[str, Any]) -> Ending:
    """Damages a copy of a run, runs it again, and compares."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        shutil.copytree(whole, out, symlinks=True)
        expected = contents(out)
        case.apply(out)
        try:
            said = run_here(content, out)
        except ClearbenchError as error:
            return Ending("refused", str(error))
        except Exception as error:
            return Ending("traceback", repr(error))
        found = contents(out)
        missing = [name for name in expected if found.get(name) != expected[name]]
        if missing:
            return Ending("wrong", f"differs: {missing}")
        if not (out / "report.html").read_bytes():
            return Ending("wrong", "the page is empty")
        quiet = case.name.endswith("report.html") or case.how == "delete"
        if not said and not quiet:
            return Ending("silent", "")
        if left := [path.name for path in out.rglob("*.tmp")]:
            return Ending("leftovers", str(left))
        return Ending("mended", said.splitlines()[0] if said else "")


def main() -> None:
    """Prints the whole matrix."""
    import forks

    word = sys.argv[1] if len(sys.argv) > 1 else ""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        content = forks.small_recipe(Path(folder))
        whole = Path(folder) / "whole"
        run_here(content, whole)
        gc.freeze()  # what the imports made is no garbage
        counts: dict[str, int] = {}
        for case in cases(whole):
            if word in case.name:
                ending = after(case, whole, content)
                counts[ending.word] = counts.get(ending.word, 0) + 1
                print(f"{ending.word:9} {case.how:20} {case.name}: {ending.said[:160]}", flush=True)
    print(f"{counts} in {time.process_time() - began:.0f} CPU-seconds")
    sys.exit(0 if {*counts} <= {"mended", "refused"} else 1)


if __name__ == "__main__":
    os.environ.setdefault("TQDM_DISABLE", "1")
    main()
