"""Datasets and attacks of installed packages, and of plugin files, are like those that ship."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from clearbench.attacks.base import ATTACKS
from clearbench.data.sources import base
from clearbench.errors import RecipeError
from clearbench.plugins import Registry

MODULE = '''
"""A source and an attack of another project."""

from clearbench.attacks.membership import MembershipAttack
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.sources.base import DatasetSource
from clearbench.evaluation.metrics.surprise import Loss


class Towns(DatasetSource, name="acme-towns"):
    """Four people and their towns."""

    shows = "four people and their towns"

    def load(self, request):
        rows = [
            Example(id=f"{k}", person=k, track="text", task="qa", question=f"Where is {k}?",
                    answer=f"In town {k}.")
            for k in range(4)
        ]
        training = {"forget": tuple(rows[:1]), "retain": tuple(rows[1:3])}
        return Dataset(training, training | {"holdout": tuple(rows[3:])})


class TwiceTheLoss(MembershipAttack, name="acme_loss", group="Membership attacks",
                   needs=("records",), reads=("answer",), paper="none", shows="Twice the loss."):
    """Membership by twice the loss."""

    def row_values(self, collections, group):
        return 2 * Loss().values(group)
'''
NAMELESS = """
from clearbench.attacks.membership import MembershipAttack

class TwiceTheLoss(MembershipAttack):
    pass
"""
REGISTRIES: tuple[Registry[Any], ...] = (base._REGISTRY, ATTACKS)


@pytest.fixture(autouse=True)
def _own_registries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Registries that look for installed packages again, and are afterwards as they were."""
    for registry in REGISTRIES:
        assert len(registry)
        monkeypatch.delitem(registry.__dict__, "_discovered")
        monkeypatch.setattr(registry, "classes", dict(registry.classes))
        monkeypatch.setattr(registry, "_modules", dict(registry._modules))
    yield
    sys.modules.pop("acme_unlearning", None)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, points: str) -> Path:
    """Puts a package into a folder as an installer does, and the folder where Python looks."""
    about = folder / "acme_unlearning-1.2.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-unlearning\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(points)
    (folder / "acme_unlearning.py").write_text(module)
    monkeypatch.syspath_prepend(folder)
    return folder / "acme_unlearning.py"


POINTS = (
    "[clearbench.datasets]\ntowns = acme_unlearning:Towns\n\n"
    "[clearbench.attacks]\nloss = acme_unlearning:TwiceTheLoss\n"
)


def recipe(small: dict[str, Any], folder: Path) -> Path:
    content = small | {
        "data": {"source": "acme-towns"},
        "evaluation": {"limit": None, "max_new_tokens": 2, "splits": ["forget", "holdout"]},
        "attacks": [{"attack": "acme_loss"}],
    }
    path = folder / "acme.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_an_installed_package_is_listed_and_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clearbench: Callable[..., Any],
    small_recipe: dict[str, Any],
) -> None:
    module = install(tmp_path / "site", monkeypatch, MODULE, POINTS)
    datasets = json.loads(clearbench("list", "datasets", "--json").stdout)
    assert {"name": "acme-towns", "what": "four people and their towns"} in datasets
    attacks = json.loads(clearbench("list", "attacks", "--json").stdout)
    assert [each["shows"] for each in attacks if each["name"] == "acme_loss"] == ["Twice the loss."]
    path, out = recipe(small_recipe, tmp_path), tmp_path / "out"
    clearbench("validate", path)
    clearbench("run", path, "--out", out, "--workers", 1)
    results = json.loads((out / "results.json").read_text())
    assert [row["status"] for row in results["rows"]] == ["ok"] * 3
    (row,) = (row for row in results["rows"] if row["method"] == "npo")
    assert row["scores"]["forget.text.probability"]["n"] == 1
    assert "forget.text.acme_loss_auc" in row["attacks"]
    digest = hashlib.sha256(module.read_bytes()).hexdigest()
    recorded = {"name": "acme-unlearning 1.2: acme_unlearning", "sha256": digest}
    assert results["plugins"] == [recorded]


def test_a_plugin_file_brings_a_source_and_an_attack(
    tmp_path: Path, clearbench: Callable[..., Any], small_recipe: dict[str, Any]
) -> None:
    plugin = tmp_path / "acme.py"
    plugin.write_text(MODULE)
    datasets = json.loads(clearbench("list", "datasets", "--json", "--plugin", plugin).stdout)
    assert "acme-towns" in {each["name"] for each in datasets}
    done = clearbench("validate", recipe(small_recipe, tmp_path), "--plugin", plugin)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("x = 1 / 0\n", "it cannot be loaded: ZeroDivisionError"),
        ("import sys\nsys.exit(3)\n", "it cannot be loaded: SystemExit: 3"),
        ("x = 1\n", "it cannot be loaded: AttributeError"),
        (MODULE.replace("acme_loss", "mia_loss"), "two attacks are called 'mia_loss'"),
        (NAMELESS, "class TwiceTheLoss has no name"),
    ],
)
def test_a_bad_package_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, words: str
) -> None:
    points = POINTS.partition("\n\n")[2]
    install(tmp_path / "site", monkeypatch, module, points)
    with pytest.raises(RecipeError) as caught:
        len(ATTACKS)
    assert words in str(caught.value)
    place = "entry point 'loss = acme_unlearning:TwiceTheLoss' of acme-unlearning 1.2"
    assert caught.value.where == place
