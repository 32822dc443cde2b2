"""Rows with a question and its answer."""

from __future__ import annotations

from typing import Any

from clearbench.data.row_form import Fields, RowForm


class QuestionAnswer(RowForm, name="question and answer"):
    """`{"question": "Who ...?", "answer": "She ..."}`."""

    needs = (("question",), ("answer",))

    def examples(self, fields: Fields, doubts: list[str]) -> list[dict[str, Any]]:
        """Takes both as they are."""
        question, answer = self.taken(fields)
        return [{"question": question, "answer": answer}]
