"""`clearbench attack` on files of own rows: what it writes, what it says, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from scipy import special

from clearbench.cli import output
from clearbench.cli.attack_inputs import Source
from clearbench.testing import tiny_model
from clearbench.testing.records import records

Cli = Callable[..., Any]
PEOPLE = {"forget": ("Ana", "Bo"), "retain": ("Cy",), "holdout": ("Di", "Ed")}


def answer(who: str) -> str:
    return f"{who} was born in Oslo."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models that were taught nothing, rows of three splits, and records of shadow models."""
    folder = tmp_path_factory.mktemp("attack")
    model = tiny_model("language")
    model.save(folder / "model")
    with torch.no_grad():
        next(model.module.parameters()).add_(0.1)
    model.save(folder / "gold")
    for split, names in PEOPLE.items():
        rows = [
            {"question": f"Where was {who} born?", "answer": answer(who), "person": who}
            for who in names
        ]
        lines = "\n".join(map(json.dumps, rows))
        (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    for taught in ("forget", "holdout"):
        for number, more in enumerate((0.0, 1.0, 2.0)):
            place = folder / f"{taught}-{number}"
            place.mkdir()
            records(
                [
                    {"row": f"{split}-{k + 1}", "person": k, "split": split,
                     "p": {"answer": [float(special.expit((3 if split == taught else 0) + more))]},
                     **({"said": (answer(who), "")} if split == "forget" else {})}
                    for split in ("forget", "holdout") for k, who in enumerate(PEOPLE[split])
                ]
            ).save(place)  # fmt: skip
    return folder


@pytest.fixture
def rows(folder: Path) -> tuple[object, ...]:
    """Options that name the rows of all splits."""
    return tuple(word for split in PEOPLE for word in (f"--{split}", folder / f"{split}.jsonl"))


def shadows(folder: Path, count: int = 3) -> list[object]:
    return [
        word
        for split in ("forget", "holdout")
        for number in range(count)
        for word in (f"--shadow-{split}", folder / f"{split}-{number}")
    ]


def test_attacks_leave_tables_and_scores_and_are_not_made_twice(
    clearbench: Cli,
    folder: Path,
    rows: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ("attack", folder / "model", "mia_loss", "quantisation", *rows,
             "--reference", folder / "gold", "--out", tmp_path)  # fmt: skip
    said = clearbench(*words).stdout
    assert "Membership by loss (mia_loss)" in said and "fewer than five people" in said
    assert "cannot be said: no original" in said
    table = pd.read_parquet(tmp_path / "mia_loss" / "table.parquet")
    assert sorted(table["split"]) == ["forget", "forget", "holdout", "holdout"]
    found = json.loads((tmp_path / "mia_loss" / "scores.json").read_text())["scores"]
    ours, theirs = (table.loc[table["split"] == s, "value"] for s in ("forget", "holdout"))
    pairs = [(a < b) + (a == b) / 2 for a in ours for b in theirs]
    score = found["forget.text.mia_loss_auc"]
    assert score["value"] == pytest.approx(sum(pairs) / 4) and score["gold"] is not None
    levels = json.loads((tmp_path / "quantisation" / "scores.json").read_text())["curves"]
    names = [point["level"] for point in levels["forget.text.quantisation"]]
    assert names == ["full", "int8", "nf4", "rtn4"]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(output, "terminal_width", lambda: 80)
    again = clearbench(*words).stdout
    assert max(map(len, again.splitlines()[:-1])) <= 80, "a path is whole"
    assert again.split() == said.split()
    assert before == {path: path.stat().st_mtime_ns for path in before}
    done = clearbench(*words, "--seed", 1, code=2)
    assert "this folder holds what another model, other data or other settings" in done.stderr


def test_u_lira_learns_from_records_of_shadow_models(
    clearbench: Cli, folder: Path, rows: tuple[object, ...]
) -> None:
    """Logits of 3, 4 and 5 on people whom they were taught, else 0, 1 and 2: all are told apart."""
    made = clearbench("attack", folder / "model", "u_lira", *rows, *shadows(folder), "--json",
                      "--set", "estimator=standard")  # fmt: skip
    (found,) = json.loads(made.stdout)["attacks"]
    scores = found["scores"]
    assert scores["forget.text.u_lira_standard_shadow_models"]["value"] == 6
    assert scores["forget.text.u_lira_standard_method_auc"]["value"] == 1.0
    assert (found["name"], found["rows"], found["folder"]) == ("u_lira", 4, None)
    assert any("shadow models' AUC is 1.000" in sentence for sentence in found["words"])


def test_the_dataset_may_be_the_first_word(clearbench: Cli, folder: Path, tmp_path: Path) -> None:
    for split in PEOPLE:
        (tmp_path / f"{split}.jsonl").write_bytes((folder / f"{split}.jsonl").read_bytes())
    made = clearbench("attack", folder / "model", tmp_path, "mia_min_k", "--set", "share=0.2",
                      "--limit", 1, "--json")  # fmt: skip
    (found,) = json.loads(made.stdout)["attacks"]
    assert (found["key"], found["rows"]) == ("mia_min_k_share_0_2", 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("mia_loss",), "mia_loss needs rows about people never taught"),
        (("mia_loss", "u_svc", "--no-retain"), "u_svc needs rows about people who stay"),
        (("mia_reference", "patching"), "give --holdout FILE, --reference GOLD, --original MODEL"),
        (("u_lira", "--all"), "(there are 0 taught the forget people and 0 taught the holdout"),
        (("u_lira", "--all", "--shadow-forget", "none"), "there are 1 taught the forget people"),
        (("u_lira", "--all", *("--two",)), "u_lira needs 3 shadow models taught the forget people"),
        (("forgetting_quality", "--all", "--three"), "forgetting_quality needs 6 shadow models"),
        (("u_lira", "--all", "--three", "--reference", "forget-0"), "this model is given twice"),
        (("prompts", "--reference", "forget-0"), "and these are only records"),
        (("mia_los",), "did you mean 'mia_loss'"),
        (("mia_loss", "mia_loss"), "'mia_loss' is named twice"),
        (("mia_min_k", "--set", "shar=1"), "no parameter 'shar' of mia_min_k; did you mean"),
        (("mia_min_k", "--set", "share=7"), "share"),
        (("mia_loss", "--out", "forget.jsonl"), "there is a file of this name"),
    ],
)
def test_mistakes_are_said_before_any_work(
    clearbench: Cli, folder: Path, rows: tuple[object, ...], words: tuple[str, ...], message: str
) -> None:
    """The model is not there: it would be the first thing that is missed."""
    short = {"--two": shadows(folder, 2), "--three": shadows(folder), "--all": rows[4:],
             "--no-retain": rows[4:]}  # fmt: skip
    given: list[object] = []
    for word in words:
        there = (folder / word).exists()
        given += short.get(word, [folder / word if there else word])
    sides = rows[:2] if "--no-retain" in words else rows[:4]
    done = clearbench("attack", folder / "no-model", *given, *sides, code=2)
    assert message in done.stderr and "Traceback" not in done.stderr


def test_no_attack_and_no_rows_are_said(clearbench: Cli, folder: Path) -> None:
    done = clearbench("attack", folder / "model", folder, code=2)
    assert "no attack is named" in done.stderr
    assert "no data are given" in clearbench("attack", "M", "mia_loss", code=2).stderr


def test_records_of_other_rows_and_what_is_not_there_are_refused(
    clearbench: Cli, folder: Path, rows: tuple[object, ...], tmp_path: Path
) -> None:
    records([{"row": "forget-1", "said": ("Ana was born in Rome.", "")}]).save(tmp_path)
    done = clearbench(
        "attack", folder / "model", "mia_loss", *rows, "--reference", tmp_path, code=2
    )
    assert "forget: 2 of 2 rows are missing or differ" in done.stderr
    done = clearbench("attack", folder / "model", "mia_loss", "guard_removed", *rows, code=2)
    assert "guard_removed is not applicable: this model has nothing" in done.stderr


def test_a_model_is_another_one_under_another_guard_or_setting(tmp_path: Path) -> None:
    """Attacks that compared with it are made anew, though its weights are the same."""
    (tmp_path / "guard-000").mkdir()
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    source, seen = Source("gold", "--reference", str(tmp_path)), set()
    for name, content in (("adapter_config.json", "{}"), ("guard-000/guard.json", "[]")):
        seen.add(source.digest)
        (tmp_path / name).write_text(content)
    assert source.digest not in seen and len(seen) == 2
