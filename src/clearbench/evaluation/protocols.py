"""Lists the protocols: CLEAR as its paper defines it, and published tables with their defects."""

from __future__ import annotations

from typing import Any

from clearbench.errors import RecipeError, did_you_mean
from clearbench.evaluation.protocol import GENERATED, Protocol

Entry = dict[str, Any]


def _keys(splits: tuple[str, ...], track: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Combines every split with every name to score keys."""
    return tuple(f"{split}.{track}.{name}" for split in splits for name in names)


def _entries(*names: str) -> tuple[Entry, ...]:
    """Lists metrics in their default configuration."""
    return tuple({"name": name} for name in names)


def _published(name: str, **parameters: Any) -> Entry:
    """Returns a metric of generated words with the words of its publication: ASCII alone."""
    return {"name": name, "published": True, **parameters}


#: Probability as TOFU computes it: its real people have no faces.
_PROBABILITY: Entry = {"name": "probability", "faces": False}
_TEXT_REAL = ("real_authors", "real_world")
_THREE = ("rouge_l", "probability", "truth_ratio")
_TWO = ("probability", "truth_ratio")
_FACES_TWO = ("real_faces.image.probability", "real_faces.image.name_truth_ratio")
_FACES = (*_FACES_TWO, "real_faces.image.name_rouge_l")

_UTILITY = {"all.text.model_utility": _keys(("retain", *_TEXT_REAL), "text", _THREE)}
_TEXT_PARTS = {
    "all.text.clear_real": _keys(_TEXT_REAL, "text", _TWO),
    "all.text.clear_retain": _keys(("retain",), "text", _TWO),
    "all.text.clear_forget": _keys(("forget",), "text", _THREE),
}


def _image_parts(name_probability: str) -> dict[str, tuple[str, ...]]:
    """Lists parts of CLEAR's aggregates as computed (errata E03: not the paper's parts)."""
    names = (*_TWO, name_probability, "name_truth_ratio")
    return {
        "all.image.clear_real": (*_FACES_TWO, *_keys(("real_world",), "image", _TWO)),
        "all.image.clear_retain": _keys(("retain",), "image", names),
        "all.image.clear_forget": _keys(("forget",), "image", names),
    }


CLEAR = Protocol(
    name="clear",
    version=3,
    shows=(
        "CLEAR as its paper defines it, with every defect of the published code mended, and every "
        "other metric we have. Use it unless you compare with a published table."
    ),
    parts={
        **_UTILITY,
        **_TEXT_PARTS,
        "all.text.clear_real_paper": _keys(_TEXT_REAL, "text", _THREE),
        "all.text.clear_retain_paper": _keys(("retain",), "text", _THREE),
        "all.text.clear_forget_paper": _keys(("forget",), "text", _THREE),
        "all.image.model_utility": (
            *_keys(("retain",), "image", _THREE),
            *_FACES,
            *_keys(("real_world",), "image", _THREE),
        ),
        **_image_parts("name_probability_options"),
        "all.image.clear_real_paper": (*_FACES, *_keys(("real_world",), "image", _THREE)),
        "all.image.clear_retain_paper": _keys(("retain",), "image", _THREE),
        "all.image.clear_forget_paper": _keys(("forget",), "image", _THREE),
    },
    attacks=None,
)

CLEAR_CODE = Protocol(
    name="clear-code",
    version=1,
    shows=(
        "What the multimodal scripts of CLEAR's repository (`mm/`) compute on the log they are "
        "given, defects included. For comparison with CLEAR's tables 1, 3 and 6 only."
    ),
    parts={
        **_UTILITY,
        **_image_parts("name_probability"),
        "all.image.model_utility": (
            *_FACES,
            *_keys(("real_world", "retain"), "image", _THREE),
            *_keys(("retain",), "image", ("name_rouge_l", "name_probability", "name_truth_ratio")),
        ),
    },
    entries=(
        *_entries("probability"),
        _published("rouge_l"),
        _published("name_rouge_l"),
        {"name": "name_probability", "options": True, "key": "name_probability"},
        {"name": "truth_ratio", "form": "pooled", "key": "truth_ratio"},
        {"name": "name_truth_ratio", "form": "pooled", "key": "name_truth_ratio"},
        {"name": "forget_quality", "ratio": "pooled", "key": "forget_quality"},
        {
            "name": "forget_quality",
            "statistic": "js_by_place",
            "ratio": "pooled",
            "key": "forget_quality_js_aligned",
        },
    ),
    required=("forget.*.truth_ratio", "forget.*.forget_quality"),
    max_new_tokens=300,
)

CLEAR_CODE_TEXT = Protocol(
    name="clear-code-text",
    version=1,
    shows=(
        "What the text scripts of CLEAR's repository (`nlp/`) compute: TOFU's numbers, CLEAR's "
        "aggregates of them, and the natural logarithm of the KS p-value. For table 4 only."
    ),
    parts=_UTILITY | _TEXT_PARTS,
    entries=(
        _PROBABILITY,
        _published("rouge_l"),
        *_entries("truth_ratio", "forget_quality"),
        {"name": "forget_quality", "statistic": "log"},
    ),
    required=(*_TEXT_PARTS, "all.text.model_utility", "forget.text.forget_quality"),
    max_new_tokens=200,
)

_TOFU_NAMES = {"rouge_l": "ROUGE", "probability": "Prob.", "truth_ratio": "Truth Ratio"}
_TOFU_SPLITS = {
    "real_authors": "Real Authors",
    "real_world": "Real World",
    "retain": "Retain",
    "forget": "Forget",
}

TOFU = Protocol(
    name="tofu",
    version=1,
    shows=(
        "TOFU's model utility and forget quality as its own script computes them from its logs. "
        "For comparison with any TOFU number made before OpenUnlearning."
    ),
    parts=_UTILITY,
    entries=(_PROBABILITY, _published("rouge_l"), *_entries("truth_ratio", "forget_quality")),
    required=(
        "all.text.model_utility",
        *_keys(("forget",), "text", _THREE),
        "forget.text.forget_quality",
    ),
    names={
        f"{split}.text.{metric}": f"{label} {words}"
        for split, words in _TOFU_SPLITS.items()
        for metric, label in _TOFU_NAMES.items()
    }
    | {
        "all.text.model_utility": "Model Utility",
        "forget.text.forget_quality": "Forget Quality",
    },
    max_new_tokens=200,
)

OPENUNLEARNING = Protocol(
    name="openunlearning",
    version=2,
    shows=(
        "OpenUnlearning's definitions: geometric truth ratios with 1e-10 added, extraction "
        "strength with its floor of 1/N, membership attacks with Min-K at 40 %."
    ),
    parts=_UTILITY,
    entries=(
        {"name": "probability", "denominator": "open", "faces": False, "key": "probability"},
        {"name": "truth_ratio", "form": "open", "key": "truth_ratio"},
        {"name": "forget_quality", "ratio": "open", "key": "forget_quality"},
        {"name": "extraction_strength", "floor": True, "key": "extraction_strength"},
        *_entries("exact_memorisation", "truth_probability"),
        _published("rouge_1"),
        _published("rouge_l"),
        _published("rouge_l", f1=True),
    ),
    attacks=(
        *_entries("mia_loss", "mia_min_k", "mia_min_k_plus_plus"),
        _published("mia_zlib"),
    ),
    max_new_tokens=200,
    required=(
        "all.text.model_utility",
        *_keys(("forget",), "text", _THREE),
        "forget.text.forget_quality",
    ),
    names={
        f"{split}.text.{metric}": f"{label}_{words}"
        for split, label in {
            "forget": "forget",
            "retain": "retain",
            "real_authors": "ra",
            "real_world": "wf",
        }.items()
        for metric, words in {
            "probability": "Q_A_Prob_normalised" if label in ("ra", "wf") else "Q_A_Prob",
            "rouge_l": "Q_A_ROUGE",
            "truth_ratio": "Truth_Ratio",
        }.items()
    }
    | {
        "all.text.model_utility": "model_utility",
        "forget.text.forget_quality": "forget_quality",
        "forget.text.extraction_strength": "extraction_strength",
        "forget.text.exact_memorisation": "exact_memorization",
        "forget.text.mia_min_k_privleak": "privleak",
    },
    generated=(*GENERATED, "holdout"),
)

CLEAR_VQA = Protocol(
    name="clear-vqa",
    version=1,
    shows=(
        "The second protocol in use on CLEAR (MMUnlearner, KVW, CMJU, MIP-Editor): the name or the "
        "true option of real faces and the real world, as a generated letter; ROUGE-L F1 and BLEU "
        "of captions and answers. Gold is rarely shown with it. Never in one table with `clear`."
    ),
    parts={},
    entries=(
        *_entries("letter_choice"),
        _published("bleu"),
        _published("rouge_l", f1=True),
    ),
    required=("forget.*.rouge_l_f1",),
    asks=("letter",),
    max_new_tokens=50,
)

_ALL = (CLEAR, CLEAR_CODE, CLEAR_CODE_TEXT, TOFU, OPENUNLEARNING, CLEAR_VQA)
_PROTOCOLS = {chosen.name: chosen for chosen in _ALL}


def protocols() -> dict[str, Protocol]:
    """Returns every protocol by name."""
    return dict(_PROTOCOLS)


def protocol(name: str) -> Protocol:
    """Returns the protocol of that name."""
    if name not in _PROTOCOLS:
        raise RecipeError(f"unknown protocol '{name}'", "protocol", did_you_mean(name, _PROTOCOLS))
    return _PROTOCOLS[name]
