"""Defects of CLEAR's published measuring (github.com/somvy/multimodal_unlearning at bb14c96)."""

from __future__ import annotations

from clearbench.evaluation.errata.erratum import Erratum, same_key

_CODE, _TEXT = "clear-code", "clear-code-text"

ERRATA = (
    Erratum(
        "E01",
        "CLEAR, mm/calculate_metrics.py:58,61,115",
        "Averages the wrong answers' losses over all rows at once, so that every row's truth ratio "
        "is taken against the same number.",
        "Average each row's own wrong answers, as TOFU and CLEAR's text scripts do.",
        (_CODE,),
        (
            same_key("forget.text.truth_ratio", _CODE),
            same_key("retain.text.truth_ratio", _CODE),
            same_key("real_world.text.truth_ratio", _CODE),
            same_key("forget.text.forget_quality", _CODE),
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
        "E06",
        "CLEAR, mm/eval.py:123",
        "Finds the question by searching for the answer in the decoded text and cutting before it; "
        "where decoding has changed the answer, all but the last character is kept.",
        "Build the prompt from the question; never search for it.",
        effect="the true answer stands in some prompts",
    ),
    Erratum(
        "E07",
        "CLEAR, mm/eval.py:104,149",
        "The logged ROUGE of multimodal tasks is empty.",
        "Compute it from the logged answers; our reader does so wherever a log has none.",
    ),
    Erratum(
        "E08",
        "CLEAR, mm/eval.py:68,71,139 against mm/trainer.py:371",
        "Evaluation reads `image_token_id` from the model's configuration, DPO training "
        "`image_token_index`.",
        "Take the picture's token from the processor.",
        effect="one of the two crashes, depending on the family of models",
    ),
    Erratum(
        "E09",
        "CLEAR, mm/eval.py:237-238",
        "Divides the batch size by four and rounds down.",
        "Cut batches by a budget of tokens, with at least one row.",
        effect="a crash at batch sizes under four",
    ),
    Erratum(
        "E10",
        "CLEAR, mm/eval.py:57-62, mm/dataset.py:303-305,350-352",
        "Takes the first axis of every tensor for the rows and flattens answers and options "
        "together, pictures too.",
        "Score every answer as a row of its own that knows whose it is; rows may have different "
        "numbers of options.",
        effect="no model whose pictures become one list of patches can be measured",
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
        "E12",
        "CLEAR, mm/dataset.py:41",
        "Counts the picture's placeholder as one token when it looks for the end of the prompt, "
        "although processors expand it.",
        "The answer starts where the tokens of prompt and whole text part.",
        effect="n picture tokens put n - 1 tokens of prompt into the answer and dilute its "
        "probability: 575 for LLaVA",
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
        "E16",
        "CLEAR, mm/build_vllm_table.py:77-101",
        "A column named model utility puts metrics of the forget set into a mean of what should be "
        "high.",
        "Utility is about what is kept only.",
        effect="not in the paper's tables",
    ),
    Erratum(
        "E17",
        "CLEAR, mm/calculate_metrics.py:125-126",
        "Its own model utility is the harmonic mean of everything that is not about the forget "
        "set: twelve values, names and blind ROUGE (E05) among them.",
        "TOFU's nine: ROUGE, probability and truth ratio on three splits.",
        (_CODE,),
        (same_key("all.text.model_utility", _CODE),),
    ),
    Erratum(
        "E18",
        "CLEAR, mm/calculate_metrics.py:12-31 and README",
        "Names files, a script and a configuration that do not exist under those names.",
        "Commands in the documentation are run by tests.",
        effect="a run fails as documented",
    ),
)
