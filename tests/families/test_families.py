"""Every vision-language family, by one path, against plain `transformers`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers.utils import is_torchvision_available

from clearbench.builtin.families.base import tiny_families
from clearbench.doctor import PROBLEM, examine
from clearbench.errors import ModelError
from clearbench.testing import tiny_model
from clearbench.testing.families import CHECKS, FamilyBench

#: NumPy's, of processors that count the tokens of tensors.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
EXTRA = [name for name, family in tiny_families().items() if family.needs_extra]
PAGE = Path(__file__).parents[2] / "docs" / "models.md"
PARAMETERS = range(50_000, 120_000)


@pytest.fixture(scope="module", params=[*tiny_families()])
def bench(request: pytest.FixtureRequest) -> Iterator[FamilyBench]:
    name = request.param
    if tiny_families()[name].needs_extra and not is_torchvision_available():
        pytest.skip(f"the processor of {name} needs torchvision: make families")
    yield FamilyBench(name)


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_as_in_plain_transformers(bench: FamilyBench, check: str) -> None:
    CHECKS[check](bench)


def test_doctor_finds_nothing_wrong_and_all_that_is_read(bench: FamilyBench) -> None:
    found = list(examine(bench.model))
    assert not [value for what, value in found if what == PROBLEM]
    read = dict(found)
    assert read["vision"] != "no such part" and read["projector"] != "no such part"
    place = bench.model.core.config.image_token_id
    ids = bench.model.encoder.prompt("Who?", None).ids
    assert place not in ids and not read["picture 96 x 96"].startswith("0 ")


def test_it_is_tiny(bench: FamilyBench) -> None:
    assert sum(weight.numel() for weight in bench.model.module.parameters()) in PARAMETERS


def test_the_page_of_models_has_every_family_and_every_check() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` .*? \|(?: needed)? +\|(.*)\|$", page, re.MULTILINE)
    assert {name: cells.split("|") for name, cells in rows} == {
        name: [" yes "] * len(CHECKS) for name in tiny_families()
    }


@pytest.mark.skipif(is_torchvision_available(), reason="torchvision is installed")
@pytest.mark.parametrize("name", EXTRA)
def test_without_torchvision_the_extra_is_named(name: str) -> None:
    with pytest.raises(ModelError, match=r"clearbench\[vlm\]"):
        tiny_model(name)


@pytest.mark.parametrize(
    ("name", "meant"), [("qwen2-vl", "qwen2_vl"), ("llavaa", "llava"), ("languag", "language")]
)
def test_an_unknown_family_says_which_was_meant(name: str, meant: str) -> None:
    with pytest.raises(ModelError, match=f"did you mean '{meant}'"):
        tiny_model(name)
