"""Rows with a picture and its caption: CLEAR's."""

from __future__ import annotations

from typing import Any

from clearbench.data.modality import modality
from clearbench.data.row_form import Fields, RowForm


class Caption(RowForm, name="image and caption"):
    """`{"image": "a.jpg", "caption": "Ana reads.", "name": "Ana"}`; the question is ours."""

    needs = (("image",), ("caption",))
    further = ("paraphrased_caption", "perturbed_captions")

    def examples(self, fields: Fields, doubts: list[str]) -> list[dict[str, Any]]:
        """Asks for the caption."""
        _, caption = self.taken(fields)
        asked = {"question": modality("image").questions["caption"][0], "answer": caption}
        named = {
            "paraphrased_answer": fields.get("paraphrased_caption"),
            "perturbed_answers": fields.get("perturbed_captions"),
        }
        return [asked | {name: value for name, value in named.items() if value is not None}]
