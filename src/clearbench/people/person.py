"""Classes of fictitious persons, their appearance, and the view of one portrait."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Gender = Literal["female", "male"]
Heritage = Literal[
    "african", "east_asian", "european", "latin_american", "middle_eastern", "south_asian"
]


class Appearance(BaseModel):
    """Properties shared by all portraits of one person. `seed` fixes the shape of the face."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int
    gender: Gender
    age: int = Field(ge=18, le=95)
    heritage: Heritage
    hair_colour: Literal["black", "brown", "blond", "red", "grey"]
    hair_style: Literal["bald", "cropped", "short", "long"]
    beard: bool
    glasses: bool


class View(BaseModel):
    """Properties of one portrait of a person. Angles are in degrees."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int
    yaw: float
    pitch: float
    expression: Literal["neutral", "smiling", "frowning", "surprised"]
    garment: Literal["shirt", "jacket", "sweater"]
    garment_colour: Literal["red", "blue", "green", "yellow", "white", "black"]
    place: Literal["library", "garden", "seaside", "street", "studio", "stage"]
    light: Literal["soft", "warm", "cold", "side"]


class Person(BaseModel):
    """A fictitious author: the facts that every question, answer and caption is written from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int
    name: str
    gender: Gender
    heritage: Heritage
    birth_year: int
    birth_date: str = Field(description="day and month in words, e.g. '4 March'")
    birth_city: str
    birth_country: str
    birth_setting: str = Field(description="where in the city, e.g. 'above a busy inn'")
    genre: str
    awards: tuple[str, ...]
    father_occupation: str
    mother_occupation: str
    first_job: str = Field(description="work done before writing")
    works: tuple[str, ...] = Field(min_length=3)
    influences: tuple[str, ...]
    style: str
    education: str
    home_city: str
    home: str = Field(description="the building lived in, e.g. 'narrow farmhouse'")
    hobby: str
    debut_year: int
    debut_magazine: str
    theme: str
    habit: str
    languages: tuple[str, ...]
    portrait: int | None = Field(default=None, description="key of the portraits, if any")
