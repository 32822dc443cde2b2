"""A made-up run, about what the demo leaves behind: three kinds of model, thirty rows."""

from __future__ import annotations

import base64
import copy
import functools
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clearbench.people import portraits

POOL = Path(portraits.__file__).with_name("portraits.parquet")
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
        scores[key] = a_score(
            value, low=low if wide else None, high=high if wide else None, gold=aim
        )
        if split == "forget" and metric == "probability":
            scores[f"forget.{track}.garbage_rate"] = a_score(0.4 if keeps < 0.6 else 0.0)
            scores[f"forget.{track}.refusal_rate"] = a_score(0.6 if went == 0.31 else 0.01)
            scores[f"forget.{track}.empty_rate"] = a_score(0.0)
    return scores


def a_score(value: float, **about: Any) -> dict[str, Any]:
    return {"value": value, "n": 8, "clusters": 8, "direction": "up"} | about


def a_verdict(model: str, modality: str, left: float, keeps: float) -> dict[str, Any]:
    """A verdict by what is left of each track and what was kept."""
    tracks = [
        track
        for track in ("text", "image")
        if modality in (track, "both") and (model, track) != ("language", "image")
    ]
    findings = [
        _finding(f"forget.{track}.probability", "left", left, 1 / 3, left < 1 / 3)
        for track in tracks
    ]
    findings.append(_finding("retain.text.probability", "kept", keeps, 0.8, keeps > 0.8))
    reasons = [f"{each['key']} fails" for each in findings if each["outcome"] == "fails"]
    return {
        "word": "did not" if reasons else "forgot",
        "version": "1",
        "modality": modality,
        "findings": findings,
        "reasons": reasons or ["every test holds"],
        "rests_on": {"people_forgotten": 4, "people_asked": dict.fromkeys(tracks, 4),
                     "rows": dict.fromkeys(tracks, 48)},
        "worst": [{"key": "forget.text.whole_truth", "person": 1, "question": "Where?",
                   "truth": "In Uppsala.", "answer": "In <b>Uppsala</b>.", "gold": "In Antwerp."}],
    }  # fmt: skip


def _finding(key: str, kind: str, estimate: float, margin: float, holds: bool) -> dict[str, Any]:
    return {
        **{"key": key, "kind": kind, "outcome": "holds" if holds else "fails", "margin": margin},
        **{"estimate": estimate, "low": estimate - 0.05, "high": estimate + 0.05},
        **{"run": 0.4, "gold": 0.3, "original": 0.9, "rows": 48, "people": 4},
    }


def _row(
    model: str, method: str, modality: str, went: float, keeps: float, seed: int = 0
) -> dict[str, Any]:
    curve = [
        {
            "step": step,
            "forget": 0.1 + went * (1.6 - 1.5 * math.exp(-step / 9)),
            "retain": 0.08 + (1 - keeps) * step / 30 + 0.03 * math.sin(step * 1.7) ** 2,
        }
        for step in range(1, 31)
    ]
    return {
        "id": f"{model}-{method}-{modality}-{seed}",
        **{"method": method, "model": model, "modality": modality, "share": 0.2, "seed": seed},
        "variant": {"parts": ["language", "projector"], "rank": None, "penalty": None},
        "hyperparameters": {} if method in ("gold", "original") else {"rate": 2e-4, "steps": 30},
        **{"protocol": "clear", "status": "ok", "reason": "", "attacks": {}},
        "gold": f"{model}-gold-{modality if model != 'vision-language' else 'both'}-0",
        "training": {"steps": 30},
        "scores": _scores(model, modality, went, keeps, 0.04 + 0.02 * abs(went - 0.5)),
        "curve": [] if method in ("gold", "original") else curve,
        "verdict": a_verdict(model, modality, 1.0 - went, keeps),
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
    reason = "the loss on /home/kim/runs/demo/forget.jsonl was NaN at step 17"
    del broken["verdict"]
    broken.update(status="diverged", scores={}, curve=broken["curve"][:17], reason=reason)
    return rows


@functools.cache
def fake_results() -> dict[str, Any]:
    """About what the demo leaves behind: three kinds of model, thirty rows."""
    return {
        "schema": 2,
        "recipe": {
            "name": "demo",
            "title": "Can a model forget four people?",
            "description": "Twenty fictitious people, learned as text and as faces. Four ask to be "
            "forgotten; six methods try, on three kinds of model.",
        },
        "environment": {
            "python": "3.11.9", "machine": "x86_64", "system": "Linux", "accelerator": "none",
            "workers": 2, "threads_per_worker": 1,
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


@functools.cache
def fake_details() -> dict[str, Any]:
    """Who, truth ratios, and four questions."""
    rows, rng = _rows(), np.random.default_rng(3)
    shift = {"original": -0.5, "gold": 0.3, **{m: -0.5 + 0.8 * w for m, (w, _) in METHODS.items()}}
    asked = [
        ("forget", "image", 0, "Who is this person?",
         f"This is {NAMES[0]}, a novelist, at sea.", "This is Petra Marchetti, a poet, at sea."),
        ("forget", "text", 1, f"Where was {NAMES[1]} born?", f"{NAMES[1]} was born in Uppsala.",
         f"{NAMES[1]} was born in Antwerp."),
        ("retain", "image", 0, "Who is this person?", f"This is {KEPT[0]}, by a red curtain.",
         f"This is {KEPT[0]}, by a red curtain."),
        ("forget", "text", 2, f"Which award did {NAMES[2]} win in 1998?",
         "It was the Golden Quill for Fiction.", "It was the Silver Lantern for Poetry."),
    ]  # fmt: skip
    return {
        "schema": 2,
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
                "image": _shown(split, who) if track == "image" else None,
                "answers": {
                    row["id"]: _answer(row, truth, made_up) for row in rows
                    if row["model"] in ("vision-language", *(["language"] * (track == "text")))
                },
            }
            for split, track, who, question, truth, made_up in asked
        ],
    }  # fmt: skip


def _shown(split: str, who: int) -> str:
    return a_portrait(who + 4 * (split == "retain"), 2)


def _person(name: str, who: int, views: int) -> dict[str, Any]:
    return {"id": f"p{who}", "name": name, "portraits": [a_portrait(who, v) for v in range(views)]}


@pytest.fixture
def results() -> dict[str, Any]:
    """What `results.json` would hold."""
    return copy.deepcopy(fake_results())


@pytest.fixture
def details() -> dict[str, Any]:
    """What `details.json` would hold."""
    return copy.deepcopy(fake_details())


@pytest.fixture
def verdicts() -> Callable[..., dict[str, Any]]:
    """Builds a verdict from a kind of model, a modality, what is left and what was kept."""
    return a_verdict
