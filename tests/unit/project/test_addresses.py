"""Where the parts answer: the embedded ones by port, others by headrace.yml; secrets looked up late."""

from __future__ import annotations

import pytest

from headrace.errors import HeadraceError
from headrace.project import load
from headrace.project.settings import PORTS, SPAN, read_secrets


def test_embedded(folder, monkeypatch):
    monkeypatch.setenv("HEADRACE_SERVING_PASSWORD", "s")
    monkeypatch.setenv("HEADRACE_READER_PASSWORD", "r")
    monkeypatch.setenv("SITE_PASSWORD", "p")
    folder.write("headrace.yml", "name: site\nlocal: {ports: 43000}\n")
    project = load(folder.root)
    at = project.addresses
    assert (at.bus, at.connect, at.spark) == ("127.0.0.1:43001", "http://127.0.0.1:43003", "sc://127.0.0.1:43010")
    assert at.flink_rest == f"http://127.0.0.1:{43000 + PORTS['flink-rest']}"
    assert at.flink_gateway == f"http://127.0.0.1:{43000 + PORTS['flink-gateway']}"
    assert at.airflow == "http://127.0.0.1:43012"
    assert at.lake == str(folder.root / "lake/data")
    assert at.serving() == "postgresql://headrace:s@127.0.0.1:43000/headrace"
    assert at.serving("reader") == "postgresql://reader:r@127.0.0.1:43000/headrace"
    assert at.source(project.source("site")) == "postgresql://headrace:p@127.0.0.1:43020/site"


def test_external(folder, monkeypatch):
    monkeypatch.setenv("DB", r"ge@h/e\1m")
    monkeypatch.delenv("HEADRACE_SERVING_PASSWORD", raising=False)
    monkeypatch.setenv("HEADRACE_READER_PASSWORD", "r")
    folder.write(
        "headrace.yml",
        "name: site\nbus: a:1,b:2\nconnect: http://c:3\nspark: sc://s:4\nlake: s3://bucket/lake\n"
        "serving: postgresql://owner:${DB}@db:5/site\nflink: {rest: http://f:6, gateway: http://f:7}\n",
    )
    at = load(folder.root).addresses
    assert (at.bus, at.connect, at.spark, at.lake) == ("a:1,b:2", "http://c:3", "sc://s:4", "s3://bucket/lake")
    assert (at.flink_rest, at.flink_gateway) == ("http://f:6", "http://f:7")
    assert at.serving() == "postgresql://owner:ge%40h%2Fe%5C1m@db:5/site"
    assert at.serving("reader") == "postgresql://reader:r@db:5/site"


def test_a_source_on_the_server_of_another(folder, monkeypatch):
    monkeypatch.setenv("SITE_PASSWORD", "p")
    folder.write(
        "lake/sources/web.yml",
        "kind: jdbc\nconnection: {source: site, database: other}\ntables: {clicks: {watermark: happened_at}}\n",
    )
    project = load(folder.root)
    assert project.addresses.source(project.source("web")) == "postgresql://headrace:p@127.0.0.1:22020/other"


def test_secrets_come_from_the_environment_then_from_the_file(folder, monkeypatch):
    at = load(folder.root).addresses
    file = folder.root / ".headrace" / "secrets.env"
    with pytest.raises(HeadraceError) as error:
        at.secret("HEADRACE_SITE_TOKEN")
    assert str(error.value) == (
        "  the secret HEADRACE_SITE_TOKEN is not set\n"
        f"  hint: export HEADRACE_SITE_TOKEN=…   (looked in the environment and in {file})"
    )
    folder.write(".headrace/secrets.env", "# made once\nHEADRACE_SITE_TOKEN=from=file\n")
    with pytest.raises(HeadraceError, match="chmod 600"):
        at.secret("HEADRACE_SITE_TOKEN")
    file.chmod(0o600)
    assert at.resolve("x-${HEADRACE_SITE_TOKEN}-y") == "x-from=file-y"
    monkeypatch.setenv("HEADRACE_SITE_TOKEN", "env")
    assert at.secret("HEADRACE_SITE_TOKEN") == "env"
    assert read_secrets(folder.root / "absent") == {}


def test_ports_of_a_project_do_not_overlap():
    assert len(set(PORTS.values())) == len(PORTS) and max(PORTS.values()) < SPAN
    assert [p for p in PORTS.values() if PORTS["source"] < p < PORTS["source"] + 20] == [], "places of sources"
