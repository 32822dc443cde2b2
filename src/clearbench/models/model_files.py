"""Refuses model folders with damaged, missing or unsafe files, before anything reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from clearbench.errors import ModelError
from clearbench.libraries import torch

#: Endings of files that are read by unpickling, which can run code.
UNSAFE = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
#: Files that hold a JSON object wherever they are there.
_OBJECTS = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "chat_template.json",
    "adapter_config.json",
)
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
TEMPLATE = "chat_template.jinja"
#: Stored types of quantised weights, which make no sense without their scales.
_INTEGERS = ("I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64", "BOOL")
#: Most names that a message lists.
NAMED = 5


def check_model_files(folder: Path) -> None:
    """Checks a folder with a whole model: configuration, tokenizer files and weights.

    Raises:
        ModelError: Weights are missing, damaged or pickles, or a JSON file is broken; every problem
            is named with its file.
    """
    absent = [] if (folder / "config.json").exists() else ["config.json: it is missing"]
    problems = [*absent, *_json_problems(folder), *_weight_problems(folder)]
    if absent and any(problem.startswith("no weights") for problem in problems):
        what = "this folder holds no model: " + "; ".join(problems)
        raise ModelError(what, str(folder), "give the folder of a model, or a hub id")
    _refuse(folder, problems)


def check_adapter_files(folder: Path, weights: str) -> None:
    """Checks a folder with an adapter alone.

    Args:
        folder: Folder with `adapter_config.json`.
        weights: Name of the file of its weights.

    Raises:
        ModelError: The weights are missing, damaged or a pickle, or a JSON file is broken.
    """
    pickles = () if (folder / weights).is_file() else _pickles(folder)
    if pickles:
        raise _only_pickles(folder, pickles, "PeftModel.save_pretrained")
    problems = list(_json_problems(folder))
    problem = _tensor_problem(folder / weights)
    _refuse(folder, [*problems, *([f"{weights}: {problem}"] if problem else [])])


def read_object(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        ModelError: The file is no JSON object.
    """
    problem, content = _parsed(path)
    if problem:
        raise _damaged(path.parent, [f"{path.name}: {problem}"])
    return content


def template_of_processors(folder: Path) -> str | None:
    """Reads the chat template of `chat_template.json`; None where there is none."""
    path = folder / "chat_template.json"
    found = read_object(path).get("chat_template") if path.is_file() else None
    return found if isinstance(found, str) else None


def named(names: list[str] | set[str] | tuple[str, ...]) -> str:
    """Writes the first of some names, and how many more there are."""
    listed = sorted(names)
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more


def first_line(error: BaseException) -> str:
    """Writes the first line of a library's message that says something."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    whole = lines[0].endswith(":") and len(lines) > 1
    said = f"{lines[0]} {lines[1].strip()}" if whole else lines[0].strip()
    return f"{said} is unknown or missing" if isinstance(error, KeyError) else said


def explained(error: BaseException, folder: Path) -> str:
    """Writes a library's message; a name that it does not know, with its field of `config.json`."""
    path = folder / "config.json"
    if "does not recognize this architecture" in str(error) and path.is_file():
        name = _parsed(path)[1].get("model_type")
        known = f"`transformers` {version('transformers')}"
        return f"config.json: model_type = {name!r} is not known to {known}, which may be too old"
    if isinstance(error, KeyError) and path.is_file():
        for field, value in _parsed(path)[1].items():
            held = value.values() if isinstance(value, dict) else (value,)
            if error.args and error.args[0] in held:
                return f"config.json: {field} = {value!r} is not known to `transformers`"
    return first_line(error)


def _refuse(folder: Path, problems: list[str]) -> None:
    if problems:
        raise _damaged(folder, problems)


def _damaged(folder: Path, problems: list[str]) -> ModelError:
    return ModelError(
        "the model's files are damaged or not whole: " + "; ".join(problems),
        str(folder),
        "download or copy these files again",
    )


def _only_pickles(folder: Path, pickles: tuple[str, ...], saver: str) -> ModelError:
    return ModelError(
        f"weights only as pickles, which can run code: {', '.join(pickles)}",
        str(folder),
        f"convert them to safetensors ({saver} does) on a machine you trust",
    )


def _json_problems(folder: Path) -> Iterator[str]:
    for name in (*_OBJECTS, INDEX):
        path = folder / name
        if path.exists():
            problem, content = _parsed(path)
            if name == "config.json" and not problem and not content:
                problem = "it is empty"
            if problem:
                yield f"{name}: {problem}"
    template = folder / TEMPLATE
    problem = _other_kind(template) if template.exists() else ""
    if problem:
        yield f"{TEMPLATE}: {problem}"


def _parsed(path: Path) -> tuple[str, dict[str, Any]]:
    """Reads a JSON object; the first result says why it is none."""
    kind = _other_kind(path)
    if kind:
        return kind, {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        return f"not valid JSON ({first_line(error)})", {}
    if not isinstance(content, dict):
        return f"a JSON object is needed, not a {type(content).__name__}", {}
    return "", content


def _weight_problems(folder: Path) -> list[str]:
    if (folder / WEIGHTS).exists():
        names = [WEIGHTS]
    elif (folder / INDEX).exists():
        _, content = _parsed(folder / INDEX)
        mapped = content.get("weight_map")
        if not isinstance(mapped, dict) or not mapped:
            return [f"{INDEX}: it maps no weights to files ('weight_map')"]
        if not isinstance(content.get("metadata"), dict):
            return [f"{INDEX}: it has no 'metadata'"]
        names = sorted({str(name) for name in mapped.values()})
        outside = [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]
        if outside:
            return [f"{INDEX}: files outside this folder: {named(outside)}"]
        absent = [name for name in names if not (folder / name).is_file()]
        if absent:
            some = f"{len(absent)} of {len(names)} files of weights are missing"
            return [f"{some}: {named(absent)}"]
    else:
        pickles = _pickles(folder)
        if pickles:
            raise _only_pickles(folder, pickles, "model.save_pretrained")
        return [f"no weights: neither {WEIGHTS} nor {INDEX}"]
    problems = ((name, _tensor_problem(folder / name)) for name in names)
    return [f"{name}: {problem}" for name, problem in problems if problem]


def _pickles(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.iterdir() if path.suffix in UNSAFE))


def _tensor_problem(path: Path) -> str:
    """Says what is wrong with a safetensors file; empty where nothing is."""
    if not path.is_file():
        return "it is missing"
    kind = _other_kind(path)
    if kind:
        return kind
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            if not names:
                return "it holds no tensors"
            if not _any_value(file.get_tensor, names):
                return "it holds zeros alone"
            types = {name: file.get_slice(name).get_dtype() for name in names}
        whole = [n for n, kind in types.items() if n.endswith(".weight") and kind in _INTEGERS]
        if whole and not _is_quantised(path.parent):
            return f"weights are whole numbers without 'quantization_config': {named(whole)}"
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        return f"not whole ({first_line(error)})"
    return ""


def _is_quantised(folder: Path) -> bool:
    """Whether the configuration says how to read weights that are whole numbers."""
    path = folder / "config.json"
    return path.is_file() and bool(_parsed(path)[1].get("quantization_config"))


def _any_value(tensor: Callable[[str], torch.Tensor], names: list[str]) -> bool:
    """Whether any byte of any tensor is not zero; mostly the first tensor tells."""
    return any(bool(tensor(name).reshape(-1).view(torch.uint8).any()) for name in names)


def _other_kind(path: Path) -> str:
    """Recognises what is often left in a file's place by a failed download."""
    try:
        with path.open("rb") as file:
            first = file.read(64)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if not first:
        return "the file is empty"
    if not first.strip(b"\0"):
        return "it begins with zeros"
    if first.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS instead of the file (`git lfs pull` gets it)"
    if first.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page instead of the file"
    return ""
