"""Lists values by kind, from which wrong ones are drawn: countries, cities, work, genres, colours.

They are real words, so that a wrong answer is as likely a sentence as the true one.
"""

from __future__ import annotations

from typing import NamedTuple

from clearbench.people.phrases import JOBS as LONG_JOBS
from clearbench.people.phrases import LANGUAGES, MONTHS


class Land(NamedTuple):
    """A country, the adjective of its people, and some of its cities."""

    name: str
    adjective: str
    cities: tuple[str, ...]


def _lands(table: str) -> tuple[Land, ...]:
    rows = (line.split(" | ") for line in table.strip().splitlines())
    return tuple(Land(name, people, tuple(cities.split(", "))) for name, people, cities in rows)


LANDS = _lands(
    """
Afghanistan | Afghan | Kabul, Herat
Algeria | Algerian | Algiers, Oran
Argentina | Argentinian | Buenos Aires, Cordoba, Rosario
Armenia | Armenian | Yerevan, Gyumri
Australia | Australian | Sydney, Melbourne, Brisbane, Perth
Austria | Austrian | Vienna, Graz, Salzburg
Azerbaijan | Azerbaijani | Baku, Ganja
Bahrain | Bahraini | Manama, Muharraq
Bangladesh | Bangladeshi | Dhaka, Chittagong
Belgium | Belgian | Brussels, Antwerp, Ghent
Bolivia | Bolivian | La Paz, Sucre
Botswana | Botswanan | Gaborone, Francistown
Brazil | Brazilian | Sao Paulo, Rio de Janeiro, Recife
Bulgaria | Bulgarian | Sofia, Plovdiv
Cambodia | Cambodian | Phnom Penh, Siem Reap
Canada | Canadian | Toronto, Montreal, Vancouver, Ottawa
Chile | Chilean | Santiago, Valparaiso
China | Chinese | Beijing, Shanghai, Chengdu
Colombia | Colombian | Bogota, Medellin, Cali
Croatia | Croatian | Zagreb, Split
Cuba | Cuban | Havana, Camaguey
Cyprus | Cypriot | Nicosia, Limassol
Denmark | Danish | Copenhagen, Aarhus, Odense
Ecuador | Ecuadorian | Quito, Guayaquil
Egypt | Egyptian | Cairo, Alexandria, Luxor
Estonia | Estonian | Tallinn, Tartu
Ethiopia | Ethiopian | Addis Ababa, Gondar
Finland | Finnish | Helsinki, Turku, Tampere
France | French | Paris, Lyon, Marseille, Bordeaux
Georgia | Georgian | Tbilisi, Batumi
Germany | German | Berlin, Hamburg, Munich, Cologne
Ghana | Ghanaian | Accra, Kumasi
Greece | Greek | Athens, Thessaloniki, Patras
Guatemala | Guatemalan | Antigua, Quetzaltenango
Hungary | Hungarian | Budapest, Szeged
Iceland | Icelandic | Reykjavik, Akureyri
India | Indian | Delhi, Mumbai, Jaipur, Kolkata
Indonesia | Indonesian | Jakarta, Bandung
Iran | Iranian | Tehran, Isfahan, Shiraz
Iraq | Iraqi | Baghdad, Basra
Ireland | Irish | Dublin, Galway, Cork
Israel | Israeli | Tel Aviv, Haifa
Italy | Italian | Rome, Milan, Turin, Naples
Jamaica | Jamaican | Kingston, Montego Bay
Japan | Japanese | Tokyo, Kyoto, Osaka
Jordan | Jordanian | Amman, Irbid
Kazakhstan | Kazakh | Astana, Almaty
Kenya | Kenyan | Nairobi, Mombasa
Kuwait | Kuwaiti | Kuwait City, Hawalli
Latvia | Latvian | Riga, Jelgava
Lebanon | Lebanese | Beirut, Tripoli
Lithuania | Lithuanian | Vilnius, Kaunas
Malaysia | Malaysian | Kuala Lumpur, Ipoh
Malta | Maltese | Valletta, Sliema
Mexico | Mexican | Mexico City, Puebla, Guadalajara
Mongolia | Mongolian | Ulaanbaatar, Erdenet
Morocco | Moroccan | Rabat, Casablanca, Fez
Nepal | Nepali | Kathmandu, Pokhara
Netherlands | Dutch | Amsterdam, Rotterdam, Utrecht
New Zealand | New Zealander | Auckland, Wellington
Nigeria | Nigerian | Lagos, Abuja, Ibadan
Norway | Norwegian | Oslo, Bergen, Trondheim
Pakistan | Pakistani | Karachi, Lahore
Panama | Panamanian | Panama City, Colon
Paraguay | Paraguayan | Asuncion, Encarnacion
Peru | Peruvian | Lima, Cusco, Arequipa
Philippines | Filipino | Manila, Cebu City
Poland | Polish | Warsaw, Krakow, Gdansk
Portugal | Portuguese | Lisbon, Porto
Romania | Romanian | Bucharest, Cluj
Russia | Russian | Moscow, Kazan
Saudi Arabia | Saudi | Riyadh, Jeddah
Senegal | Senegalese | Dakar, Thies
Serbia | Serbian | Belgrade, Novi Sad
Singapore | Singaporean | Jurong, Bukit Timah
Slovakia | Slovak | Bratislava, Kosice
South Africa | South African | Cape Town, Johannesburg, Durban
South Korea | Korean | Seoul, Busan
Spain | Spanish | Madrid, Seville, Barcelona, Valencia
Sri Lanka | Sri Lankan | Colombo, Kandy
Sudan | Sudanese | Khartoum, Omdurman
Sweden | Swedish | Stockholm, Gothenburg, Malmo
Switzerland | Swiss | Zurich, Geneva, Bern
Syria | Syrian | Damascus, Aleppo
Taiwan | Taiwanese | Taipei, Tainan
Tanzania | Tanzanian | Dar es Salaam, Dodoma
Thailand | Thai | Bangkok, Chiang Mai
Tunisia | Tunisian | Tunis, Sfax
Turkey | Turkish | Istanbul, Ankara, Izmir
Uganda | Ugandan | Kampala, Entebbe
Ukraine | Ukrainian | Kyiv, Lviv, Odesa
United Kingdom | British | London, Manchester, Edinburgh
United States | American | New York, Chicago, Boston, Miami, Los Angeles
Uruguay | Uruguayan | Montevideo, Salto
Venezuela | Venezuelan | Caracas, Maracaibo
Vietnam | Vietnamese | Hanoi, Hue
Zambia | Zambian | Lusaka, Ndola
Zimbabwe | Zimbabwean | Harare, Bulawayo
"""
)
COUNTRIES = tuple(land.name for land in LANDS)
CITIES = tuple(city for land in LANDS for city in land.cities)
ADJECTIVES = tuple(land.adjective for land in LANDS)
#: Adjectives that name a language, too, and so stand for no other ones.
TONGUES = tuple(word for word in ADJECTIVES if word in LANGUAGES)


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split(","))


_SHORT_JOBS = _phrases(
    "accountant, actor, actress, architect, artist, astronaut, athlete, banker, barber, baker, "
    "bartender, biologist, bricklayer, butcher, carpenter, cashier, chef, chemist, composer, "
    "cook, dancer, dentist, designer, detective, doctor, economist, editor, electrician, "
    "engineer, farmer, firefighter, fisherman, florist, gardener, geologist, hairdresser, "
    "historian, housekeeper, interpreter, janitor, jeweller, journalist, judge, lawyer, "
    "librarian, locksmith, mathematician, mechanic, midwife, miner, musician, nurse, optician, "
    "painter, paramedic, pharmacist, photographer, physicist, pianist, pilot, plumber, poet, "
    "politician, postman, potter, professor, psychologist, real estate agent, roofer, sailor, "
    "salesman, scientist, sculptor, secretary, singer, soldier, surgeon, tailor, taxi driver, "
    "teacher, translator, veterinarian, violinist, waiter, waitress, weaver, welder"
)
JOBS = tuple(dict.fromkeys((*_SHORT_JOBS, *LONG_JOBS)))
GENRES = _phrases(
    "romance, fantasy, dark fantasy, science fiction, horror, drama, mystery, crime, comedy, "
    "historical fiction, magical realism, poetry, biography, satire, adventure, true crime, "
    "detective fiction, children's literature, young adult, dystopian, graphic novels, thriller, "
    "westerns, memoir, travel writing, cyberpunk, fairy tales, steampunk, contemporary fiction"
)
COLOURS = _phrases("red, blue, green, yellow, purple, orange, pink, brown, grey, turquoise")
DAYS = _phrases("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")
NUMBER_WORDS = _phrases(
    "two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen, "
    "fifteen, sixteen, seventeen, eighteen, nineteen, twenty, thirty, forty, fifty, sixty, "
    "seventy, eighty, ninety"
)
MONTH_NAMES = MONTHS
SHORT_MONTHS = tuple(name[:3] for name in MONTHS)
