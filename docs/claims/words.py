"""The prose of docs/claims.md, claim by claim. Ids such as E34 name entries of docs/errata.md."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = """# CLEAR's claims, put to the test

This page is written by `python docs/write_claims.py RUN...` from the runs of four recipes; do not
edit it. `docs/claims/rules.py` says when a claim counts as confirmed, by the figures that
`docs/claims/figures.py` computes. Both and the recipes were fixed before any of these runs was
made, and no value was chosen on the people who are forgotten here. Each claim names the last commit
that changed one of its three files; `git diff COMMIT -- FILES` shows what changed since, and
`git log docs/claims.json` when the outcomes came. An earlier version had been run on the same
people with the same seeds, and its outcomes were known: because of them LoRA has a rate of its own
in the first claim. New as well are the weights of the modalities, RMU's scale, ROUGE-L in *kept*
and the rows that are asked.

**What a verdict here is worth.** Forty fictitious people, eight of them forgotten, and a
vision-language model of 2.7 M parameters of which 1.9 M learn: a verdict is about this world. It
shows what a claim needs in order to be shown, and what can go otherwise; it says nothing about
LLaVA-1.5-7B, which CLEAR used. The seeds are other trainings of the same people, and the
intervals (95 %, t, over seeds) cover these alone, not other people. Three seeds see large effects
only: "not confirmed" is not "refuted".

**Figures.** *Forgotten* is the share of the way from the original's score to that of the
retrained model (gold), at most 1, as the mean of the text track (`forget.text.probability`) and
the image track (`forget.image.probability` and `name_choice`). *Distance* is the distance to gold
on the same scale, where overshooting counts: 0 is gold, 1 the original. *Kept* is the least ratio
to the original among the retain set's probability and ROUGE-L of answers, the same two of captions,
and name choice. *Garbage* is the share of answers that are none, on the worse track. Forgotten and
kept are both 1 for a perfect method; a model that is destroyed has forgotten everything and kept
nothing. A run that diverged left no model: its scores count as 0. At most 60 rows of a split and
task are measured, taken from its people in turn: all eight forgotten people on both tracks, evenly.
*Verdict* is the word of [verdict.md](verdict.md) for each seed's run, on what that run was asked to
forget; it asks more, and no rule here reads it.
"""


@dataclass(frozen=True)
class Words:
    """The prose of one claim.

    Attributes:
        title: The claim in one line.
        says: What the paper says, and where.
        unsettled: Why its evidence does not settle it.
        run: What was run here.
        rule: The rule of `rules.py` in words.
        image: What the plot shows, for who cannot see it.
    """

    title: str
    says: str
    unsettled: str
    run: str
    rule: str
    image: str


L1 = Words(
    title="L1 on LoRA weights saves the retain set",
    says="""\
The abstract of the first version (arXiv 2410.18057v1, October 2024) and its table of ten methods
with and without the penalty: GA, GD, KL and RMU have a retain metric of 0 without it and .50 with
it, where the original has .51. The last version (v4) no longer says so.""",
    unsettled="""\
The arms without L1 trained all weights, those with L1 trained LoRA (E34), so the table compares
two things at once. With L1 every row is the original model: forget metric .35 to .37, ln KS p
about -61, as before unlearning. What is held at its start has kept everything and forgotten
nothing. The sweep of strengths on text is void: all values are equal to six digits (E36).""",
    run="""\
Gradient difference with CLEAR's weight 1, on text and faces, in four arms, {LoRA of rank 8, all
weights} x {L1, none}, with the same steps everywhere. All weights learn at the rate of teaching.
LoRA has a rate of its own: the smallest of 5e-3, 1.5e-2 and 5e-2 with which it lost the retain set
without L1 on the validation fold, where other people are forgotten (seed 0). So a penalty is
compared with none on the same weights, and LoRA not with all weights. The penalty is the sum
(published, at 1e-2) or the mean of absolute values: of LoRA's A and B, or of the change of the
weights.""",
    rule="""\
A penalty *saves* the retain set if *kept* is under .8 without it and not with it, the interval of
what it adds to *kept* lies above 0, and that of what it adds to *forgotten* above -0.1 and not
below 0. It *holds back* if more is kept and less forgotten. The claim says that the published
penalty saves, and, since the right strength may differ from model to model and one alone may be
luck, that at least two penalties on LoRA weights do. It is *not testable* if LoRA without L1 keeps
.8 or more with any seed: what is not lost cannot be saved.""",
    image="Kept and forgotten by strength of the penalty, for LoRA and all weights, sum and mean",
)

BOTH = Words(
    title="Forgetting both modalities beats forgetting one",
    says="""\
The abstract of the last version: unlearning both modalities jointly outperforms single-modality
approaches. Version 1 draws it from a table of LLMU, SCRUB and DPO for text, images and both.""",
    unsettled="""\
One of its three rows shows it: LLMU's forget metric is .37 for text, .35 for images and .25 for
both (gold .19), and in that row the KS test moves away from gold (ln p -71, -60, -95). DPO is at
.38, .22, .22 and SCRUB at .35, .37, .36. There is one seed. Steps were counted in epochs, so runs
on both took about twice as many. All rows are measured on images, where forgetting text alone
can show little. The table of the last version disagrees with its own main table (E72).""",
    run="""\
LLMU, DPO, SCRUB, NPO and gradient difference for text, faces and both, the same steps for all,
with the rates and weights that `recipes/demo.yaml` had then for both, and a track's forget rows in
a step the
same alone as with the other. In both, each modality is half of the forget term and half of the
retain term, however many rows and tokens it has; alone it is all of them. Every run is measured on
both tracks: on the track that it was not asked to forget, *forgotten* is carry-over.""",
    rule="""\
For a method, both beats one modality if the interval of the difference in *distance*, over both
tracks, lies below 0, on neither track above 0, and that of *kept* not below 0. The claim says
that this holds for all five methods and either modality. Over both tracks a single modality has
one track that it was never asked to forget, so that the first condition is the easy one.""",
    image="Distance to gold on each track, by what was forgotten",
)

DESTROY = Words(
    title="KL, GD, GA and RMU forget and destroy; the others keep and forget little",
    says="""\
Version 1 says so of text: RMU, KL, GD and GA forget best and lose the retain set; IDK, DPO and
SCRUB balance the two. Its tables show the same split for images with text, and table 1 of the
last version prints rows with a retain metric under .4 grey.""",
    unsettled="""\
Its own tables have exceptions: DPO and LLMU forget most of the way to gold and keep (table 1,
forget .22 and .25, gold .19, retain .48 and .51), NPO and SKU lose the retain set (.14 and .32),
IDK on text reaches gold's .24. Table 1 mixes runs on images alone with runs on both (E71). All
methods share one learning rate and one number of epochs, and none was tuned. Several losses are
not what the paper writes: IDK, DPO and LLMU got the true answers (E20), DPO's loss was
overwritten (E21), divergences ran over padding (E27), RMU's target changed (E28, E29).""",
    run="""\
CLEAR's eleven methods with CLEAR's weights and the losses mended, on text and faces, the same
steps for all, at the learning rate of teaching, as in CLEAR, and at a third of it. RMU's steering
is scaled to the model: the vector that forgotten states are moved to is 5 times as long as the
original's states of the forget rows after the steered layer are on average, over answer tokens.
CLEAR's length of 300 means another thing in every model.""",
    rule="""\
A run *forgets* from .5 on, and *keeps* from .8 on (CLEAR's grey begins at .78 of the original);
below, it is *destroyed*. A method does as said if it does with every seed. The claim holds at a
rate if all eleven methods do as said there; it is about methods, so it is confirmed if it holds
at every rate.""",
    image="Kept and forgotten of eleven methods at two learning rates",
)

LAMBDA = Words(
    title="Lambda trades forgetting for keeping",
    says="""\
The objective is a forget term plus lambda times a retain term.""",
    unsettled="""\
No table varies lambda; all published runs have a weight of 1.""",
    run="""\
Gradient difference on text and faces, which is this objective as it stands, with lambda from 0 to
32, at the lower rate of the claim before.""",
    rule="""\
The claim says that doubling lambda keeps more and forgets less: that the intervals of the two
slopes over log2 lambda (0 left out) lie above and below 0.""",
    image="Kept, forgotten and distance to gold by lambda",
)
