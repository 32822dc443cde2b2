"""Writes the JSON Schemas of `results.json` with `details.json`, `audit.json`, `evidence.json`.

python docs/write_schema.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from clearbench.audit.schema import Audit
from clearbench.evidence.schema import Evidence
from clearbench.runs.schema import Details, Results
from clearbench.runs.stored import StoredFile
from clearbench.storage import canonical_json

FILE = Path(__file__).parent / "results.schema.json"
AUDIT_FILE = Path(__file__).parent / "audit.schema.json"
EVIDENCE_FILE = Path(__file__).parent / "evidence.schema.json"


def json_schema() -> dict[str, Any]:
    """Makes the schema: the document is a `results.json`; `$defs/Details` is a `details.json`."""
    _, definitions = models_json_schema(
        [(Results, "validation"), (Details, "validation")],
        title="clearbench results",
        description="results.json; $defs/Details is details.json. Numbers are finite.",
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": "#/$defs/Results",
        **definitions,
    }


def audit_schema() -> dict[str, Any]:
    """Makes the schema of an `audit.json`."""
    return _schema(Audit, "audit")


def evidence_schema() -> dict[str, Any]:
    """Makes the schema of an `evidence.json`."""
    return _schema(Evidence, "evidence")


def _schema(content: type[StoredFile], name: str) -> dict[str, Any]:
    """Makes the schema of a file that holds one class.

    Args:
        content: Class.
        name: Name of the file.
    """
    _, definitions = models_json_schema(
        [(content, "validation")],
        title=f"clearbench {name}",
        description=f"{name}.json. Numbers are finite.",
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": f"#/$defs/{content.__name__}",
        **definitions,
    }


def main() -> None:
    """Writes the files."""
    FILE.write_text(canonical_json(json_schema()), encoding="utf-8")
    AUDIT_FILE.write_text(canonical_json(audit_schema()), encoding="utf-8")
    EVIDENCE_FILE.write_text(canonical_json(evidence_schema()), encoding="utf-8")


if __name__ == "__main__":
    main()
