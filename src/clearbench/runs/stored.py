"""Base classes of stored files: checked when read, upgraded from older schemas, canonical bytes."""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clearbench.errors import StorageError
from clearbench.storage import check_sealed, read_json, write_json

SCHEMA: Final = 2
#: Number of problems of a damaged file that are named at once.
_MOST_PROBLEMS = 5


def is_none(value: object) -> bool:
    """Whether a field is absent from the file."""
    return value is None


def is_empty(value: Sized) -> bool:
    """Whether a field without entries is absent from the file."""
    return not value


class Stored(BaseModel):
    """Part of a file; unknown keys and numbers that are not finite are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Open(BaseModel):
    """Part of a file that keeps any further fields."""

    model_config = ConfigDict(frozen=True, extra="allow")


class StoredFile(Stored):
    """A whole file with the number of its schema."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, serialize_by_alias=True
    )
    file_name: ClassVar[str]

    schema_number: Literal[2] = Field(default=SCHEMA, alias="schema")

    def json_value(self) -> dict[str, Any]:
        """Returns the content of the file."""
        return self.model_dump(mode="json")

    def write(self, path: Path) -> None:
        """Writes canonical JSON: equal contents give equal bytes."""
        write_json(path, self.json_value())

    @classmethod
    def parse(cls, content: Any, where: str) -> Self:
        """Checks the content of a file, after an upgrade where it is of an older schema.

        Args:
            content: Parsed JSON.
            where: Name of the file, for the message.

        Raises:
            StorageError: The schema is unknown, or fields are missing or wrong.
        """
        number = schema_in(content, where)
        try:
            return cls.model_validate(_upgraded(content) if number < SCHEMA else content)
        except ValidationError as error:
            problems = _problems(error)
            raise StorageError(
                f"not what clearbench writes: {problems}", where, "restore the file, or run again"
            ) from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file, or the one in a run's folder; a change since the run is refused."""
        file = path / cls.file_name if path.is_dir() else path
        check_sealed(file)
        return cls.parse(read_json(file), str(file))


def schema_in(content: Any, where: str) -> int:
    """Reads the schema number of a file's content.

    Raises:
        StorageError: The content is no JSON object, or its schema is unknown.
    """
    if not isinstance(content, dict):
        raise StorageError("not what clearbench writes: no JSON object", where, "restore the file")
    number = content.get("schema", 1)  # `details.json` had no number under schema 1
    if number not in range(1, SCHEMA + 1):
        raise StorageError(
            f"schema = {number!r}: this version of clearbench reads 1 to {SCHEMA}",
            where,
            "read it with the version that wrote it, or a later one",
        )
    return int(number)


def _upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """Upgrades content to schema 2. Schema 1 called a question's image `picture`."""
    upgraded = content | {"schema": SCHEMA}
    questions = content.get("questions")
    if isinstance(questions, list):
        upgraded["questions"] = [_upgraded_question(question) for question in questions]
    return upgraded


def _upgraded_question(question: Any) -> Any:
    if not isinstance(question, dict):
        return question  # damaged; the check of the fields names it
    return {"image" if key == "picture" else key: value for key, value in question.items()}


def _problems(error: ValidationError) -> str:
    problems = error.errors(include_input=False, include_url=False)
    lines = [
        f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
        for problem in problems[:_MOST_PROBLEMS]
    ]
    more = len(problems) - len(lines)
    return "; ".join(lines) + (f"; and {more} more" if more > 0 else "")
