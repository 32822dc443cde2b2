"""Names the publication that defines a method."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Paper:
    """A publication and the authors' code.

    Attributes:
        title: Title of the publication; of the repository where there is only code.
        year: Year of the first version; 0 where it is unknown.
        arxiv: arXiv identifier, such as 2401.06121.
        code: Authors' repository on GitHub, such as locuslab/tofu.
    """

    title: str
    year: int = 0
    arxiv: str = ""
    code: str = ""

    def __str__(self) -> str:
        parts = (
            self.title,
            f"{self.year or ''}",
            self.arxiv and f"arXiv {self.arxiv}",
            self.code and f"github.com/{self.code}",
        )
        return ", ".join(part for part in parts if part)

    def row(self) -> dict[str, str | int]:
        """The fields, for `clearbench list`."""
        return asdict(self)


TOFU = Paper("TOFU: A Task of Fictitious Unlearning for LLMs", 2024, "2401.06121", "locuslab/tofu")
CLEAR = Paper(
    "CLEAR: Character Unlearning in Textual and Visual Modalities",
    2024,
    "2410.18057",
    "somvy/multimodal_unlearning",
)
CLOSER_LOOK = Paper(
    "A Closer Look at Machine Unlearning for Large Language Models",
    2024,
    "2410.08109",
    "sail-sg/closer-look-LLM-unlearning",
)
