"""LLaVA family: a frozen tower's features are computed once per image and stored.

The tower always reads as many images of a size at once, blank ones where fewer are new, so that the
bytes of an image's features do not depend on the first batch that needs them, and a resumed run
equals one never stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ref

from clearbench.batches.batch import Batch
from clearbench.libraries import torch, without_gradient
from clearbench.models.cache import WorkCache
from clearbench.models.families.base import Family

if TYPE_CHECKING:
    from torch import Tensor
    from transformers.modeling_outputs import BaseModelOutput

#: Images that a tower reads at once, at most; on a CPU convolutions of a small one alone take more
#: than twice as long.
TOGETHER = 8
#: Pixels of the images that a tower reads at once: of large ones a blank image costs more than it
#: saves.
PIXELS = TOGETHER * 128 * 128
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
            self.weights_may_have_changed()
            return nullcontext()
        if not batch.media or isinstance(vars(tower).get("forward"), _Answer):
            return nullcontext()  # entered inside itself where a guard reads the prompts first
        if "image_sizes" in batch.inputs:  # Pixtral's tower reads pictures of a batch as one row
            return nullcontext()
        if not isinstance(core.config.vision_feature_layer, int):  # states of several layers
            return nullcontext()
        return self._answering(core, batch, cache)

    def weights_may_have_changed(self) -> None:
        """Drops the digests of towers: writes through `weight.data` count as no change."""
        self._known.clear()

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
        """Computes the tower's (images, tokens, width) hidden states, each image's once.

        They have the tower's own type, under autocast too: whoever reads them next may not be.
        """
        tower, layer = core.model.vision_tower, core.config.vision_feature_layer
        weights = self._digest(tower)

        place = ("features", core.device, weights, layer)
        states = cache.known((*place, media) for media in batch.media)
        new = [media for media in dict.fromkeys(batch.media) if (*place, media) not in states]
        at_once = together(batch.inputs["pixel_values"])
        for begin in range(0, len(new), at_once):
            some = new[begin : begin + at_once]
            places = map(batch.media.index, some)
            pixels = [batch.inputs["pixel_values"][place : place + 1] for place in places]
            blank = torch.zeros_like(pixels[0]).expand(at_once - len(some), *pixels[0].shape[1:])
            with _without_autocast(core.device):
                out = tower(torch.cat((*pixels, blank)), output_hidden_states=True)
            for media, features in zip(some, out.hidden_states[layer].split(1), strict=False):
                states[*place, media] = cache.get((*place, media), features.clone)
        return torch.cat([states[*place, media] for media in batch.media])

    def _digest(self, tower: Any) -> str:
        """Returns the digest of a tower's weights, computed again when any may have changed."""
        from clearbench.models.weights import digest

        held = (*tower.parameters(), *tower.buffers())
        known = next((weights for weights in self._known if weights.are(held)), None)
        if known is None:
            digest_now = digest(tower.state_dict())
            known = _Weights([ref(w) for w in held], [w._version for w in held], digest_now)
            self._known = [*self._known[1 - REMEMBERED :], known]
        return known.digest


def together(pixels: Tensor) -> int:
    """Returns how many images of a size, (images, channels, height, width), are read at once."""
    return max(1, min(TOGETHER, PIXELS // (pixels.shape[-2] * pixels.shape[-1])))


def _without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Computes in the weights' own type, on the devices that have another."""
    if device.type not in ("cpu", "cuda") or not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


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
