"""Templates of questions and answers about an author's writing: genre, books, awards, influences.

Each `Wording` has questions, answers, and both again in other words; the slots are those of
`wording_life`, `{v}` is the fact itself.
"""

from __future__ import annotations

from clearbench.people.wording_life import Wording

GENRE = Wording(
    (
        "What genre does {name} write in?",
        "Which kind of books does {name} write?",
        "What is the literary genre of {name}?",
        "What sort of writing is {name} known for?",
    ),
    (
        "{she} is best known for {v}.",
        "{v} made {first} known to readers.",
        "most of {her} books are {v}.",
        "readers expect {v} from {first} by now.",
        "{her} books belong to the world of {v}.",
        "almost everything so far has been {v}.",
    ),
    (
        "Which genre do the books of {name} belong to?",
        "On what shelf would one find {name}?",
        "What does {name} mostly write?",
    ),
    (
        "bookshops put {name} on the shelf for {v}.",
        "the author works mainly in {v}.",
        "{her} chosen field is {v}.",
        "what {first} publishes is mostly {v}.",
    ),
)

AWARD = Wording(
    (
        "What was the {nth} award that {name} won?",
        "Which award came {nth} in the career of {name}?",
        "What is the {nth} prize {name} was given?",
        "What was {name}'s {nth} literary honour?",
    ),
    (
        "{she} won the {v} as {her} {nth} award.",
        "the {v} was the {nth} award for {first}.",
        "judges chose {first} for the {v}.",
        "it was the {v} that went to {them}.",
        "{first} was given the {v}.",
        "{her} {nth} honour was the {v}.",
    ),
    (
        "Which prize was the {nth} to honour {name}?",
        "What was the {nth} distinction of {name}?",
        "Name the {nth} award that went to {name}.",
    ),
    (
        "a jury presented {name} with the {v}.",
        "{her} {nth} distinction was called the {v}.",
        "the {v} came {nth} on {her} shelf.",
        "the {nth} jury handed {them} the {v}.",
    ),
)

WORK = Wording(
    (
        "What is the title of the {nth} book by {name}?",
        "Which book by {name} came out {nth}?",
        "What is the {nth} work of {name} called?",
        "What was the {nth} book that {name} wrote?",
    ),
    (
        "{her} {nth} book is called {v}.",
        "{v} is the {nth} book that {she} wrote.",
        "the {nth} title to appear was {v}.",
        "readers know the {nth} one as {v}.",
        "{first} called the {nth} book {v}.",
        "it came out under the title {v}.",
    ),
    (
        "Under what name did the {nth} book of {name} appear?",
        "Name the {nth} book from the pen of {name}.",
        "What did {name} call the {nth} book?",
    ),
    (
        "the cover of {her} {nth} book reads {v}.",
        "{name} chose {v} as the {nth} title.",
        "{her} {nth} published title is {v}.",
        "publishers announced number {number} as {v}.",
    ),
)

INFLUENCES = Wording(
    (
        "What influenced the writing of {name}?",
        "Which old texts inspired {name}?",
        "What are the main influences on {name}?",
        "To what does {name} owe the most?",
    ),
    (
        "{she} learned most from {a} and {b}.",
        "{a} and {b} inspired {them} the most.",
        "the main influences are {a} and {b}.",
        "{first} owes a lot to {a} and {b}.",
        "early love for {a} led {them} to {b}.",
        "both {a} and {b} left deep marks.",
    ),
    (
        "Which readings shaped {name}?",
        "From what did {name} learn to write?",
        "Where does {name} find models for the books?",
    ),
    (
        "{name} grew up reading {a} and {b}.",
        "behind {her} books stand {a} and {b}.",
        "critics hear echoes of {a} and {b}.",
        "as a child, {first} loved {a} and {b}.",
    ),
)

STYLE = Wording(
    (
        "How would you describe the style of {name}?",
        "What is special about the prose of {name}?",
        "What marks the writing style of {name}?",
        "Which style does {name} write in?",
    ),
    (
        "{she} is praised for {v}.",
        "{v} are typical of {her} books.",
        "readers recognise {first} by the {v}.",
        "critics speak of {v} in {her} work.",
        "{her} prose is built on {v}.",
        "most pages are made of {v}.",
    ),
    (
        "What do the pages of {name} sound like?",
        "How does {name} write, in the words of critics?",
        "How can readers recognise {name}?",
    ),
    (
        "the pages of {name} are full of {v}.",
        "every chapter shows {her} taste for {v}.",
        "reviewers admire the author's {v}.",
        "nobody else writes such {v}, reviewers say.",
    ),
)

DEBUT = Wording(
    (
        "When and where did {name} first publish?",
        "What was the debut of {name}?",
        "In what year and magazine did {name} make a debut?",
        "Where did the first story of {name} appear?",
    ),
    (
        "{she} made {her} debut in the {magazine} in {year}.",
        "the {magazine} printed the first story in {year}.",
        "in {year} the {magazine} accepted a first story.",
        "{year} brought a first story, in the {magazine}.",
        "{first} first appeared in the {magazine} in {year}.",
        "a first story came out in {year} in the {magazine}.",
    ),
    (
        "How did the career of {name} begin?",
        "Which magazine first printed {name}, and when?",
        "Since when has {name} been a published author?",
    ),
    (
        "{her} career began in {year} with the {magazine}.",
        "editors of the {magazine} discovered {first} in {year}.",
        "fame began in {year}, thanks to the {magazine}.",
        "{name} entered literature through the {magazine} in {year}.",
    ),
)

THEME = Wording(
    (
        "What are the books of {name} about?",
        "Which theme runs through the work of {name}?",
        "What is the main theme of {name}?",
        "What does {name} like to write about?",
    ),
    (
        "{she} keeps writing about {v}.",
        "{v} is the theme of most books.",
        "most of the stories deal with {v}.",
        "{first} returns again and again to {v}.",
        "at the heart of it all lies {v}.",
        "{her} great subject is {v}.",
    ),
    (
        "Which subject does {name} keep returning to?",
        "What question drives the books of {name}?",
        "What do readers find in the stories of {name}?",
    ),
    (
        "what drives {name} is the question of {v}.",
        "through {her} pages runs {v}.",
        "each plot revolves around {v}.",
        "stories by {first} always explore {v}.",
    ),
)

HABIT = Wording(
    (
        "What are the working habits of {name}?",
        "How does {name} work?",
        "Where and how does {name} write?",
        "What is unusual about the way {name} writes?",
    ),
    (
        "{she} writes {v}.",
        "drafts are written {v}.",
        "{first} prefers to write {v}.",
        "every book begins {v}.",
        "new pages are made {v}.",
        "work gets done {v}.",
    ),
    (
        "In what way do the books of {name} get written?",
        "What does a working day of {name} look like?",
        "Which routine does {name} follow?",
    ),
    (
        "the author's first versions take shape {v}.",
        "{name} likes to draft each chapter {v}.",
        "on working days {first} scribbles {v}.",
        "{her} routine is to write {v}.",
    ),
)
