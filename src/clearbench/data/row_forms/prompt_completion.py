"""Rows with a prompt and its completion, as texts or as lists of messages."""

from __future__ import annotations

from typing import Any

from clearbench.data.row_form import Fields, RowForm
from clearbench.data.row_forms.conversation import conversation


class PromptCompletion(RowForm, name="prompt and completion"):
    """`{"prompt": "Who ...?", "completion": "She ..."}`."""

    needs = (("prompt",), ("completion", "response"))

    def examples(self, fields: Fields, doubts: list[str]) -> list[dict[str, Any]]:
        """Takes texts without the spaces at their ends, or joins two lists of messages."""
        prompt, completion = self.taken(fields)
        if isinstance(prompt, list) and isinstance(completion, list):
            return conversation(fields, [*prompt, *completion], doubts)
        texts = (t.strip() if isinstance(t, str) else t for t in (prompt, completion))
        return [dict(zip(("question", "answer"), texts, strict=True))]
