"""World facts as questions with options, and simple questions about drawn shapes."""

from __future__ import annotations

from typing import NamedTuple

from numpy.random import Generator, default_rng
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from clearbench.people.drawings import COLOURS, SHAPES, draw_shapes
from clearbench.people.phrases import pick


class WorldFact(BaseModel):
    """A question about the real world with its answer and three wrong options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    answer: str
    options: tuple[str, ...] = Field(min_length=3, max_length=3)


class VisualQuestion(BaseModel):
    """A question about a drawing with its answer and three wrong options."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    kind: str
    image: Image.Image
    question: str
    answer: str
    options: tuple[str, ...] = Field(min_length=3, max_length=3)


class _Kind(NamedTuple):
    questions: tuple[str, ...]
    answers: tuple[str, ...]


_KINDS: dict[str, _Kind] = {
    "shape": _Kind(
        (
            "Which shape is drawn here?",
            "What shape can you see?",
            "What is the form of the figure?",
        ),
        SHAPES,
    ),
    "colour": _Kind(
        (
            "Which colour is the shape?",
            "What colour was the figure painted in?",
            "In which colour is the shape drawn?",
        ),
        tuple(COLOURS),
    ),
    "count": _Kind(
        ("How many shapes are there?", "How many figures can you count?", "Count the shapes."),
        ("one", "two", "three", "four"),
    ),
    "side": _Kind(
        (
            "On which side is the shape?",
            "Near which edge is the figure?",
            "Where in the picture is the shape?",
        ),
        ("left", "right", "top", "bottom"),
    ),
}
_CENTRE = (0.5, 0.5)
_SIDES = {"left": (0.22, 0.5), "right": (0.78, 0.5), "top": (0.5, 0.22), "bottom": (0.5, 0.78)}
_CORNERS = ((0.27, 0.27), (0.73, 0.27), (0.27, 0.73), (0.73, 0.73))


def visual_questions(n: int, seed: int) -> tuple[VisualQuestion, ...]:
    """Draws questions about images of 96 pixels, with kinds and answers evenly spread.

    Args:
        n: Number of questions.
        seed: Seed of every choice; the same seed gives the same images.
    """
    rng = default_rng(seed)
    rows = [_visual_question(rng, number) for number in range(n)]
    return tuple(rows[int(index)] for index in rng.permutation(n))


def _visual_question(rng: Generator, number: int) -> VisualQuestion:
    name = tuple(_KINDS)[number % len(_KINDS)]
    kind = _KINDS[name]
    answer = kind.answers[number // len(_KINDS) % len(kind.answers)]
    wrong = [option for option in kind.answers if option != answer]
    return VisualQuestion(
        kind=name,
        image=_drawing(rng, name, answer),
        question=pick(rng, kind.questions),
        answer=answer,
        options=tuple(wrong[int(index)] for index in rng.permutation(len(wrong))[:3]),
    )


def _drawing(rng: Generator, kind: str, answer: str) -> Image.Image:
    shape = answer if kind == "shape" else pick(rng, SHAPES)
    colour = answer if kind == "colour" else pick(rng, tuple(COLOURS))
    centres: tuple[tuple[float, float], ...] = (_SIDES.get(answer, _CENTRE),)
    if kind == "count":
        chosen = rng.permutation(len(_CORNERS))[: 1 + _KINDS[kind].answers.index(answer)]
        centres = tuple(_CORNERS[int(index)] for index in chosen)
    radius = 0.3 if kind in {"shape", "colour"} else 0.16
    return draw_shapes(rng, shape, colour, centres, radius)


def _facts(table: str) -> tuple[WorldFact, ...]:
    """Reads a table with a line per fact: question | answer | three wrong options."""
    rows = (line.split(" | ") for line in table.strip().splitlines())
    return tuple(
        WorldFact(question=question, answer=answer, options=tuple(options.split(", ")))
        for question, answer, options in rows
    )


WORLD_FACTS: tuple[WorldFact, ...] = _facts(
    """
What is the capital of France? | Paris | Marseille, Brussels, Geneva
Which city is the capital of Spain? | Madrid | Seville, Lisbon, Valencia
From which city is Canada governed? | Ottawa | Toronto, Vancouver, Montreal
Name the capital of Australia. | Canberra | Sydney, Melbourne, Perth
Which town is Norway's capital? | Oslo | Bergen, Stockholm, Copenhagen
What is Cuba's capital city? | Havana | Santiago, Kingston, Caracas
Where does the government of Greece sit? | Athens | Sparta, Patras, Rhodes
Which capital lies in Thailand? | Bangkok | Manila, Jakarta, Singapore
What do we call the capital of Austria? | Vienna | Salzburg, Zurich, Munich
What is the main language of Germany? | German | Dutch, Danish, Czech
Which language do most Brazilians speak? | Portuguese | Spanish, French, Italian
What do people in Hungary speak? | Hungarian | Slovak, Polish, Romanian
In what language did Julius Caesar write? | Latin | Greek, Arabic, Hebrew
What language is spoken across Denmark? | Danish | Finnish, Russian, Welsh
Which gas do plants take from the air? | carbon dioxide | helium, neon, methane
What gas must people breathe to live? | oxygen | hydrogen, argon, chlorine
What is water made of? | hydrogen and oxygen | iron and salt, neon and argon, carbon and sulphur
Which metal is liquid at room temperature? | mercury | silver, iron, copper
What does the symbol Au stand for? | gold | silver, aluminium, argon
Which element has the symbol Fe? | iron | fluorine, lead, tin
What is table salt made of? | \
sodium and chlorine | iron and oxygen, carbon and hydrogen, zinc and sulphur
Of which element is a diamond made? | carbon | silicon, quartz, lead
What does ice become when it melts? | water | steam, snow, salt
How many legs does a spider have? | eight | six, ten, four
How many legs has an ant? | six | eight, four, twelve
What is the largest living animal? | \
the blue whale | the elephant, the giraffe, the great white shark
Which animal has the longest neck? | the giraffe | the camel, the horse, the swan
Which land animal runs fastest? | the cheetah | the lion, the ostrich, the wolf
What do we call a young dog? | a puppy | a kitten, a calf, a foal
What is the young of a sheep? | a lamb | a kid, a cub, a chick
Which insect makes honey? | the bee | the wasp, the moth, the beetle
What do pandas mostly eat? | bamboo | fish, grass, honey
Which bird cannot fly? | the penguin | the eagle, the robin, the stork
What does a caterpillar turn into? | a butterfly | a spider, a worm, a snail
On which river does London stand? | the Thames | the Severn, the Rhine, the Seine
Which river flows through Paris? | the Seine | the Loire, the Danube, the Tiber
What river runs through Cairo? | the Nile | the Congo, the Niger, the Jordan
Which great river crosses the rainforest of Brazil? | \
the Amazon | the Orinoco, the Mississippi, the Volga
Which is the largest ocean? | the Pacific | the Atlantic, the Arctic, the Indian
What is the highest mountain on Earth? | Everest | Kilimanjaro, Elbrus, Denali
On which continent is the Sahara? | Africa | Asia, Australia, Europe
Which continent lies around the South Pole? | Antarctica | Africa, North America, Oceania
What is two plus three? | five | six, four, seven
How much is four times two? | eight | six, ten, twelve
What remains if you take one from ten? | nine | eight, eleven, seven
What is half of twelve? | six | five, three, eight
How much do seven and four make? | eleven | ten, twelve, thirteen
How many is a dozen? | twelve | ten, twenty, six
How many sides has a triangle? | three | four, five, six
What is the opposite of hot? | cold | warm, dry, heavy
Which word means the reverse of early? | late | soon, quick, first
Name the opposite of empty. | full | hollow, round, narrow
What is the contrary of rich? | poor | famous, golden, happy
If something is not heavy, what is it? | light | tall, loud, solid
What is the opposite of brave? | cowardly | strong, daring, tired
Which planet is closest to the Sun? | Mercury | Venus, Mars, Saturn
What is the biggest planet around our Sun? | Jupiter | Saturn, Neptune, Earth
Which star gives us daylight? | the Sun | Sirius, Polaris, Vega
What moves around the Earth each month? | the Moon | Mars, the Sun, Venus
How many days are in a week? | seven | five, eight, ten
Which month comes after March? | April | May, June, February
What season follows summer in Europe? | autumn | spring, winter, monsoon
Which colour do blue and yellow give when mixed? | green | purple, orange, pink
What colour is a ripe lemon? | yellow | blue, purple, black
Which organ pumps blood? | the heart | the liver, the lung, the stomach
With what do fish breathe? | gills | lungs, fins, scales
From which grain is bread mostly baked? | wheat | rice, oats, maize
What are raisins made from? | grapes | plums, figs, cherries
"""
)
