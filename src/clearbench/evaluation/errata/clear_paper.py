"""Differences between CLEAR's paper and its code and tables (arXiv 2410.18057)."""

from __future__ import annotations

from clearbench.evaluation.errata.erratum import Erratum

ERRATA = (
    Erratum(
        "E70",
        "CLEAR, paper: the aggregates",
        "States the harmonic mean of ROUGE, probability and truth ratio for all three aggregates; "
        "no table was computed so (E03, E04).",
        "Both forms, each under its name.",
    ),
    Erratum(
        "E71",
        "CLEAR, paper, table 1",
        "Seems to hold runs on pictures alone beside runs on both, from different states of the "
        "code (an inference from mm/build_vllm_table.py:32-44).",
        "A row says what was forgotten, on which parts, with which settings.",
    ),
    Erratum(
        "E72",
        "CLEAR, paper, tables 1 and 3",
        "The same methods on both modalities have different numbers in the two tables; one row "
        "equals another method's row of the text table.",
        "Tables are written from results, never by hand.",
    ),
    Erratum(
        "E73",
        "CLEAR, paper, tables 2 and 5",
        "The vision cell of SCRUB is that of SCRUBbio (E60), and RMU has other digits in the two "
        "tables.",
        "One result file for every table.",
    ),
    Erratum(
        "E74",
        "CLEAR, paper, text table",
        "The rows of DPO and SCRUB on Llama-2 equal that of retain fine-tuning to two digits: what "
        "E22 makes of DPO.",
        "Data reach a method by name, so that roles cannot rotate.",
    ),
    Erratum(
        "E75",
        "CLEAR, paper, discussion of RMU",
        "Praises a forget score of .59 that is the second worst of its column.",
        "Show distance to gold.",
    ),
    Erratum(
        "E76",
        "CLEAR, paper v1, the L1 penalty on adapters",
        "Compares adapters with a penalty with full training without one (E34); v4 dropped it.",
        "Rank, penalty and trained parts are one variant per row.",
    ),
    Erratum(
        "E77",
        "CLEAR, paper: how many pictures",
        "3,700 in the abstract, 3,770 in the text, 150 real faces.",
        "The published data hold 3,768 and 151; `clearbench validate` counts them.",
    ),
    Erratum(
        "E78",
        "CLEAR, paper: 256 shadow models",
        "The code trains 128.",
        "State how many models stand behind an attack.",
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
        "E80",
        "CLEAR, paper against its configurations",
        "Batch size, accumulation, epochs and rank of adapters differ.",
        "The resolved recipe stands beside every result.",
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
        "E82",
        "CLEAR, paper, appendix E",
        "Prefers Jensen-Shannon to KS after an experiment that used the aligned form (E02).",
        "Both on whole distributions, beside each other.",
    ),
)
