"""The walk-through for a privacy engineer, run as it stands."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from clearbench.evidence.schema import Evidence

SCRIPT = Path(__file__).parents[2] / "examples" / "own_people.py"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_people_are_forgotten_and_plain_libraries_load_what_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("own_people", SCRIPT)
    assert spec is not None and spec.loader is not None
    script: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(str(tmp_path))
    found = Evidence.read(tmp_path / "forgotten")
    people = {answer.person for answer in found.audit.answers}
    assert len(people) == 10 and len({answer.person for answer in found.audit.others}) == 20
    assert all(answer.original == answer.truth for answer in found.audit.answers)
    assert sum(answer.told for answer in found.audit.answers) <= 2
    assert sum(answer.told for answer in found.audit.others) >= 20
    lines = capsys.readouterr().out.splitlines()
    asked = {
        name: next(line for line in lines if line.startswith(name)).partition("[")[2]
        for name in ("before:", "merged model:", "base and adapter:")
    }
    assert asked["merged model:"] == asked["base and adapter:"] != asked["before:"]
    assert "Ada Berg" in asked["before:"] and "Ada Berg" not in asked["merged model:"]
