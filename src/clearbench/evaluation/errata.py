"""Published defects that change a number: what the code does, what is right, where they live on.

The protocols that reproduce published numbers name the defects they carry; `docs/errata.md` is
written from here by `docs/write_errata.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

#: A score under a protocol.
Shown = tuple[str, str]


@dataclass(frozen=True)
class Erratum:
    """One defect.

    Attributes:
        id: Its number, stable for ever.
        where: Project and file.
        does: What the published code does.
        right: What it should do, and what we do.
        carried_by: The protocols that reproduce it; none where nobody should.
        shown: Pairs of (protocol, key) as published and as right, whose values on a real log show
            the effect.
        effect: The effect in words, where a log of answers cannot show it.
    """

    id: str
    where: str
    does: str
    right: str
    carried_by: tuple[str, ...] = ()
    shown: tuple[tuple[Shown, Shown], ...] = ()
    effect: str = ""


def _same_key(key: str, published: str, right: str = "clear") -> tuple[Shown, Shown]:
    return (published, key), (right, key)


_CODE, _TEXT, _OPEN = "clear-code", "clear-code-text", "openunlearning"

ERRATA = (
    Erratum(
        "E01",
        "CLEAR, mm/calculate_metrics.py:58,61,115",
        "Averages the wrong answers' losses over all rows at once, so that every row's truth ratio "
        "is taken against the same number.",
        "Average each row's own wrong answers, as TOFU and CLEAR's text scripts do.",
        (_CODE,),
        (
            _same_key("forget.text.truth_ratio", _CODE),
            _same_key("retain.text.truth_ratio", _CODE),
            _same_key("real_world.text.truth_ratio", _CODE),
            _same_key("forget.text.forget_quality", _CODE),
        ),
    ),
    Erratum(
        "E02",
        "CLEAR, mm/calculate_metrics.py:69-71 and the table builders",
        "Forget quality is 1 - the Jensen-Shannon distance of two vectors of ratios, row beside "
        "row. Permuting the rows of one model changes it; scaling all ratios does not; it never "
        "falls under 1 - sqrt(ln 2) = 0.167.",
        "Report the KS p-value and a distance of histograms, which no order of rows changes; keep "
        "the aligned form under its own name.",
        (_CODE,),
        (
            (
                (_CODE, "forget.text.forget_quality_js_aligned"),
                ("clear", "forget.text.forget_quality_js"),
            ),
        ),
    ),
    Erratum(
        "E03",
        "CLEAR, mm/build_vllm_table.py:73-75 against the paper's text",
        "Real, Retain and Forget of the multimodal tables are harmonic means of probability and "
        "truth ratio of captions and names; the paper says ROUGE is in them.",
        "Report both: `clear_retain` as computed, `clear_retain_paper` as written.",
        (_CODE,),
        effect="every multimodal aggregate",
    ),
    Erratum(
        "E04",
        "CLEAR, nlp/results.ipynb against paper table 4",
        "Real and Retain of the text table leave ROUGE out, Forget has it in.",
        "Report both: `clear_retain` as computed, `clear_retain_paper` as written.",
        (_TEXT,),
        (
            ((_TEXT, "all.text.clear_real"), ("clear", "all.text.clear_real_paper")),
            ((_TEXT, "all.text.clear_retain"), ("clear", "all.text.clear_retain_paper")),
        ),
    ),
    Erratum(
        "E05",
        "CLEAR, mm/eval.py:120-132",
        "Answers are generated from re-tokenised text without the picture.",
        "Generate from the same input as is scored, picture included.",
        effect="every multimodal ROUGE was measured blind",
    ),
    Erratum(
        "E07",
        "CLEAR, mm/eval.py:104,149",
        "The logged ROUGE of multimodal tasks is empty.",
        "Compute it from the logged answers; our reader does so wherever a log has none.",
    ),
    Erratum(
        "E11",
        "CLEAR, mm/dataset.py:116-135",
        "The caption question is drawn anew, unseeded, for the answer, its paraphrase and each "
        "wrong answer of one row.",
        "One question per row, the same for all its answers.",
        effect="probability and truth ratio are not reproducible",
    ),
    Erratum(
        "E13",
        "CLEAR, config/mm/eval.yaml, config/nlp/*.yaml: ds_size 300",
        "Only the first 300 rows of each split are scored.",
        "Score all rows. A published log is taken as it is: it holds the first 300.",
        effect="five of the twenty forgotten persons are never measured",
    ),
    Erratum(
        "E14",
        "TOFU and CLEAR, nlp/evaluate_util.py:203-222",
        "Answers are cut at the generation's limit of 200 tokens before they are scored.",
        "No cut in scoring.",
        effect="the ends of long answers do not count",
    ),
    Erratum(
        "E15",
        "TOFU and CLEAR, evaluate_util.py",
        "The logged field `truth_ratio` is exp(l(y^) - mean l(y')), the reciprocal of the r that "
        "the tables use.",
        "Ignore the field and compute r from the losses.",
    ),
    Erratum(
        "E17",
        "CLEAR, mm/calculate_metrics.py:125-126",
        "Its own model utility is the harmonic mean of everything that is not about the forget "
        "set: twelve values, names and blind ROUGE (E05) among them.",
        "TOFU's nine: ROUGE, probability and truth ratio on three splits.",
        (_CODE,),
        (_same_key("all.text.model_utility", _CODE),),
    ),
    Erratum(
        "E79",
        "CLEAR, paper: `Forget metric, lower is better`",
        "The forget aggregate contains the truth ratio, which rises when a model forgets well and "
        "falls again when it is pushed too far.",
        "Show the parts, and the distance to gold.",
        effect="a model trained harder on the forgotten people can look as if it forgot them",
    ),
    Erratum(
        "E81",
        "TOFU and CLEAR, the papers' equation for the truth ratio",
        "The papers print an arithmetic mean over the wrong answers; every script that made a "
        "published number uses a geometric one.",
        "Geometric under `truth_ratio`, arithmetic under `truth_ratio_arithmetic`.",
        shown=(
            (
                ("clear", "forget.text.truth_ratio_arithmetic"),
                ("clear", "forget.text.truth_ratio"),
            ),
            (
                ("clear", "forget.text.forget_quality_arithmetic"),
                ("clear", "forget.text.forget_quality"),
            ),
        ),
    ),
    Erratum(
        "E101",
        "OpenUnlearning, metrics/memorization.py:237-253",
        "Extraction strength falls to 1/N, not to 0, where no end of the answer is right.",
        "0 where nothing can be extracted.",
        (_OPEN,),
        effect="an answer of ten tokens with none right scores 0.1",
    ),
    Erratum(
        "E109",
        "OpenUnlearning, metrics/mia/gradnorm.py:21-38",
        "The gradient norm is a mean of the norms of single tensors, taken in training mode.",
        "The norm of the whole gradient, in evaluation mode.",
    ),
    Erratum(
        "E110",
        "OpenUnlearning and MUSE, privleak",
        "The attack's AUC is given as a percentage relative to the retrained model's, without "
        "bounds, in a direction that misleads.",
        "Show both AUCs with their intervals; `privleak` stands beside them.",
        (_OPEN,),
    ),
    Erratum(
        "E112",
        "OpenUnlearning, metrics/utils.py",
        "Probability counts the end token; exact memorisation, extraction strength and Min-K drop "
        "the last label.",
        "The same, said at each metric.",
        (_OPEN,),
    ),
    Erratum(
        "E113",
        "OpenUnlearning, metrics/memorization.py",
        "Adds 1e-10 to the denominators of the truth ratio and of the normalised probability.",
        "Take differences of logarithms: nothing needs to be added.",
        (_OPEN,),
        (
            _same_key("forget.text.truth_ratio", _OPEN),
            _same_key("real_world.text.probability", _OPEN),
        ),
    ),
    Erratum(
        "E120",
        "MMUnlearner, CLEAR_eval.py:153-167",
        "Scores the last generated caption against every text answer.",
        "Score each answer against its own truth.",
        effect="its text numbers on CLEAR mean nothing",
    ),
    Erratum(
        "E121",
        "MMUnlearner, CLEAR_eval.py:77-81",
        "Looks for a name with capitals in a text without them.",
        "Compare both in one case.",
        effect="without options, no answer is ever right",
    ),
    Erratum(
        "E129",
        "machine-unlearning-pytorch, choice_samples",
        "Puts the true option first.",
        "An order drawn from the row's id; `letter_choice` shows 1/k, the line of chance.",
    ),
    Erratum(
        "E135",
        "selective-synaptic-dampening, bad-teaching-unlearning: ZRF",
        "The divergence is averaged over the classes too, with its arguments swapped.",
        "The Jensen-Shannon divergence per row, in units of ln 2.",
        effect="ZRF is squeezed towards 1",
    ),
    Erratum(
        "E137",
        "RULI, core/attack/memory_attack.py:230-296",
        "The true-positive rate is read at the nearest false-positive rate, which may lie above.",
        "The last point of the curve whose false-positive rate is not above the one asked for.",
    ),
    Erratum(
        "E138",
        "MUSE, metrics/privleak.py:43-46",
        "Min-K of a short answer is the mean of no token.",
        "At least one token.",
        effect="NaN on answers of fewer than 20 tokens at 5 %",
    ),
)


def errata(*ids: str) -> dict[str, Erratum]:
    """The defects by id; all of them where none is asked for."""
    return {each.id: each for each in ERRATA if not ids or each.id in ids}


def carried(protocol: str) -> dict[str, Erratum]:
    """The defects that a protocol reproduces."""
    return {each.id: each for each in ERRATA if protocol in each.carried_by}
