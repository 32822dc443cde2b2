"""Text modality: questions about a person that are answered from memory."""

from __future__ import annotations

from clearbench.data.modality import JUDGED, Modality


class Text(Modality, name="text"):
    """Questions without any media."""

    position = 0
    title = "Text answers"
    heading = "Text"
    noun = "text"
    tasks = ("qa", "choice")
    main_task = "qa"
    identifying_task = "qa"
    kinds = ("language", "vision-language")
    judged = (*JUDGED, "topic")
    kept = ("retain.probability", "retain.rouge_l", "real.probability", "real.rouge_l")
