"""`clearbench audit` on files of own rows, and its page when texts are hostile."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from rich.console import Console

import clearbench as package
from clearbench.audit.html import render
from clearbench.audit.schema import Audit, AuditedAnswer
from clearbench.audit.summary import print_audit
from clearbench.cli import progress
from clearbench.errors import DataError, RecipeError
from clearbench.storage import canonical_json
from clearbench.testing import tiny_model

Cli = Callable[..., Any]


def question(who: str) -> dict[str, str]:
    return {"question": f"Where was {who} born?", "answer": f"{who} was born in Oslo.",
            "person": who}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was taught nothing, and rows in three formats."""
    folder = tmp_path_factory.mktemp("audit")
    tiny_model("language").save(folder / "model")
    forget = [json.dumps(question(name)) for name in ("Ana", "Bo")]
    (folder / "taken.").mkdir()
    (folder / "taken." / "audit.json").write_text("{}", encoding="utf-8")
    (folder / "forget.jsonl").write_text("\n".join(forget), encoding="utf-8")
    (folder / "retain.json").write_text(json.dumps([question("Cy")]), encoding="utf-8")
    with (folder / "holdout.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["question", "answer", "person"])
        table.writeheader()
        table.writerows([question("Di"), question("Ed")])
    return folder


def test_own_rows_are_audited(
    clearbench: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0)
    rows = (
        *("--forget", folder / "forget.jsonl", "--retain", folder / "retain.json"),
        *("--holdout", folder / "holdout.csv"),
    )
    done = clearbench(
        "audit", folder / "model", *rows, "--attacks", "mia_loss", "--out", tmp_path / "out"
    )
    made, lines = done.stdout, done.stderr.splitlines()
    assert lines[0] == "loading the model (0 of 1)" and "asking the model (1 of" in done.stderr
    assert lines[-1] == "attack 1 of 1, Membership by loss: model (0 of 1)"
    assert "cannot be concluded" in made and "audit.html" in made
    assert "2 people are asked about, so that intervals are over questions" in " ".join(
        made.split()
    )
    found = Audit.read(tmp_path / "out")
    assert found.asked["holdout"].asked == 2 and found.kind == "language"
    assert [each.key for each in found.attacks] == ["mia_loss"]
    assert found.attacks[0].unit == "questions"
    page = (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")
    assert "Audited: <b>model</b>" in page and str(folder) not in page
    assert f"clearbench {package.__version__} · --attacks mia_loss" in page
    assert [each.truth for each in found.others] == ["Cy was born in Oslo."]
    assert "Questions about the people who stay" in page and "Cy was born in Oslo." in page
    one = clearbench("audit", folder / "model", *rows[:2], "--attacks", "none", "--json").stdout
    content = json.loads(one)
    assert content["schema"] == 2 and all(each["reason"] for each in content["attacks"])
    assert any("--holdout" in line for line in content["open"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--retain", "retain.json"), "nobody is to be forgotten"),
        (("--forget", "forget.jsonl", "--attacks", "mia_los"), "no attack or budget is called"),
        (("--forget", "forget.jsonl", "--holdout", "forget.jsonl"), "one file for two splits"),
        (("--data", "builtin", "--holdout", "holdout.csv"), "--data and --holdout are two ways"),
        ((), "no data are given"),
        (("--forget", "no-such.jsonl"), "there is no such file"),
        (("--forget", "forget.jsonl", "--out", "taken."), "an earlier audit is here already"),
    ],
)
def test_mistakes_are_said_before_any_work(
    clearbench: Cli, folder: Path, words: tuple[str, ...], message: str
) -> None:
    named = [str(folder / word) if "." in word else word for word in words]
    done = clearbench("audit", folder / "no-model", *named, code=2)
    assert message in done.stderr and "Traceback" not in done.stderr


def test_a_folder_without_a_model_is_called_that(
    clearbench: Cli, folder: Path, tmp_path: Path
) -> None:
    done = clearbench("audit", tmp_path, "--forget", folder / "forget.jsonl", code=2)
    assert "this folder holds no model" in done.stderr and "download" not in done.stderr


def test_models_of_two_kinds_are_refused() -> None:
    rows = {"forget": [question("Ana")]}
    with pytest.raises(RecipeError, match="the models are of different kinds"):
        package.audit(tiny_model("language"), rows, tiny_model("vision-language"))
    with pytest.raises(DataError, match="a classifier model can answer none of the rows"):
        package.audit(tiny_model("classifier"), rows)


def test_gold_is_another_model_than_those_it_is_compared_with() -> None:
    rows, model, other = {"forget": [question("Ana")]}, *(tiny_model("language") for _ in range(2))
    with torch.no_grad():
        next(other.module.parameters()).add_(0.1)
    with pytest.raises(RecipeError, match="gold is the audited model"):
        package.audit(model, rows, model.duplicate())
    with pytest.raises(RecipeError, match="gold is the model before unlearning"):
        package.audit(model, rows, other, other.duplicate())


def test_what_was_never_added_is_not_taken_off() -> None:
    rows = {"forget": [question("Ana")]}
    made: Audit = package.audit(tiny_model("language"), rows, attacks="guard_removed")
    (attack,) = made.attacks
    assert attack.reason.startswith("not applicable") and not attack.curves
    assert not any("Guard removed" in line for line in made.open)


def test_doubts_are_printed_after_the_word(hostile: Audit) -> None:
    shown, words = Console(record=True, width=200), tuple(f"doubt {k}" for k in range(10))
    print_audit(hostile.model_copy(update={"doubts": words}), shown)
    text = shown.export_text()
    assert text.index("doubt 0") < text.index("What cannot be concluded")
    assert "doubt 7" in text and "and 2 more" in text and "doubt 8" not in text
    page = render(hostile.model_copy(update={"doubts": words}))
    assert page.index("doubt 9") < page.index("What cannot be concluded")


class Tags(HTMLParser):
    """Collects tags and attributes that could run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "img", "iframe", "object", "link", "form"):
            self.found.append(tag)
        self.found += [name for name, _ in attrs if name.startswith("on")]


@pytest.fixture(scope="module")
def hostile() -> Audit:
    """An audit whose rows are hostile."""
    bad = "</script><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"
    rows = {"forget": [{"question": f"Who {bad}?", "answer": bad, "person": bad}]}
    made: Audit = package.audit(tiny_model("language"), rows, attacks="none")
    answer = AuditedAnswer(track="text", person=0, name=bad, question=bad, truth=bad, answer=bad,
                           told=True, gold=bad)  # fmt: skip
    return made.model_copy(update={"answers": (*made.answers, answer), "open": (*made.open, bad)})


def test_text_of_the_rows_never_runs(hostile: Audit) -> None:
    page = render(hostile)
    tags = Tags()
    tags.feed(page)
    assert tags.found == [] and "{{7*7}}" in page and "49" not in page.split("<body>")[0]
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:\"" in page
    assert render(hostile) == page, "equal audits give equal bytes"


def test_the_schema_is_up_to_date(docs_script: Callable[[str], ModuleType], hostile: Audit) -> None:
    writer = docs_script("write_schema")
    schema = writer.audit_schema()
    assert writer.AUDIT_FILE.read_text(encoding="utf-8") == canonical_json(schema)
    content = hostile.json_value()
    assert set(content) == set(schema["$defs"]["Audit"]["properties"])
    assert Audit.parse(json.loads(json.dumps(content)), "audit") == hostile
