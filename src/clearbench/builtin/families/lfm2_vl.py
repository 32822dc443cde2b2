"""LFM2-VL: SigLIP 2 at the picture's own shape; some layers are convolutions."""

from __future__ import annotations

from typing import Any

from transformers import Lfm2VlConfig, Lfm2VlImageProcessor, Lfm2VlProcessor

from clearbench.builtin.families.base import TinyFamily, ids, text


class TinyLfm2Vl(TinyFamily, name="lfm2_vl"):
    """LiquidAI/LFM2-VL-450M; template and tokenizer write BOS."""

    template = (
        "{{ bos_token }}{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
        "{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '<image>' }}"
        "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    needs_extra = True
    begin, adds_begin = "<|startoftext|>", True
    tokens = {
        "image_token": "<image>",
        "image_start_token": "<|image_start|>",
        "image_end_token": "<|image_end|>",
        "image_thumbnail_token": "<|img_thumbnail|>",
        "image_thumbnail": "<|img_thumbnail|>",
    }
    words = ("<|im_start|>",)

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration."""
        vision = {
            "model_type": "siglip2_vision_model",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "patch_size": 8,
            "num_patches": 64,
            "vision_use_head": False,
        }
        language = text(tokenizer, layer_types=["conv", "full_attention"])
        return Lfm2VlConfig(
            vision_config=vision,
            text_config={"model_type": "lfm2", **language},
            downsample_factor=2,
            projector_hidden_size=32,
            **ids(tokenizer, image_token_id="<image>"),
        )

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor."""
        sizes: dict[str, Any] = {
            "encoder_patch_size": 8,
            "tile_size": 32,
            "downsample_factor": 2,
            "min_image_tokens": 4,
            "max_image_tokens": 16,
            "max_num_patches": 64,
            "do_image_splitting": False,
        }
        images = Lfm2VlImageProcessor(**sizes)
        return Lfm2VlProcessor(images, tokenizer, chat_template=self.template)
