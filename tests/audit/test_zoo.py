"""A run with several originals and golds rates its metrics, and says which to believe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from clearbench.audit.zoo import TrustFile, trust_of_run
from clearbench.errors import RecipeError
from clearbench.runs.cache import WorkerCache
from clearbench.runs.making import make_stage
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.run import plan_run
from clearbench.runs.stage import with_parents

Cli = Callable[..., Any]
TEACH = {"steps": 24, "batch_size": 6, "parts": ["language"], "learning_rate": 1.0e-2}


def recipe(source: Path, seeds: list[int]) -> dict[str, Any]:
    """As small as it can be: a model that unlearned from each original."""
    return {
        "name": "zoo",
        "data": {"people": 4, "strangers": 1, "forget": 2},
        "seeds": seeds,
        "models": {"language": {"source": str(source), "teach": TEACH}},
        "evaluation": {"limit": 1, "max_new_tokens": 1, "splits": ["forget"]},
        "runs": [{"method": "npo", "model": "language", "modality": "text",
                  "train": {"steps": 1, "batch_size": 2, "parts": ["language"]}}],
    }  # fmt: skip


@pytest.fixture(scope="module")
def zoo(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two originals, two golds, and two unlearned models, made in this process."""
    out = tmp_path_factory.mktemp("zoo")
    content = recipe(tiny_folder, [0, 1])
    (out / "recipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    planned, cache = plan_run(parse_recipe(content, "test"), out), WorkerCache()
    measured = [row.measured.plain for row in planned.rows]
    for stage in with_parents(measured).values():
        make_stage(stage, planned.store, cache, lambda *_: None)
    return out


def test_a_run_rates_its_metrics(zoo: Path, clearbench: Cli, docs_script: Any) -> None:
    said = clearbench("trust", zoo).stdout
    found = TrustFile.read(zoo / "trust.json")
    (table,) = found.tables
    assert (table.model, table.modality, table.failed) == ("language", "text", {})
    assert table.unlearned == ("language-text-npo", "language-text-npo-seed1")
    rated = {each.metric: each for each in table.metrics}
    probability = rated["forget.text.probability"]
    assert (probability.knowing, probability.ignorant, probability.attacked) == (2, 2, 2)
    assert probability.faithfulness == 1.0 and probability.chance == pytest.approx(1 / 6)
    assert probability.believe == "cannot be said: too few models"
    assert probability.overall is not None and 0 < probability.overall <= 1
    surprise = rated["forget.text.loss"]
    assert surprise.faithfulness == 1.0, "a metric that falls with knowledge is read upside down"
    assert "forget.text.refusal_rate" not in rated, "it says nothing of knowledge"
    overall = [each.overall or 0.0 for each in table.metrics]
    assert overall == sorted(overall, reverse=True)
    assert "forget.text.probability" in said and "too few models" in said
    writer: ModuleType = docs_script("write_trust")
    page = writer.page(found)
    assert "| `forget.text.probability` | 1.00 |" in page and "2 + 2 + 2" in page


def test_a_run_with_one_of_each_rates_nothing(zoo: Path, tiny_folder: Path, tmp_path: Path) -> None:
    content = yaml.safe_dump(recipe(tiny_folder, [0]))
    (tmp_path / "recipe.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(RecipeError, match="several originals and golds"):
        trust_of_run(tmp_path, store=zoo / "stages")
