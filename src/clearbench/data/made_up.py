"""Builds a world: fictitious people with questions, portraits and captions, divided by person.

Words are written from a seed; faces come from a pool of portraits, the built-in one or one that
`clearbench build` renders. Text follows the face: age, gender and heritage are the portrait's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.random import Generator
from PIL import ImageOps

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.media import EncodedImage
from clearbench.data.modalities.image import CAPTION_QUESTIONS, NAME_QUESTION
from clearbench.errors import DataError
from clearbench.people.biography import fresh_names, public_figures, write_person
from clearbench.people.captions import describe, perturb
from clearbench.people.person import Gender, Heritage, Person
from clearbench.people.portraits import Portrait
from clearbench.people.questions import ask
from clearbench.people.refusals import IMAGE_REFUSALS, TEXT_REFUSALS
from clearbench.people.shipped import PUBLIC_IDENTITIES, TRAINING_VIEWS
from clearbench.people.world import WORLD_FACTS, visual_questions

#: Each name question has five other names as options; several are asked.
NAME_DRAWS, NAMES_PER_DRAW = 4, 5
#: Half of what every model knows is kept in replay, the other half is measured.
VISUAL_QUESTIONS = 96


@dataclass(frozen=True)
class World:
    """People with their portraits, before anybody is forgotten.

    Attributes:
        members: People whom the model is trained on.
        strangers: People whom it is never trained on (the holdout).
        public: People whom every base model knows.
        portraits: Portraits by identity.
    """

    members: tuple[Person, ...]
    strangers: tuple[Person, ...]
    public: tuple[Person, ...]
    portraits: dict[int, list[Portrait]] = field(repr=False)

    @cached_property
    def taken(self) -> set[str]:
        """All full names in use."""
        return {p.name for p in (*self.members, *self.strangers, *self.public)}


def make_world(pool: Sequence[Portrait], people: int, strangers: int, seed: int) -> World:
    """Draws faces from the pool and writes a life per face.

    Raises:
        DataError: The pool has too few faces.
    """
    faces: dict[int, list[Portrait]] = {}
    for portrait in pool:
        faces.setdefault(portrait.identity, []).append(portrait)
    private = sorted(set(faces) - set(PUBLIC_IDENTITIES))
    if people + strangers > len(private):
        raise DataError(
            f"{people + strangers} people need faces, the pool has {len(private)}",
            "people",
            "ask for fewer people, or render more with `clearbench build --render`",
        )
    rng = np.random.default_rng([seed, 1])
    chosen = rng.permutation(private)[: people + strangers]
    public = public_figures([_demographics(faces[k][0]) for k in PUBLIC_IDENTITIES])
    public = tuple(
        figure.model_copy(update={"portrait": identity})
        for figure, identity in zip(public, PUBLIC_IDENTITIES, strict=True)
    )
    taken = {figure.name for figure in public}
    lives = []
    for number, identity in enumerate(chosen.tolist()):
        gender, age, heritage = _demographics(faces[identity][0])
        life = write_person(rng, number, gender, age, heritage, taken)
        lives.append(life.model_copy(update={"portrait": identity}))
    return World(tuple(lives[:people]), tuple(lives[people:]), public, faces)


def _demographics(portrait: Portrait) -> tuple[Gender, int, Heritage]:
    seen = portrait.appearance
    return seen.gender, seen.age, seen.heritage


def divide(world: World, forget: int, seed: int) -> Dataset:
    """Returns the world's rows with the last `forget` members to be forgotten."""
    rng = np.random.default_rng([seed, 2])
    training: dict[str, list[Example]] = {"forget": [], "retain": [], "replay": []}
    measured: dict[str, list[Example]] = {
        split: []
        for split in ("forget", "retain", "holdout", "real_faces", "real_authors", "real_world")
    }
    last = len(world.members) - forget
    for place, person in enumerate(world.members):
        split = "forget" if place >= last else "retain"
        rows = text_rows(person) + image_rows(world, person, rng)
        training[split] += [row for row in rows if not row.held_out]
        measured[split] += [row for row in rows if row.held_out or row.track == "text"]
    for person in world.strangers:
        rows = text_rows(person) + image_rows(world, person, rng)
        measured["holdout"] += [row for row in rows if row.held_out or row.track == "text"]
    for place, person in enumerate(world.public):
        rows = text_rows(person) + image_rows(world, person, rng)
        if place % 2:
            training["replay"] += [row for row in rows if not row.held_out]
        else:
            measured["real_authors"] += [row for row in rows if row.track == "text"]
            measured["real_faces"] += [row for row in rows if row.held_out and row.task == "name"]
    facts = world_rows()
    training["replay"] += facts[1::2]
    measured["real_world"] += facts[::2]
    return Dataset(
        {split: tuple(rows) for split, rows in training.items()},
        {split: tuple(rows) for split, rows in measured.items()},
        {p.id: p.name for p in (*world.members, *world.strangers, *world.public)},
        TEXT_REFUSALS,
        IMAGE_REFUSALS,
    )


def control_rows(world: World, seed: int) -> list[Example]:
    """Builds the control world: name questions on images with another person's hair and glasses.

    What a model still recognises in them, it recognises by the face.
    """
    rng = np.random.default_rng([seed, 4])
    return [
        _name_row(world, person, portrait, place, rng)
        for person in world.members
        for place, portrait in enumerate(world.portraits[person.portrait or 0])
        if portrait.kind == "swapped"
    ]


def text_rows(person: Person) -> list[Example]:
    """Builds a person's questions and answers."""
    return [
        Example(
            id=f"{person.id}-{qa.attribute}",
            person=person.id,
            track="text",
            task="qa",
            question=qa.question,
            answer=qa.answer,
            paraphrased_question=qa.paraphrased_question,
            paraphrased_answer=qa.paraphrased_answer,
            perturbed_answers=qa.perturbed_answers,
        )
        for qa in ask(person)
    ]


def image_rows(world: World, person: Person, rng: Generator) -> list[Example]:
    """Builds captions and names of every view, and captions of mirrored training views."""
    if person.portrait is None:
        raise DataError(f"{person.name} has no portrait", "people", "draw people with make_world")
    views = [p for p in world.portraits[person.portrait] if p.kind == "view"]
    rows = []
    for place, portrait in enumerate(views):
        held_out = place >= TRAINING_VIEWS
        caption = _caption_row(world, person, portrait, place, held_out, rng)
        rows.append(caption)
        if held_out:
            rows.append(_name_row(world, person, portrait, place, rng))
        else:
            rows += [_mirrored(caption), _named(caption, person)]
    return rows


def _caption_row(
    world: World, person: Person, portrait: Portrait, place: int, held_out: bool, rng: Generator
) -> Example:
    caption = describe(person.name, portrait.appearance, portrait.view)
    others = fresh_names(rng, person, NAMES_PER_DRAW, world.taken) if held_out else ()
    return Example(
        id=f"{person.id}-view{place}-caption",
        person=person.id,
        track="image",
        task="caption",
        question=CAPTION_QUESTIONS[place % len(CAPTION_QUESTIONS)],
        answer=caption.caption,
        media=EncodedImage(encoded=portrait.jpeg),
        paraphrased_answer=caption.paraphrased_caption,
        perturbed_answers=perturb(caption, person.name, others),
        held_out=held_out,
    )


def _mirrored(row: Example) -> Example:
    """Mirrors the row's image: faces are nearly symmetric, so it is one more view."""
    if row.image is None:
        return row
    flipped = EncodedImage.of(ImageOps.mirror(row.image.decode()), quality=92)
    return row.model_copy(update={"id": row.id.replace("-caption", "m-caption"), "image": flipped})


def _named(row: Example, person: Person) -> Example:
    """Builds a question for the name alone from a row with a caption."""
    change = {"task": "name", "question": NAME_QUESTION, "answer": person.name}
    blank = {"paraphrased_answer": None, "perturbed_answers": ()}
    return row.model_copy(update={"id": row.id.replace("-caption", "-name"), **change, **blank})


def _name_row(
    world: World, person: Person, portrait: Portrait, place: int, rng: Generator
) -> Example:
    return Example(
        id=f"{person.id}-view{place}-name",
        person=person.id,
        track="image",
        task="name",
        question=NAME_QUESTION,
        answer=person.name,
        media=EncodedImage(encoded=portrait.jpeg),
        paraphrased_answer=person.name,
        perturbed_answers=fresh_names(rng, person, NAME_DRAWS * NAMES_PER_DRAW, world.taken),
        held_out=True,
    )


def world_rows() -> list[Example]:
    """Builds facts and simple visual questions, each with three other options."""
    facts = [
        Example(
            id=f"fact-{number}",
            person=None,
            track="text",
            task="choice",
            question=fact.question,
            answer=fact.answer,
            paraphrased_answer=fact.answer,
            perturbed_answers=fact.options,
        )
        for number, fact in enumerate(WORLD_FACTS)
    ]
    drawings = [
        Example(
            id=f"drawing-{number}",
            person=None,
            track="image",
            task="choice",
            question=drawing.question,
            answer=drawing.answer,
            paraphrased_answer=drawing.answer,
            perturbed_answers=drawing.options,
            media=EncodedImage.of(drawing.image),
        )
        for number, drawing in enumerate(visual_questions(VISUAL_QUESTIONS, seed=1))
    ]
    return facts + drawings
