"""The company's world: cities, restaurants, menus, customers and couriers. The same in every run: runs add up."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from random import Random
from typing import NamedTuple

CITIES = {  # name: degrees north and east
    "Bern": (46.948, 7.447),
    "Zürich": (47.377, 8.541),
    "Genève": (46.204, 6.143),
    "Basel": (47.559, 7.588),
    "Lugano": (46.003, 8.951),
    "Aarau": (47.391, 8.045),
}
MENUS = {  # cuisine: dishes with their usual price
    "italian": {"Margherita": 14, "Lasagne": 18, "Risotto": 21, "Tiramisù": 8, "Focaccia": 6, "Burrata": 13},
    "thai": {"Pad Thai": 19, "Green Curry": 21, "Tom Kha": 12, "Mango Rice": 9, "Spring Rolls": 8, "Larb": 18},
    "indian": {"Dal": 15, "Biryani": 20, "Naan": 4, "Palak Paneer": 18, "Samosa": 7, "Lassi": 6},
    "swiss": {"Rösti": 17, "Fondue": 27, "Älplermagronen": 19, "Birchermüesli": 9, "Raclette": 24, "Bündner Soup": 11},
    "japanese": {"Ramen": 20, "Gyoza": 10, "Maki, 8 pieces": 14, "Tonkatsu": 22, "Edamame": 7, "Mochi": 6},
}
RESTAURANTS = 60
CUSTOMERS = 1500
COURIERS = 80
_FIRST = ("Golden", "Quiet", "Little", "Old", "Green", "Crooked", "Blue", "Seventh", "Lucky", "Upper")
_SECOND = ("Spoon", "Lantern", "Anchor", "Kettle", "Garden", "Mill", "Bridge", "Oven", "Table", "Well", "Cellar")
_COLOURS = ("Amber", "Blue", "Coral", "Dusky", "Ebony", "Fawn", "Green", "Hazel", "Indigo", "Jade", "Lilac", "Mauve")
_ANIMALS = (
    "Badger",
    "Crane",
    "Dolphin",
    "Egret",
    "Fox",
    "Gecko",
    "Heron",
    "Ibis",
    "Jay",
    "Kestrel",
    "Lynx",
    "Marten",
    "Otter",
)


_QUARTERS = ("Old Town", "North", "Lake Side", "Station")


class Area(NamedTuple):
    id: int
    name: str
    city: str


class Restaurant(NamedTuple):
    id: int
    name: str
    city: str
    cuisine: str


def restaurants() -> list[Restaurant]:
    """All restaurants; their ids are 1 to RESTAURANTS."""
    cities, cuisines = list(CITIES), list(MENUS)
    made = []
    for number in range(1, RESTAURANTS + 1):
        name = f"{_FIRST[number % len(_FIRST)]} {_SECOND[number % len(_SECOND)]}"
        made.append(Restaurant(number, name, cities[number % len(cities)], cuisines[number % len(cuisines)]))
    return made


def areas() -> list[Area]:
    """All delivery areas, some per city."""
    return [
        Area(10 * place + number, f"{city} {quarter}", city)
        for place, city in enumerate(CITIES, 1)
        for number, quarter in enumerate(_QUARTERS)
    ]


def fee(restaurant_id: int, area_id: int) -> float:
    """What a restaurant asks for a delivery to an area at first."""
    return round(2 + (restaurant_id * 7 + area_id) % 9 * 0.45, 2)


def menu(restaurant_id: int) -> dict[str, int]:
    """A restaurant's dishes and their usual prices. A restaurant that moves keeps its menu."""
    return MENUS[list(MENUS)[restaurant_id % len(MENUS)]]


def price(restaurant_id: int, dish: str, day: date) -> Decimal:
    """What a dish costs on a day: every restaurant has its own level, and each dish changes now and then."""
    usual = menu(restaurant_id)[dish]
    drift = (day.toordinal() // 5 + restaurant_id * 7 + len(dish)) % 9 - 4  # per cent
    level = 90 + restaurant_id % 7 * 4
    return (Decimal(usual * level * (100 + drift)) / 10_000).quantize(Decimal("0.01"))


def customer_name(number: int) -> str:
    """The nickname a customer chose in the app."""
    return f"{_COLOURS[number % len(_COLOURS)]} {_ANIMALS[number % len(_ANIMALS)]} {number}"


def city_of(number: int) -> str:
    """The city a customer or courier starts in."""
    return list(CITIES)[number % len(CITIES)]


def courier_in(city: str, random: Random) -> int:
    """A courier who rides in the city."""
    index = list(CITIES).index(city)
    return random.randrange(index or len(CITIES), COURIERS + 1, len(CITIES))


def skewed(random: Random, count: int) -> int:
    """A rank from 0 to count - 1, by Zipf's law: rank r comes with a weight of about 1 / (r + 1)."""
    return min(int(math.exp(random.random() * math.log(count + 1))) - 1, count - 1)
