"""Numbers of membership attacks by hand: ties, references, golds, and what a protocol asks."""

from __future__ import annotations

from typing import Any

import pytest

from clearbench import score
from clearbench.attacks.base import ATTACKS, attacks
from clearbench.attacks.roc import above, attack_numbers, auc
from clearbench.attacks.scoring import null_band, protocol_attacks
from clearbench.errors import DataError
from clearbench.evaluation.measure import Case
from clearbench.evaluation.protocols import protocol
from clearbench.evaluation.records import Records
from clearbench.testing.records import records


def told(forget: list[float], holdout: list[float]) -> Records:
    """One token per answer, so that the loss of a row is -log p."""
    rows: list[dict[str, Any]] = [{"p": {"answer": [p]}} for p in forget]
    rows += [{"p": {"answer": [p]}, "split": "holdout", "person": 90 + k, "row": f"h{k}"}
             for k, p in enumerate(holdout)]  # fmt: skip
    return records(rows)


def test_ties_count_half() -> None:
    assert above([1.0, 2.0, 3.0], [2.0, 2.0]).tolist() == [1.0, 0.5, 0.0]
    assert auc([1.0, 2.0, 3.0], [2.0, 2.0]) == pytest.approx(0.5)
    assert auc([1.0], [2.0]) == 1.0, "a member has the lower loss"
    assert auc([2.0], [1.0]) == 0.0


@pytest.mark.parametrize(("strangers", "named"), [(999, 0), (1000, 1), (9999, 1), (10_000, 2)])
def test_a_rate_needs_ten_strangers_at_its_limit(strangers: int, named: int) -> None:
    found = attack_numbers([0.0, 1.0], [0.5] * strangers)
    assert sum(name.startswith("tpr") for name in found) == named


def test_a_leak_is_measured_from_gold() -> None:
    """Members are likelier in the model, AUC 1, and in gold by half, AUC 1/2: -100 %."""
    model, gold = told([0.9, 0.8], [0.2, 0.1]), told([0.9, 0.1], [0.5, 0.5])
    key = "forget.text.mia_loss"
    found = score(model, gold)
    assert found[f"{key}_auc"].value == 1.0 and found[f"{key}_auc"].gold == 0.5
    assert found[f"{key}_privleak"].value == pytest.approx(-100.0)
    assert score(gold, gold)[f"{key}_privleak"].value == 0.0
    assert f"{key}_privleak" not in score(model)
    assert found[f"{key}_auc"].direction == "gold"


def test_a_band_is_of_every_pair_of_golds() -> None:
    golds = [told([p, p], [0.5, 0.5]) for p in (0.5, 0.6, 0.9)]
    band = null_band(golds)["forget.text.probability"]
    assert (band.low, band.high, band.pairs) == (pytest.approx(0.5), pytest.approx(0.9), 6)
    assert band.gap == pytest.approx(0.4)
    with pytest.raises(DataError, match="no band"):
        null_band(golds[:1])


def test_our_own_protocol_has_every_attack_that_is_right() -> None:
    ours = protocol_attacks(protocol("clear"))
    assert ours and not any(made.description.erratum for made in ours)
    assert {made.name for made in ours} >= {"mia_loss", "mia_min_k", "mia_zlib"}


def test_a_defect_in_print_is_no_score_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an attack that a plugin adds the right case counts, the published defect does not."""
    monkeypatch.setattr(ATTACKS, "classes", attacks())

    class Own(
        ATTACKS["mia_loss"],  # type: ignore[misc]
        name="mia_own",
        cases={"defect": Case(erratum="E00")},
        variants=({}, {"defect": True}),
    ):
        """A loss."""

        defect: bool = False

    class Wrong(ATTACKS["mia_loss"], name="mia_wrong", erratum="E00"):  # type: ignore[misc]
        """A loss."""

    found = {made.score_key for made in protocol_attacks(protocol("clear"))}
    assert "mia_own" in found and {"mia_loss", "mia_zlib"} <= found
    assert not found & {"mia_own_defect", "mia_wrong"}


def test_a_published_table_is_not_made_of_nothing_that_it_holds() -> None:
    image = records([{"p": {"answer": [0.5]}, "track": "image", "task": "caption"}])
    assert score(image)
    with pytest.raises(DataError, match="needs what is not there"):
        score(image, protocol="openunlearning")
