"""LLaVA family: a frozen tower's features are computed once per image and stored.

Each image's features are computed alone, so that their bytes do not depend on the first batch
that needs them, and a resumed run equals one never stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from clearbench.batches.batch import Batch
from clearbench.libraries import torch, without_gradient
from clearbench.models.cache import WorkCache
from clearbench.models.families.base import Family

if TYPE_CHECKING:
    from torch import Tensor
    from transformers.modeling_outputs import BaseModelOutput

#: Number of digests of towers' weights that a family remembers, the latest ones.
REMEMBERED = 4


class Llava(Family, name="llava"):
    """Architectures that read one hidden state of `vision_tower`."""

    model_types = ("llava",)

    def __init__(self) -> None:
        self._known: list[_Weights] = []

    def stored_media(
        self, core: Any, batch: Batch, cache: WorkCache
    ) -> AbstractContextManager[None]:
        """Lets the tower return this batch's stored features while entered, if it is frozen."""
        tower = core.model.vision_tower
        if any(weight.requires_grad for weight in tower.parameters()):
            self._known.clear()
            return nullcontext()
        if not batch.media or isinstance(vars(tower).get("forward"), _Answer):
            return nullcontext()  # entered inside itself where a guard reads the prompts first
        if "image_sizes" in batch.inputs:  # Pixtral's tower reads pictures of a batch as one row
            return nullcontext()
        return self._answering(core, batch, cache)

    @contextmanager
    def _answering(self, core: Any, batch: Batch, cache: WorkCache) -> Iterator[None]:
        from transformers.modeling_outputs import BaseModelOutput

        tower, layer = core.model.vision_tower, core.config.vision_feature_layer
        states = {layer: self.features(core, batch, cache)}  # LLaVA reads states[layer] alone
        answer = BaseModelOutput(hidden_states=states)  # type: ignore[arg-type]
        before = vars(tower).get("forward")
        tower.forward = _Answer(answer)
        try:
            yield
        finally:
            if before is None:
                del tower.forward
            else:
                tower.forward = before

    @without_gradient
    def features(self, core: Any, batch: Batch, cache: WorkCache) -> Tensor:
        """Computes the tower's (images, tokens, width) hidden states, each image's once."""
        tower, layer = core.model.vision_tower, core.config.vision_feature_layer
        weights = self._digest(tower)

        def computed(place: int) -> Tensor:
            pixels = batch.inputs["pixel_values"][place : place + 1]
            states: Tensor = tower(pixels, output_hidden_states=True).hidden_states[layer]
            return states

        rows = [
            cache.get(("features", core.device, weights, layer, key), partial(computed, place))
            for place, key in enumerate(batch.media)
        ]
        return torch.cat(rows)

    def _digest(self, tower: Any) -> str:
        """Returns the digest of a tower's weights, computed again when any of them has changed."""
        from clearbench.models.weights import digest

        held = (*tower.parameters(), *tower.buffers())
        known = next((weights for weights in self._known if weights.are(held)), None)
        if known is None:
            digest_now = digest(tower.state_dict())
            known = _Weights([ref(w) for w in held], [w._version for w in held], digest_now)
            self._known = [*self._known[1 - REMEMBERED :], known]
        return known.digest


@dataclass(frozen=True)
class _Answer:
    """Replaces a tower's `forward` while its features are stored."""

    output: BaseModelOutput

    def __call__(self, *_: Any, **__: Any) -> BaseModelOutput:
        return self.output


@dataclass(frozen=True)
class _Weights:
    """Tensors of a tower, the number of changes to each, and their digest."""

    tensors: list[ref[Tensor]]
    versions: list[int]
    digest: str

    def are(self, held: Sequence[Tensor]) -> bool:
        """Whether these are the same tensors, unchanged."""
        return len(held) == len(self.tensors) and all(
            known() is weight and version == weight._version
            for known, version, weight in zip(self.tensors, self.versions, held, strict=True)
        )
