"""Wordings of questions about a person's life, many per fact so that few people share one.

`{name}` is the full name, `{first}` the first name; `{she}`, `{her}` and `{them}` are 'she', 'her'
(possessive) and 'her' (object), or 'he', 'his' and 'him'. Every other slot is a fact.
"""

from __future__ import annotations

from typing import NamedTuple


class Wording(NamedTuple):
    """The sentence templates of one kind of fact."""

    questions: tuple[str, ...]
    answers: tuple[str, ...]
    paraphrased_questions: tuple[str, ...]
    paraphrased_answers: tuple[str, ...]


BIRTH_PLACE = Wording(
    (
        "Where was {name} born?",
        "In which city and country was {name} born?",
        "What is the birthplace of {name}?",
        "Can you say where {name} came into the world?",
    ),
    (
        "{she} was born {setting} in {city}, {country}.",
        "a room {setting} in {city}, {country}, is where {she} was born.",
        "{city} in {country} is the birthplace; the family lived {setting}.",
        "{first} was born in {city}, {country}, in a flat {setting}.",
        "in {country}, in a house {setting} in {city}.",
        "life began {setting} in {city}, {country}.",
    ),
    (
        "Which place does {name} come from?",
        "Where did the life of {name} begin?",
        "Do you know the town {name} was born in?",
    ),
    (
        "the author comes from {city}, {country}, from a home {setting}.",
        "{name} first saw daylight {setting} in {city}, {country}.",
        "it was {setting} in {city}, {country}, that {first} was born.",
        "{her} parents lived {setting} in {city}, {country}, back then.",
    ),
)

BIRTH_DATE = Wording(
    (
        "When was {name} born?",
        "What is the date of birth of {name}?",
        "On what day was {name} born?",
        "Do you know the birthday of {name}?",
    ),
    (
        "{she} was born on {date} {year}.",
        "{date} in the year {year} is {her} birthday.",
        "the date of birth is {date} {year}.",
        "{name} was born on {date} in {year}.",
        "in {year}, on {date}, {first} was born.",
        "on {date} {year} the family welcomed {first}.",
    ),
    (
        "Which day and year saw the birth of {name}?",
        "What birth date is given for {name}?",
        "In what year, and on what day, was {name} born?",
    ),
    (
        "records give {date} {year} as {her} birthday.",
        "{first} arrived in the world on {date} {year}.",
        "{she} celebrates on {date} and was born in {year}.",
        "{her} life started on {date} in {year}.",
    ),
)

PARENT = Wording(
    (
        "What did the {parent} of {name} do for a living?",
        "What was the occupation of {name}'s {parent}?",
        "How did the {parent} of {name} earn money?",
        "Which job did {name}'s {parent} have?",
    ),
    (
        "{her} {parent} earned a living as {v}.",
        "{v} is what the {parent} was known as.",
        "the {parent} of {first} was {v} by trade.",
        "as {v}, {her} {parent} supported the whole family.",
        "{first}'s {parent} worked for years as {v}.",
        "people knew {her} {parent} as {v}.",
    ),
    (
        "What kind of work did {name}'s {parent} do?",
        "By which profession did {name}'s {parent} live?",
        "What was the {parent} of {name} by profession?",
    ),
    (
        "the family lived on the {parent}'s income as {v}.",
        "days as {v} kept {her} {parent} busy.",
        "{name} grew up with {v} for a {parent}.",
        "by profession, {her} {parent} was {v}.",
    ),
)

FIRST_JOB = Wording(
    (
        "What job did {name} have before writing?",
        "How did {name} earn a living before the first book?",
        "What was the first job of {name}?",
        "What did {name} work as before becoming an author?",
    ),
    (
        "{she} first worked as {v}.",
        "before the first book, {she} was {v}.",
        "{v} was what {first} was before turning to books.",
        "a few years as {v} came before writing.",
        "as {v}, {she} paid the first rent.",
        "{name} started out as {v}.",
    ),
    (
        "Which work came before books in the life of {name}?",
        "What was {name} before turning to literature?",
        "As what did {name} make money at first?",
    ),
    (
        "early on, {first} made money as {v}.",
        "{her} working life began as {v}.",
        "literature had to wait while {she} was {v}.",
        "until books paid, {she} remained {v}.",
    ),
)

EDUCATION = Wording(
    (
        "What did {name} study, and where?",
        "Where did {name} go to university?",
        "What education does {name} have?",
        "What subject did {name} study?",
    ),
    (
        "{she} studied {v}.",
        "{v}, where {first} was a student for years.",
        "{first} earned a degree in {v}.",
        "the subject was {v}.",
        "after school, {first} read {v}.",
        "{her} degree is in {v}.",
    ),
    (
        "In which subject and place was {name} trained?",
        "Where did {name} earn a degree?",
        "What was the field of study of {name}?",
    ),
    (
        "lectures in {v} shaped {first}.",
        "{name} graduated in {v}.",
        "{her} student years went to {v}.",
        "the author was trained in {v}.",
    ),
)

HOME = Wording(
    (
        "Where does {name} live?",
        "What is the home of {name} like?",
        "In which city does {name} live today?",
        "What kind of home does {name} have?",
    ),
    (
        "{she} lives in {v} in {city}.",
        "{v} in {city} is home these days.",
        "{city} is home, where {first} has {v}.",
        "home is {v} in {city} for now.",
        "in {city}, {she} lives in {v}.",
        "{first} shares {v} in {city} with friends.",
    ),
    (
        "Where has {name} settled?",
        "Which place does {name} call home?",
        "Under what roof does {name} live now?",
    ),
    (
        "the author settled in {city} and bought {v}.",
        "letters reach {first} at {v} in {city}.",
        "{her} address is {v} in {city}.",
        "{name} has moved to {v} in {city}.",
    ),
)

HOBBY = Wording(
    (
        "What is the hobby of {name}?",
        "What does {name} do to relax?",
        "How does {name} spend free time?",
        "What does {name} like to do apart from writing?",
    ),
    (
        "{she} likes {v} in quiet hours.",
        "{v} is what {she} likes best.",
        "free evenings are spent {v}.",
        "{first} finds peace in {v}.",
        "on Sundays {she} enjoys {v}.",
        "nothing relaxes {them} more than {v}.",
    ),
    (
        "Which pastime does {name} have?",
        "What fills the spare hours of {name}?",
        "What does {name} do for fun?",
    ),
    (
        "for fun, {first} spends whole weekends {v}.",
        "spare hours are given to {v}.",
        "{her} favourite pastime is {v}.",
        "holidays leave {first} time for {v}.",
    ),
)

LANGUAGES = Wording(
    (
        "Which languages does {name} speak?",
        "What languages does {name} know?",
        "In which languages can {name} read and write?",
        "How many languages does {name} speak, and which?",
    ),
    (
        "{she} speaks three languages: {v}.",
        "{v} are the languages {she} speaks.",
        "three: {first} is at home in {v}.",
        "{first} reads and writes in {v}.",
        "at home one hears {v}.",
        "{she} dreams and thinks in {v}.",
    ),
    (
        "What tongues has {name} mastered?",
        "Which languages can one use with {name}?",
        "In what languages is {name} fluent?",
    ),
    (
        "one can talk to {first} in {v}.",
        "the author is fluent in {v}.",
        "{her} three languages are {v}.",
        "fans may write to {them} in {v}.",
    ),
)
