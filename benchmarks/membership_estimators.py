"""Measures membership attacks on worlds whose answer is known, beside published numbers.

    python benchmarks/membership_estimators.py [--seeds 5]

Prints, as means over seeds: estimators of U-LIRA by shadow models a side; 16 models left out in
turn against halves of 128 with MAD, as CLEAR has it; what one rule for all rows finds; exact
unlearning of ridge heads; RMIA by references; and epsilons of the NeurIPS 2023 contest, retraining
against retraining. Ends with 1 where a number is not what it has to be.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from scipy import special, stats

from clearbench.attacks.forgetting_quality import epsilon, qualities
from clearbench.attacks.likelihood_ratio import Estimator, log_ratios
from clearbench.attacks.pairs import Pairs
from clearbench.attacks.population import population_log_odds
from clearbench.attacks.relative_likelihood import relative_likelihoods
from clearbench.attacks.ridge_heads import RidgeHead, margins
from clearbench.attacks.roc import tpr_at
from clearbench.attacks.signals import Design, Mask, Numbers, Signals

#: Estimators with the columns of an earlier measurement, whose shrinkage was another.
ESTIMATORS: dict[Estimator, str] = {
    "mad": "MAD",
    "standard": "std",
    "pooled": "pooled",
    "moderated": "shrunk",
}
#: Accuracy, AUC and TPR at 1 % of an earlier measurement by shadow models a side, in that order.
EARLIER = {
    4: ".602/.626/.017 .620/.656/.022 .650/.706/.060 .649/.705/.058",
    8: ".634/.673/.027 .661/.712/.047 .684/.743/.065 .677/.737/.067",
    16: ".661/.711/.046 .678/.736/.060 .688/.751/.075 .687/.748/.072",
    32: ".680/.736/.057 .687/.750/.072 .691/.757/.084 .689/.755/.077",
    64: ".687/.749/.066 .689/.754/.076 .690/.757/.085 .691/.758/.086",
}
#: Mean epsilon and quality of an earlier measurement by models a side and shift.
EARLIER_EPSILONS = {
    (64, 0.0): ".82/.51",
    (512, 0.0): "1.20/.33",
    (512, 0.5): "2.37/.066",
    (512, 1.0): "3.36/.016",
    (512, 2.0): "4.94/.0016",
}
#: Shift at which half of all normal signals less 3.5 % are told: the accuracy of CLEAR's original.
CLEAR_SHIFT = 2 * float(stats.norm.ppf(0.965))
#: People of the ridge heads and what is known of each; the first and last ten are attacked.
PEOPLE, PICTURES, FEATURES, ENDS, PENALTY = 60, 6, 48, 10, 1.0


def normal_world(models: int, rows: int, shift: float, seed: int, uneven: bool = False) -> Signals:
    """Draws signals around each row's own mean, N(0, 3), `shift` higher where it was taught."""
    rng = np.random.default_rng(seed)
    taught = np.zeros((models, rows), bool)
    taught[: models // 2, : rows // 2] = taught[models // 2 :, rows // 2 :] = True
    spreads = np.exp(rng.normal(0, 0.4, rows)) if uneven else np.ones(rows)
    noise = spreads * rng.normal(size=taught.shape)
    values = rng.normal(0, 3, rows) + shift * spreads * taught + noise
    return Signals(values, taught, np.arange(rows) // 5)


def ridge_world(models: int, seed: int, deleted: bool) -> tuple[Signals, float]:
    """Fits ridge heads to half of the people, and removes the first or last ten, or does not.

    Returns:
        Margins, and the largest difference from fitting anew where people were removed.
    """
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(PEOPLE), PICTURES)
    centres = rng.normal(size=(PEOPLE, FEATURES))[owners]
    features = centres + rng.normal(0, 1.5, centres.shape)
    labels, ends = np.eye(PEOPLE)[owners], (owners < ENDS) | (owners >= PEOPLE - ENDS)
    values, taught, apart = [], np.zeros((models, len(owners)), bool), 0.0
    for model in range(models):
        own = np.arange(ENDS) + (0 if model < models // 2 else PEOPLE - ENDS)
        others = rng.permutation(np.arange(ENDS, PEOPLE - ENDS))[: PEOPLE // 3]
        taught[model] = np.isin(owners, [*own, *others])
        head = RidgeHead.of(features[taught[model]], labels[taught[model]])
        if deleted:
            gone = np.isin(owners, own)
            head = head.without(features[gone], labels[gone])
            kept = taught[model] & ~gone
            anew = RidgeHead.of(features[kept], labels[kept]).weights(PENALTY)
            apart = max(apart, float(np.abs(head.weights(PENALTY) - anew).max()))
        values.append(margins(features @ head.weights(PENALTY), owners)[ends])
    return Signals(np.array(values), taught[:, ends], owners[ends]), apart


def judged(signals: Signals, evidence: Numbers, attacked: Mask) -> tuple[float, ...]:
    """Accuracy, area and rate at 1 %, and the half-widths of the first two's intervals."""
    people = np.broadcast_to(signals.people, attacked.shape)[attacked]
    models = np.broadcast_to(np.arange(len(attacked))[:, None], attacked.shape)[attacked]
    pairs = Pairs(evidence[attacked], signals.taught[attacked], people, models)
    accuracy, area = pairs.accuracy(), pairs.area()
    rate = tpr_at(-pairs.evidence[pairs.taught], -pairs.evidence[~pairs.taught], 0.01)
    reach = float(stats.t.ppf(0.975, accuracy.clusters - 1))
    return accuracy.value, area.value, rate, reach * accuracy.error, reach * area.error


def mean(make: Callable[[int], Sequence[float]], seeds: int) -> Numbers:
    """Means over seeds."""
    found: Numbers = np.mean([make(seed) for seed in range(seeds)], axis=0)
    return found


def ratios(signals: Signals, estimator: Estimator, design: Design) -> tuple[float, ...]:
    """Judges U-LIRA on signals."""
    return judged(signals, *log_ratios(signals, estimator, design))


def estimators(seeds: int) -> bool:
    """Prints the table of estimators; right if many models reach what can be known."""
    print("U-LIRA, shift 1: accuracy/AUC/TPR at 1 % by shadow models a side, ours | earlier")
    print("what can be known: .691/.760/.092")
    print("  n  " + " ".join(f"{title:>14}" for title in ESTIMATORS.values()))
    for side in (*EARLIER, 256):
        found = [
            mean(
                lambda s, n=side, e=each: ratios(normal_world(4 * n, 400, 1, s), e, "halves"), seeds
            )
            for each in ESTIMATORS
        ]
        ours = " ".join("/".join(f"{x:.3f}"[1:] for x in each[:3]) for each in found)
        print(f"{side:4d} {ours} | {EARLIER.get(side, 'about truth')}")
    known = (stats.norm.cdf(0.5), stats.norm.cdf(math.sqrt(0.5)))
    return all(abs(each[k] - known[k]) < 0.01 for each in found for k in (0, 1))


def few_against_many(seeds: int) -> bool:
    """Prints 16 models left out in turn, and 128 in halves with MAD."""
    print("\nU-LIRA: accuracy/AUC (half-widths of intervals by person and model)")
    print(f"{'world':34} {'128, halves, MAD':>28} {'16, left out in turn':>28}")
    worlds: dict[str, Callable[[int, int], Signals]] = {
        "gold: no shift": lambda t, s: normal_world(t, 200, 0, s),
        "original: shift 3.62": lambda t, s: normal_world(t, 200, CLEAR_SHIFT, s),
        "original, uneven spreads": lambda t, s: normal_world(t, 200, CLEAR_SHIFT, s, True),
        "ridge heads": lambda t, s: ridge_world(t, s, False)[0],
        "ridge heads, people removed": lambda t, s: ridge_world(t, s, True)[0],
    }
    right = True
    for name, make in worlds.items():
        many = mean(lambda s, m=make: ratios(m(128, s), "mad", "halves"), seeds)
        few = mean(lambda s, m=make: ratios(m(16, 100 + s), "moderated", "leave one out"), seeds)
        shown = [f"{a:.3f}/{b:.4f} ({c:.3f}/{d:.4f})" for a, b, _, c, d in (many, few)]
        nothing = name.startswith("gold") or "removed" in name
        fine = (
            all(abs(each[0] - 0.5) < each[3] for each in (many, few))
            if nothing
            else min(many[0], few[0]) > 0.95
        ) and few[0] > many[0] - 0.02 and few[1] > many[1] - 0.01  # fmt: skip
        right &= fine
        print(f"{name:34} {shown[0]:>28} {shown[1]:>28} {'right' if fine else 'WRONG'}")
    apart = max(ridge_world(16, seed, True)[1] for seed in range(seeds))
    print(
        f"removing people from a ridge head and fitting anew differ by {apart:.1e} (1e-9 allowed)"
    )
    return right and apart < 1e-9


def one_rule(seeds: int) -> bool:
    """Prints the area of one classifier for all rows."""
    known = float(stats.norm.cdf(1 / math.sqrt(20)))
    print(f"\nU-MIA, shift 1: AUC; known {known:.4f} (U-LIRA {stats.norm.cdf(math.sqrt(0.5)):.4f})")
    right = True
    for rule in ("logistic", "tree"):

        def made(seed: int, rule: str = rule) -> tuple[float, ...]:
            signals = normal_world(128, 400, 1, seed)
            return judged(signals, *population_log_odds(signals, rule, "halves"))  # type: ignore[arg-type]

        found = mean(made, seeds)[1]
        print(f"  {rule:9} {found:.4f}")
        right &= rule == "tree" or abs(found - known) < 0.01
    return right


def references(seeds: int) -> None:
    """Prints RMIA by reference models that never saw a row, on the logits of a world."""
    print("\nRMIA, shift 3.62 on logits around -3: AUC/TPR at 1 % by reference models")
    for count in (1, 2, 4, 16):

        def made(seed: int, count: int = count) -> tuple[float, ...]:
            world = normal_world(2 * (count + 1), 400, CLEAR_SHIFT, seed)
            logs = special.log_expit(world.values / 2 - 3)
            signals = Signals(logs, world.taught, world.people)
            found = relative_likelihoods(signals)
            return judged(signals, found, ~np.isnan(found))

        found = mean(made, seeds)
        print(f"  {count:3d} {found[1]:.4f}/{found[2]:.3f}")


def epsilons(rows: int = 1000) -> None:
    """Prints epsilon and quality, of thresholds one way and both ways, beside earlier numbers."""
    print("\nNeurIPS 2023: mean epsilon/quality (error of the mean), one way | both | earlier")
    rng = np.random.default_rng(0)
    for models, shift in product((64, 512), (0.0, 0.5, 1.0, 2.0)):
        shown = []
        for reverse in (False, True):
            found = np.array(
                [
                    epsilon(rng.normal(shift, 1, models), rng.normal(size=models), reverse=reverse)
                    for _ in range(rows)
                ]
            )
            quality = qualities(found, np.full(rows, float(models)))
            errors = [each.std() / math.sqrt(rows) for each in (found, quality)]
            shown.append(
                f"{found.mean():.3f}/{quality.mean():.4f} ({errors[0]:.3f}/{errors[1]:.4f})"
            )
        earlier = EARLIER_EPSILONS.get((models, shift), "")
        print(f"  N={models:3d} shift {shift:.1f}  {shown[0]} | {shown[1]} | {earlier}")


def main() -> int:
    """Prints all tables; returns 1 where a number is not what it has to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    right = [estimators(seeds), few_against_many(seeds), one_rule(seeds)]
    references(seeds)
    epsilons()
    return int(not all(right))


if __name__ == "__main__":
    sys.exit(main())
