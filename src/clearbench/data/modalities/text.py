"""Text modality: questions about a person that are answered from memory, and passages of text.

A row of the task `continuation` asks for what follows its question word for word. One of the task
`passage` is a text, cut after its first words, whose likelihood counts: it is never generated.
"""

from __future__ import annotations

from clearbench.data.modality import JUDGED, Modality


class Text(Modality, name="text"):
    """Questions without any media."""

    position = 0
    title = "Text answers"
    heading = "Text"
    noun = "text"
    tasks = ("qa", "choice", "cloze", "continuation", "passage")
    main_task = "qa"
    identifying_task = "qa"
    kinds = ("language", "vision-language")
    judged = (*JUDGED, "topic")
    kept = ("retain.probability", "retain.rouge_l", "real.probability", "real.rouge_l")
