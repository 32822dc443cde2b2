"""Defects of CLEAR's published training on text and on both (same repository, bb14c96)."""

from __future__ import annotations

from clearbench.evaluation.errata.erratum import Erratum

ERRATA = (
    Erratum(
        "E20",
        "CLEAR, mm/dataset.py:262-266",
        "Makes a row with a refusal and then formats the row with the true answer. Caption rows "
        "were so from the first commit, all rows for all but a few months since.",
        "Refusals are the targets of questions and of captions.",
        effect="IDK fine-tunes on everything, DPO on the true forget answers, and LLMU's two "
        "terms nearly cancel",
    ),
    Erratum(
        "E21",
        "CLEAR, mm/trainer.py:394-396, nlp/dataloader.py:453-455",
        "DPO's loss is overwritten twice; what is left is the summed loss of one batch, without "
        "reference and without the forget answers.",
        "-log sigmoid of beta times the difference of the two log-ratios to the reference.",
        effect="no row named DPO is DPO",
    ),
    Erratum(
        "E22",
        "CLEAR, nlp/data_module.py:115 and nlp/dataloader.py:145,499",
        "The loader gives refusals, forget and retain rows; the trainer unpacks them as forget, "
        "retain and refusals.",
        "Batches are passed by name.",
        effect="on text, DPO is fine-tuning on retain rows, and LLMU climbs on refusals",
    ),
    Erratum(
        "E23",
        "CLEAR, mm/trainer.py:348-353",
        "NPO's mean runs over every entry of the vocabulary at every position.",
        "One log-ratio per answer, summed over its tokens.",
        effect="another objective",
    ),
    Erratum(
        "E24",
        "CLEAR, nlp/dataloader.py:396-401,20-21",
        "Raises a log-ratio, instead of the ratio, to the power beta, and makes no reference.",
        "As E23.",
        effect="a crash, or NaN as soon as one log-ratio is below -1: no published row came from "
        "this file",
    ),
    Erratum(
        "E25",
        "CLEAR, mm/trainer.py:194-196,229, nlp/dataloader.py:182-184,225",
        "The entropy term has the wrong sign and is summed over tokens and vocabulary.",
        "Raise the mean entropy at the answer's tokens.",
        effect="entropy falls where it should rise",
    ),
    Erratum(
        "E26",
        "CLEAR, mm/trainer.py:237-255,294-299, nlp/dataloader.py:241-267,331-336",
        "SCRUB and LLMU take the divergence from the student to the teacher.",
        "From the teacher to the student, as in the papers.",
        effect="another gradient",
    ),
    Erratum(
        "E27",
        "CLEAR, mm/trainer_utils.py:16-21 and its text twin",
        "Divergences are means over all positions: question, picture and padding too.",
        "Over the answer's tokens.",
        effect="their weight depends on padding and on the size of pictures",
    ),
    Erratum(
        "E28",
        "CLEAR, mm/trainer.py:302-326",
        "RMU's random target is normalised over the whole batch, its activations are averaged over "
        "the sequence, and the difference is taken between every row and every row's target; all "
        "weights train, at one fixed layer.",
        "One unit vector, a masked squared error per token, three MLPs.",
        effect="weaker, and dependent on the batch size",
    ),
    Erratum(
        "E29",
        "CLEAR, nlp/dataloader.py:347-354",
        "Draws a new random target at every step.",
        "One target for the run.",
        effect="there is nothing to converge to",
    ),
    Erratum(
        "E30",
        "CLEAR, mm/dataset.py:268-278, mm/trainer.py:412-446",
        "SKU's mismatched rows keep their own picture and caption, and the step that subtracts "
        "what was learned is not in the repository.",
        "Mismatched pairs, then negation.",
        effect="it learns what it should forget",
    ),
    Erratum(
        "E31",
        "CLEAR, mm/trainer.py:127",
        "Looks for capitals in a name that has been put into small letters.",
        "Methods say what they need.",
        effect="the teacher is not wrapped for several processes",
    ),
    Erratum(
        "E32",
        "CLEAR, mm/trainer.py:478, nlp/dataloader.py:480",
        "The L1 penalty is a sum over all weights, at .01.",
        "Say whether it is a sum or a mean; `penalty` does.",
        effect="a penalty of about 626 beside a cross-entropy of about 1",
    ),
    Erratum(
        "E33",
        "CLEAR, mm/forget.py:126",
        "With a penalty and the default origin, adapters are silently left out.",
        "Adapters and penalties are separate settings.",
        effect="full fine-tuning under the name of LoRA",
    ),
    Erratum(
        "E34",
        "CLEAR, first commit, mm/forget.py:129",
        "Adapters are used only together with the penalty.",
        "Compare adapters with and without it.",
        effect="the ablation of v1 compares two things at once",
    ),
    Erratum(
        "E35",
        "CLEAR, mm/trainer.py:481, nlp/dataloader.py:483",
        "The L0 penalty is a count, which has no gradient.",
        "Leave it out, or relax it.",
        effect="none: it does nothing",
    ),
    Erratum(
        "E36",
        "CLEAR, nlp/results.ipynb",
        "All values of the sweep over L1 and L0 weights are equal to six digits and more.",
        "A sweep that changes nothing is an error of the sweep.",
        effect="the published sweep says nothing",
    ),
    Erratum(
        "E37",
        "CLEAR, mm/forget.py:117, mm/finetune.py:104",
        "Compares a truth value with the word `true`, so the vision tower is never frozen; in v1 "
        "it always was.",
        "`parts` names what trains, and a name that matches nothing is refused.",
        effect="other weights train than the paper says",
    ),
    Erratum(
        "E38",
        "CLEAR, utils.py:16",
        "Excludes a head by one exact name and takes every linear layer of tower and projector "
        "along.",
        "Adapters go to the linear layers of the parts that are named.",
        effect="adapters on head and vision tower",
    ),
    Erratum(
        "E39",
        "CLEAR, mm/forget.py:73-75, nlp/forget.py:89-91, as TOFU",
        "A pattern takes the folder of an adapter for a whole checkpoint, and does not know shards "
        "by their names.",
        "A folder says what it is.",
        effect="an adapter is never merged into its model",
    ),
    Erratum(
        "E40",
        "CLEAR, nlp/forget.py:166,180, nlp/evaluate_util.py:349-386",
        "Uses names that are imported nowhere.",
        "Strict types, and every command run by a test.",
        effect="the published script stops with a NameError",
    ),
    Erratum(
        "E41",
        "CLEAR, LLaVA's template in config/model_config.yaml",
        "Ends no answer, so the model is not taught to stop.",
        "The end token belongs to the answer.",
        effect="answers run on, which raises ROUGE's recall (an inference)",
    ),
    Erratum(
        "E42",
        "CLEAR, mm/dataset.py:223,263-265",
        "Refusals keep the line end of their file.",
        "Strip it.",
    ),
    Erratum(
        "E43",
        "CLEAR, mm/trainer.py:305-306,314,371",
        "Two methods reach into the model through one kind of wrapper.",
        "Unwrap once, in the loop.",
        effect="a crash with any other",
    ),
)
