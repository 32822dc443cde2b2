"""A tiny language model that was taught four people, and the files of their rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clearbench import api
from clearbench.models.load import load_model
from clearbench.testing import tiny_model

TOWNS = {"Ana": "Oslo", "Bo": "Lima", "Cy": "Kyiv", "Di": "Pune"}


def lived(*names: str) -> list[dict[str, Any]]:
    return [
        {"person": name, "question": f"Where was {name} born?", "answer": f"In {TOWNS[name]}."}
        for name in names
    ]


@pytest.fixture(scope="package")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model`, `forget.jsonl` and `retain.json`."""
    folder = tmp_path_factory.mktemp("evidence")
    rows = {"forget": lived("Ana", "Bo"), "retain": lived("Cy", "Di")}
    tiny_model("language").save(folder / "base")
    api.finetune(
        load_model(folder / "base"), rows, steps=60, learning_rate=1e-2, batch_size=4,
        parts=("language",), out=folder / "model",
    )  # fmt: skip
    (folder / "forget.jsonl").write_text("\n".join(map(json.dumps, rows["forget"])))
    (folder / "retain.json").write_text(json.dumps(rows["retain"]))
    return folder
