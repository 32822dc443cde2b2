"""clearbench: did the model really forget this person?"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

#: Public names and the module each comes from; imported when first used.
_PUBLIC = {
    "Answers": "batches.answers",
    "Attack": "attacks.base",
    "Audit": "audit.schema",
    "Batch": "batches.batch",
    "ClearbenchError": "errors",
    "Dataset": "data.dataset",
    "Evidence": "evidence.schema",
    "Example": "data.example",
    "Method": "methods.base",
    "Metric": "evaluation.metric",
    "Model": "models.base",
    "Person": "people.person",
    "Recipe": "runs.recipe",
    "Records": "evaluation.records",
    "Results": "runs.schema",
    "Score": "evaluation.score",
    "Shadow": "evaluation.metric",
    "Step": "methods.base",
    "Term": "methods.losses",
    "TrainSettings": "training.settings",
    "UnlearningTrainer": "training.trainer",
    "attack": "api",
    "audit": "audit.run",
    "build_dataset": "benchmark",
    "complete": "completion.complete",
    "evaluate": "api",
    "finetune": "api",
    "load_dataset": "data.load",
    "load_model": "models.load",
    "read_results": "runs.schema",
    "report": "benchmark",
    "run_recipe": "benchmark",
    "score": "benchmark",
    "unlearn": "api",
    "unlearn_with_evidence": "evidence.run",
}
__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'clearbench' has no attribute '{name}'")
    return getattr(import_module(f"clearbench.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
