"""Countries of birth: their heritage, first language and cities."""

from __future__ import annotations

from typing import NamedTuple

from clearbench.people.person import Heritage


class Country(NamedTuple):
    """A country of birth."""

    name: str
    heritage: Heritage
    language: str
    cities: tuple[str, ...]


def _country(name: str, heritage: Heritage, language: str, cities: str) -> Country:
    return Country(name, heritage, language, tuple(cities.split()))


COUNTRIES: tuple[Country, ...] = (
    _country("Nigeria", "african", "Yoruba", "Lagos Ibadan Abeokuta Ilorin Akure"),
    _country("Ghana", "african", "Twi", "Accra Kumasi Tamale Sunyani Koforidua"),
    _country("Kenya", "african", "Swahili", "Nairobi Mombasa Kisumu Nakuru Eldoret"),
    _country("Ethiopia", "african", "Amharic", "Gondar Adama Hawassa Dessie Harar"),
    _country("China", "east_asian", "Mandarin", "Beijing Chengdu Hangzhou Suzhou Xiamen"),
    _country("Japan", "east_asian", "Japanese", "Kyoto Osaka Sapporo Nagasaki Kanazawa"),
    _country("Korea", "east_asian", "Korean", "Seoul Busan Daegu Gwangju Jeonju"),
    _country("Vietnam", "east_asian", "Vietnamese", "Hanoi Hue Dalat Haiphong Danang"),
    _country("Poland", "european", "Polish", "Warsaw Krakow Gdansk Poznan Lublin"),
    _country("Italy", "european", "Italian", "Turin Bologna Naples Trieste Palermo"),
    _country("Finland", "european", "Finnish", "Helsinki Turku Tampere Oulu Rovaniemi"),
    _country("Ireland", "european", "Irish", "Dublin Galway Cork Limerick Sligo"),
    _country("Mexico", "latin_american", "Spanish", "Puebla Oaxaca Merida Guadalajara Morelia"),
    _country("Brazil", "latin_american", "Portuguese", "Recife Olinda Curitiba Manaus Fortaleza"),
    _country("Peru", "latin_american", "Quechua", "Lima Cusco Arequipa Trujillo Iquitos"),
    _country("Argentina", "latin_american", "Spanish", "Rosario Cordoba Mendoza Salta Ushuaia"),
    _country("Turkey", "middle_eastern", "Turkish", "Istanbul Izmir Ankara Bursa Trabzon"),
    _country("Iran", "middle_eastern", "Persian", "Tehran Isfahan Shiraz Tabriz Yazd"),
    _country("Lebanon", "middle_eastern", "Arabic", "Beirut Tripoli Sidon Tyre Zahle"),
    _country("Egypt", "middle_eastern", "Arabic", "Cairo Alexandria Luxor Aswan Mansoura"),
    _country("India", "south_asian", "Hindi", "Delhi Mumbai Jaipur Kolkata Mysore"),
    _country("Pakistan", "south_asian", "Urdu", "Lahore Karachi Peshawar Multan Quetta"),
    _country("Bangladesh", "south_asian", "Bengali", "Dhaka Sylhet Khulna Rajshahi Chittagong"),
    _country("Nepal", "south_asian", "Nepali", "Kathmandu Pokhara Bhaktapur Lalitpur Janakpur"),
)

CITIES: tuple[str, ...] = tuple(city for country in COUNTRIES for city in country.cities)


def countries_of(heritage: Heritage) -> tuple[Country, ...]:
    """Returns the countries of one heritage."""
    return tuple(country for country in COUNTRIES if country.heritage == heritage)
