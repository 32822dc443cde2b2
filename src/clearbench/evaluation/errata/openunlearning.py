"""Defects of OpenUnlearning (github.com/locuslab/open-unlearning at d3d7cf9)."""

from __future__ import annotations

from clearbench.evaluation.errata.erratum import Erratum, same_key

_OPEN = "openunlearning"

ERRATA = (
    Erratum(
        "E100",
        "OpenUnlearning, data/unlearn.py:39",
        "Draws retain rows from the global generator, which is the same in every process.",
        "The order of rows comes from the seed and is cut between processes.",
        effect="all processes train on the same retain rows (issue 139)",
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
        "E102",
        "OpenUnlearning, trainer/utils.py:85-99",
        "UNDIAL's mean runs over prompt and padding, and -100 is used as an index.",
        "Over the answer's tokens.",
        effect="the loss is diluted",
    ),
    Erratum(
        "E103",
        "OpenUnlearning, trainer/utils.py:21-30",
        "The divergence on retain rows is a mean over all positions.",
        "Over the answer's tokens (E27).",
    ),
    Erratum(
        "E104",
        "OpenUnlearning, trainer/unlearn/rmu.py:108-117",
        "Divides a sum per row by counts of another shape, so that every row is divided by every "
        "row's count.",
        "Each row by its own.",
        effect="1.8 instead of 1.0 for two rows of 5 tokens and 1 with unit differences",
    ),
    Erratum(
        "E105",
        "OpenUnlearning, data/collators.py:49",
        "Takes the attention mask from the padding token, which for many models is the end token.",
        "Masks come from lengths.",
        effect="the end of an answer is not attended to (issue 128)",
    ),
    Erratum(
        "E106",
        "OpenUnlearning, configs/model/{phi-1_5,Llama-2-7b-hf,Llama-2-13b-hf}.yaml",
        "A prompt that ends in a space is tokenised alone, although tokenisers put the space into "
        "the next word.",
        "The answer starts where the tokens of prompt and whole text part (E12).",
        effect="the first token of every answer is not trained and not scored",
    ),
    Erratum(
        "E107",
        "OpenUnlearning, evals/lm_eval.py:22",
        "Never reads its settings for lm-eval.",
        "Unknown and unread keys are refused.",
        effect="batches of one, and prompts unlike the configuration",
    ),
    Erratum(
        "E108",
        "OpenUnlearning, evals/base.py:85, metrics/base.py:85",
        "Keeps results by the metric's name alone.",
        "Results are kept by a hash of model, data and settings.",
        effect="numbers of another model in the same folder are used again without a warning",
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
        "Show both AUCs with their intervals; `privleak` stands beside them, and is not there "
        "where the retrained model's AUC is 1, which leaves nothing to divide by.",
        (_OPEN,),
    ),
    Erratum(
        "E111",
        "OpenUnlearning, configs: forget_quality.yaml and the suite",
        "Keeps one metric under two spellings.",
        "One key for one number.",
        effect="a missing key stops runs that use the log of a retrained model",
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
            same_key("forget.text.truth_ratio", _OPEN),
            same_key("real_world.text.probability", _OPEN),
        ),
    ),
    Erratum(
        "E114",
        "OpenUnlearning, trainer/unlearn/{satimp,wga}.py",
        "Loads a reference model that is not used without KL.",
        "A method says what it needs; nothing else is loaded.",
        effect="memory only",
    ),
    Erratum(
        "E115",
        "OpenUnlearning, trainer/unlearn/grad_diff.py:26",
        "With KL, computes the retain rows once more and discards them.",
        "One forward pass.",
        effect="time and memory only",
    ),
    Erratum(
        "E116",
        "OpenUnlearning, SatImp: README against configs/trainer/SatImp.yaml",
        "The two say gamma and alpha the other way round.",
        "Defaults stand in one place, with their source.",
    ),
    Erratum(
        "E117",
        "OpenUnlearning, docs/repro.md",
        "States a batch size of 32 for what its scripts make 64 or 32, depending on the file.",
        "The resolved recipe stands beside every result.",
        effect="its tables cannot be repeated from its text (issue 137)",
    ),
    Erratum(
        "E118",
        "OpenUnlearning, evals/metrics/utils.py:279",
        "Recovers the true answer by removing the prompt's text wherever it occurs.",
        "The true answer is the row's own.",
        effect="a wrong truth for ROUGE where an answer repeats its question",
    ),
)
