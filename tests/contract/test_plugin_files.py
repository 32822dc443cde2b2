"""What is wrong with a plugin file is said in one error, with the file and the line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from clearbench.cli.options import load_plugins
from clearbench.errors import RecipeError
from clearbench.methods.base import METHODS, methods
from clearbench.plugins import load_plugin

_IMPORTS = "from clearbench.methods.base import Method\n"


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METHODS, "classes", methods())
    monkeypatch.setattr(METHODS, "_modules", {})


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("x = 1\nclass A(:\n", 2, "not valid Python"),
        ("def f():\n    x = 1\n  y = 2\n", 3, "not valid Python"),
        ("\nimport no_such_package_at_all\n", 2, "No module named 'no_such_package_at_all'"),
        ("from clearbench.methods.base import Nothing\n", 1, "cannot import name 'Nothing'"),
        ("import sys\nsys.exit()\n", 2, "ends the program"),
        ("x = 1\ny = 1 / 0\n", 2, "ZeroDivisionError"),
        ("raise KeyboardError\n", 1, "NameError"),
        ("def deep():\n    deep()\ndeep()\n", 2, "RecursionError"),
        (f"{_IMPORTS}class Mine(Method):\n    '''x.'''\n", None, "class Mine has no name"),
        (f"{_IMPORTS}class Mine(Method, name='npo'):\n    '''x.'''\n", 2, "two methods are called"),
        (
            f"{_IMPORTS}class A(Method, name='mine'): pass\nclass B(Method, name='mine'): pass\n",
            3,
            "two methods are called 'mine'",
        ),
        (
            f"{_IMPORTS}class A(Method, name='mine'): pass\nclass A(Method, name='mine'): pass\n",
            3,
            "two methods are called 'mine'",
        ),
        (f"{_IMPORTS}class A(Method, name='mine', kinds=('text',)): pass\n", 2, "kinds='text'"),
        (f"{_IMPORTS}class A(Method, name='mine', kinds='language'): pass\n", 2, "one word"),
        (f"{_IMPORTS}class A(Method, name='mine', needs=('keep',)): pass\n", 2, "needs='keep'"),
        (f"{_IMPORTS}class A(Method, name='mine', status='sure'): pass\n", 2, "status='sure'"),
        (f"{_IMPORTS}class A(Method, name='mine', forget_loss='off'): pass\n", 2, "forget_loss"),
        (f"{_IMPORTS}class A(Method, name='mine', artifact='guard'): pass\n", 2, "'artefact'"),
        ("", None, "defines nothing"),
        ("'''Only words.'''\n", None, "defines nothing"),
    ],
)
def test_a_bad_file_is_one_error(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_plugin(path)
    assert words in str(caught.value)
    assert caught.value.where == (f"{path}:{line}" if line else str(path))


@pytest.mark.parametrize(
    ("name", "content"), [("bad.py", b"\xff\xfe\x00"), ("zero.py", b"x = 1\n\x00\n")]
)
def test_a_file_that_is_no_text_is_one_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecipeError, match=r"not valid Python|fails when it is loaded"):
        load_plugin(tmp_path / name)


def test_what_is_no_python_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "text.txt").write_text("x = 1")
    for name, words in (("folder.py", "a folder"), ("text.txt", "not a Python"), ("no.py", "no")):
        with pytest.raises(RecipeError, match=words):
            load_plugin(tmp_path / name)


def test_a_file_that_fails_leaves_no_module(tmp_path: Path) -> None:
    path = tmp_path / "fails.py"
    path.write_text("import sys\nsys.exit(0)\n")
    with pytest.raises(RecipeError):
        load_plugin(path)
    assert "clearbench_plugin_fails" not in sys.modules


def test_a_base_without_a_name_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "base.py"
    path.write_text(
        f"{_IMPORTS}class Base(Method): pass\nclass Mine(Base, name='mine_based'): pass\n"
    )
    load_plugin(path)
    assert "mine_based" in methods()


def test_a_plugin_given_twice_is_loaded_once(tmp_path: Path) -> None:
    path, other = tmp_path / "once.py", tmp_path / "other" / "once.py"
    path.write_text(f"{_IMPORTS}class Mine(Method, name='mine_once'): pass\n")
    assert load_plugins([path, tmp_path / "." / "once.py"]) == (str(path),)
    other.parent.mkdir()
    other.write_text("X = 1\n")
    with pytest.raises(RecipeError, match=r"two plugins are called once\.py"):
        load_plugins([path, other])
