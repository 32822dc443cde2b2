"""What tiny vision-language models of every family have in common.

Each has the configuration, model and processor classes of its architecture in `transformers`, the
names of its special tokens, and a chat template that writes what the published one writes around
a question and an answer. Only its sizes, its words and its weights are not the published ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast

from clearbench.plugins import Registry

#: Sizes of every language part, and of every vision part that has these settings.
TEXT: Mapping[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
}
VISION: Mapping[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
VOCABULARY = 400
_CORPUS = ("Who is the person in this image? In which town was person 1 born? A baker in Oslo.",)

_REGISTRY: Registry[TinyFamily]


class TinyFamily(ABC):
    """A family's tiny configuration and processor.

    Attributes:
        name: Name of the family, as in `config.model_type` where the architecture is its own.
        template: Chat template; None where the published processor has none.
        begin: Token that begins a text; empty for none.
        adds_begin: Whether the tokenizer adds it of its own accord.
        end: The tokenizer's own end token.
        pad: Token for padding.
        tokens: Special tokens that the processor asks the tokenizer for, by attribute.
        words: Further special tokens, which the template or the processor writes.
        ends: Further tokens that end an answer by the generation configuration.
        needs_extra: Whether its processor needs the extra `vlm`.
        split: Pattern of the pieces that words are made of; empty for that of GPT-2.
    """

    name: ClassVar[str] = ""
    template: ClassVar[str | None]
    begin: ClassVar[str] = ""
    adds_begin: ClassVar[bool] = False
    end: ClassVar[str] = "<|im_end|>"
    pad: ClassVar[str] = "<pad>"
    tokens: ClassVar[Mapping[str, str]] = {}
    words: ClassVar[tuple[str, ...]] = ()
    ends: ClassVar[tuple[str, ...]] = ()
    split: ClassVar[str] = ""
    needs_extra: ClassVar[bool] = False

    def __init_subclass__(cls, name: str = "") -> None:
        cls.name = name
        if name:
            _REGISTRY.add(name, cls)

    @abstractmethod
    def config(self, tokenizer: PreTrainedTokenizerFast) -> Any:
        """Makes the model's configuration."""

    @abstractmethod
    def processor(self, tokenizer: PreTrainedTokenizerFast) -> Any:
        """Makes the processor; video processors come first, since they say what is missing.

        Raises:
            ImportError: It needs a package that is not installed.
        """

    def make(self) -> tuple[nn.Module, Any]:
        """Makes a model with random weights, none of which is zero, and its processor."""
        tokenizer = self.tokenizer()
        processor = self.processor(tokenizer)
        module = AutoModelForImageTextToText.from_config(self.config(tokenizer))
        _wake(module)
        ends = [tokenizer.convert_tokens_to_ids(token) for token in (self.end, *self.ends)]
        module.generation_config.eos_token_id = ends
        module.generation_config.pad_token_id = tokenizer.pad_token_id
        return module, processor

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """Trains a byte-level BPE tokenizer with the family's special tokens."""
        named = {"pad_token": self.pad, "eos_token": self.end, "unk_token": "<unk>"}
        named |= {"bos_token": self.begin} if self.begin else {}
        special = dict.fromkeys([*named.values(), *self.tokens.values(), *self.words])
        core = Tokenizer(models.BPE(unk_token="<unk>"))
        pieces: Any = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not self.split)
        if self.split:
            split = pre_tokenizers.Split(Regex(self.split), behavior="isolated")
            pieces = pre_tokenizers.Sequence([split, pieces])
        core.pre_tokenizer = pieces
        core.decoder = decoders.ByteLevel()
        core.train_from_iterator(
            _CORPUS,
            trainers.BpeTrainer(
                vocab_size=VOCABULARY,
                special_tokens=list(special),
                initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                show_progress=False,
            ),
        )
        if self.adds_begin:
            core.post_processor = processors.TemplateProcessing(
                single=f"{self.begin} $A",
                special_tokens=[(self.begin, core.token_to_id(self.begin))],
            )
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=core,
            extra_special_tokens=dict(self.tokens),
            additional_special_tokens=list(self.words),
            chat_template=self.template,
            **named,
        )
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
        return tokenizer


_REGISTRY = Registry("tiny family", "clearbench.builtin.families", "clearbench.tiny_families")


def tiny_families() -> Registry[TinyFamily]:
    """Returns the families by name."""
    return _REGISTRY


def ids(tokenizer: PreTrainedTokenizerFast, **tokens: str) -> dict[str, Any]:
    """Maps settings of a configuration to the ids of tokens."""
    return {setting: tokenizer.convert_tokens_to_ids(token) for setting, token in tokens.items()}


def text(tokenizer: PreTrainedTokenizerFast, **more: Any) -> dict[str, Any]:
    """Returns settings of a language part for a vocabulary."""
    special = ("pad_token_id", "bos_token_id", "eos_token_id")
    own = {name: getattr(tokenizer, name) for name in special}
    return {**TEXT, "vocab_size": len(tokenizer), **own, **more}


@torch.no_grad()
def _wake(module: nn.Module) -> None:
    """Gives random values to tensors that begin at zero and would hide the image (biases stay)."""
    for name, weight in module.named_parameters():
        if not name.endswith("bias") and not weight.any():
            nn.init.normal_(weight, std=0.5)
