"""The versions of all libraries that compute are part of a stage's key."""

from __future__ import annotations

import sys
from pathlib import Path

import clearbench
from clearbench.runs.code import imported
from clearbench.runs.stage import PACKAGES, package_versions

#: Libraries that are no part of any key, and why.
UNCOUNTED = {
    "annotated_types": "checks of the tests' kit",
    "datasets": "writes folders for other people",
    "drjit": "draws portraits, which are stored",
    "filelock": "locks",
    "huggingface_hub": "fetches files, whose content counts",
    "jinja2": "pages",
    "markupsafe": "pages",
    "matplotlib": "figures",
    "mitsuba": "draws portraits, which are stored",
    "psutil": "cost",
    "pydantic": "checks settings, which count value by value",
    "rich": "words on a screen",
    "typer": "the command line",
    "yaml": "reads settings and texts, which count value by value",
}
PACKAGE_OF = {"PIL": "pillow", "sklearn": "scikit-learn", "rouge_score": "rouge-score"}


def test_every_library_that_is_imported_counts_or_is_known_not_to() -> None:
    root = Path(clearbench.__file__).parent
    found: set[str] = set()
    for path in root.rglob("*.py"):
        module = ".".join(("clearbench", *path.relative_to(root).with_suffix("").parts))
        names = imported(path.read_text(encoding="utf-8"), module)
        found |= {name.partition(".")[0] for name in names}
    found -= {*sys.stdlib_module_names, "clearbench"}
    named = {PACKAGE_OF.get(name, name) for name in found} - {*UNCOUNTED}
    deferred = {"pandas", "pyarrow", "scipy", "torch"}  # by clearbench.libraries
    assert named | deferred == {*PACKAGES}
    assert {*UNCOUNTED} <= found, "nobody imports these any more"
    assert {*package_versions()} == {*PACKAGES}
