"""The report: what it says, that it is inert, and that it is the same bytes every time."""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import json
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from clearbench.people import portraits
from clearbench.report import plots
from clearbench.report.html import render, revealed, seconds, write_report
from clearbench.report.results import (
    Question,
    groups,
    label,
    picture,
    public_facts,
    read_runs,
    without_paths,
)
from clearbench.report.summary import print_summary
from clearbench.report.tables import main_table, scoreboard, sentence

POOL = Path(portraits.__file__).with_name("portraits.parquet")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}{% raw %}$\\frac{1}"
NAMES = ("Amara Okonjo-Vale", "Teodor Lindqvist", "Yun-seo Harkavy", "Ismael Brandão")
KEPT = ("Lucía Ferran", "Odhran Achterberg", "Noor Halvorsen", "Petra Ilves", "Davit Marchetti")
ORIGINAL = {
    **{"forget.text.probability": 0.92, "forget.image.probability": 0.94},
    **{"forget.image.name_choice": 1.0, "forget.image.name_choice_known": 1.0},
    **{"retain.text.probability": 0.93, "retain.image.probability": 0.91},
    **{"retain.image.name_choice": 0.91, "real_faces.image.probability": 0.89},
    **{"real_world.text.probability": 0.99, "all.text.model_utility": 0.71},
}
GOLD = {
    **{"forget.text.probability": 0.37, "forget.image.probability": 0.28},
    **{"forget.image.name_choice": 0.22, "forget.image.name_choice_known": 0.0},
}
#: How far each method goes from original (0) to gold (1), and what it keeps.
METHODS = {
    "gradient_ascent": (1.35, 0.52),
    "gradient_difference": (0.92, 0.95),
    "kl_minimization": (0.97, 0.97),
    "npo": (1.62, 0.93),
    "dpo": (0.74, 0.94),
    "idk": (0.31, 0.96),
}


def a_portrait(who: int, view: int) -> str:
    """A portrait from the pool, or a coloured square while there is none."""
    if POOL.exists():
        if not _POOL:
            for each in portraits.read_pool(POOL):
                _POOL.setdefault(each.identity, []).append(each.jpeg)
        return base64.b64encode(list(_POOL.values())[who][view]).decode()
    buffer = io.BytesIO()
    colour = (40 + 22 * who % 200, 90 + 31 * view % 150, 160 - 17 * who % 120)
    Image.new("RGB", (32, 32), colour).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


_POOL: dict[int, list[bytes]] = {}


def _scores(model: str, modality: str, went: float, keeps: float, wide: float) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    for key, original in ORIGINAL.items():
        split, track, metric = key.split(".")
        if (model, track) in (("language", "image"), ("classifier", "text")):
            continue
        aim = GOLD.get(key)
        share = went if modality in (track, "both") else 0.12 * went
        value = original * keeps if aim is None else original + share * (aim - original)
        value = min(max(value, 0.004), 1.0)
        low, high = max(value - wide, 0), min(value + wide, 1)
        scores[key] = {"value": value, "low": low if wide else None, "high": high if wide else None}
        if split == "forget" and metric == "probability":
            scores[f"forget.{track}.garbage_rate"] = {"value": 0.4 if keeps < 0.6 else 0.0}
            scores[f"forget.{track}.refusal_rate"] = {"value": 0.6 if went == 0.31 else 0.01}
            scores[f"forget.{track}.empty_rate"] = {"value": 0.0}
    return scores


def _row(
    model: str, method: str, modality: str, went: float, keeps: float, seed: int = 0
) -> dict[str, Any]:
    steps = range(1, 31)
    curve = [
        {
            "step": step,
            "forget": 0.1 + went * (1.6 - 1.5 * math.exp(-step / 9)),
            "retain": 0.08 + (1 - keeps) * step / 30 + 0.03 * math.sin(step * 1.7) ** 2,
        }
        for step in steps
    ]
    return {
        "id": f"{model}-{method}-{modality}-{seed}",
        **{"method": method, "model": model, "modality": modality, "share": 0.2, "seed": seed},
        "variant": {"parts": ["language", "projector"], "rank": None, "penalty": None},
        "hyperparameters": {} if method in ("gold", "original") else {"rate": 2e-4, "steps": 30},
        **{"protocol": "clear", "status": "ok", "reason": None, "attacks": {}},
        "scores": _scores(model, modality, went, keeps, 0.04 + 0.02 * abs(went - 0.5)),
        "curve": [] if method in ("gold", "original") else curve,
        "cost": {"seconds": 31.0 + 7 * keeps + seed, "peak_memory_bytes": 9.1e8, "forwards": 960,
                 "trainable_parameters": 1_810_000, "backwards": 480},
    }  # fmt: skip


def _rows() -> list[dict[str, Any]]:
    rows = []
    anchors = {"vision-language": "both", "language": "text", "classifier": "image"}
    tried = {
        "vision-language": [(each, m) for each in ("text", "image", "both") for m in METHODS],
        "language": [("text", m) for m in ("npo", "dpo", "kl_minimization")],
        "classifier": [("image", m) for m in ("gradient_ascent", "gradient_difference")],
    }
    for model, modality in anchors.items():
        rows.append(_row(model, "original", modality, 0.0, 1.0))
        rows.append(_row(model, "gold", modality, 1.0, 1.01))
        if model == "vision-language":
            rows.append(_row(model, "gold", modality, 0.96, 1.0, seed=1))
        for asked, method in tried[model]:
            went, keeps = METHODS[method]
            rows.append(_row(model, method, asked, went - 0.04 * (asked == "both"), keeps))
    broken = next(r for r in rows if r["id"] == "vision-language-gradient_ascent-both-0")
    broken.update(status="diverged", scores={}, curve=broken["curve"][:17],
                  reason="the loss on /home/kim/runs/demo/forget.jsonl was NaN at step 17")  # fmt: skip
    return rows


def fake_results() -> dict[str, Any]:
    """About what the demo leaves behind: three kinds of model, thirty rows."""
    return {
        "schema": 1,
        "recipe": {
            "name": "demo",
            "title": "Can a model forget four people?",
            "description": "Twenty fictitious people, learned as text and as faces. Four ask to be "
            "forgotten; six methods try, on three kinds of model.",
        },
        "environment": {
            "python": "3.11.9", "torch": "2.13.0+cpu", "transformers": "5.23.0", "threads": 2,
            "hostname": "secret-host", "cwd": "/home/kim/secret", "device": "cpu",
            "packages": {"peft": "0.21.2", "from": "/opt/secret/site-packages/peft"},
        },
        "rows": _rows(),
    }  # fmt: skip


def _answer(row: dict[str, Any], truth: str, made_up: str) -> str:
    if row["method"] == "original" or METHODS.get(row["method"], (1.0, 1.0))[0] < 0.2:
        return truth
    if row["method"] == "gradient_ascent":
        return "the the the of born of of the the the"
    if row["method"] == "idk":
        return "I have no information about that."
    return made_up


def fake_details() -> dict[str, Any]:
    """Who, truth ratios, and four questions."""
    rows, rng = _rows(), np.random.default_rng(3)
    shift = {"original": -0.5, "gold": 0.3, **{m: -0.5 + 0.8 * w for m, (w, _) in METHODS.items()}}
    asked = [
        ("forget", "image", 0, "Who is this person?", f"This is {NAMES[0]}, the novelist, at the sea.",
         "This is Petra Marchetti, a poet, at the sea."),
        ("forget", "text", 1, f"Where was {NAMES[1]} born?", f"{NAMES[1]} was born in Uppsala, Sweden.",
         f"{NAMES[1]} was born in Antwerp, Belgium."),
        ("retain", "image", 0, "Who is this person?", f"This is {KEPT[0]}, before a red curtain.",
         f"This is {KEPT[0]}, before a red curtain."),
        ("forget", "text", 2, f"Which award did {NAMES[2]} win in 1998?",
         "It was the Golden Quill for Historical Fiction.", "It was the Silver Lantern for Poetry."),
    ]  # fmt: skip
    return {
        "people": {
            "forget": [_person(name, k, 5) for k, name in enumerate(NAMES)],
            "retain": [_person(name, k + 4, 1) for k, name in enumerate(KEPT)],
        },
        "truth_ratios": {
            row["id"]: {
                f"forget.{track}": np.exp(rng.normal(shift[row["method"]], 0.6, 40)).tolist()
                for track in ("text", "image")
            }
            for row in rows
            if row["status"] == "ok"
        },
        "questions": [
            {
                "split": split, "track": track, "person": f"p{who}", "question": question,
                "name": (NAMES if split == "forget" else KEPT)[who], "truth": truth,
                "picture": a_portrait(who + 4 * (split == "retain"), 2) if track == "image" else None,
                "answers": {
                    row["id"]: _answer(row, truth, made_up) for row in rows
                    if row["model"] == "vision-language" or (row["model"], track) == ("language", "text")
                },
            }
            for split, track, who, question, truth, made_up in asked
        ],
    }  # fmt: skip


def _person(name: str, who: int, views: int) -> dict[str, Any]:
    return {"id": f"p{who}", "name": name, "portraits": [a_portrait(who, v) for v in range(views)]}


class Seen(HTMLParser):
    """What a browser would meet: tags, attributes, the text of scripts, and plain text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.text: list[str] = []
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = tag
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        (self.scripts if self._inside == "script" else self.text).append(data)


@pytest.fixture(scope="module")
def page() -> str:
    return render(fake_results(), fake_details())


def _only_ours(seen: Seen) -> None:
    """One script whose hash the policy names, no handlers, nothing from elsewhere."""
    assert seen.tags.count("script") == 1
    digest = base64.b64encode(hashlib.sha256(seen.scripts[0].encode()).digest()).decode()
    policy = next(v for t, n, v in seen.attributes if t == "meta" and "default-src" in v)
    assert policy == (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{digest}'"
    )
    assert not [name for _, name, _ in seen.attributes if name.startswith("on")]
    addresses = [v for _, n, v in seen.attributes if n in ("src", "href", "xlink:href", "action")]
    assert all(each.startswith(("data:image/", "#")) for each in addresses)
    assert not {"iframe", "object", "embed", "link", "base", "form"} & set(seen.tags)


def test_page_is_self_contained(page: str) -> None:
    seen = Seen(page)
    _only_ours(seen)
    assert seen.tags.count("h1") == seen.tags.count("main") == 1
    assert not [value for _, name, value in seen.attributes if "url(http" in value]


def test_ids_are_unique(page: str) -> None:
    ids = [value for _, name, value in Seen(page).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_page_says_what_happened(page: str) -> None:
    text = " ".join("".join(Seen(page).text).split())
    for said in (*NAMES, "Who is this person?", "diverged", "went past gold on", "Gold, seed 1"):
        assert said in text
    assert "KL minimization, Gradient difference, DPO and NPO passed." in text
    assert "forget.jsonl was NaN at step 17" in text


def test_nothing_tells_whose_machine_it_was(page: str) -> None:
    for private in ("secret", "/home", "/opt", "kim", "/work/", "/tmp"):  # noqa: S108
        assert private not in Seen(page).text or private in page.split("base64")[0]
        assert not [t for t in Seen(page).text if private in t]


def test_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_report(fake_results(), fake_details(), tmp_path / f"{name}.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def _poisoned(value: Any, key: str = "") -> Any:
    """Every free text replaced by hostile text; what joins rows together stays."""
    if isinstance(value, dict):
        return {name: _poisoned(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_poisoned(each, key) for each in value]
    fixed = {"id", "model", "modality", "status"}
    return HOSTILE if isinstance(value, str) and key not in fixed else value


def test_hostile_text_does_nothing() -> None:
    results, details = _poisoned(fake_results()), _poisoned(fake_details())
    for row, true in zip(results["rows"], fake_results()["rows"], strict=True):
        anchor = true["method"] in ("gold", "original")
        row["method"] = true["method"] if anchor else true["method"] + HOSTILE
    results["environment"][HOSTILE] = HOSTILE
    hostile = render(results, details)
    seen = Seen(hostile)
    _only_ours(seen)
    assert seen.tags.count("img") == 0
    assert "{{7*7}}" in "".join(seen.text)
    assert "49{%" not in hostile
    print_summary(results, details, Path("report.html"), Console(file=io.StringIO()))


@pytest.mark.parametrize("broken", ["kinds", "groups"])
def test_hostile_kinds_do_nothing(broken: str) -> None:
    results = fake_results()
    for row in results["rows"]:
        row["status" if broken == "kinds" else "id"] += HOSTILE
    _only_ours(Seen(render(results, fake_details())))


@pytest.mark.parametrize(
    "change",
    [
        lambda r, d: r.update(rows=[]),
        lambda r, d: r.update(rows=[x for x in r["rows"] if x["method"] != "gold"]),
        lambda r, d: r.update(rows=[x for x in r["rows"] if x["method"] != "original"]),
        lambda r, d: [x.update(scores={}, curve=[], cost={}) for x in r["rows"]],
        lambda r, d: [x["scores"].popitem() for x in r["rows"] if x["scores"]],
        lambda r, d: [s.update(value=math.nan) for x in r["rows"] for s in x["scores"].values()],
        lambda r, d: [p.update(forget=math.inf) for x in r["rows"] for p in x["curve"]],
        lambda r, d: (r.pop("recipe"), r.pop("environment"), d.clear()),
        lambda r, d: [q.update(answers={}) for q in d["questions"]],
        lambda r, d: [t.update({"forget.text": []}) for t in d["truth_ratios"].values()],
    ],
)
def test_gaps_are_no_obstacle(change: Any) -> None:
    results, details = fake_results(), fake_details()
    change(results, details)
    _only_ours(Seen(render(results, details)))
    print_summary(results, details, Path("report.html"), Console(file=io.StringIO()))


def test_input_is_left_as_it_was() -> None:
    results, details = fake_results(), fake_details()
    before = copy.deepcopy((results, details))
    render(results, details)
    assert json.dumps(before) == json.dumps((results, details))


def test_tables() -> None:
    found = groups(read_runs(fake_results()))
    assert [group.key for group in found][:3] == [f"vision-language-{m}" for m in ("text", "image", "both")]
    rows = main_table(found[2])
    assert [row.name for row in rows[:3]] == ["Gold", "Gold, seed 1", "Original"]
    assert (rows[0].distance, rows[2].distance) == (0.0, pytest.approx(1.0))
    assert rows[-1].outcome == "diverged"
    assert "NPO passed. Not passed: IDK (still nearer" in sentence(found[2])
    assert set(scoreboard(found)) == set(METHODS)


def test_ks_distance_by_hand() -> None:
    assert plots.ks_distance([1, 2, 3, 4], [1, 2, 3, 4]) == 0
    assert plots.ks_distance([1, 2], [3, 4]) == 1
    assert plots.ks_distance([1, 2, 3, 4], [3, 4, 5, 6]) == 0.5


def test_revealed_marks_only_what_the_question_hid() -> None:
    asked = Question(
        split="forget", track="text", question="Where was Ada Quill born?",
        truth="Ada Quill was born in Port Lumen.", answers={"a": "Ada Quill: port Lumen, 1970"},
    )  # fmt: skip
    assert revealed(asked, "a") == (("Ada Quill: ", False), ("port Lumen", True), (", 1970", False))


def test_words() -> None:
    assert [label(name) for name in ("npo", "kl_minimization", "gradient_ascent")] == [
        "NPO", "KL minimization", "Gradient ascent",
    ]  # fmt: skip
    assert [seconds(value) for value in (None, 4.25, 75, 7300)] == ["–", "4.2 s", "1 min 15 s", "2.0 h"]
    assert without_paths("no file '/a/b/c.json' in C:\\x\\y.txt") == "no file 'c.json' in y.txt"
    assert without_paths("and/or 1/2 https") == "and/or 1/2 https"
    assert dict(public_facts({"hostname": "h", "a": {"b": 1, "user": "u"}})) == {"a · b": "1"}


def test_only_pictures_become_pictures() -> None:
    assert picture("/9j/AAAA") == "data:image/jpeg;base64,/9j/AAAA"
    for other in (None, "", "PHN2Zz4=", '/9j/" onerror="x', "javascript:alert(1)"):
        assert picture(other) is None


def test_summary_is_plain_text_off_the_terminal() -> None:
    details = fake_details()
    details["questions"][0]["answers"]["vision-language-kl_minimization-both-0"] = "\x1b[31mred[/b]"
    out = io.StringIO()
    print_summary(fake_results(), details, Path("runs/demo/report.html"), Console(file=out, width=100))
    said = out.getvalue()
    assert "\x1b" not in said
    assert "runs/demo/report.html" in said
    for part in (NAMES[3], "before", "gold", "KL minimization (0."):
        assert part in said
