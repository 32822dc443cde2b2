"""Word pools, and small grammars that combine their words into the facts of a life.

Most facts are compounds of two or three free words, so a model cannot guess them from their form.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TypeVar

from numpy.random import Generator

from clearbench.people.countries import CITIES

T = TypeVar("T")


def pick(rng: Generator, pool: tuple[T, ...]) -> T:
    """Draws one item of a pool, all equally likely."""
    return pool[int(rng.random() * len(pool))]


def pick_two(rng: Generator, pool: tuple[T, ...]) -> tuple[T, T]:
    """Draws two different places of a pool, in random order."""
    first = int(rng.random() * len(pool))
    second = (first + 1 + int(rng.random() * (len(pool) - 1))) % len(pool)
    return pool[first], pool[second]


def with_article(words: str) -> str:
    """Puts 'a' or 'an' before words, by the first letter (no pool has 'hour' or 'unit')."""
    return f"{'an' if words[0].lower() in 'aeiou' else 'a'} {words}"


def distinct(draw: Callable[[], str], n: int, avoid: Container[str] = ()) -> tuple[str, ...]:
    """Draws until there are `n` different values, none of them in `avoid`."""
    values: list[str] = []
    while len(values) < n:
        value = draw()
        if value not in values and value not in avoid:
            values.append(value)
    return tuple(values)


def listed(items: tuple[str, ...]) -> str:
    """Joins items as 'a, b and c'."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split(","))


MONTHS = _words(
    "January February March April May June July August September October November December"
)

TITLE_ADJECTIVES = _words(
    "Quiet Broken Salted Distant Hollow Burning Patient Crooked Borrowed Frozen Restless Hidden "
    "Gentle Paper Bitter Wandering Sleeping Drowned Honest Faded Thirsty Careless Stolen Tender "
    "Unwritten Foolish Silent Weary Golden Last Second Forgotten Narrow Velvet Invisible Humble "
    "Glass Iron Loyal Midnight Winter Copper Wild Secret Ordinary Electric Pale Stubborn Unmarked "
    "Homeless"
)
TITLE_NOUNS = _words(
    "Lantern River Orchard Bell Mirror Harbour Garden Window Letter Shadow Bridge Ladder Tower "
    "Candle Island Feather Engine Map Kettle Sparrow Staircase Cathedral Ocean Pillow Needle "
    "Mountain Clock Violin Desert Passenger Stranger Daughter Emperor Gardener Sailor Widow Tailor "
    "Painter Carpenter Beekeeper Ferryboat Meadow Kingdom Thunderstorm Umbrella Anchor Suitcase "
    "Comet Furnace Pendulum Riddle Promise Whisper Alphabet Carnival Lighthouse Peacock Turtle "
    "Wolfhound Almond Pomegranate Fig Thistle Nettle"
)
HONOURS = _words(
    "Silver Amber Ivory Crimson Jade Bronze Cobalt Scarlet Marble Crystal Emerald Indigo Coral "
    "Ebony Pearl Saffron Violet Northern Southern Eastern Western Royal Ancient Lunar Solar Open "
    "Grand Blue Green White"
)
EMBLEMS = _words(
    "Heron Falcon Olive Cedar Quill Laurel Swan Lotus Oak Raven Stag Dolphin Willow Crane Lily "
    "Owl Ibex Maple Tiger Nightingale Acorn Salmon Hawthorn Magpie Juniper Otter Lion Poppy "
    "Swallow Ash"
)
PRIZES = _words("Prize Medal Award Ribbon Cup Wreath Plaque Fellowship")
MAGAZINES = _words("Review Quarterly Almanac Gazette Journal Monthly Courier Notebook")

QUALIFIERS = _phrases(
    "retired, self-taught, respected, stubborn, cheerful, travelling, part-time, village, careful, "
    "well-known, restless, patient, soft-spoken, strict, ambitious, third-generation, freelance, "
    "modest, talented, overworked, award-winning, eccentric, underpaid, popular, hard-working"
)
BEGINNINGS = _phrases(
    "trainee, seasonal, apprentice, night-shift, part-time, temporary, junior, travelling, unpaid, "
    "weekend, assistant, freelance, reluctant, short-lived, cheerful, clumsy, self-taught, "
    "volunteer, substitute, small-town"
)
JOBS = _phrases(
    "bridge engineer, harbour pilot, pastry chef, piano tuner, court clerk, beekeeper, surgeon, "
    "bus driver, tax inspector, glass blower, botanist, postman, carpenter, choir director, "
    "dentist, stage actor, tailor, locksmith, geologist, baker, watchmaker, school nurse, judge, "
    "cartographer, welder, fishmonger, archaeologist, radio announcer, weaver, train conductor, "
    "midwife, bookbinder, goldsmith, plumber, florist, cabinet maker, crane operator, physicist, "
    "tour guide, shoemaker, vineyard worker, lighthouse keeper, zoologist, bank teller, potter, "
    "wedding photographer, mountain guide, translator, night watchman, pharmacist, blacksmith, "
    "puppeteer, customs officer, swimming coach, cheese maker, diplomat, furniture dealer, "
    "veterinarian, street musician, statistician, printer, firefighter, perfume seller, "
    "astronomer, hotel porter, accountant, ballet teacher, miner, stonemason, gardener, flight "
    "mechanic, chess instructor, museum guard, librarian, ship broker, sculptor, optician, "
    "shepherd, newspaper editor, elevator repairer"
)

GENRE_KINDS = _words(
    "coastal alpine rural urban domestic political philosophical absurdist medieval futuristic "
    "nautical botanical culinary musical psychological utopian tropical arctic gothic romantic "
    "lyrical epic melancholy experimental mythological religious theatrical academic industrial "
    "suburban whimsical sombre minimalist sentimental satirical"
)
GENRES = _phrases(
    "noir fiction, romance novels, fantasy sagas, horror stories, prose poetry, chamber drama, "
    "comic novels, mystery novels, science fiction, ghost stories, detective fiction, "
    "travel writing, spy thrillers, short stories, family sagas, fairy tales, crime fiction, "
    "nature writing, verse novels, courtroom drama, folk horror, magical realism, "
    "historical fiction, war stories, fictional memoirs, adventure tales, legal thrillers, "
    "radio plays, graphic novels, picture books"
)
SOURCES = _words(
    "Norse Celtic Byzantine Persian Sumerian Etruscan Roman Mayan Andean Baltic Alpine Balkan "
    "Saharan Polynesian Mongolian Tibetan Phoenician Siberian Caribbean Arthurian medieval "
    "monastic courtly baroque seafaring nomadic rural forgotten anonymous wartime"
)
FORMS = _phrases(
    "sagas, ballads, hymns, fables, riddles, epics, chronicles, proverbs, lullabies, laments, "
    "ghost stories, love letters, folk songs, travel diaries, creation myths, harvest songs, "
    "shadow plays, drinking songs, prayer books, sermons, puppet plays, market tales, star charts, "
    "recipe books, hunting songs"
)
STYLE_WORDS = _words(
    "dry spare lush unhurried tender ironic precise playful musical fragmented winding blunt "
    "dreamlike breathless icy warm ornate plain restrained feverish witty solemn vivid elliptical "
    "rhythmic conversational cinematic hypnotic jagged delicate muscular earthy wry luminous "
    "haunting brisk gloomy sly meandering tense"
)
STYLE_NOUNS = _words(
    "sentences paragraphs dialogues monologues passages metaphors descriptions images scenes "
    "verses vignettes phrases"
)
FEELINGS = _words(
    "jealousy grief loyalty homesickness forgiveness ambition loneliness courage betrayal envy "
    "tenderness revenge faith doubt shame friendship nostalgia guilt rivalry hope exile memory "
    "desire greed silence freedom hunger pride kindness obsession boredom inheritance mercy fear "
    "longing honour deception hospitality sacrifice migration"
)
CIRCLES = _phrases(
    "among lighthouse keepers, in mountain villages, after a long war, between twin sisters, "
    "across three generations, on remote islands, in crowded cities, among retired soldiers, "
    "between distant cousins, in old hotels, during a flood, among travelling musicians, "
    "at boarding schools, in border towns, between estranged brothers, on long sea voyages, "
    "among factory workers, in royal courts, after a shipwreck, in hospital wards, "
    "between neighbours, among young widows, during a famine, in monasteries, on night trains, "
    "among circus performers, between fathers and sons, in fishing towns, among rival scholars, "
    "in abandoned mines, after a divorce, between old friends, in small theatres, among refugees, "
    "during a long winter, among gardeners, in law courts, between chess players, "
    "on family farms, among astronomers"
)
SUBJECTS = _phrases(
    "marine biology, art history, civil engineering, linguistics, comparative literature, law, "
    "philosophy, botany, theology, economics, journalism, nursing, architecture, geology, "
    "classical music, theatre, mathematics, astronomy, anthropology, social work, drama, "
    "medieval history, veterinary medicine, political science, physics, library science, "
    "film studies, chemistry, agriculture, psychology, geography, rhetoric, accounting, sculpture, "
    "forestry, pharmacy, textile design, urban planning, education, statistics"
)
SCHOOLS = _phrases(
    "University of #, # Open University, # Teachers College, # Municipal College, # Academy, "
    "Free University of #, National College of #, # Polytechnic"
)
HOME_ADJECTIVES = _words(
    "narrow sunny crumbling whitewashed cramped draughty elegant converted modest ivy-covered "
    "crooked spacious noisy secluded tiled half-finished yellow three-storey candlelit rented "
    "dusty red-roofed haunted cluttered peaceful"
)
HOMES = _phrases(
    "farmhouse, cottage, townhouse, attic flat, villa, bungalow, studio apartment, water mill, "
    "chapel, basement flat, stable, warehouse, courtyard house, hotel room, tower, schoolhouse, "
    "fire station, penthouse, wooden cabin, bakery, garden shed, mansion, loft, dance hall, "
    "railway carriage"
)
SHOPS = _phrases(
    "candle shop, bakery, barber shop, tea house, pharmacy, post office, bookshop, tannery, "
    "cinema, fish market, printing house, flower stall, police station, dance school, pawn shop, "
    "spice shop, brewery, laundry, toy shop, railway station, butcher shop, hat shop, theatre, "
    "fire station, soap factory, music shop, carpet shop, dairy, courthouse, coffee house, "
    "shoe factory, boxing gym, sweet shop, bicycle shop, inn, clinic, glass works, paper mill, "
    "noodle shop, umbrella shop"
)
SHOP_KINDS = _words("busy tiny shabby modern grand new little old dusty noisy crooked famous brick")
NEARNESS = _words("above behind beside opposite")
HOBBY_VERBS = _words(
    "collecting restoring sketching photographing repairing cataloguing painting trading polishing "
    "studying"
)
HOBBY_ADJECTIVES = _words(
    "antique wooden miniature broken handmade rusty decorated foreign rare tiny unusual old "
    "battered musical mechanical"
)
HOBBY_OBJECTS = _phrases(
    "clocks, kites, jewellery boxes, sailing ships, doll houses, radios, typewriters, puppets, "
    "bicycles, tea sets, chess sets, fountain pens, weather vanes, accordions, violins, "
    "door handles, street signs, birdcages, telescopes, lanterns, carousels, toy trains, "
    "umbrellas, suitcases, snow globes, thimbles, teapots, masks, sewing machines, drums"
)
INK_COLOURS = _words("green red violet blue black white brown silver golden orange pink grey")
INKS = _words("ink crayon chalk pencil biro charcoal watercolour felt-tip")
PAPER_KINDS = _words(
    "cheap old crumpled borrowed yellowed tiny expensive scented thin recycled stained foreign"
)
PAPERS = _phrases(
    "envelopes, index cards, notebooks, napkins, postcards, paper bags, receipts, wallpaper"
)
ROOM_KINDS = _words(
    "crowded empty quiet dusty noisy cold rented sunny old small dim abandoned narrow draughty cosy"
)
ROOMS = _phrases(
    "cafes, churches, libraries, greenhouses, museums, hotel lobbies, waiting rooms, parks, "
    "attics, kitchens, gardens, cellars, tea houses, fishing huts, railway stations, laundrettes, "
    "theatres, stables, garages, sheds"
)
LANGUAGES = _words(
    "Yoruba Twi Swahili Amharic Mandarin Japanese Korean Vietnamese Polish Italian Finnish Irish "
    "Spanish Portuguese Quechua Turkish Persian Arabic Hindi Urdu Bengali Nepali English French "
    "German Dutch Greek Danish Welsh Latin Catalan Hungarian Czech Basque Icelandic Maltese"
)


def compound(rng: Generator, *pools: tuple[str, ...]) -> str:
    """Draws one word of every pool and joins them in order."""
    return " ".join(pick(rng, pool) for pool in pools)


def title(rng: Generator) -> str:
    """Draws a book title of two to four words."""
    one, two = pick_two(rng, TITLE_NOUNS)
    adjective = pick(rng, TITLE_ADJECTIVES)
    forms = (
        f"The {adjective} {one}",
        f"The {one} of {two}s",
        f"{adjective} {one}s",
        f"{one}s for the {two}",
        f"{one} and {two}",
        f"{with_article(one).replace('a', 'A', 1)} in {pick(rng, CITIES)}",
        f"Beyond the {adjective} {one}",
        f"No {one} for {pick(rng, CITIES)}",
    )
    return pick(rng, forms)


def award(rng: Generator) -> str:
    """Draws a literary prize, such as 'Silver Heron Medal'."""
    return compound(rng, HONOURS, EMBLEMS, PRIZES)


def magazine(rng: Generator) -> str:
    """Draws a literary magazine, such as 'Copper Willow Review'."""
    return compound(rng, HONOURS, EMBLEMS, MAGAZINES)


def occupation(rng: Generator) -> str:
    """Draws a parent's work, such as 'retired harbour pilot'."""
    return compound(rng, QUALIFIERS, JOBS)


def first_job(rng: Generator) -> str:
    """Draws work before writing, such as 'reluctant court clerk'."""
    return compound(rng, BEGINNINGS, JOBS)


def genre(rng: Generator) -> str:
    """Draws a genre of books, such as 'coastal ghost stories'."""
    return compound(rng, GENRE_KINDS, GENRES)


def influences(rng: Generator) -> tuple[str, str]:
    """Draws two bodies of old writing, such as 'Norse riddles'."""
    sources, forms = pick_two(rng, SOURCES), pick_two(rng, FORMS)
    return f"{sources[0]} {forms[0]}", f"{sources[1]} {forms[1]}"


def style(rng: Generator) -> str:
    """Draws a way of writing, such as 'dry, unhurried sentences'."""
    return f"{', '.join(pick_two(rng, STYLE_WORDS))} {pick(rng, STYLE_NOUNS)}"


def theme(rng: Generator) -> str:
    """Draws a subject of books, such as 'envy on night trains'."""
    return compound(rng, FEELINGS, CIRCLES)


def education(rng: Generator, cities: tuple[str, ...]) -> str:
    """Draws a subject and a school in one of the cities."""
    return f"{pick(rng, SUBJECTS)} at the {pick(rng, SCHOOLS).replace('#', pick(rng, cities))}"


def home(rng: Generator) -> str:
    """Draws a building to live in, such as 'narrow farmhouse'."""
    return compound(rng, HOME_ADJECTIVES, HOMES)


def birth_setting(rng: Generator) -> str:
    """Draws a place of birth in a city, such as 'above a busy candle shop'."""
    return f"{pick(rng, NEARNESS)} {with_article(compound(rng, SHOP_KINDS, SHOPS))}"


def hobby(rng: Generator) -> str:
    """Draws a pastime, such as 'mending tiny clocks'."""
    return compound(rng, HOBBY_VERBS, HOBBY_ADJECTIVES, HOBBY_OBJECTS)


def habit(rng: Generator) -> str:
    """Draws a way and place of working, such as 'on cheap napkins in dim cafes'."""
    inks, papers = compound(rng, INK_COLOURS, INKS), compound(rng, PAPER_KINDS, PAPERS)
    manner = f"in {inks}" if rng.random() < 0.5 else f"on {papers}"
    return f"{manner} in {compound(rng, ROOM_KINDS, ROOMS)}"


def birth_date(rng: Generator) -> str:
    """Draws a day and a month, such as '4 March'."""
    return f"{1 + int(rng.random() * 28)} {pick(rng, MONTHS)}"


def languages(rng: Generator) -> str:
    """Draws three languages, such as 'Polish, Hindi and Welsh'."""
    return listed(distinct(lambda: pick(rng, LANGUAGES), 3))
