"""A family in one file: its processor gives every token two further integers."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel

from clearbench.builtin.tiny import CHAT_TEMPLATE, IMAGE, image_processor, make_tokenizer
from clearbench.models.base import Model
from clearbench.models.families.base import Family
from clearbench.models.load import load_model

#: Tokens of an image.
PATCHES = 3


class Stub(Family, name="stub"):
    """What is not as in the default."""

    model_types = ("stub_vl",)
    projector = re.compile("pixel_projection")
    text_values = {"mm_token_type_ids": 0, "turn_ids": 2}  # noqa: RUF012


class StubConfig(LlamaConfig):
    """A Llama's configuration under a name of its own."""

    model_type = "stub_vl"


class StubModel(LlamaModel):
    """A Llama that adds an embedding of each extra, and pixels where a token is an image's."""

    def __init__(self, config: StubConfig) -> None:
        super().__init__(config)
        self.types = nn.Embedding(2, config.hidden_size)
        self.turns = nn.Embedding(8, config.hidden_size)
        self.pixel_projection = nn.Linear(3, config.hidden_size)
        self.post_init()

    def forward(
        self, input_ids: Tensor, attention_mask: Any = None, position_ids: Any = None,
        past_key_values: Any = None, pixel_values: Any = None, mm_token_type_ids: Any = None,
        turn_ids: Any = None, use_cache: Any = None, output_hidden_states: Any = None, **_: Any,
    ) -> Any:  # fmt: skip
        """Without extras every token is text of turn 2."""
        types = torch.zeros_like(input_ids) if mm_token_type_ids is None else mm_token_type_ids
        turns = torch.full_like(input_ids, 2) if turn_ids is None else turn_ids
        states = self.embed_tokens(input_ids) + self.types(types) + self.turns(turns)
        if pixel_values is not None:
            pixels = self.pixel_projection(pixel_values.mean((2, 3)))
            states = states + pixels[:, None] * types[..., None]
        return super().forward(
            inputs_embeds=states, attention_mask=attention_mask, position_ids=position_ids,
            past_key_values=past_key_values, use_cache=use_cache,
            output_hidden_states=output_hidden_states,
        )  # fmt: skip


class StubForGeneration(LlamaForCausalLM):
    """The model with its head."""

    config_class = StubConfig

    def __init__(self, config: StubConfig) -> None:
        super().__init__(config)
        self.model = StubModel(config)
        self.post_init()

    def forward(
        self, input_ids: Tensor, attention_mask: Any = None, position_ids: Any = None,
        past_key_values: Any = None, pixel_values: Any = None, mm_token_type_ids: Any = None,
        turn_ids: Any = None, use_cache: Any = None, logits_to_keep: int = 0, **more: Any,
    ) -> Any:  # fmt: skip
        """As in the library, with the extras."""
        return super().forward(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
            past_key_values=past_key_values, pixel_values=pixel_values, use_cache=use_cache,
            mm_token_type_ids=mm_token_type_ids, turn_ids=turn_ids, logits_to_keep=logits_to_keep,
            **more,
        )  # fmt: skip

    def prepare_inputs_for_generation(self, input_ids: Tensor, **kwargs: Any) -> dict[str, Any]:
        """New tokens are text; pixels and the prompt's extras are for the first pass alone."""
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(input_ids, **kwargs)
        if inputs["input_ids"].shape[1] < input_ids.shape[1]:
            for name in ("pixel_values", "mm_token_type_ids", "turn_ids"):
                inputs.pop(name, None)
        return inputs


class StubProcessor:
    """Expands the placeholder, and says of every token whether it is an image's and its turn."""

    image_token, chat_template = IMAGE, CHAT_TEMPLATE

    def __init__(self) -> None:
        corpus = ["Who is this? This is a person born in a town."]
        self.tokenizer, self.images = make_tokenizer(corpus, 300), image_processor(16)

    def apply_chat_template(self, turns: Any, **options: Any) -> Any:
        """The tokenizer's."""
        return self.tokenizer.apply_chat_template(turns, **options)

    def __call__(self, text: list[str], images: Any, return_tensors: str) -> dict[str, Any]:
        """One row."""
        expanded = text[0].replace(IMAGE, IMAGE * PATCHES)
        ids = self.tokenizer(expanded, return_tensors="pt").input_ids
        seen = (ids == self.tokenizer.convert_tokens_to_ids(IMAGE)).long()
        pixels = self.images(images=images[0], return_tensors="pt")["pixel_values"]
        found = {"input_ids": ids, "mm_token_type_ids": seen, "turn_ids": 2 + seen.cumsum(1)}
        return found | {"attention_mask": torch.ones_like(ids), "pixel_values": pixels}


def make() -> Model:
    """A tiny random model of the family."""
    processor = StubProcessor()
    torch.manual_seed(3)
    config = StubConfig(
        vocab_size=len(processor.tokenizer), hidden_size=32, intermediate_size=64,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4, bos_token_id=None,
        pad_token_id=processor.tokenizer.pad_token_id,
        eos_token_id=processor.tokenizer.eos_token_id,
    )  # fmt: skip
    return load_model(StubForGeneration(config), processor, kind="vision-language")
