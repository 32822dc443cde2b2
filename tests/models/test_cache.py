"""A bounded cache: no result depends on the bound, and what changes is never read from it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from clearbench.batches.items import Item, item
from clearbench.models.cache import OVERHEAD, WorkCache
from clearbench.models.families.llava import TOGETHER, together
from clearbench.models.load import load_model
from clearbench.testing.world import base, copied, tiny_dataset


def items(model: Any) -> list[Item]:
    found = [item(row) for rows in tiny_dataset().evaluation.values() for row in rows]
    return [each for each in found if model.accepts(each)]


def fresh(kind: str) -> Any:
    """A model with a cache of its own."""
    old = copied(base(kind))  # type: ignore[arg-type]
    return load_model(old.module, old.processor, kind=kind)  # type: ignore[arg-type]


def test_the_least_recently_used_entries_leave() -> None:
    cache = WorkCache(2 * (OVERHEAD + 400))
    made: list[str] = []

    def get(name: str) -> torch.Tensor:
        def make() -> torch.Tensor:
            made.append(name)
            return torch.zeros(100)

        return cache.get(name, make)

    for name in ("a", "b", "a", "c", "a", "b"):
        get(name)
    assert made == ["a", "b", "c", "b"], "b was the least recently used when c came"
    assert len(cache) == 2 and cache.bytes <= cache.max_bytes


def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    cache = WorkCache(100)
    assert cache.get("a", lambda: torch.zeros(1000)).shape == (1000,)
    assert len(cache) == 0 and cache.bytes == 0


def test_sizes_count_what_is_nested() -> None:
    cache = WorkCache()
    cache.get("a", lambda: {"x": torch.zeros(3, dtype=torch.float64), "y": (1, 2)})
    assert cache.bytes == 24 + 16 + OVERHEAD


@pytest.mark.parametrize("kind", ["language", "vision-language", "classifier"])
def test_no_result_depends_on_the_bound(kind: str) -> None:
    found = []
    for size in (0, 3000, 2**30):
        model = fresh(kind)
        model.share(WorkCache(size), "tiny")
        chosen = (
            items(model)
            if kind != "classifier"
            else [each for each in items(model) if each.variant == "answer"]
        )
        twice = [model.score_items(chosen) for _ in range(2)]
        found += [{k: v.log_probs.tolist() for k, v in scores.items()} for scores in twice]
        assert model.cache.bytes <= size
    assert all(scores == found[0] for scores in found)


def test_models_of_one_base_share_rows_media_and_features() -> None:
    first, second = fresh("vision-language"), fresh("vision-language")
    cache = WorkCache()
    for model in (first, second):
        model.share(cache, "tiny")
        model.train_only(())
    chosen = items(first)
    first.score_items(chosen)
    count = len(cache)
    second.score_items(chosen)
    assert len(cache) == count
    other = fresh("vision-language")
    other.share(cache, "another base")
    other.train_only(())
    other.score_items(chosen)
    assert len(cache) > count


def test_features_follow_a_tower_that_learns_between_two_measurements() -> None:
    """As when a curve is measured while the tower is being trained."""
    model = fresh("vision-language")
    chosen = [each for each in items(model) if each.media]
    model.train_only(("vision", "projector", "language"))

    def measured() -> dict[Item, list[float]]:
        with model.frozen():
            return {k: v.log_probs.tolist() for k, v in model.score_items(chosen).items()}

    before = measured()
    weights = [p for n, p in model.trainable().items() if "vision" in n and p.dim() == 4]
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    torch.optim.AdamW(weights, lr=1e-1).step()
    after = measured()
    plain = fresh("vision-language")
    plain.module.load_state_dict(model.module.state_dict())
    plain.train_only(())
    expected = {k: v.log_probs.tolist() for k, v in plain.score_items(chosen).items()}
    assert after == expected and after != before


def test_entries_that_are_looked_up_count_as_used() -> None:
    cache = WorkCache(2 * (OVERHEAD + 400))
    for name in ("a", "b"):
        cache.get(name, lambda: torch.zeros(100))
    assert [*cache.known(["z", "a"])] == ["a"]
    cache.get("c", lambda: torch.ones(100))
    assert [*cache.known(["a", "b", "c"])] == ["a", "c"]


def test_a_tower_reads_a_fixed_number_of_images_so_that_bytes_do_not_depend_on_the_batch() -> None:
    pictures = {each.media.key: each for each in items(fresh("vision-language")) if each.media}
    chosen = list(pictures.values())
    assert len(chosen) > 2
    read: list[int] = []
    found: list[dict[str, torch.Tensor]] = []
    for groups in ([chosen], [[each] for each in reversed(chosen)], [chosen[1:], chosen]):
        model = fresh("vision-language")
        model.train_only(())
        tower = model.core.model.vision_tower
        tower.register_forward_pre_hook(lambda _, inputs: read.append(len(inputs[0])))
        features: dict[str, torch.Tensor] = {}
        cache = WorkCache()
        for group in groups:
            (batch,) = model.batch(group)
            states = model.family.features(model.core, batch, cache)
            features |= dict(zip(batch.media, states, strict=True))
        found.append(features)
    assert {*read} == {TOGETHER}
    for features in found:
        assert {*features} == {*pictures}
        assert all(torch.equal(features[key], value) for key, value in found[0].items())


def test_features_that_were_first_needed_under_autocast_serve_without_it() -> None:
    """As NPO's stored reference after a step of teaching in bfloat16."""
    chosen = [each for each in items(fresh("vision-language")) if each.media]
    plain, mixed = fresh("vision-language"), fresh("vision-language")
    for model in (plain, mixed):
        model.train_only(())
    with torch.autocast("cpu", torch.bfloat16):
        mixed.score_items(chosen)
    expected, found = plain.score_items(chosen), mixed.score_items(chosen)
    for each in chosen:
        assert found[each].log_probs == pytest.approx(expected[each].log_probs, abs=1e-6)


@pytest.mark.parametrize(
    ("side", "expected"), [(32, 8), (96, 8), (128, 8), (224, 2), (336, 1), (900, 1)]
)
def test_large_images_are_read_with_few_others(side: int, expected: int) -> None:
    assert together(torch.zeros(1, 3, side, side)) == expected
