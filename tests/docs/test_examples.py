"""The README's Python and the notebook run as they stand; public functions are documented."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import clearbench
from clearbench.evaluation.records import Records
from clearbench.testing import tiny_model

ROOT = Path(__file__).parents[2]
NOTEBOOK: dict[str, Any] = json.loads((ROOT / "examples/quickstart.ipynb").read_text("utf-8"))


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Snippets go on where the one before ended; `my-model` is a folder as anybody has."""
    monkeypatch.chdir(tmp_path)
    tiny_model("language").save(tmp_path / "my-model")
    text = (ROOT / "README.md").read_text("utf-8")
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(snippets) == 3
    names: dict[str, Any] = {}
    for number, snippet in enumerate(snippets, 1):
        exec(compile(snippet, f"README, snippet {number}", "exec"), names)  # noqa: S102
    assert type(names["forgot"]) is type(names["model"])
    assert (tmp_path / "my-model-without-ada" / "model.safetensors").is_file()
    assert names["trainer"].state.global_step == 10
    assert len(re.findall(r"\d\.\d+", capsys.readouterr().out)) > 1


def shape(outputs: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(output["output_type"], len(output.get("text", ()))) for output in outputs]


def test_the_notebook_shows_what_it_stores(docs_script: Callable[[str], ModuleType]) -> None:
    """Words of a model may differ on another CPU; that all three forget and keep may not."""
    made = json.loads(json.dumps(NOTEBOOK))
    names = docs_script("run_notebook").run(made)
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    again = [cell for cell in made["cells"] if cell["cell_type"] == "code"]
    assert [shape(cell["outputs"]) for cell in cells] == [shape(cell["outputs"]) for cell in again]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert isinstance(names["before"], Records)
    forgotten = names["scores"]["forget.image.name_probability"]
    assert forgotten.value < 0.5 * forgotten.original
    shown = ["".join(output["text"]) for cell in again for output in cell["outputs"]]
    assert [text.split(maxsplit=1)[0] for text in shown[::2]] == [
        "LlamaForCausalLM", "LlavaForConditionalGeneration",
    ]  # fmt: skip
    taught = {"blue kites": shown[0], names["seen"]["forget"][0]["answer"]: shown[2]}
    for answer, said in taught.items():
        before, after = said.split("\n\n")
        assert answer in before and answer not in after


def public_functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for name, module in clearbench._PUBLIC.items():
        path = ROOT / "src/clearbench" / f"{module.replace('.', '/')}.py"
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                yield name, node


def test_public_functions_say_what_they_take_and_give() -> None:
    """Every argument has a line, and so have what is returned and what is raised."""
    found = dict(public_functions())
    assert {"unlearn", "finetune", "evaluate", "score", "load_model", "load_dataset"} <= {*found}
    for name, function in found.items():
        text, about = ast.get_docstring(function) or "", function.args
        arguments = [argument.arg for argument in (*about.args, *about.kwonlyargs)]
        unsaid = [each for each in arguments if f"\n    {each}: " not in text]
        assert not unsaid, f"{name} says nothing of {unsaid}"
        assert "\nReturns:\n" in text and "\nRaises:\n" in text, name
