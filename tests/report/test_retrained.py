"""Retraining is gold by another name: the summary shows no answer of it as a method's."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clearbench.report.groups import groups
from clearbench.report.rows import main_table
from clearbench.report.summary import print_summary
from clearbench.runs.schema import Details, Results
from clearbench.runs.wording import wording

Json = dict[str, Any]


@pytest.mark.parametrize("best", ["kl_minimization", "gradient_difference"])
def test_the_example_is_of_no_retrained_run(results: Json, details: Json, best: str) -> None:
    """However near to gold it lies, which it does by being one."""
    content = copy.deepcopy(results)
    for row in content["rows"]:
        if row["method"] == best:
            row["method"] = "retrain"
            for finding in row["verdict"]["findings"]:
                finding |= {"estimate": 0.0} if finding["kind"] == "left" else {}
    checked = Results.parse(content, "results")
    tables = [row for group in groups(checked, wording(checked)) for row in main_table(group)]
    assert {row.run.method for row in tables if row.retrained} == {"retrain"}
    out = io.StringIO()
    shown = Details.parse(details, "details")
    print_summary(checked, shown, Path("report.html"), Console(file=out, width=160))
    assert "after " in out.getvalue() and "after Retrain" not in out.getvalue()
