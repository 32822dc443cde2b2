"""Renders questions and answers with a model's own chat template, and finds the answer in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from transformers.utils.chat_template_utils import _compile_jinja_template

from clearbench.errors import DataError, ModelError
from clearbench.models.legible import short

#: Day that templates are told instead of today, so that no number depends on the day of a run;
#: the one that open-unlearning gives Llama 3 (configs/model/Llama-3.2-1B-Instruct.yaml).
DAY = datetime(2025, 4, 10)
#: Function by which templates ask for the day.
_CLOCK = "strftime_now"
#: Answer that is rendered to find where an answer begins and ends.
_MARK = "Quixotry"
#: Question of the first rendering, and how often it is repeated, to find templates that draw lots.
_QUESTION, _REPEATS = "What is the full name of the author?", 4
#: What to do about a template that cannot be used.
MEND = "mend the chat template of the model's tokenizer or processor"


@dataclass(frozen=True)
class Frame:
    """Text that a conversation has around its answer.

    Attributes:
        before: Text before the answer: the question, headers, an empty block of thoughts.
        after: Text after it, which ends the turn.
    """

    before: str
    after: str


class Chat:
    """The chat template of a model, or plain `Question:` and `Answer:` where it has none.

    Whatever a template writes of its own accord belongs to the frame, never to the answer.

    Args:
        processor: Processor or tokenizer that has the template.
        takes_media: True for processors, whose messages are lists of parts.
        instead: Template of the model's family, for processors that have none.
    """

    def __init__(self, processor: Any, takes_media: bool, instead: str | None = None) -> None:
        self._processor, self._takes_media = processor, takes_media
        self._instead = instead

    @property
    def template(self) -> str | None:
        """The template, the one named `default` where there are several; None without any."""
        found = getattr(self._processor, "chat_template", None)
        if isinstance(found, Mapping):
            found = found.get("default", "")
        return self._instead if found is None else found

    @property
    def _lacks_template(self) -> bool:
        return getattr(self._processor, "chat_template", None) is None

    @property
    def is_dated(self) -> bool:
        """Whether the template asks for the day."""
        return _CLOCK in (self.template or "")

    @cached_property
    def fault(self) -> str:
        """What is wrong with the template for every question, in words; empty if nothing is.

        Raises:
            ModelError: The template cannot be rendered.
        """
        if self.template is None:
            return ""
        text, again = (self._rendered(_QUESTION, _MARK, None) for _ in range(2))
        for _ in range(_REPEATS):
            again = again if again != text else self._rendered(_QUESTION, _MARK, None)
        if again != text:
            return "the chat template writes something else each time"
        if "{'type'" in text:
            return "the chat template cannot read messages that are lists of parts"
        if text.count(_MARK) != 1:
            return f"the chat template writes an answer {text.count(_MARK)} times instead of once"
        if _QUESTION not in text.partition(_MARK)[0]:
            return "the chat template writes no question before the answer"
        return ""

    def refuse_fault(self) -> None:
        """Raises a `ModelError` where the template loses questions or answers."""
        if self.fault:
            raise ModelError(self.fault, "chat_template", MEND)

    def frame(self, question: str, content: str = "") -> Frame:
        """Computes what surrounds every answer to a question.

        Args:
            question: Question of a row.
            content: Type of the part that stands for the row's media, such as `image`.

        Raises:
            DataError: The template loses this question.
        """
        if self.template is None:
            return Frame(f"Question: {question}\nAnswer:", "")
        mark = _MARK
        while mark in question:
            mark += "x"
        text = self._rendered(question, mark, content)
        before, _, after = text.partition(mark)
        if self.fault:  # what is left of it, for those who want to see it
            return Frame(before, after)
        if text.count(mark) != 1 or _bare(question) not in _bare(before):
            raise DataError(
                f"the chat template does not write {short(question)} once",
                "question",
                "drop the row, or " + MEND,
            )
        return Frame(before, after)

    def asking(self, question: str) -> str:
        """Renders a question as the template does for a model that is about to answer.

        Templates may write something else there than before the answer of a finished turn, which
        is what `frame` returns: a block of thoughts that is left open, or other spaces.
        """
        if self.template is None:
            return self.frame(question).before
        return self._written([self._turn("user", question)], add_generation_prompt=True)

    def answered(self, question: str, answer: str, frame: Frame, content: str = "") -> str:
        """Renders an answer as the template writes it, without the frame.

        Raises:
            DataError: The template changes more of it than the space around it.
        """
        if self.template is None:
            return f" {answer}"
        text = self._rendered(question, answer, content)
        middle = text[len(frame.before) : len(text) - len(frame.after)]
        whole = text == f"{frame.before}{middle}{frame.after}"
        if self.fault:
            return middle if whole else ""
        if not whole or middle.strip() != answer.strip():
            raise DataError(
                f"the chat template changes {short(answer)}",
                "answer",
                "drop the row, or " + MEND,
            )
        return middle

    def _rendered(self, question: str, answer: str, content: str | None) -> str:
        turns = [self._turn("user", question, content), self._turn("assistant", answer)]
        return self._written(turns, add_generation_prompt=False)

    def _turn(self, role: str, text: str, content: str | None = None) -> dict[str, Any]:
        """Makes a message: a text, or a list of parts for processors."""
        if not self._takes_media:
            return {"role": role, "content": text}
        shown = [{"type": content}] if content else []
        return {"role": role, "content": [*shown, {"type": "text", "text": text}]}

    def _written(self, turns: list[dict[str, Any]], add_generation_prompt: bool) -> str:
        """Renders messages with the template."""
        try:
            with _fixed_day(self.template or "") if self.is_dated else nullcontext():
                given = {"chat_template": self._instead} if self._lacks_template else {}
                text: str = self._processor.apply_chat_template(
                    turns, tokenize=False, add_generation_prompt=add_generation_prompt, **given
                )
        except Exception as error:  # a template is a program and may raise anything
            what = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"the chat template fails: {what}", "chat_template", MEND) from error
        return text


@contextmanager
def _fixed_day(template: str) -> Iterator[None]:
    """Lets a compiled template ask for `DAY` while entered; plain data alone may be handed in."""
    known = _compile_jinja_template(template).environment.globals
    before = known[_CLOCK]
    known[_CLOCK] = lambda format="%d %b %Y": DAY.strftime(format)
    try:
        yield
    finally:
        known[_CLOCK] = before


def _bare(text: str) -> str:
    """A text without space, which templates trim."""
    return "".join(text.split())
