"""Restaurants' price lists: a CSV file appears in a folder, complete or not at all, and is never written again."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

from demo import world
from demo.counts import Counts

COLUMNS = ("restaurant_id", "dish", "price", "valid_from")


class Prices:
    """Drops price lists into a folder; their names sort by time."""

    def __init__(self, folder: Path, counts: Counts) -> None:
        self.folder = folder
        self.counts = counts

    def publish(self, at: datetime) -> Path:
        """The list of all dishes as of a moment."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"prices_{at:%Y-%m-%d_%H%M%S}.csv"
        if file.exists():
            return file
        part = file.with_suffix(f".{id(self)}.part")
        rows = 0
        with part.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(COLUMNS)
            for restaurant in world.restaurants():
                for dish in world.menu(restaurant.id):
                    writer.writerow((restaurant.id, dish, world.price(restaurant.id, dish, at.date()), at.date()))
                    rows += 1
        part.rename(file)
        self.counts.add("menu_prices", "listed", rows)
        return file
