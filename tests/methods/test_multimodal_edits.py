"""KVW, MANU and SLUG against numpy on activations and gradients taken by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from clearbench.batches.answers import Answers
from clearbench.batches.items import Item
from clearbench.errors import RecipeError
from clearbench.methods.base import method
from clearbench.methods.neurons import perceptrons
from clearbench.methods.slug import accuracy, pareto_front
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.by_hand import Array, batch_gradients, changed, snapshot
from clearbench.testing.world import learning, with_clip_tower
from clearbench.training.rows import TrainingRows

LAST = ".mlp.down_proj.weight"


def bench(kind: str = "language") -> tuple[Model, TrainingRows]:
    """A tiny model, and rows in one batch a role and track."""
    return learning(tiny_model(kind), size=99)


def hidden_units(model: Model, batches: Any, where: Callable[[Any], Tensor]) -> dict[str, Array]:
    """silu(x W_gate) * (x W_up) of each layer, from what enters its perceptron."""
    found: dict[str, list[Array]] = {}
    weights = {name: p.detach().double().numpy() for name, p in model.module.named_parameters()}
    for batch in batches:
        seen: dict[str, Tensor] = {}

        def keep(path: str, seen: dict[str, Tensor] = seen) -> Callable[..., None]:
            return lambda _, inputs, __: seen.update({path: inputs[0].detach()})

        blocks = [(n, m) for n, m in model.module.named_modules() if n.endswith(".mlp")]
        handles = [block.register_forward_hook(keep(path)) for path, block in blocks]
        model.answers([batch.whole()])
        for handle in handles:
            handle.remove()
        for path, entered in seen.items():
            x = entered.flatten(0, 1)[where(batch)].double().numpy()
            gate, up = (x @ weights[f"{path}.{name}_proj.weight"].T for name in ("gate", "up"))
            found.setdefault(path + ".down_proj.weight", []).append(gate / (1 + np.exp(-gate)) * up)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def at_answers(batch: Any) -> Tensor:
    return batch.places


def at_tokens(batch: Any) -> Tensor:
    return batch.inputs["attention_mask"].bool().flatten()


def all_of(rows: TrainingRows, role: str, sees: bool | None = None) -> list[Any]:
    found = [batch for batches in rows.batches(role) for batch in batches]
    return [batch for batch in found if sees is None or bool(batch.media) is sees]


@pytest.mark.parametrize("everywhere", [False, True])
def test_what_enters_a_layer_is_its_hidden_units(everywhere: bool) -> None:
    model, rows = bench("vision-language")
    batches = all_of(rows, "forget")
    expected = hidden_units(model, batches, at_tokens if everywhere else at_answers)
    found = model.entering(batches, list(expected), everywhere=everywhere)
    assert len(expected) == 2 and len(batches) == 2
    for name, values in expected.items():
        np.testing.assert_allclose(found[name].numpy(), values, atol=1e-5)


def test_no_perceptron_that_learns_is_said_by_name() -> None:
    model, _ = bench("vision-language")
    model.train_only(("vision", "projector"))
    with pytest.raises(RecipeError, match="there is no perceptron among the weights"):
        perceptrons(model, lambda _: True)


def test_kvw_turns_columns_down_by_the_ratio_of_coefficients() -> None:
    model, rows = bench()
    before = snapshot(model)
    sizes = [
        np.abs(hidden_units(model, all_of(rows, role), at_answers)["model.layers.1" + LAST]).mean(0)
        for role in ("forget", "retain")
    ]
    method("kvw", gamma=0.7, epochs=1).edit(model, rows)
    excess = np.maximum(0, np.log(sizes[0]) - np.log(sizes[1]))
    assert 0 < (excess > 0).sum() < len(excess)
    name = "model.layers.1" + LAST
    assert changed(before, snapshot(model)) == {name}, "the first layer is left out"
    expected = before[name].double().numpy() * np.exp(-0.7 * excess)
    now = dict(model.module.named_parameters())[name]
    np.testing.assert_allclose(now.detach().numpy(), expected, atol=1e-5)


def test_kvw_gates_multiply_with_batches_and_passes() -> None:
    """The last layer's own inputs do not hang on its gates, so that n passes are the n-th power."""
    gates = []
    for epochs in (1, 3):
        model, rows = bench()
        before = snapshot(model)["model.layers.1" + LAST]
        method("kvw", gamma=0.3, epochs=epochs).edit(model, rows)
        gates.append(snapshot(model)["model.layers.1" + LAST] / before)
    torch.testing.assert_close(gates[1], gates[0] ** 3, atol=1e-4, rtol=1e-3)


def test_kvw_of_strength_zero_is_the_original() -> None:
    model, rows = bench()
    before = snapshot(model)
    method("kvw", gamma=0).edit(model, rows)
    assert not changed(before, snapshot(model))


@pytest.mark.parametrize(("depth", "last"), [(28, 26), (32, 30), (2, 2)])
def test_kvw_leaves_out_the_last_layers_in_proportion(depth: int, last: int) -> None:
    model = SimpleNamespace(
        depth=depth,
        kind="language",
        part_of=lambda _: "language",
        layer_of=lambda name: int(name),
    )
    kvw: Any = method("kvw")
    layers = [k for k in range(1, depth + 1) if kvw._weakens(model, str(k))]
    assert layers == list(range(2, last + 1))


def importances(values: Array) -> Array:
    return np.stack(
        [
            np.abs(values).mean(0),
            (np.abs(values) > 0.1).mean(0),
            values.std(0),
            np.sqrt((values**2).mean(0)),
        ]
    )


def test_manu_may_prune_the_top_of_each_tracks_ranking_over_all_parts() -> None:
    about = {"absolute": 1.0, "frequency": 0.5, "deviation": 2.0, "root_mean_square": 3.0}
    model, rows = bench("vision-language")
    before, gone = snapshot(model), set()
    for sees in (False, True):
        stats = [
            {
                name: importances(values)
                for name, values in hidden_units(model, all_of(rows, role, sees), at_tokens).items()
            }
            for role in ("forget", "retain")
        ]
        scores = {
            name: np.array(list(about.values())) @ (mine / (stats[1][name] + 1e-5))
            for name, mine in stats[0].items()
        }
        ranked = sorted(((s, n, k) for n, v in scores.items() for k, s in enumerate(v)))
        gone |= {(name, place) for _, name, place in ranked[-round(0.2 * len(ranked)) :]}
    method("manu", share=0.2, rankings="all", **about).edit(model, rows)
    now = dict(model.module.named_parameters())
    names = {name for name, _ in gone}
    assert changed(before, snapshot(model)) == names
    zeroed = {(n, k) for n in names for k in range(96) if not now[n][:, k].any()}
    assert zeroed == gone and 38 <= len(gone) < 77, "the union of two rankings"


def test_a_pruned_neuron_is_one_whose_gate_is_closed() -> None:
    model, rows = bench()
    other = tiny_model()
    method("manu", share=0.25).edit(model, rows)
    now, gates = snapshot(model), dict(other.module.named_parameters())
    with torch.no_grad():
        for name in [n for n in now if n.endswith(LAST)]:
            closed = ~now[name].any(0)
            assert closed.any()
            gates[name.replace("down", "gate")][closed] = 0.0
        batches = all_of(rows, "retain")
        torch.testing.assert_close(model.answers(batches).logits, other.answers(batches).logits)


def test_manu_looks_at_the_last_layers_only() -> None:
    model, rows = bench()
    before = snapshot(model)
    method("manu", share=0.5, layers=1).edit(model, rows)
    assert changed(before, snapshot(model)) == {"model.layers.1" + LAST}


@pytest.mark.parametrize("name", ["kvw", "manu"])
def test_a_classifiers_neurons_are_its_features(name: str) -> None:
    model, rows = bench("classifier")
    before = snapshot(model)
    method(name).edit(model, rows)
    assert changed(before, snapshot(model)) == {"classifier.1.weight"}


def test_the_front_has_what_nobody_beats_in_both() -> None:
    """Importances 3, 2, 1, 1; alignments 0.6, 1, 0, 1: the second and the fourth are beaten."""
    plane = {"x": (1.0, 0.0), "half": (0.8, 0.6), "y": (0.0, 1.0)}
    pairs = {"a": (3, "half"), "b": (2, "x"), "c": (1, "y"), "d": (1, "x")}
    forget = {name: size * torch.tensor([[1.0, 0.0]]) for name, (size, _) in pairs.items()}
    retain = {name: torch.tensor([plane[way]]) for name, (_, way) in pairs.items()}
    retain["a"] = torch.tensor([[-0.6, 0.8]])
    weights = {name: torch.tensor([[0.0, 1.0]]) for name in pairs}
    assert pareto_front(weights, forget, retain) == ["a", "c"]


class Stepping:
    """Right on both rows until its only weight has moved by a limit."""

    kind = "language"

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.weight = nn.Parameter(torch.tensor([[3.0, 4.0]]))

    def answers(self, _: Any) -> Answers:
        moved = float((self.weight - torch.tensor([[3.0, 4.0]])).norm().detach())
        right = torch.tensor([[1.0, 0.0], [1.0, 0.0], [float(moved < self.limit), 0.5]])
        items = tuple(Item(str(k), "answer", "q", "a") for k in range(2))
        return Answers(right, torch.zeros(3, dtype=torch.long), torch.tensor([0, 0, 1]), items)


def one_batch(_: str) -> Iterator[Any]:
    yield ()


def test_accuracy_is_of_whole_answers() -> None:
    model: Any = Stepping(1.0)
    assert accuracy(model, one_batch("forget")) == 1.0
    with torch.no_grad():
        model.weight += 1
    assert accuracy(model, one_batch("forget")) == 0.5


@pytest.mark.parametrize("limit", [0.013, 0.3, 0.77, 6.1])
def test_the_search_ends_just_above_the_limit(limit: float) -> None:
    """From a tenth of the norm, 0.5, doubled or halved; the weight is as it was afterwards."""
    model: Any = Stepping(limit)
    data: Any = SimpleNamespace(batches=one_batch)
    slug: Any = method("slug", forget_accuracy=0.5, search_steps=16)
    direction = torch.tensor([[0.6, 0.8]])
    step = slug._search(model, data, model.weight, direction)
    assert limit <= step < limit * 1.01 + 1e-3
    assert model.weight.tolist() == [[3.0, 4.0]]
    short: Any = method("slug", forget_accuracy=0.5, search_steps=2)
    expected = {0.013: 0.25, 0.3: 0.5, 0.77: 1.0, 6.1: 1.0}[limit]
    assert short._search(model, data, model.weight, direction) == pytest.approx(expected)


def test_slug_takes_one_step_along_one_gradient() -> None:
    model, rows = learning(tiny_model(), size=3)
    before = snapshot(model)
    method("slug", search_steps=3).edit(model, rows)
    moved = changed(before, snapshot(model))
    assert len(moved) == 1
    (name,) = moved
    total = sum(each[name] for each in batch_gradients(*learning(tiny_model(), size=3), "forget"))
    change = dict(model.module.named_parameters())[name].detach() - before[name]
    cosine = torch.cosine_similarity(change.flatten(), total.flatten(), dim=0)
    assert float(cosine) == pytest.approx(1.0, abs=1e-4), "uphill on forget"


def test_a_vision_towers_neurons_are_counted_over_patches() -> None:
    torch.manual_seed(0)
    model = with_clip_tower()
    model.train_only(("vision", "language"))
    rows = TrainingRows(model, tiny_dataset(), ("text", "image"), 99, 0)
    tower = list(perceptrons(model, lambda name: model.part_of(name) == "vision"))
    images = all_of(rows, "forget", sees=True)
    count = sum(len(batch.media) for batch in images)
    for everywhere in (False, True):
        found = model.entering(images, tower, everywhere=everywhere)
        assert {values.shape for values in found.values()} == {(10 * count, 24)}
    assert len(tower) == 2 and not model.entering(all_of(rows, "forget", sees=False), tower)


def test_manu_ranks_vision_by_images_and_language_by_text() -> None:
    """As in the authors' code: images rank no neuron of the language part, text none of vision."""
    parts = {}
    for tracks in (("text",), ("image",), ("text", "image")):
        torch.manual_seed(0)
        model = with_clip_tower()
        model.train_only(("vision", "projector", "language"))
        before = snapshot(model)
        method("manu", share=0.3).edit(model, TrainingRows(model, tiny_dataset(), tracks, 99, 0))
        parts[tracks] = {model.part_of(name) for name in changed(before, snapshot(model))}
    assert list(parts.values()) == [{"language"}, {"vision"}, {"vision", "language"}]


def test_manus_default_prunes_two_per_cent_of_each_part() -> None:
    """1 of 48 hidden units of the tower and 4 of 192 of the language part, by rankings apart."""
    torch.manual_seed(0)
    model = with_clip_tower()
    model.train_only(("vision", "language"))
    rows = TrainingRows(model, tiny_dataset(), ("text", "image"), 99, 0)
    method("manu").edit(model, rows)
    gone = {"vision": 0, "language": 0}
    for name, weight in perceptrons(model, lambda _: True).items():
        gone[model.part_of(name)] += int((~weight.any(0)).sum())
    assert gone == {"vision": 1, "language": 4}


def test_manu_refuses_images_whose_neurons_may_not_learn() -> None:
    model, rows = bench("vision-language")
    with pytest.raises(RecipeError, match="rows with an image rank no neuron"):
        method("manu").edit(model, rows)
    text = TrainingRows(model, tiny_dataset(), ("text",), 99, 0)
    before = snapshot(model)
    method("manu", share=0.3).edit(model, text)
    assert changed(before, snapshot(model))
