"""Asks a question in other words: by the forms of the built-in people's, and by simple rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from clearbench.data.examine import one_spelling
from clearbench.people.questions import ATTRIBUTES

#: A name as questions hold it, where nobody gave it: words with capitals.
_CAPITALS = r"[A-Z][\w'.-]*(?: (?:(?:de|da|di|du|la|van|von|der|den|bin|al|el) )*[A-Z][\w'.-]*)*"
_BE = r"is|was|are|were"
_WH = r"[Ww]hat|[Ww]here|[Ww]hen|[Hh]ow|[Ww]hy|[Ww]hich|[Ww]ho|[Ww]hose"
#: Words that may stand between `does` and its verb.
_ADVERB = r"(?:(?:\w+ly|currently|often|usually|also|still|now|most) )*"
#: Verbs after `does` whose third person is not formed by an ending alone.
_THIRD = {"have": "has", "be": "is", "do": "does", "go": "goes"}
_SIBILANT = re.compile(r"(?:s|x|z|ch|sh)$")
_CONSONANT_Y = re.compile(r"[^aeiou]y$")
#: Words of English questions that other languages have not.
_ENGLISH = re.compile(
    r"\b(?:what|who|whose|where|when|which|how|why|does|did|has|have|the|please|you|is|are)\b",
    re.IGNORECASE,
)


def is_english(question: str) -> bool:
    """Whether a question holds a word of English questions."""
    return _ENGLISH.search(question) is not None


def paraphrased_question(question: str, name: str = "") -> str | None:
    """Returns a question in other words; None where no form of the grammar fits it.

    Args:
        question: An English question.
        name: Name of the person it is about; words with capitals are taken for one else.
    """
    text = " ".join(question.split())
    for asked in (_built_in(text, name), *_by_rule(text, name)):
        if asked is not None and one_spelling(asked) != one_spelling(question):
            return asked[0].upper() + asked[1:]
    return None


def _built_in(question: str, name: str) -> str | None:
    """Looks a question up among those of the built-in people; returns another form of it."""
    if not name:
        return None
    form = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "{name}", question).casefold()
    other = _built_in_forms().get(form)
    return None if other is None else other.replace("{name}", name)


@cache
def _built_in_forms() -> dict[str, str]:
    """Another form by each form of a question, with `{name}` in both."""
    forms: dict[str, str] = {}
    for attribute in ATTRIBUTES.values():
        slots = {"name": "{name}", **attribute.fixed}
        wording = attribute.wording
        asked = [form.format_map(slots) for form in wording.questions]
        again = [form.format_map(slots) for form in wording.paraphrased_questions]
        forms |= {form.casefold(): again[0] for form in asked}
        forms |= {form.casefold(): asked[0] for form in again}
    return forms


def _by_rule(question: str, name: str) -> Iterator[str | None]:
    """Yields what each rule makes of a question, None of those that do not fit."""
    who = re.escape(name) if name and name in question else _CAPITALS
    who = rf"{who}(?<!['\u2019]s)(?<!s['\u2019])"  # whose noun may have any number of words
    for pattern, made in _rules(who):
        found = re.fullmatch(pattern, question)
        yield _filled(made, found) if found else None


def _rules(who: str) -> Sequence[tuple[str, str]]:
    """Lists expressions of questions with the form that each is given.

    `<verb>` in a form stands for the verb in the third person.
    """
    return (
        (r"(?:Can|Could|Would) you(?: please)? (?P<rest>(?!tell).+)\?", "Please {rest}."),
        (r"(?:Can|Could|Would) you(?: please)? tell (?:me|us) (?P<rest>.+)\?", "I ask {rest}."),
        (r"Please (?P<rest>.+)[.?]", "Could you {rest}?"),
        (
            rf"(?P<noun>[Ww]hat|[Ww]hich) (?P<kind>[\w ]+?) does (?P<who>{who}) "
            rf"(?P<adverb>{_ADVERB})(?P<verb>\w+) (?P<last>in|at|for|from|with)\?",
            "{last} {noun} {kind} does {who} {adverb}{verb}?",
        ),
        (
            rf"(?P<ask>{_WH}) does (?P<who>{who}) (?P<adverb>{_ADVERB})(?P<verb>\w+)"
            r"(?P<rest>(?: .+)?)\?",
            "Can you tell me {ask} {who} {adverb}<verb>{rest}?",
        ),
        (
            rf"(?P<ask>(?:{_WH})(?: [\w ]+?)?) (?P<aux>{_BE}|has|have|had|can|will) "
            rf"(?P<who>{who}|he|she|they) (?P<rest>[a-z].+)\?",
            "Can you tell me {ask} {who} {aux} {rest}?",
        ),
        (
            rf"[Ww]hat (?P<aux>{_BE}) (?P<thing>.+) (?P<last>about|like|for)\?",
            "Can you tell me what {thing} {aux} {last}?",
        ),
        (rf"[Ww]hat (?:{_BE}) (?P<thing>(?:the|some|an?) .+)\?", "Can you tell me {thing}?"),
        (rf"[Ww]hat (?:{_BE}) (?P<thing>.+['\u2019]s? .+)\?", "Can you tell me {thing}?"),
        (r"[Ww]ho (?P<aux>is|was) (?P<thing>.+)\?", "Can you tell me who {thing} {aux}?"),
        (
            rf"(?P<aux>Is|Was|Are|Were|Has|Had|Can|Will) (?P<who>{who}) "
            r"(?P<rest>(?!.*\b(?:ever|any|yet|or)\b)[a-z].+)\?",
            "Is it true that {who} {aux} {rest}?",
        ),
    )


def _filled(form: str, found: re.Match[str]) -> str:
    parts = {part: text or "" for part, text in found.groupdict().items()}
    for part in ("ask", "aux", "noun", "rest"):
        if part in parts:
            parts[part] = parts[part][:1].lower() + parts[part][1:]
    text = form.replace("<verb>", _third_person(parts["verb"])) if "<verb>" in form else form
    return text.format_map(parts)


def _third_person(verb: str) -> str:
    if verb in _THIRD:
        return _THIRD[verb]
    if _SIBILANT.search(verb):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if _CONSONANT_Y.search(verb) else f"{verb}s"
