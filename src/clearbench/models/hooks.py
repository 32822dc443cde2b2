"""Forward hooks through which guards rewrite a prompt's embeddings or hidden states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from clearbench.batches.batch import Batch


def on_prompts(
    module: nn.Module, prompts: Tensor, change: Callable[[Tensor, Tensor], Tensor]
) -> RemovableHandle:
    """Registers a hook that replaces a module's output for whole prompts by `change` of it."""

    def hook(_: nn.Module, __: Any, output: Any) -> Any:
        states = output[0] if isinstance(output, tuple) else output
        if states.shape[:2] != prompts.shape:  # a token that is being generated
            return output
        changed = change(states, prompts)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    return module.register_forward_hook(hook)


def question_tokens(batch: Batch) -> Tensor:
    """Marks the question's tokens, (rows, length), in rows that do not branch."""
    seen = batch.inputs["attention_mask"].bool()
    answers = torch.zeros_like(seen).flatten()
    answers[batch.places + 1] = True  # the token after a place is the one it predicts
    return seen & ~answers.view_as(seen)
