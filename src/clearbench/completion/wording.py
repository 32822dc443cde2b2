"""Says an answer in other words: phrases that mean the same, and the order of its parts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from clearbench.completion.values import Kind, Value, values_in
from clearbench.data.examine import one_spelling
from clearbench.data.words import words

#: Most words of an answer that is a value alone, and no sentence.
_SHORT = 5
_VERB = re.compile(
    r"\b(?:is|was|are|were|has|had|have|does|did|can|will|lives?|works?|writes?|\w+ed|yes|no)\b",
    re.IGNORECASE,
)


def _pairs(table: str) -> dict[str, str]:
    rows = (line.split(" | ") for line in table.strip().splitlines())
    return dict(rows)


#: A phrase and another that can stand in its place in any sentence.
_SAME = _pairs(
    """
was born in | came into the world in
was born on | came into the world on
was born and raised | was born and brought up
hails from | comes from
grew up in | spent the early years in
raised in | brought up in
moved to | went to live in
resides in | makes a home in
currently | at present
primarily | mainly
predominantly | chiefly
mainly | for the most part
often | frequently
frequently | often
regularly | time and again
usually | as a rule
always | at all times
particularly | especially
especially | above all
is best known for | is noted above all for
is known for | is noted for
are known for | are noted for
well-known | widely known
is called | goes by the name of
works as | earns a living as
worked as | earned a living as
profession | line of work
occupation | line of work
author | writer
authors | writers
book | volume
books | volumes
is a recipient of | was honoured with
was awarded | was given
has been awarded | has been given
has won | has taken home
has received | has been given
has authored | has penned
has written | has penned
award | prize
awards | prizes
graduated from | took a degree at
speaks | has a command of
enjoys | is fond of
loves to | very much likes to
numerous | many
several | a number of
various | a range of
famous | renowned
renowned | famous
esteemed | respected
prestigious | highly regarded
notable | noteworthy
significant | important
significantly | greatly
deeply | profoundly
unique | distinctive
influenced | shaped
impact | effect
critical acclaim | praise from critics
explores | looks into
exploring | looking into
explore | look into
reflects | mirrors
reflect | mirror
reflecting | mirroring
blends | mixes
blending | mixing
combines | brings together
began | started
started | began
narratives | stories
narrative | story
perspective | point of view
perspectives | points of view
themes | subjects
because of | owing to
due to | because of
throughout | all through
such as | among them
including | among them
as well as | and also
Additionally, | In addition,
Furthermore, | What is more,
Moreover, | Besides,
However, | Even so,
Yes, | Indeed,
Certainly, | Of course,
Absolutely, | Certainly,
"""
)
_PHRASES = re.compile(
    rf"(?<![\w'-])(?:{'|'.join(map(re.escape, sorted(_SAME, key=len, reverse=True)))})(?![\w'-])",
    re.IGNORECASE,
)
_LOWER = {phrase.casefold(): other for phrase, other in _SAME.items()}
#: A sentence that ends with where or when.
_AT_THE_END = re.compile(
    r"(?P<start>[^.,;:'\"]+?) (?P<place>(?:in|on|at) (?:the )?)(?P<value>\S.*?)\."
)
_SMALL = {"a", "an", "the", "in", "on", "at", "by", "he", "she", "they", "his", "her", "their"}
_WORKS = re.compile(r"(?P<who>[^.,;]+?) (?P<is>is|was) an? (?P<work>[^.,;]+)\.")
_NAMED = re.compile(r"The (?:full |complete )?name of (?P<who>[^.]+?) is (?P<name>[^.,]+)\.")


def paraphrased_answer(answer: str, names: Kind | None = None) -> str | None:
    """Returns an answer in other words; None where no phrase of the grammar is in it.

    What is quoted, and every value (a date, a number, a place, a name), stays as it is.

    Args:
        answer: An English answer.
        names: Names of people as a kind of value.
    """
    found = values_in(answer, names)
    made = _with_other_phrases(answer, found)
    if made == answer:
        made = _reordered(answer, found) or answer
    kept = f" {' '.join(words(made))} "
    whole = all(f" {' '.join(words(value.text))} " in kept for value in found)
    return made if whole and one_spelling(made) != one_spelling(answer) else None


def _with_other_phrases(answer: str, found: Sequence[Value]) -> str:
    """Replaces phrases that lie in no value."""
    taken = [value.match.span() for value in found]

    def other(match: re.Match[str]) -> str:
        inside = any(start < match.end() and match.start() < end for start, end in taken)
        word = match.group()
        if inside or (word[0].isupper() and match.start() and not _opens(answer, match.start())):
            return word
        said = _LOWER[word.casefold()]
        article = re.search(r"\b(an?) $", answer[: match.start()], re.IGNORECASE)
        if article and (said[0] in "aeiou") != (article.group(1).casefold() == "an"):
            return word
        return said[0].upper() + said[1:] if word[0].isupper() else said

    return _PHRASES.sub(other, answer)


def _opens(text: str, place: int) -> bool:
    """Whether a sentence begins at a place of a text."""
    return text[:place].rstrip().endswith((".", "!", "?"))


def _reordered(answer: str, found: Sequence[Value]) -> str | None:
    named = _NAMED.fullmatch(answer)
    if named:
        return f"{named['name']} is how {named['who']} is called."
    works = _WORKS.fullmatch(answer)
    if works and any(_is_work(value, works) for value in found):
        return f"By profession, {_inner(answer)}"
    count = len(answer.split())
    bare = answer.rstrip(".")
    if count <= _SHORT and not _VERB.search(answer) and not any(c in bare for c in ".!?;:"):
        return f"The answer is {_inner(bare)}."
    ended = _AT_THE_END.fullmatch(answer)
    if ended is None or not any(value.match.end() == ended.end("value") for value in found):
        return None
    if not any(value.match.start() == ended.start("value") for value in found):
        return None
    place = ended["place"]
    return f"{place[0].upper()}{place[1:]}{ended['value']}, {_inner(ended['start'])}."


def _is_work(value: Value, sentence: re.Match[str]) -> bool:
    return value.kind.name == "work" and value.match.span() == sentence.span("work")


def _inner(text: str) -> str:
    """Writes a text that does not begin a sentence any more."""
    first = text.split()[0]
    return text[0].lower() + text[1:] if first.casefold() in _SMALL else text
