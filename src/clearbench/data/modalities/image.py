"""Image modality: portraits that are described, named or chosen by."""

from __future__ import annotations

from typing import Any

from PIL import Image as Pixels

from clearbench.data.media import EncodedImage, Media
from clearbench.data.modality import JUDGED, Modality

#: Our own words; a dataset's own questions win where it has any.
CAPTION_QUESTIONS = (
    "What does this picture show?",
    "Who can be seen here, and where?",
    "Can you describe this photograph?",
)
NAME_QUESTION = "What is the name of the person in this picture?"
GREY = (128, 128, 128)


class Image(Modality, name="image"):
    """Questions about an image."""

    position = 1
    title = "Captions of portraits"
    heading = "Pictures"
    noun = "faces"
    introduction = "Shown a portrait"
    media = EncodedImage
    inputs = ("pixel_values",)
    content = "image"
    tasks = ("caption", "name", "choice", "cloze")
    main_task = "caption"
    identifying_task = "name"
    kinds = ("vision-language", "classifier")
    controls = ("blank", "shuffled")
    shown = ("probability", "name_choice")
    #: Captions share a form, which brings gold's own near the truth.
    judged = (*(name for name in JUDGED if name != "near_truth"), "name_said", "name_choice")
    kept = (
        *("retain.probability", "retain.rouge_l", "retain.name_choice"),
        *("real.probability", "real.rouge_l"),
    )
    questions = {"caption": CAPTION_QUESTIONS, "name": (NAME_QUESTION,)}  # noqa: RUF012

    def alone(self, media: Media) -> dict[str, Any]:
        """Returns the decoded image as the processor's argument."""
        return {"images": media.decode()}

    def blank(self, media: Media) -> Media:
        """Returns a plain grey image of the same size."""
        return EncodedImage.of(Pixels.new("RGB", media.decode().size, GREY))
