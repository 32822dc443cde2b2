"""CPU-seconds and peak memory of commands that compute nothing, beside `import torch`.

    python benchmarks/reading.py [RUN]

RUN is the folder of a finished run, `runs/demo` by default, made by today's code. Each command is a
process of its own, on a copy of its files without the stages, which `runs verify`, the plan and the
run alone read where they are; the median of three times is given.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

TIMES = 3


def used(words: Sequence[str]) -> tuple[float, int]:
    """CPU-seconds and peak memory in bytes of a process, and of those it starts."""
    process = subprocess.Popen(  # noqa: S603 - our own commands
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ends with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def commands(run: Path, copy: Path) -> dict[str, tuple[str, ...]]:
    """Command lines by name, the two baselines first."""
    python, ours = sys.executable, (sys.executable, "-m", "clearbench")
    recipe = str(run / "recipe.yaml")
    lists = ("recipes", "datasets", "models", "protocols", "methods", "metrics", "attacks")
    return {
        "python -c pass": (python, "-c", "pass"),
        'python -c "import torch"': (python, "-c", "import torch"),
        "--help": (*ours, "--help"),
        "runs list": (*ours, "runs", "list", str(copy.parent)),
        "runs show": (*ours, "runs", "show", str(copy)),
        "runs verify": (*ours, "runs", "verify", str(run)),
        "view": (*ours, "view", str(copy)),
        "report": (*ours, "report", str(copy)),
        **{f"list {name}": (*ours, "list", name) for name in lists},
        "validate RECIPE": (*ours, "validate", recipe),
        "run --plan": (*ours, "run", recipe, "--plan", "--out", str(run)),
        "run, nothing to do": (*ours, "run", recipe, "--out", str(run)),
    }


def main(run: Path) -> None:
    """Prints the table."""
    if not (run / "results.json").is_file():
        print(f"no finished run in {run}: `make demo` makes one")
        return
    table = Table("command", "CPU s", "peak MB")
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "run"
        shutil.copytree(run, copy, ignore=shutil.ignore_patterns("stages"))
        for name, words in commands(run, copy).items():
            seconds, peaks = zip(*(used(words) for _ in range(TIMES)), strict=True)
            table.add_row(name, f"{statistics.median(seconds):.2f}", f"{max(peaks) / 1e6:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo"))
