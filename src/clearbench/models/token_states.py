"""Computes hidden states of causal models, no further than the requested layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from clearbench.batches.answers import Answers
from clearbench.batches.batch import Batch
from clearbench.errors import ModelError
from clearbench.models.hooks import question_tokens
from clearbench.models.shortcuts import agrees
from clearbench.models.token_reader import TokenReader


class _Reached(Exception):  # carries the requested states, is no error
    """Ends a forward pass at the requested layer."""

    def __init__(self, states: Tensor) -> None:
        self.states = states


def _first(output: Any) -> Tensor:
    """Returns a layer's hidden states, which some layers give beside other things."""
    states: Tensor = output[0] if isinstance(output, tuple) else output
    return states


class TokenStates(TokenReader):
    """Adds hidden states to the forward passes of a causal model."""

    @torch.no_grad()
    def prompt_states(self, batch: Batch, layer: int | None = None) -> Tensor:
        """Computes (rows, width) mean hidden states over each row's prompt, without guards."""
        self.forwards += 1
        guards, self.guards = self.guards, ()
        try:
            if layer is None:
                hidden = self._call(self._backbone, batch, batch.inputs).last_hidden_state
            else:
                hidden = self.hidden(batch, layer)
        finally:
            self.guards = guards
        weight = question_tokens(batch).unsqueeze(-1).to(hidden)
        pooled: Tensor = (hidden * weight).sum(1) / weight.sum(1).clamp_min(1)
        return pooled

    def hidden(self, batch: Batch, layer: int) -> Tensor:
        """Computes hidden states after `layer` (0 is the embedding)."""
        out = self._call(self._backbone, batch, batch.inputs, output_hidden_states=True)
        states: Tensor = out.hidden_states[layer]
        return states

    @property
    def depth(self) -> int:
        """Number of layers of the language part."""
        return int(self.core.config.get_text_config().num_hidden_layers)

    def states(self, batches: Sequence[Batch], layer: int) -> Tensor:
        """Computes (tokens, width) hidden states after `layer`, from which answers are read."""
        if not 1 <= layer <= self.depth:
            raise ModelError(f"no layer {layer}", "layer", f"this model has 1 to {self.depth}")
        self.forwards += len(batches)
        return torch.cat([self._states_at(batch, layer) for batch in batches])

    def _states_at(self, batch: Batch, layer: int) -> Tensor:
        tested, medium = self.shortcuts.early, batch.medium
        if layer == self.depth:  # the top is read after the last normalisation
            states: Tensor = self._call(self._backbone, batch, batch.inputs).last_hidden_state
            return states.flatten(0, 1)[batch.places]
        if medium not in tested:
            with torch.no_grad():
                plain = self.hidden(batch, layer).flatten(0, 1)[batch.places]
            tested[medium] = agrees(lambda: self._early(batch, layer), plain)
        if tested[medium]:
            return self._early(batch, layer)
        return self.hidden(batch, layer).flatten(0, 1)[batch.places]

    def _early(self, batch: Batch, layer: int) -> Tensor:
        """Computes (tokens, width) hidden states after `layer`, and nothing above it."""

        def reach(_: nn.Module, __: Any, output: Any) -> None:
            raise _Reached(output[0] if isinstance(output, tuple) else output)

        handle = self._layers[layer - 1].register_forward_hook(reach)
        try:
            self._call(self._backbone, batch, batch.inputs)
        except _Reached as reached:
            return reached.states.flatten(0, 1)[batch.places]
        finally:
            handle.remove()
        raise RuntimeError("the layer was not reached")

    @torch.no_grad()
    def every_state(self, batch: Batch) -> list[Tensor]:
        """Computes (tokens, width) outputs of each layer, from which answers are read.

        The last is before the last normalisation, unlike that of `states`.
        """
        found: list[Tensor] = []

        def keep(_: nn.Module, __: Any, output: Any) -> None:
            found.append(_first(output).flatten(0, 1)[batch.places])

        handles = [layer.register_forward_hook(keep) for layer in self._layers]
        try:
            self._call(self._backbone, batch, batch.inputs)
        finally:
            for handle in handles:
                handle.remove()
        self.forwards += 1
        return found

    @torch.no_grad()
    def answers_from(self, batch: Batch, layer: int, states: Tensor) -> Answers:
        """Computes answers with other outputs of a layer where they are read; the rest stays.

        Args:
            batch: Batch in rows that do not branch.
            layer: Number of the layer, from 1.
            states: Outputs in place of its own, (tokens, width).
        """
        self._is_fast(batch)  # whose test is made before the hook is in place

        def put(_: nn.Module, __: Any, output: Any) -> Any:
            own = _first(output)
            flat = own.flatten(0, 1).index_copy(0, batch.places, states.to(own))
            changed = flat.view_as(own)
            return (changed, *output[1:]) if isinstance(output, tuple) else changed

        handle = self._layers[layer - 1].register_forward_hook(put)
        try:
            return self.answers([batch.whole()])
        finally:
            handle.remove()

    def name_tokens(self, names: Sequence[str]) -> Tensor:
        """Returns ids of the names' tokens, at the beginning of a text and within it, (tokens,)."""
        spelled = [self.tokenizer(n, add_special_tokens=False).input_ids for n in names]
        inside = [self.tokenizer(f" {n}", add_special_tokens=False).input_ids for n in names]
        tokens = sorted({token for ids in (*spelled, *inside) for token in ids})
        return torch.tensor(tokens, device=self.device)
