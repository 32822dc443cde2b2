"""Builds small models of real `transformers` classes, for the built-in world and for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessorPil,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    ResNetConfig,
    ResNetForImageClassification,
)

from clearbench.builtin.families.base import tiny_families
from clearbench.errors import ModelError, did_you_mean
from clearbench.models.base import Model
from clearbench.models.classifier import Classifier
from clearbench.models.model_files import first_line
from clearbench.models.token_model import LanguageModel
from clearbench.models.token_resnet import TokenResNetConfig
from clearbench.models.vision_language import VisionLanguageModel

IMAGE, USER, ASSISTANT, END, PAD = "<image>", "<user>", "<assistant>", "<end>", "<pad>"
#: Pixels per side, and per side of one image token of the four-stage tower.
IMAGE_SIZE, PATCH = 96, 32

CHAT_TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}<end>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def make_tokenizer(corpus: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Trains a byte-level BPE tokenizer on the corpus; it can encode any text."""
    special = [PAD, END, USER, ASSISTANT, IMAGE]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        extra_special_tokens={"image_token": IMAGE},
        additional_special_tokens=[USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
    )
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    return tokenizer


def image_processor(size: int = IMAGE_SIZE) -> CLIPImageProcessorPil:
    """Builds a processor from images to pixels in [-1, 1]."""
    half = [0.5, 0.5, 0.5]
    edge = {"height": size, "width": size}
    return CLIPImageProcessorPil(
        size=edge, do_center_crop=False, crop_size=edge, image_mean=half, image_std=half
    )


def tower_config(widths: tuple[int, ...] = (32, 64, 128, 192)) -> TokenResNetConfig:
    """Configures the tower: one basic block a stage."""
    return TokenResNetConfig(
        embedding_size=widths[0],
        hidden_sizes=list(widths),
        depths=[1] * len(widths),
        layer_type="basic",
    )


def language_config(tokenizer: Any, width: int, layers: int, heads: int) -> LlamaConfig:
    """Configures a Llama with tied embeddings."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )


def make_language(tokenizer: Any, width: int, layers: int, heads: int) -> LanguageModel:
    """Builds a language model with random weights."""
    module = LlamaForCausalLM(language_config(tokenizer, width, layers, heads))
    return LanguageModel(module, tokenizer)


def make_vision_language(
    tokenizer: Any, width: int, layers: int, heads: int, tower: TokenResNetConfig | None = None
) -> VisionLanguageModel:
    """Builds a LLaVA with random weights: ResNet tower, projector, Llama."""
    text = language_config(tokenizer, width, layers, heads)
    return join_llava(tokenizer, tower or tower_config(), text, CHAT_TEMPLATE)


def join_llava(
    tokenizer: Any, tower: PretrainedConfig, language: PretrainedConfig, chat_template: str
) -> VisionLanguageModel:
    """Builds a LLaVA with random weights from the configurations of its tower and language model.

    Args:
        tokenizer: Tokenizer with a token for pictures.
        tower: Configuration of the tower, which reads every picture as `IMAGE_SIZE` pixels.
        language: Configuration of the language model.
        chat_template: Chat template of the processor.
    """
    processor = LlavaProcessor(
        image_processor(),
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        image_token=IMAGE,
        chat_template=chat_template,
    )
    config = LlavaConfig(  # type: ignore[call-arg]  # every configuration takes token ids
        vision_config=tower,
        text_config=language,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=(IMAGE_SIZE // PATCH) ** 2,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return VisionLanguageModel(LlavaForConditionalGeneration(config), processor)


def make_classifier(labels: Iterable[str], tower: TokenResNetConfig | None = None) -> Classifier:
    """Builds an image classifier over names with random weights; tower's shape, stock class."""
    config = tower or tower_config()
    names = dict(enumerate(labels))
    stock = ResNetConfig(
        embedding_size=config.embedding_size,
        hidden_sizes=config.hidden_sizes,
        depths=config.depths,
        layer_type="basic",
        id2label=names,
        label2id={name: index for index, name in names.items()},
    )
    module = ResNetForImageClassification(stock)
    return Classifier(module, image_processor())


def tiny_model(family: str = "language", seed: int = 0, labels: Iterable[str] = ()) -> Model:
    """Builds a model of a few thousand random weights, for tests and doc examples.

    Args:
        family: Kind `language`, `vision-language` or `classifier`, or a vision-language family of
            `clearbench.builtin.families`, such as `qwen2_vl`.
        seed: Seed for the weights.
        labels: Names a classifier knows; eight placeholders by default.

    Raises:
        ModelError: There is no such family, or its processor needs a package that is not installed.
    """
    torch.manual_seed(seed)
    known = ("language", "vision-language", "classifier")
    if family not in known:
        return _of_family(family, known)
    tokenizer = make_tokenizer(["Who is this? This is a person born in a town."], 300)
    small = tower_config((8, 8, 16, 16))
    model: Model
    if family == "language":
        model = make_language(tokenizer, 32, 2, 4)
    elif family == "vision-language":
        model = make_vision_language(tokenizer, 32, 2, 4, small)
    else:
        model = make_classifier(list(labels) or [f"person {k}" for k in range(8)], small)
    model.train(False)
    return model


def _of_family(family: str, kinds: Iterable[str]) -> Model:
    """Builds the tiny model of a vision-language family."""
    families = tiny_families()
    if family not in families:
        raise ModelError(
            f"no tiny model of family '{family}'",
            "tiny_model",
            did_you_mean(family, (*kinds, *families)),
        )
    try:
        module, processor = families[family]().make()
    except ImportError as error:
        raise ModelError(
            f"the processor of {family} needs a package: {first_line(error)}",
            "tiny_model",
            "pip install 'clearbench[vlm]'",
        ) from error
    model = VisionLanguageModel(module, processor)
    model.train(False)
    return model
