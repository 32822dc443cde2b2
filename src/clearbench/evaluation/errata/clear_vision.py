"""Defects of CLEAR's vision track (github.com/somvy/multimodal_unlearning at bb14c96, cv/)."""

from __future__ import annotations

from clearbench.evaluation.errata.erratum import Erratum

ERRATA = (
    Erratum(
        "E50",
        "CLEAR, cv/AdMSLoss.py:26-27",
        "The loop meant to normalise the head's weights changes a local name only; logits are "
        "s (x.w - m) with unnormalised w.",
        "s (cos - m) with both sides normalised, as a cross-entropy.",
        effect="there is no margin in the angle, and the exponentials overflow easily",
    ),
    Erratum(
        "E51",
        "CLEAR, cv/finetune.py:94-107 and cv/unlearning/retrain.py",
        "A schedule of absolute learning rates is handed to a scheduler that multiplies by the "
        "base rate of .1.",
        "State the rate of every step.",
        effect="the rate begins at 0, is .0105 at step 21 and never reaches the stated .1",
    ),
    Erratum(
        "E52",
        "CLEAR, cv/unlearning/neggrad.py:94",
        "Drops incomplete batches of 256 on the forget set.",
        "Use every forget row.",
        effect="no forget batch at all for 1 % and 5 %, one for 10 %",
    ),
    Erratum(
        "E53",
        "CLEAR, cv/unlearning/{dpo,llmu,scrub_orig}.py",
        "Runs two loaders side by side and stops with the shorter.",
        "Begin the shorter again; an epoch is one pass over the longer.",
        effect="an epoch is about 5 steps where 14 batches of forget rows wait",
    ),
    Erratum(
        "E54",
        "CLEAR, cv/unlearning/{rmu,scrub,twins}.py",
        "Keeps targets by caption, although captions repeat.",
        "Keep them by row id.",
        effect="rows get each other's targets",
    ),
    Erratum(
        "E55",
        "CLEAR, cv/attack.py:92-99, cv/score.py:102-109",
        "Says by position in the order of labels which pictures were enrolled.",
        "Say it by identity.",
        effect="right only while each person's rows are contiguous",
    ),
    Erratum(
        "E56",
        "CLEAR, cv/attack.py:101-107",
        "Attacks the enrolled pictures against a template that contains them; cv/score.py leaves "
        "them out.",
        "Leave them out, or leave one out of the template.",
        effect="5 of about 18 pairs a person are inflated on both sides",
    ),
    Erratum(
        "E57",
        "CLEAR, cv/attack.py:138-182",
        "Divides two densities with 1e-45 added: far out both vanish, and the answer is "
        "`not a member`.",
        "Compare log-densities.",
        effect="1.5 to 2.9 % of pairs on made-up data, by underflow alone",
    ),
    Erratum(
        "E58",
        "CLEAR, cv/attack.py:106-107",
        "Clips cosines to [0, 1] and adds 1e-45 before the logit, so that every cosine up to 0 "
        "becomes -103.",
        "atanh of the cosine, or log((1 + c) / (1 - c)).",
        effect="a spike a hundred wide, which a median hides and a standard deviation does not",
    ),
    Erratum(
        "E59",
        "CLEAR, cv/unlearning/scrub_orig.py:27-37, llmu.py:37-39",
        "Takes the divergence over a softmax of the 512 dimensions of the embedding.",
        "Over the classes.",
        effect="it is not SCRUB's distillation",
    ),
    Erratum(
        "E60",
        "CLEAR, cv/unlearning/scrub.py",
        "Holds SCRUBbio; SCRUB is in `scrub_orig.py`.",
        "A method's file has its name.",
    ),
    Erratum(
        "E61",
        "CLEAR, cv/",
        "Options read as text, a fixed backbone, a fixed forget size, unused parameters, and two "
        "different datasets for training and scoring.",
        "One checked recipe for all stages.",
    ),
    Erratum(
        "E62",
        "CLEAR, cv/attack.py",
        "Reports accuracy at one half only, and no interval; pictures of one person would be taken "
        "for independent.",
        "AUC, rates at small false-positive rates where there are enough strangers, intervals "
        "clustered by person.",
        effect="an interval over pictures is about half as wide as it should be, on a miniature",
    ),
    Erratum(
        "E63",
        "CLEAR, methods/salun/generate_mask.py:61-78",
        "Ranks saliency within each tensor.",
        "SalUn ranks all weights together.",
        effect="another mask",
    ),
    Erratum(
        "E64",
        "CLEAR, cv/unlearning/retrain.py:82",
        "Gold starts from the checkpoint that was pre-trained on celebrities.",
        "The same, said with every gold: it is taught from the base that the original was.",
    ),
)
