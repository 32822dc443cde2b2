"""Refuses models whose weights are missing, unread or not finite, or that are no causal models."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from clearbench.batches.items import Encoded, Item
from clearbench.batches.trees import merge
from clearbench.errors import ClearbenchError, ModelError
from clearbench.models.families.base import Family, accepted
from clearbench.models.model_files import first_line, named
from clearbench.models.token_model import TokenModel

#: Buffers that earlier versions of `transformers` saved, and that follow from the configuration.
_COMPUTED = re.compile(
    r"(rotary_emb\.inv_freq|position_ids|\.masked_bias|attn\.bias|attention\.bias"
    r"|num_batches_tracked|relative_position_index)$"
)
#: Endings of architectures without the head of a causal language model.
_OTHER_HEADS = re.compile(
    r"(For(SequenceClassification|TokenClassification|QuestionAnswering|MultipleChoice|MaskedLM"
    r"|NextSentencePrediction|TextEncoding)|RewardModel|EncoderModel)$"
)
_BACKBONE = re.compile(r"(?<!LMHead)(?<!DoubleHeads)Model$")
#: Largest difference of earlier logits, relative to the largest, when the last token changes.
_SAME = {torch.float16: 3e-2, torch.bfloat16: 3e-2}
_SAME_IN_FLOAT32 = 1e-4


def check_configuration(
    config: Any, where: str, architectures: Sequence[str] | None = None
) -> None:
    """Refuses architectures that do not read answers from left to right.

    Args:
        config: Configuration of the model.
        where: Source, for the message.
        architectures: Names of classes; None for those that the configuration names.

    Raises:
        ModelError: The configuration is an encoder's with a decoder, or of another head.
    """
    if getattr(config, "is_encoder_decoder", False):
        raise _not_causal(f"'{config.model_type}' has an encoder and a decoder", where)
    own = getattr(config, "architectures", None)
    heads = tuple(architectures or own or ())
    if heads and all(_OTHER_HEADS.search(head) or _BACKBONE.search(head) for head in heads):
        raise _not_causal(
            f"it was saved as {', '.join(heads)}, without a language model's head", where
        )


def _not_causal(why: str, where: str) -> ModelError:
    return ModelError(
        f"this is no causal language model: {why}",
        where,
        "give a model that predicts each token from those before it (...ForCausalLM)",
    )


def check_report(
    report: Mapping[str, Any], module: Any, family: Family, where: str, *, new_head: bool = False
) -> bool:
    """Refuses a checkpoint that does not fit its configuration.

    Args:
        report: Loading report of `from_pretrained`.
        module: Model that was loaded.
        family: Family of its architecture.
        where: Source, for the message.
        new_head: True if a classifier's head may be missing, since another will replace it.

    Returns:
        Whether a classifier's head is missing.

    Raises:
        ModelError: Weights are missing, and would be random, have another shape, or belong to
            layers of the model and would not be used.
    """
    missing = {str(name) for name in report.get("missing_keys", ())}
    odd = sorted(str(entry[0]) for entry in report.get("mismatched_keys", ()))
    head = {n for n in missing if n.startswith(f"{family.label_head}.")}
    needed = missing - head if new_head else missing
    unread = [
        name
        for name in map(str, report.get("unexpected_keys", ()))
        if _is_used(name, module) or (needed and not _COMPUTED.search(name))
    ]
    problems = [
        f"{len(names)} of its weights {what}: {named(names)}"
        for names, what in (
            ([*needed], "are missing, and would be random"),
            (odd, "have another shape"),
            (unread, "have no place in the model, and would not be used"),
        )
        if names
    ]
    failed = [str(message).splitlines()[0] for message in report.get("error_msgs", ())]
    if problems or failed:
        raise ModelError(
            "the checkpoint does not fit its config.json: " + "; ".join([*problems, *failed]),
            where,
            "give the whole checkpoint with its own config.json",
        )
    return bool(head)


def left_out(report: Mapping[str, Any]) -> tuple[str, ...]:
    """Lists tensors of a checkpoint that belong to none of the model's layers, and are not read."""
    names = map(str, report.get("unexpected_keys", ()))
    return tuple(sorted(name for name in names if not _COMPUTED.search(name)))


def _is_used(name: str, module: Any) -> bool:
    """Whether an unexpected tensor belongs to a layer of the model, or to one more layer."""
    if _COMPUTED.search(name):
        return False
    modules = dict(module.named_modules())
    prefix = f"{module.base_model_prefix}."
    for path in (name, prefix + name, name.removeprefix(prefix), name.removeprefix("module.")):
        parent = path.rpartition(".")[0]
        numbered = re.match(r"(.*\.(?:layers|h|blocks?|layer))\.\d+\.", path)
        if (parent and parent in modules) or (numbered and numbered.group(1) in modules):
            return True
    return False


def check_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    """Refuses weights that are not finite, by name.

    Raises:
        ModelError: A tensor holds NaN or an infinite value.
    """
    wrong = not_finite(tensors)
    if wrong:
        types = sorted({str(tensors[name].dtype).removeprefix("torch.") for name in wrong})
        raise ModelError(
            f"{len(wrong)} of its weights hold NaN or infinite values in {', '.join(types)}: "
            f"{named(wrong)}",
            where,
            "give weights that are whole, or dtype='float32' where they overflow in half precision",
        )


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Lists the names of the tensors that hold NaN or an infinite value."""
    return [name for name, values in tensors.items() if not _is_finite(values.detach())]


def _is_finite(values: Tensor) -> bool:
    own = values.to_local() if isinstance(values, DTensor) else values
    if not own.is_floating_point() or own.is_meta or own.element_size() < 2 or not own.numel():
        return True
    ends = torch.aminmax(own)  # no copy of the tensor, as `isfinite` of each value would take
    return math.isfinite(ends.min) and math.isfinite(ends.max)


def check_vocabulary(model: TokenModel) -> None:
    """Refuses a tokenizer that gives tokens without an embedding.

    Control tokens that no template writes may lack one (Gemma 3's for pictures, in its models of
    text), since rows with them are refused.

    Raises:
        ModelError: Some other id of the vocabulary is beyond the embeddings.
    """
    rows, tokenizer = model.core.get_input_embeddings().num_embeddings, model.tokenizer
    special = {
        name: getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad", "unk")
    }
    beyond = [name for name, token in special.items() if token is not None and token >= rows]
    words = {word: token for word, token in tokenizer.get_vocab().items() if token >= rows}
    control, template = model.encoder.legible.control, model.encoder.chat.template or ""
    read = [word for word, token in words.items() if token not in control or word in template]
    if read or beyond:
        which = f" ({', '.join(beyond)} among them)" if beyond else ""
        count = max(tokenizer.get_vocab().values()) + 1  # ids may have gaps
        raise ModelError(
            f"the tokenizer has {count} tokens{which}, the model {rows} embeddings",
            "load_model",
            "use the tokenizer the model was trained with",
        )


@torch.no_grad()
def check_causal(model: TokenModel, where: str) -> None:
    """Reads a prompt twice with another last token: earlier logits are finite and stay the same.

    Raises:
        ModelError: The model cannot read it, its logits are not finite, or they depend on a token
            that follows.
    """
    prompt = _prompt(model, where)
    if len(prompt.ids) < 2:
        return
    other = next(token for token in (prompt.ids[0], 0, 1) if token != prompt.ids[-1])
    item = Item("", "", "", "")
    reads: list[Tensor] = []
    for ids in (prompt.ids, (*prompt.ids[:-1], other)):
        (batch,) = model.collate([merge([item], [replace(prompt, ids=ids, answer_start=1)])])
        inputs = accepted(model.core, batch.inputs)
        logits: Tensor = attempted(lambda i=inputs: model.core(**i).logits, where)  # type: ignore[misc]
        reads.append(logits[0, : len(ids) - 1].float())
    first, second = reads
    if not bool(torch.isfinite(first).all()):
        dtype = str(model.core.dtype).removeprefix("torch.")
        raise ModelError(
            f"its logits are not finite in {dtype}",
            where,
            "give dtype='float32'" if dtype != "float32" else "give weights that are whole",
        )
    tolerance = _SAME.get(model.core.dtype, _SAME_IN_FLOAT32)
    if bool((first - second).abs().max() > tolerance * first.abs().max()):
        raise _not_causal("its predictions depend on tokens that follow", where)


def _prompt(model: TokenModel, where: str) -> Encoded:
    """Encodes a question; a chat template that cannot is refused."""
    try:
        return model.encoder.prompt("Who is this?", None)
    except ClearbenchError:
        raise
    except Exception as error:  # templates and tokenizers raise anything
        raise ModelError(
            f"a question cannot be put into the model's chat template: {first_line(error)}",
            where,
            "correct the template (chat_template.jinja or tokenizer_config.json)",
        ) from error


def attempted(read: Callable[[], Any], where: str) -> Any:
    """Calls a forward pass; an architecture that fails in it is named in the error."""
    try:
        return read()
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, KeyError) as error:
        raise ModelError(
            f"the model cannot read a prompt: {first_line(error)}",
            where,
            "check that config.json, tokenizer and weights belong together",
        ) from error
