"""What refresh.py measures over: a project of one table, its rows as they are now, and their changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from headrace.lake import landing, rows
from headrace.local import ports
from headrace.project import Project, load

TABLE, VIEW = "sales", "revenue"
SHOPS, DAYS, AT_ONCE = 1000, 100, 500_000
START = datetime(2026, 1, 1, tzinfo=UTC)
QUERY = f"""SELECT shop, CAST(at AS DATE) AS day, SUM(amount) AS revenue, COUNT(*) AS orders
FROM {TABLE} GROUP BY shop, CAST(at AS DATE)"""
COLUMNS = {"id": "integer", "shop": "integer", "customer": "integer", "amount": "number", "at": "timestamp"}


class Data:
    """The service's rows as they are now, and their changes, landed as the landing worker lands them."""

    def __init__(self, project: Project, spread: float) -> None:
        self.project, self.spread, self.step = project, spread, 0
        self.handle = landing.open_landing(project, TABLE, "topic", project.settings.partitions)
        self.chance = np.random.default_rng(1)
        self.shop = self.cents = self.day = np.zeros(0, dtype=np.int64)
        self.signed: list[pa.Table] = []  # both images of what changed since `groups` was asked

    @property
    def until(self) -> dict[int, int]:
        return landing.positions(self.project, TABLE)

    @property
    def cut(self) -> int:
        """The chunk after everything that has landed."""
        return int(START.timestamp()) // self.project.settings.chunk_seconds + self.step

    def load(self, count: int) -> None:
        """The first rows, in order of time, a day after the other."""
        days = np.arange(count, dtype=np.int64) * DAYS // count
        self._write(*self._inserted(days))

    def change(self, count: int) -> None:
        """New rows of the newest day, and updates of rows of the newest part of the table, in one chunk."""
        known, some = len(self.shop), count // 2
        young = self.chance.choice(max(some, int(known * self.spread)), some, replace=False)
        ids = np.sort(known - 1 - young)
        before = self._images(ids)
        self._sign(ids, -1)
        self.cents[ids] = self.chance.integers(100, 20_000, some)
        moved = ids[self.chance.random(some) < 0.05]
        self.shop[moved] = self.chance.integers(0, SHOPS, len(moved))
        after = self._images(ids)
        new_ids, _, new = self._inserted(np.full(count - some, DAYS - 1, dtype=np.int64))
        ids = np.concatenate([ids, new_ids])
        self._sign(ids, 1)
        before = pa.concat_arrays([before, pa.nulls(len(new_ids), pa.string())])
        self._write(ids, before, pa.concat_arrays([after, new]))

    def groups(self) -> pa.Table:
        """What changed of each group since this was asked last, as a speed job would have summed it."""
        rows = pa.concat_tables(self.signed)
        self.signed = []
        sums = rows.group_by(["k1", "k2"]).aggregate([("cents", "sum"), ("sign", "sum"), ("sign", "count")])
        amount = pc.multiply(sums["cents_sum"].cast(pa.decimal128(19, 0)), pa.scalar(Decimal("0.01")))
        count, images = sums["sign_sum"], sums["sign_count"]
        key = pc.binary_join_element_wise(sums["k1"].cast(pa.string()), sums["k2"].cast(pa.string()), "/")
        columns = [key, sums["k1"], sums["k2"], amount, count, count, images]
        return pa.table(columns, names=["group_key", "k1", "k2", "m1", "m2", "row_count", "images"])

    def _sign(self, ids: np.ndarray, sign: int) -> None:
        signs = np.full(len(ids), sign, dtype=np.int64)
        day = (START.date() - date(1970, 1, 1)).days + self.day[ids]
        columns = [self.shop[ids], pa.array(day.astype(np.int32)).cast(pa.date32()), self.cents[ids] * sign, signs]
        self.signed.append(pa.table(columns, names=["k1", "k2", "cents", "sign"]))

    def _inserted(self, days: np.ndarray) -> tuple[np.ndarray, pa.Array, pa.Array]:
        ids = len(self.shop) + np.arange(len(days), dtype=np.int64)
        self.shop = np.concatenate([self.shop, self.chance.integers(0, SHOPS, len(days))])
        self.cents = np.concatenate([self.cents, self.chance.integers(100, 20_000, len(days))])
        self.day = np.concatenate([self.day, days])
        return ids, pa.nulls(len(ids), pa.string()), self._images(ids)

    def _images(self, ids: np.ndarray) -> pa.Array:
        """Rows as the JSON that landing keeps."""
        cents = self.cents[ids]
        seconds = int(START.timestamp()) + self.day[ids] * 86400 + ids % 86400
        at = pc.strftime(pa.array(seconds).cast(pa.timestamp("s")), format="%Y-%m-%dT%H:%M:%SZ")
        texts = [
            '{"id":', text(ids), ',"shop":', text(self.shop[ids]), ',"customer":', text(ids % 50_000), ',"amount":"',
            text(cents // 100), ".", pc.utf8_lpad(text(cents % 100), 2, "0"), '","at":"', at, '"}',
        ]  # fmt: skip
        return pc.binary_join_element_wise(*texts, "")

    def _write(self, ids: np.ndarray, before: pa.Array, after: pa.Array) -> None:
        at = START + timedelta(seconds=self.step * self.project.settings.chunk_seconds)
        for first in range(0, len(ids), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            self._append(ids[part], before[part], after[part], at)
        self.step += 1

    def _append(self, ids: np.ndarray, before: pa.Array, after: pa.Array, at: datetime) -> None:
        starts = self.until
        many = len(starts)
        offsets, moves = np.zeros(len(ids), dtype=np.int64), {}
        for partition, start in starts.items():
            here = ids % many == partition
            end = start + int(here.sum())
            offsets[here] = np.arange(start, end)
            if end > start:
                moves[partition] = (start, end)
        given = {
            "op": pc.if_else(pc.is_valid(before), "u", "c"),
            "key": pc.binary_join_element_wise('{"id":', text(ids), "}", ""),
            "before": before,
            "after": after,
            "position": pc.utf8_lpad(text(offsets), 20, "0"),
            "partition": pa.array(ids % many).cast(pa.int32()),
            "offset": pa.array(offsets),
        }
        same = {
            "event_time": at, "epoch": 1, "snapshot": "false", "topic": TABLE, "appended_at": at,
            "timestamp_type": "LogAppendTime", "landed_at": at, "contract_version": "1.0.0", "landing_date": at.date(),
        }  # fmt: skip
        columns = [
            given[f.name] if f.name in given else pa.repeat(pa.scalar(same.get(f.name), f.type), len(ids))
            for f in rows.LANDING
        ]
        landing.append(self.handle, pa.table(columns, schema=rows.LANDING), "topic", moves)


def text(numbers: np.ndarray) -> pa.Array:
    return pa.array(numbers).cast(pa.string())


def own_project(folder: Path) -> Project:
    """A project of one table, from a database that nobody starts, and one live view."""
    properties = [
        {"name": column, "logicalType": logical}
        | ({"primaryKey": True, "required": True} if column == "id" else {})
        | ({"physicalType": "decimal(10,2)"} if logical == "number" else {})
        for column, logical in COLUMNS.items()
    ]
    contract = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": TABLE, "version": "1.0.0"}
    contract["schema"] = [{"name": TABLE, "properties": properties}]  # type: ignore[assignment]
    source = {"kind": "postgresql", "connection": {"local": True}, "tables": {TABLE: f"public.{TABLE}"}}
    files = {
        "headrace.yml": yaml.safe_dump({"name": "bench", "local": {"ports": ports.suggestion(26000)}}),
        f"schemas/{TABLE}.yaml": yaml.safe_dump(contract),
        "lake/sources/shop.yml": yaml.safe_dump(source),
        f"jobs/batch/{VIEW}.sql": f"-- live: true\n{QUERY}\n",
    }
    for path, value in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(value)
    project = load(folder)
    if project.problems:
        raise SystemExit(str(project.problems))
    return project
