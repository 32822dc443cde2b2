"""`clearbench unlearn` on a model and rows of one's own: the folder that it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from clearbench.evidence.html import render
from clearbench.evidence.schema import Evidence
from clearbench.models.load import load_model
from clearbench.storage import canonical_json, damage, sha256_file

Cli = Callable[..., Any]
TOLD = ("--set", "parts=[language]", "--set", "batch_size=2", "--limit", 2)


def words(folder: Path, *more: object, model: str = "model", retain: bool = True) -> list[object]:
    kept = ("--retain", folder / "retain.json") if retain else ()
    return ["unlearn", "--model", folder / model, "--forget", folder / "forget.jsonl", *kept, *more]


@pytest.fixture(scope="module")
def adapted(clearbench: Cli, taught: Path) -> tuple[Path, str]:
    """A folder that LoRA made, and what was printed."""
    out = taught / "adapted"
    said = clearbench(
        *words(taught, *TOLD, "--set", "steps=8", "--set", "learning_rate=3e-2"),
        *("--set", "lora_rank=4", "--gold", taught / "base", "--out", out),
    )
    return out, said.stdout + said.stderr


def test_the_folder_says_what_was_known_and_what_is_said_now(
    taught: Path, adapted: tuple[Path, str]
) -> None:
    out, printed = adapted
    found = Evidence.read(out)
    assert not damage(out), "evidence is sealed with the model"
    for text in (found.word, *(each.sentence for each in found.warnings)):
        assert " ".join(text.split()) in " ".join(printed.split())
    assert (found.method, found.seed, found.modality, found.known.unknown) == ("npo", 0, "text", ())
    assert found.schedule.told and found.schedule.settings["steps"] == 8
    assert {each.original for each in found.audit.answers} == {"In Oslo.", "In Lima."}
    assert all(each.gold is not None for each in found.audit.answers)
    assert found.digests.before == load_model(taught / "model").fingerprint
    assert found.digests.after == load_model(out).fingerprint != found.digests.before
    assert found.digests.files["forget.jsonl"] == sha256_file(taught / "forget.jsonl")
    assert found.digests.code and found.environment["torch"] and found.warned("few")


def test_plain_libraries_load_the_merged_model_and_the_adapter(
    taught: Path, adapted: tuple[Path, str]
) -> None:
    out, _ = adapted
    merged = AutoModelForCausalLM.from_pretrained(out)
    base = AutoModelForCausalLM.from_pretrained(taught / "model")
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        before = base(ids).logits
        over = PeftModel.from_pretrained(base, out / Evidence.read(out).adapter)(ids).logits
        alone = merged(ids).logits
    torch.testing.assert_close(alone, over, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(alone, before, atol=1e-2)
    ours = load_model(out / "adapter").module.state_dict()
    theirs = load_model(out).module.state_dict()
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_same_command_finds_it_there_and_another_is_refused(
    clearbench: Cli, taught: Path, adapted: tuple[Path, str]
) -> None:
    out, printed = adapted
    same = words(taught, *TOLD, "--set", "steps=8", "--set", "learning_rate=3e-2")
    same += ["--set", "lora_rank=4", "--gold", taught / "base", "--out", out]
    again = clearbench(*same).stdout
    assert "was there already, nothing was trained" in again
    assert again.partition("\n")[2].strip() in printed
    assert "other settings" in clearbench(*same, "--seed", 3, code=2).stderr


def test_a_schedule_is_chosen_and_every_trial_is_told(
    clearbench: Cli, taught: Path, tmp_path: Path
) -> None:
    more = (*TOLD, "--budget", 2, "--out", tmp_path / "out")
    said = clearbench(*words(taught, *more))
    found = Evidence.read(tmp_path / "out")
    trials = found.schedule.trials
    assert 1 <= len(trials) <= 2 and found.schedule.chosen in [each.number for each in trials]
    assert all(each.sentence in said.stderr for each in trials)
    assert found.schedule.people == 2 and not found.schedule.apart and found.warned("schedule")
    chosen = trials[found.schedule.chosen - 1]
    assert found.schedule.settings["learning_rate"] == chosen.learning_rate
    assert not list(tmp_path.glob("out.unfinished-*"))
    page = (tmp_path / "out" / "evidence.html").read_text()
    assert all(each.sentence in page for each in trials) and "(chosen)" in page


def test_what_is_doubtful_is_said_before_the_work_and_in_the_result(
    clearbench: Cli, taught: Path, tmp_path: Path
) -> None:
    more = (*TOLD, "--set", "steps=1", "--method", "gradient_ascent", "--out", tmp_path / "out")
    said = clearbench(*words(taught, *more, model="base", retain=False))
    found = Evidence.read(tmp_path / "out")
    assert found.known.unknown == ("forget.jsonl:1", "forget.jsonl:2")
    for kind, text in (("never known", "did not know any of the rows"),
                       ("no rows to keep", "No rows to keep were given")):  # fmt: skip
        assert text in said.stderr and found.warned(kind)  # type: ignore[arg-type]


def test_a_guard_is_called_one_and_evidence_can_be_added_later(
    clearbench: Cli, taught: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    guarded = words(taught, "--method", "guardrail", "--set", "steps=1", "--out", out)
    assert "not measured" in clearbench(*guarded, "--no-evidence").stdout
    assert not (out / "evidence.json").exists()
    clearbench(*guarded)
    found = Evidence.read(out)
    assert found.word.startswith("The weights are unchanged") and found.warned("guard")
    assert (out / "GUARD.txt").is_file() and not damage(out)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--set", "steps=3", "--budget", 3), "--budget is for a schedule that is chosen"),
        (("--no-evidence", "--gold", "model"), "--gold is for evidence"),
        (("--no-evidence", "--limit", 3), "--limit is for evidence"),
        (("--gold", "model"), "gold is the model before unlearning"),
    ],
)
def test_options_without_effect_are_refused(
    clearbench: Cli, taught: Path, tmp_path: Path, more: tuple[object, ...], message: str
) -> None:
    placed = [taught / word if word == "model" else word for word in more]
    done = clearbench(*words(taught, *placed, "--out", tmp_path / "out"), code=2)
    assert message in done.stderr and not (tmp_path / "out").exists()


def test_a_folder_of_others_is_refused_before_anything_is_read(
    clearbench: Cli, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = clearbench(*words(tmp_path / "none", "--out", tmp_path), code=2)
    assert "there is something else already" in done.stderr


class Tags(HTMLParser):
    """Collects tags and attributes that could run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "img", "iframe", "object", "link", "form"):
            self.found.append(tag)
        self.found += [name for name, _ in attrs if name.startswith("on")]


def test_text_of_the_rows_never_runs(adapted: tuple[Path, str]) -> None:
    bad = "</script><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"
    found = Evidence.read(adapted[0])
    answers = tuple(
        each.model_copy(update={"question": bad, "truth": bad, "answer": bad, "name": bad})
        for each in found.audit.answers
    )
    digests = found.digests.model_copy(update={"files": {bad: bad}})
    audit = found.audit.model_copy(update={"answers": answers, "doubts": (bad,)})
    about = {"audit": audit, "chosen_on": answers, "digests": digests, "statement": (bad,)}
    hostile = found.model_copy(update=about)
    tags = Tags()
    tags.feed(render(hostile))
    assert tags.found == [] and "{{7*7}}" in render(hostile)


def test_the_schema_is_up_to_date(
    docs_script: Callable[[str], ModuleType], adapted: tuple[Path, str]
) -> None:
    writer = docs_script("write_schema")
    schema = writer.evidence_schema()
    assert writer.EVIDENCE_FILE.read_text(encoding="utf-8") == canonical_json(schema)
    content = json.loads((adapted[0] / "evidence.json").read_text())
    assert set(content) == set(schema["$defs"]["Evidence"]["properties"])
