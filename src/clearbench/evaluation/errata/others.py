"""Defects of other projects whose numbers appear in tables besides CLEAR's."""

from __future__ import annotations

from clearbench.evaluation.errata.erratum import Erratum

ERRATA = (
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
        "E122",
        "MMUnlearner, baselines/CLEAR_manifold.py:187-206",
        "Swallows every error of the forget step, and clips the forget gradient before the mask "
        "and the retain gradient not at all.",
        "Errors stop a run; clipping is the last thing before the update.",
    ),
    Erratum(
        "E123",
        "MMUnlearner, data_process/SFRon.py:69-105,221-239",
        "One class of masks ends in a random mask of the same size; the one in use squares the "
        "gradient of a batch instead of those of its rows.",
        "Fisher information is a mean over rows.",
        effect="the mask depends on the batch size",
    ),
    Erratum(
        "E124",
        "KVW, CLEAR/baselines/KVW.py:283,301-303,382-391",
        "Swallows failing batches, and multiplies its gates once a batch and epoch.",
        "Errors stop a run.",
        effect="its strength grows with the number of batches",
    ),
    Erratum(
        "E125",
        "KVW, CLEAR/baselines/NPO.py:279-288",
        "NPO on the difference of two mean losses of a batch.",
        "One log-ratio per answer, summed over its tokens.",
        effect="another objective",
    ),
    Erratum(
        "E126",
        "CMJU, README against CMJU/CLEAR/unlearn/CMJU.py:884-897",
        "The values in the text are not the defaults of the code: weights, margin, rate, epochs.",
        "Defaults stand in one place, with their source.",
    ),
    Erratum(
        "E127",
        "machine-unlearning-pytorch at 4fcbdd4, recipes/clear.py",
        "Reads TOFU's column names from CLEAR's rows, which have others.",
        "Each layout has its mapping, and a row without what it needs is an error.",
        effect="truth ratios of nothing: NaN without an error",
    ),
    Erratum(
        "E128",
        "machine-unlearning-pytorch at 4fcbdd4, metrics/mm_bench.py",
        "Takes 1 - 1/r with r the wrong answers over the truth, where 1 - r is meant.",
        "1 - 1/r with r the truth's probability over the wrong answers'.",
        effect="on the retain rows of TOFU's `full`: .016, where 1 - r gives .454",
    ),
    Erratum(
        "E129",
        "machine-unlearning-pytorch, choice_samples",
        "Puts the true option first.",
        "An order drawn from the row's id; `letter_choice` shows 1/k, the line of chance.",
    ),
    Erratum(
        "E130",
        "MLLMU-Bench, baselines/README.md:49",
        "Gives NPO a reference that was fine-tuned on the retain set.",
        "NPO's reference is the model before unlearning.",
        effect="another objective",
    ),
    Erratum(
        "E131",
        "Unlearn-Sparse and Unlearn-Saliency, SVC_MIA",
        "Writes every row at every label's column, and takes log p for log(1 - p).",
        "Each row at its own label.",
        effect="two of its five attacks are not what they are called",
    ),
    Erratum(
        "E132",
        "Unlearn-Saliency before a6e89fd",
        "Masks gradients only: weight decay and momentum still move masked weights.",
        "What is masked does not move.",
        effect="older results used the leak (an inference)",
    ),
    Erratum(
        "E133",
        "lira-pytorch, plot.py:85-132",
        "The fixed variance of outsiders is computed from members, of values instead of residuals; "
        "the offline score is symmetric.",
        "Each side from its own residuals; one-sided, as in the paper.",
    ),
    Erratum(
        "E134",
        "unlearning_evaluation (NeurIPS 2023)",
        "Asserts an array, needs CUDA, and takes a supremum over thresholds that is biased.",
        "Show what retraining against retraining gives by the same code.",
        effect="a perfect unlearner scores .18 of 1 with 512 models, on made-up data",
    ),
    Erratum(
        "E135",
        "selective-synaptic-dampening, bad-teaching-unlearning: ZRF",
        "The divergence is averaged over the classes too, with its arguments swapped.",
        "The Jensen-Shannon divergence per row, in units of ln 2.",
        effect="ZRF is squeezed towards 1",
    ),
    Erratum(
        "E136",
        "Unlearning-Comparator, utils/attack.py:95",
        "Takes the smaller of two bounds on epsilon, where the measure it follows takes the "
        "larger, from one retrained model.",
        "The larger, from many models.",
    ),
    Erratum(
        "E137",
        "RULI, core/attack/memory_attack.py:230-296",
        "Kernels have a width of 1 whatever the signal, and the true-positive rate is read at the "
        "nearest false-positive rate, which may lie above.",
        "Widths by a rule from the signals; the last point of the curve whose false-positive rate "
        "is not above the one asked for.",
    ),
    Erratum(
        "E138",
        "MUSE, metrics/privleak.py:43-46",
        "Min-K of a short answer is the mean of no token.",
        "At least one token.",
        effect="NaN on answers of fewer than 20 tokens at 5 %",
    ),
    Erratum(
        "E139",
        "ml_privacy_meter, attacks.py:36-38",
        "Picks the outsiders' signals by sorting, which is right only if half of them are "
        "outsiders.",
        "Pick them by who was trained on what.",
    ),
    Erratum(
        "E140",
        "erasus, benchmarks/tofu/TOFU_LEADERBOARD.md",
        "A leaderboard named after TOFU of a small network on random vectors.",
        "A table names the data and the model that were used.",
        effect="its numbers say nothing about TOFU",
    ),
    Erratum(
        "E141",
        "TOFU, aggregate_eval_stat.py and utils.py:117-133",
        "Two truth ratios in one repository, geometric and arithmetic; forget quality is a p-value "
        "whose size depends on the number of rows.",
        "The geometric one, which made the published numbers; the same rows on both sides, and "
        "their number printed.",
    ),
    Erratum(
        "E142",
        "MANU, prune/prune_utility.py, register_feedforward_hooks",
        "Every layer's hook is registered under the names of the last three layers, and what the "
        "hooks of one name collect is joined: the three have one and the same score, pooled over "
        "all layers.",
        "A score of each layer from its own neurons.",
        effect="the three layers lose the neurons of the same numbers, whatever they do there",
    ),
    Erratum(
        "E143",
        "MUSE, baselines/baselines/iterative.py, compute_loss, and Unlearn-Simple: NPO",
        "NPO takes log sigmoid of beta times the difference of the raw logits, averaged over all "
        "tokens and the whole vocabulary; in Unlearn-Simple SimNPO does the same.",
        "The log-ratio of whole answers; for SimNPO the mean log-probability of an answer's "
        "tokens.",
        effect="MUSE's rows of NPO are not that loss: every logit is lowered, the true token's "
        "like any other",
    ),
    Erratum(
        "E144",
        "MUSE, baselines/baselines/iterative.py, compute_loss, and Unlearn-Simple: KLR",
        "The divergence on retain rows is taken between logits that no softmax has normalised.",
        "KL between distributions, over answer tokens.",
        effect="MUSE's rows with KLR are not that loss; it can be negative without bound",
    ),
)
