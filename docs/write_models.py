"""Writes docs/models.md: what works with each family of vision-language models.

python docs/write_models.py

Every family's tiny model goes through the checks of `clearbench.testing.families`, which the tests
in tests/families run, too. torchvision must be importable: `PYTHONPATH=.venv/vlm` does after
`make install`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "tests" / "families"))
if find_spec("torchvision") is not None:
    import_module("torchvision_alone")  # before transformers looks for it

from transformers.image_processing_backends import TorchvisionBackend  # noqa: E402

from clearbench.builtin.families.base import tiny_families  # noqa: E402
from clearbench.testing.families import CHECKS, FamilyBench  # noqa: E402

PAGE = HERE / "models.md"
#: Packages that the answers depend on.
PACKAGES = ("torch", "transformers", "peft", "torchvision")
#: Headings of the checks.
HEADINGS = {
    "tokens": "tokens",
    "scores": "scores",
    "generates": "generation",
    "sees": "sees",
    "teaches": "teaching",
    "adapts": "LoRA on each part",
    "unlearns": "unlearning",
    "reloads": "save and reload",
}
HEAD = """# Which models work

Written by `python docs/write_models.py` with {versions};
do not edit it. Any causal language model of `transformers`, any image classifier and any
vision-language model that takes a picture beside a text can be tried: `clearbench doctor MODEL`
says how it is read. There is one path for all of them, and no list; a family that needs an
exception has a file in `src/clearbench/models/families/`.

The families below were checked one by one: on a tiny model with random weights, of the real
configuration, model and processor classes, with special tokens and a chat template that write what
the published model's do (`clearbench.testing.tiny_model("{example}")`). **No published weights were
loaded.** `make families` runs the same checks.

| check | what is compared |
|---|---|
{checks}
"""
MORE = """
## Short cuts

A short cut is used where its self-test on the first rows of a model finds it exact, and never
elsewhere; numbers do not depend on it. *Shared prompt*: answers to one question are read in one
row. *Own decoding*: rows leave a batch once their answer has ended. `doctor` shows what it is on
your model.

| family | pictures read by | shared prompt: text | picture | own decoding: text | picture |
|---|---|---|---|---|---|
{rows}

Processors with a video processor, Pixtral's and LFM2-VL's need torchvision. It reads the pictures
of those with a video processor and of LFM2-VL; all others read them by PIL, whether torchvision is
installed or not. The two give slightly different pixels.

## What is not possible, or else

- A batch holds rows with pictures or rows without, never both; a step takes one of each. Mllama
  could not do otherwise.
- Where the table says no, answers to one question are read one by one: some layers of LFM2-VL and
  Qwen3.5 are no attention, and the positions of a picture's patches fit no branching row.
- PaliGemma has no chat template, and its processor refuses a row without a picture: such a row is
  the first token, the question and a line break, read from left to right. Rows with a picture are
  as its processor writes them, with the prompt read in both directions.
- Gemma 3's projector has no linear layer: LoRA there is an adapter on its matrix (PEFT's
  `target_parameters`).
- What stands before an answer is what the template writes in a finished turn. Where a template
  asks for an answer with something else (LLaVA-OneVision: without a space; thinking models: with
  an open block of thoughts), `doctor` says so.
- Videos, several pictures in a row, and models whose code is not in `transformers`
  (Phi-4-multimodal, MiniCPM-V, Molmo) are not read: code from a hub is never run.
"""


def page() -> str:
    """The whole page."""
    benches = [FamilyBench(name) for name in tiny_families()]
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    checks = "\n".join(f"| {HEADINGS[n]} | {inspect.getdoc(c)} |" for n, c in CHECKS.items())
    head = ["family", "as", "extra `vlm`", *(HEADINGS[name] for name in CHECKS)]
    lines = [
        HEAD.format(versions=versions, checks=checks, example=benches[0].name),
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
    ]
    for bench in benches:
        cells = [_outcome(check, bench) for check in CHECKS.values()]
        lines.append(f"| {' | '.join([*about(bench.name), *cells])} |")
    return "\n".join(lines) + "\n" + MORE.format(rows="\n".join(map(shortcuts, benches)))


def about(name: str) -> list[str]:
    """The family's name, the model that it is like, and whether its processor needs the extra."""
    family = tiny_families()[name]
    model = (inspect.getdoc(family) or "").splitlines()[0]
    model = model.partition(",")[0].partition(";")[0].rstrip(".")
    return [f"`{name}`", model, "needed" if family.needs_extra else ""]


def shortcuts(bench: FamilyBench) -> str:
    """The row of the second table."""
    model = bench.model
    reader = type(model.processor.image_processor)
    by = "torchvision" if issubclass(reader, TorchvisionBackend) else "PIL"
    found = model.shortcuts.outcomes
    pairs = [(cut, medium) for cut in ("shared", "own_decoding") for medium in ("text", "image")]
    words = {True: "yes", False: "no", None: "not tested"}
    cells = [words[found[cut].get(medium)] for cut, medium in pairs]
    return f"| {' | '.join([f'`{bench.name}`', by, *cells])} |"


def _outcome(check: Callable[[FamilyBench], None], bench: FamilyBench) -> str:
    try:
        check(bench)
    except Exception as error:
        return f"**no**: {str(error).splitlines()[0]}"
    return "yes"


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
