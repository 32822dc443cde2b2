"""Full disks, places that cannot be written, odd names and odd surroundings: fine, or one line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import matrix
import pytest
import yaml
from forks import Forks

#: Makes every write fail that comes after a number of syncs, as a full disk does.
FULL = """
import errno, os
count, real = [0], os.fsync
def fsync(descriptor):
    count[0] += 1
    if count[0] > {limit}:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    real(descriptor)
os.fsync = fsync
"""
#: Makes the weights fail as safetensors words it: no error of Python's own.
FULL_WEIGHTS = """
from clearbench.models import base
from clearbench.runs.stages import teach
def full(model, folder):
    from safetensors import SafetensorError
    raise SafetensorError("I/O error: No space left on device (os error 28)")
teach.save_model = full
"""

CLOCK_GOES_BACK = """
import time
now = [2e9]
def back():
    now[0] -= 5
    return now[0]
time.time = back
"""

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(forks: Forks, recipes: Path, tmp_path: Path) -> Run:
    """The smallest recipe in a fork: `run("--out", folder, before=code)`."""

    def running(*words: object, before: str = "", **environment: str) -> tuple[int, str]:
        recipe = recipes / "smallest.yaml"
        given = ("run", recipe, "--workers", 1, *words)
        return forks.run(*given, before=f"import os; os.chdir({str(tmp_path)!r})\n{before}",
                         **environment)  # fmt: skip

    return running


def is_one_line(said: str) -> bool:
    """Whether an error is said without a stack trace, with its place and what to do."""
    return "Traceback" not in said and "error:" in said and "to do:" in said


@pytest.mark.parametrize("before", [FULL.format(limit=0), FULL.format(limit=40), FULL_WEIGHTS])
def test_a_full_disk_ends_the_run_and_costs_nothing(
    before: str, run: Run, smallest_run: Path, tmp_path: Path
) -> None:
    code, said = run("--out", "out", before=before)
    assert code == 2 and is_one_line(said), said
    assert "No space left on device" in said and "MB are free" in said
    assert re.search(r"where: .*out", said)
    begun = [line for line in said.splitlines() if line.startswith("begin teach")]
    assert len(begun) <= 1, "a second model is trained into the full disk"
    assert not list(tmp_path.rglob("*.tmp"))
    code, said = run("--out", "out")
    assert code == 0, said
    assert matrix.contents(tmp_path / "out") == matrix.contents(smallest_run)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB; skips where it cannot be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    words = [str(mount), "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    if mount is None or subprocess.run(words, capture_output=True, check=False).returncode:  # noqa: S603
        pytest.skip("no file system can be mounted")
    yield place
    subprocess.run(["umount", str(place)], check=True)  # noqa: S603, S607


def test_a_real_disk_that_is_full(run: Run, smallest_run: Path, small_disk: Path) -> None:
    code, said = run("--out", small_disk / "out")
    assert code == 2 and is_one_line(said) and "No space left on device" in said, said
    assert not list(small_disk.rglob("*.tmp"))
    code, said = run("--out", small_disk / "out", "--store", small_disk.parent / "store")
    assert code in (0, 2) and "Traceback" not in said


@pytest.mark.parametrize(
    ("make", "out"),
    [
        (lambda place: (place / "file").write_text("x"), "file"),
        (lambda place: (place / "file").write_text("x"), "file/below"),
        (lambda place: (place / "link").symlink_to(place / "nowhere"), "link"),
        (lambda place: None, "n" * 300),
        (lambda place: None, "/proc/nowhere"),
        (lambda place: None, "/dev/full/out"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(
    make: Callable[[Path], object], out: str, run: Run, tmp_path: Path
) -> None:
    make(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    code, said = run("--out", out)
    assert code == 2 and is_one_line(said), said
    assert re.search("cannot write|file of this name|File name too long", said)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["../../x", "/abs", "n" * 300, "..", "a\0b"])
def test_a_recipe_is_not_named_out_of_its_folder(
    name: str, forks: Forks, recipes: Path, tmp_path: Path
) -> None:
    content = yaml.safe_load((recipes / "smallest.yaml").read_text()) | {"name": name}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    before = f"import os; os.chdir({str(tmp_path)!r})"
    code, said = forks.run("run", "recipe.yaml", "--plan", before=before)
    assert code == 2 and is_one_line(said) and "where: name" in said, said
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]


@pytest.mark.parametrize(
    ("before", "environment"),
    [
        ("import sys\nfor s in (sys.stdout, sys.stderr): s.reconfigure(encoding='ascii')", {}),
        ("import os\nos.environ.pop('HOME', None)\nos.umask(0o077)", {}),
        (CLOCK_GOES_BACK, {"LANG": "C", "LC_ALL": "C", "TZ": "Pacific/Auckland"}),
    ],
)  # fmt: skip
def test_odd_surroundings_change_nothing(
    before: str, environment: dict[str, str], run: Run, smallest_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a [folder] of ünlearning\n2"
    shutil.copytree(smallest_run, out)
    shutil.rmtree(next(out.glob("stages/score-language-npo*")))
    code, said = run("--out", out, before=before, **environment)
    assert code == 0 and "Traceback" not in said, said
    assert "Report:" in said
    assert matrix.contents(out) == matrix.contents(smallest_run)


def test_a_finished_run_in_a_linked_folder_is_shown(
    run: Run, smallest_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(smallest_run)
    before = {path: path.stat().st_mtime_ns for path in smallest_run.glob("*.*")}
    code, said = run("--out", "link")
    assert code == 0 and "Report:" in said, said
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [("--help",), ("list", "methods"), ("list", "recipes", "--json")])
def test_an_output_that_cannot_be_written_is_no_fault(words: tuple[str, ...], forks: Forks) -> None:
    full = "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1)"
    code, said = forks.run(*words, before=full)
    assert code == 2 and "No space left on device" in said
    assert "Traceback" not in said and "Exception ignored" not in said
    reader = "import os\nr, w = os.pipe()\nos.dup2(w, 1)\nos.close(r)\nos.close(w)"
    code, said = forks.run(*words, before=reader)
    assert code == 1 and said == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    code, said = run("--out", "closed/out")
    assert code == 2 and is_one_line(said) and "Permission denied" in said, said
