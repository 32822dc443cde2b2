"""Commands that read a finished run, or find that nothing is left to do, load nothing heavy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

#: Libraries that take seconds and hundreds of megabytes to load.
HEAVY = (
    *("torch", "transformers", "pandas", "scipy", "sklearn", "nltk", "datasets", "peft"),
    *("matplotlib", "accelerate", "safetensors.torch"),
)
#: Calls the command line with each list of words; prints, by command, what has been loaded by then.
PROGRAM = """
import json, sys
from clearbench import cli
commands, heavy = json.loads(sys.argv[1])
loaded = {}
for words in commands:
    sys.argv = ["clearbench", *words]
    try:
        cli.main()
    except SystemExit as end:
        assert end.code == 0, (words, end.code)
    loaded[" ".join(words)] = [name for name in heavy if name in sys.modules]
print(json.dumps(loaded), file=sys.stderr)
"""


def test_reading_a_run_loads_nothing_that_computes(
    finished_run: Path, plugin: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished_run, tmp_path / "runs" / "mini"))
    again = ["run", str(run / "recipe.yaml"), "--out", str(run), "--plugin", str(plugin)]
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    commands = [
        ["--help"],
        ["runs", "list", str(run.parent)],
        ["runs", "show", str(run)],
        ["runs", "verify", str(run)],
        ["runs", "verify", "--same", str(run), str(run)],
        ["view", str(run)],
        ["report", str(run)],
        ["list", "recipes"],
        ["list", "models"],
        ["list", "datasets"],
        ["list", "protocols"],
        ["list", "metrics"],
        ["list", "attacks"],
        ["list", "methods"],
        ["validate", "demo"],
        [*again, "--plan"],
        again,
    ]
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", PROGRAM, json.dumps([commands, HEAVY])],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = json.loads(done.stderr.splitlines()[-1])
    assert len(loaded) == len(commands)
    assert not {command: names for command, names in loaded.items() if names}
    assert "0 of" in done.stdout and "made anew" not in done.stdout
    assert before == {path: path.read_bytes() for path in before}
