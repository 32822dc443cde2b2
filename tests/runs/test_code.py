"""The name of a stage changes with the code, the packages and the stages that it is made of."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest

from clearbench.imports import imported_names
from clearbench.methods.base import method
from clearbench.runs import code
from clearbench.runs import stage as stages
from clearbench.runs.code import changed_modules, code_digests, imported, modules_of, package_digest
from clearbench.runs.execute import critical_weights
from clearbench.runs.stage import (
    Stage,
    StageInputs,
    Status,
    read_outcome,
    with_parents,
    write_outcome,
)
from clearbench.storage import content_hash


@dataclass(frozen=True)
class Made(Stage):
    """A stage of a test."""

    kind: ClassVar[str] = "made"

    name: str
    starts: tuple[Stage, ...] = ()
    of: Mapping[str, str] = field(default_factory=dict)
    heavy: float = 1.0

    @property
    def label(self) -> str:
        return "of-a-test"

    @property
    def settings(self) -> dict[str, Any]:
        return {"name": self.name}

    @property
    def parents(self) -> Mapping[str, Stage]:
        return {str(number): parent for number, parent in enumerate(self.starts)}

    @property
    def materials(self) -> Mapping[str, str]:
        return self.of

    @property
    def weight(self) -> float:
        return self.heavy

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        return write_outcome(folder, "ok")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package `mutable` whose module `top` imports others in three ways."""
    folder = tmp_path / "mutable"
    folder.mkdir()
    sources = {
        "__init__": "",
        "top": "import mutable.first\nfrom . import second\nfrom .deep import VALUE\n",
        "first": "A = 1\n",
        "second": "B = 1\n",
        "deep": "from mutable.deepest import VALUE\n",
        "deepest": "VALUE = 1\n",
        "alone": "C = 1\n",
    }
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("top", "alone"):
        import_module(f"mutable.{name}")
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "mutable"]:
        del sys.modules[name]


def test_code_is_every_module_that_is_imported(package: Path) -> None:
    found = code_digests(["mutable.top"])
    names = {"top", "first", "second", "deep", "deepest"}
    assert {name for name in found if name != "mutable"} == {f"mutable.{name}" for name in names}
    for name in names:
        content = (package / f"{name}.py").read_bytes()
        assert found[f"mutable.{name}"] == hashlib.sha256(content).hexdigest()
    (package / "deepest.py").write_text("VALUE = 22\n")
    again = code_digests(["mutable.top"])
    assert {name for name in found if again[name] != found[name]} == {"mutable.deepest"}
    assert changed_modules(found) == ["mutable.deepest"]


def test_a_file_of_data_counts_with_the_module_of_its_name(package: Path) -> None:
    before = code_digests(["mutable.alone"])
    (package / "alone.json").write_text("[1]")
    with_data = code_digests(["mutable.alone"])
    (package / "alone.json").write_text("[2]")
    digests = [
        each["mutable.alone"] for each in (before, with_data, code_digests(["mutable.alone"]))
    ]
    assert len({*digests}) == 3
    assert changed_modules(before) == changed_modules(with_data) == ["mutable.alone"]
    phrases = code_digests(["clearbench.evaluation.refusals"])["clearbench.evaluation.refusals"]
    assert len(phrases.split()) == 2, "its phrases are such a file"


def test_stages_and_what_they_use_count_and_where_bytes_go_does_not() -> None:
    found = {*code_digests(["clearbench.runs.stages.teach"])}
    assert {
        "clearbench.runs.stages.teach",
        "clearbench.runs.stages.model",
        "clearbench.training.finetune",
        "clearbench.training.loop",
        "clearbench.data.dataset",
    } <= found
    assert not {name for name in found if name.startswith(("clearbench.storage", "clearbench.err"))}
    assert "clearbench.runs.store" not in found


SOURCE = """
'''Docs.

    from here it is no import
    import of = things
'''
import ast, clearbench.one as one
from clearbench.two import (  # with a comment (and more)
    a,
    b as c,
)
if TYPE_CHECKING:
    from clearbench.types import Never

    import clearbench.never
from clearbench.after import d
def f():
    '''Says 'from clearbench.three import e'.'''
    from clearbench.four import g  # here
    try:
        import clearbench.five
    except ImportError:
        from . import six
    match g:
        case 1:
            from ..seven import h
"""


def test_every_import_that_runs_is_found_wherever_it_is() -> None:
    found = {name for name in imported(SOURCE, "clearbench.room.file") if "clearbench" in name}
    assert found == {
        *("clearbench.one", "clearbench.two", "clearbench.two.a", "clearbench.two.b"),
        *("clearbench.after", "clearbench.after.d", "clearbench.four", "clearbench.four.g"),
        *("clearbench.five", "clearbench.room", "clearbench.room.six"),
        *("clearbench.seven", "clearbench.seven.h"),
    }
    odd = "a = 1; import plugin.one\nif a: from plugin import two\n"
    assert {"plugin.one", "plugin.two"} <= imported(odd, "plugin.file")


def test_nothing_is_missed_that_the_whole_text_of_a_file_imports() -> None:
    root = Path(code.__file__).parents[1]
    for path in root.rglob("*.py"):
        module = ".".join(path.relative_to(root.parent).with_suffix("").parts)
        text = path.read_text(encoding="utf-8")
        whole = imported_names(ast.parse(text), module)
        assert whole <= imported(text, module), module


def test_the_digest_of_the_package_is_of_every_source_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Results are found current by it: a change of any file is a change of it."""
    room = tmp_path / "runs"
    room.mkdir()
    monkeypatch.setattr(code, "__file__", str(room / "code.py"))
    seen = {package_digest()}
    for name, content in (("a.py", "1"), ("a.py", "2"), ("b.json", "{}"), ("runs/c.py", "2")):
        (tmp_path / name).write_text(content)
        seen.add(package_digest())
    (tmp_path / "runs" / "c.py").rename(tmp_path / "c.py")
    assert len(seen | {package_digest()}) == 6


def test_the_modules_of_an_object_are_those_of_its_base_classes_too() -> None:
    found = modules_of(method("npo"))
    assert {"clearbench.methods.npo", "clearbench.methods.base"} <= {*found}
    assert not any(name.startswith("pydantic") for name in found)


def test_a_key_names_all_ingredients(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Made("a")
    assert first.key.startswith("made-of-a-test-")
    others = [
        Made("b"),
        Made("a", (Made("b"),)),
        Made("a", (Made("c"),)),
        Made("a", of={"data": "x"}),
        Made("a", of={"data": "y"}),
    ]
    assert len({stage.key for stage in (first, *others)}) == 6 and Made("a").key == first.key
    monkeypatch.setattr(stages, "package_versions", lambda: {"torch": "0"})
    assert Made("a").key != first.key
    lines = Made("a", of={"data": "x"}).ingredients.differences(first.ingredients)
    assert "version changed: torch" in lines and "changed: data" in lines


def test_a_hash_is_of_the_whole_value() -> None:
    found = {content_hash({"a": value}) for value in range(200)}
    assert len(found) == 200 and {len(each) for each in found} == {16}
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})


@pytest.mark.parametrize("status", ["ok", "diverged", "failed"])
def test_an_outcome_is_read_as_it_was_written(status: Status, tmp_path: Path) -> None:
    assert read_outcome(tmp_path)["status"] == "ok", "a stage that writes none"
    assert write_outcome(tmp_path, status, "why", cost=3) == status
    assert read_outcome(tmp_path) == {"status": status, "reason": "why", "cost": 3}


def test_parents_come_first_and_once() -> None:
    base = Made("base")
    left, right = Made("left", (base,)), Made("right", (base,))
    top = Made("top", (left, right))
    assert [stage.settings["name"] for stage in with_parents([right, top]).values()] == [
        "base", "right", "left", "top",
    ]  # fmt: skip


def test_a_weight_is_that_of_the_longest_chain_of_work() -> None:
    base = Made("base", heavy=2.0)
    short, long = Made("short", (base,), heavy=1.0), Made("long", (base,), heavy=5.0)
    last = Made("last", (long,), heavy=3.0)
    found = critical_weights([base, short, long, last])
    named = {stage.settings["name"]: found[stage.key] for stage in (base, short, long, last)}
    assert named == {"base": 10.0, "short": 1.0, "long": 8.0, "last": 3.0}
