"""Values of an option that is given several times."""

from __future__ import annotations

import pytest

from clearbench.cli.settings import assignments


@pytest.mark.parametrize(
    ("pairs", "values"),
    [
        (["steps=1", "steps=7"], {"steps": 7}),
        (["steps=7", "clip=2.5", "steps=[1, 2]"], {"steps": [1, 2], "clip": 2.5}),
        (["decay=none", "decay=", "steps=3"], {"decay": None, "steps": 3}),
    ],
)
def test_the_last_of_several_values_counts_and_is_named(
    pairs: list[str], values: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert assignments("--set", pairs) == values
    twice = pairs[0].partition("=")[0]
    said = f"--set {twice} is given more than once: {values[twice]} counts"
    assert capsys.readouterr().err.splitlines() == [said]
