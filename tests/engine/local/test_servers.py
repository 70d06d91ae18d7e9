"""The embedded servers answer real requests, on loopback, and come back when they are killed."""

from __future__ import annotations

import os
import signal

import psutil
import psycopg
import pymysql

from headrace.local import platform as local
from headrace.local import ports, supervise
from headrace.local.servers import chosen


def test_databases_keep_the_log_that_debezium_needs(shared):
    project = shared("source:shop", "source:till")
    with psycopg.connect(project.addresses.source(project.source("shop"))) as shop:
        assert shop.execute("SHOW wal_level").fetchone() == ("logical",)
        assert shop.execute("SHOW timezone").fetchone() == ("UTC",)
    secret = project.addresses.secret("TILL_PASSWORD")
    with pymysql.connect(
        host="127.0.0.1", port=project.addresses.source_port("till"), user="headrace", password=secret
    ) as till:
        cursor = till.cursor()
        cursor.execute("SELECT @@binlog_format, @@binlog_row_image, @@time_zone")
        assert cursor.fetchone() == ("ROW", "FULL", "+00:00")
        cursor.execute("SELECT COUNT(*) FROM mysql.global_priv WHERE User = 'root'")
        assert cursor.fetchone() == (0,), "root without a password would be open to every process here"


def test_every_listener_is_on_loopback(shared):
    project = shared("bus", "source:shop", "source:till")
    family = set()
    for row in local.status(project):
        if row["pid"]:
            process = psutil.Process(row["pid"])
            family |= {process.pid, *(p.pid for p in process.children(recursive=True))}
    heard = [c.laddr.ip for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid in family]
    assert heard
    assert {ip.removeprefix("::ffff:") for ip in heard} == {"127.0.0.1"}


def test_a_killed_server_comes_back(shared, until):
    project = shared("bus", "source:shop", "source:till")
    for name in ("bus", "source-shop", "source-till"):
        pid = supervise.states(project)[name]["pid"]
        os.kill(pid, signal.SIGKILL)
        until(lambda n=name, p=pid: supervise.states(project)[n]["pid"] not in (0, p), 60, f"{name} has a new process")
        (server,) = [s for s in chosen(project, None) if s.name == name]
        until(lambda s=server: s.ready() or True, 120, f"{name} answers again")


def test_up_again_changes_nothing(shared):
    project = shared("bus", "source:shop")
    before = {row["server"]: row["pid"] for row in local.status(project)}
    local.up(project, {"bus", "source:shop"})
    assert {row["server"]: row["pid"] for row in local.status(project)} == before


def test_a_taken_port_is_named_with_its_holder(shared):
    project = shared("bus")
    assert str(supervise.states(project)["bus"]["pid"]) in ports.holder(project.addresses.port("bus"))
