"""What every test shares: no network, one thread, no window; the command line; one finished run."""

from __future__ import annotations

import os

# Read when the libraries are imported, so they are set first.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["MPLBACKEND"] = "Agg"

import gc
import importlib
import io
import logging
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parent / "faults"))

from forks import Forks

torch.set_num_threads(1)

#: Published logs, which are not ours to commit. TOFU's: github.com/locuslab/tofu (data/).
ORACLES = Path(os.environ.get("CLEARBENCH_ORACLES", Path(__file__).parents[2] / "shared" / "data"))

DOCS = Path(__file__).parents[1] / "docs"

Cli = Callable[..., subprocess.CompletedProcess[str]]

#: A ninth method, as a user would write it: one file with one class.
PLUGIN = '''
"""A method of my own."""

from pydantic import Field

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy


class GentleAscent(Method, name="gentle_ascent", paper="none yet", needs=("forget", "retain")):
    """Climb a little on forget and hold the rest."""

    strength: float = Field(default=0.5, gt=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """-s L(forget) + L(retain)."""
        return {
            "forget": -self.strength * cross_entropy(step.model.answers(step.forget)),
            "retain": cross_entropy(step.model.answers(step.retain)),
        }
'''

_STEPS = {"steps": 3, "batch_size": 2, "replay": 1}
#: The smallest recipe with every kind of model and the plugin's method in it.
MINI: dict[str, Any] = {
    "name": "mini",
    "title": "Mini",
    "data": {"people": 6, "strangers": 2, "forget": 2},
    "models": {
        "vision-language": {"teach": _STEPS},
        "classifier": {"teach": _STEPS | {"parts": ["vision"]}},
    },
    "evaluation": {"limit": 3, "max_new_tokens": 4},
    "runs": [
        {"method": "gentle_ascent", "hyperparameters": {"strength": 0.25},
         "train": {"steps": 2, "batch_size": 2}},
        {"method": "dpo", "modality": "text",
         "train": {"steps": 2, "batch_size": 2, "lora_rank": 2, "parts": ["language"]}},
        {"method": "retrain"},
        {"method": "npo", "model": "classifier", "modality": "image",
         "train": {"steps": 2, "batch_size": 2, "parts": ["vision"]}},
    ],
}  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Warnings of peft about transformers, which nobody here can mend."""
    config.addinivalue_line(
        "filterwarnings", "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
    )


def pytest_collection_finish() -> None:
    """What the imports made stays: no collection has to look at it again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says that numbers were not compared with published ones, and how to do so."""
    if not ORACLES.is_dir():
        terminalreporter.write_line(
            f"published logs not found in {ORACLES}: their tests were skipped; set "
            "CLEARBENCH_ORACLES to a folder with oracles/ (docs/errata.md says where to get them)"
        )


@pytest.fixture(scope="session")
def oracles() -> Path:
    """The folder of published logs; skips where it is not there."""
    if not ORACLES.is_dir():
        pytest.skip("published logs not found")
    return ORACLES / "oracles"


@pytest.fixture(scope="session")
def clearbench() -> Cli:
    """The command line in this process: `clearbench("list", "methods", code=0)`."""

    def run(
        *words: object, code: int | None = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        from clearbench.cli import main

        out, err, before = io.StringIO(), io.StringIO(), dict(os.environ)
        level, argv, returned = logging.getLogger().level, sys.argv, 0
        sys.argv = ["clearbench", *map(str, words)]
        os.environ |= {"COLUMNS": "200"} | environment
        try:
            with warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(err):
                main()
        except SystemExit as end:
            returned = int(end.code or 0)
        finally:
            sys.argv = argv
            logging.getLogger().setLevel(level)
            os.environ.clear()
            os.environ |= before
        done = subprocess.CompletedProcess(words, returned, out.getvalue(), err.getvalue())
        assert code is None or returned == code, done.stdout + done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes share."""
    together = os.environ.get("PYTEST_XDIST_WORKER") is not None
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if together else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def forks(common: Path) -> Iterator[Forks]:
    """Command lines in processes of their own, whose start costs next to nothing."""
    client = Forks(common)
    yield client
    client.close()


@pytest.fixture(scope="session")
def clearbench_process(forks: Forks) -> Cli:
    """The command line in a process of its own, for plugins; errors are in its output too."""

    def run(
        *words: object, code: int | None = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        returned, said = forks.run(*words, **environment)
        assert code is None or returned == code, said
        return subprocess.CompletedProcess(words, returned, said, said)

    return run


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a ninth method."""
    path = tmp_path_factory.mktemp("plugin") / "gentle.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture(scope="session")
def finished_run(
    tmp_path_factory: pytest.TempPathFactory, common: Path, clearbench_process: Cli, plugin: Path
) -> Path:
    """A copy of a finished run of the mini recipe, which is made once for all test processes."""
    mini = common / "mini"
    with FileLock(f"{mini}.lock"):
        if not (mini / "out" / "results.json").is_file():
            mini.mkdir()
            recipe = mini / "mini.yaml"
            recipe.write_text(yaml.safe_dump(MINI, sort_keys=False))
            words = ("run", recipe, "--out", mini / "out", "--plugin", plugin, "--workers", 1)
            clearbench_process(*words)
    folder = tmp_path_factory.mktemp("run") / "out"
    return Path(shutil.copytree(mini / "out", folder))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved language model of a few kilobytes, to start recipes from."""
    from clearbench.testing import tiny_model

    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny_model("language").save(folder)
    return folder


@pytest.fixture(scope="session")
def small_recipe(tiny_folder: Path) -> dict[str, Any]:
    """A recipe of one tiny language model, for tests that run it several times."""
    teach = {"steps": 4, "batch_size": 2, "parts": ["language"], "checkpoint_seconds": 1.0e-9}
    return {
        "name": "small",
        "data": {"people": 4, "strangers": 1, "forget": 2},
        "models": {"language": {"source": str(tiny_folder), "teach": teach}},
        "evaluation": {"limit": 1, "max_new_tokens": 2, "splits": ["forget", "retain"]},
        "runs": [{"method": "npo", "model": "language", "modality": "text", "train": teach}],
    }


@pytest.fixture(scope="session")
def docs_script() -> Iterator[Callable[[str], ModuleType]]:
    """A script of docs/, or a module of a package there, by name."""
    sys.path.insert(0, str(DOCS))
    yield importlib.import_module
    sys.path.remove(str(DOCS))


@pytest.fixture(scope="module")
def two_processes() -> tuple[dict[str, str], dict[str, str]]:
    """What the environment of each of two processes says, so that they find each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    first, second = ({**world, "RANK": rank, "LOCAL_RANK": rank} for rank in ("0", "1"))
    return first, second
