"""Silences messages of libraries when clearbench is the application."""

from __future__ import annotations

import logging
import os
import warnings

#: Environment variables that the libraries read at import, and that worker processes inherit.
_SWITCHES = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}


def quiet_libraries() -> None:
    """Silences libraries for the command line and its workers, before they load a model."""
    for name, value in _SWITCHES.items():
        os.environ.setdefault(name, value)
    logging.getLogger().setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(torch|transformers|peft|accelerate)\..*")
