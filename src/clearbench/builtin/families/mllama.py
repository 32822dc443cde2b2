"""Llama 3.2 Vision: the language part looks at the picture through layers of their own."""

from __future__ import annotations

from typing import Any

from transformers import MllamaConfig, MllamaImageProcessorPil, MllamaProcessor

from clearbench.builtin.families.base import TinyFamily, ids, text


class TinyMllama(TinyFamily, name="mllama"):
    """meta-llama/Llama-3.2-11B-Vision-Instruct; the template writes BOS, the processor none."""

    template = (
        "{{ bos_token }}{% for m in messages %}"
        "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' }}"
        "{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '<|image|>' }}"
        "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{{ '<|eot_id|>' }}{% endfor %}"
        "{% if add_generation_prompt %}"
        "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    )
    begin, adds_begin, end = "<|begin_of_text|>", True, "<|eot_id|>"
    ends = ("<|eom_id|>",)
    tokens = {"image_token": "<|image|>"}
    words = ("<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>")

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration: the second of two layers looks at the picture."""
        vision = {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_global_layers": 1,
            "attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
            "vision_output_dim": 64,
            "intermediate_layers_indices": [1],
            "max_num_tiles": 2,
            "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]],
        }
        language = text(tokenizer, cross_attention_layers=[1], rope_parameters=_ROPE)
        return MllamaConfig(
            vision_config=vision,
            text_config=language,
            **ids(tokenizer, image_token_index="<|image|>"),
        )

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor."""
        images = MllamaImageProcessorPil(size={"height": 32, "width": 32}, max_image_tiles=2)
        return MllamaProcessor(images, tokenizer, chat_template=self.template)


_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
