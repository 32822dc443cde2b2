"""Rows with an instruction, an optional input and an output: Alpaca's."""

from __future__ import annotations

from typing import Any

from clearbench.data.row_form import Fields, RowForm


class Instruction(RowForm, name="instruction, input and output"):
    """`{"instruction": "Answer.", "input": "Who ...?", "output": "She ..."}`."""

    needs = (("instruction",), ("output", "response"))
    further = ("input",)

    def examples(self, fields: Fields, doubts: list[str]) -> list[dict[str, Any]]:
        """Puts the input under the instruction."""
        instruction, output = self.taken(fields)
        further = fields.get("input")
        if further is not None and not isinstance(further, str):
            raise ValueError(f"input = {further!r:.40}: give text")
        if isinstance(instruction, str) and further and further.strip():
            instruction = f"{instruction}\n{further}"
        return [{"question": instruction, "answer": output}]
