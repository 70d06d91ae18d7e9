"""No secret in a message, a log line or a traceback, whoever repeats it."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import concealed
from headrace.errors import HeadraceError, Problem
from headrace.project import load

SECRET = 'k3y of:the/d@tabase & "more" \\ é'
CONTRACT = "schema:\n- name: {0}\n  properties:\n  - {{name: id, logicalType: integer, primaryKey: true}}\n"
# Nobody listens on port 9 of loopback.
SOURCES = {
    "shop": ("postgresql", "postgresql://me:${THE_SECRET}@127.0.0.1:9/shop", "public.shop_rows"),
    "till": ("mariadb", "mariadb://me:${THE_SECRET}@127.0.0.1:9/till", "till.till_rows"),
    "club": ("jdbc", "postgresql://me:${THE_SECRET}@127.0.0.1:9/club", "{from: public.club_rows, watermark: id}"),
    "card": ("jdbc", "mariadb://me:${THE_SECRET}@127.0.0.1:9/card", "{from: card.card_rows, watermark: id}"),
    "menu": ("rest", "http://me:${THE_SECRET}@127.0.0.1:9/v1", "{path: /menu}"),
    "town": ("neo4j", "bolt://me:${THE_SECRET}@127.0.0.1:9/neo4j", "{from: '(:Town)', watermark: id}"),
    "list": ("files", "s3://me:${THE_SECRET}@bucket/list", "'*.csv'"),
}


@pytest.fixture(autouse=True)
def forgotten():
    """What a test concealed is no secret to the next one."""
    before = dict(concealed._forms)
    yield
    concealed._forms.clear()
    concealed._forms.update(before)


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=concealed.LEAST), st.text(), st.text())
def test_every_form_of_a_secret_is_taken_out(secret: str, before: str, after: str):
    concealed._forms.clear()
    concealed.conceal(secret, "NAME")
    for form in (secret, quote(secret, ""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert form not in concealed.masked(f"{before}<{form}>{after}").replace("${NAME}", "")
    coded = base64.b64encode(secret.encode()).decode().rstrip("=")
    assert coded not in concealed.masked(f"Basic {coded}==")


@pytest.mark.parametrize("text", [
    "postgresql://me:short@host/db", "can't reach mariadb+pymysql://a%40b:p%2Fw@h:1/d?x=1", "s3://KEY:zz@bucket",
])  # fmt: skip
def test_a_password_in_any_address_is_taken_out(text: str):
    assert ":***@" in concealed.masked(text)


def test_what_looks_like_an_address_and_holds_no_secret_stays():
    for text in ("postgresql://me:${NAME}@host/db", "http://127.0.0.1:8083/connectors", "me@host", "a://b:1 c@d"):
        assert concealed.masked(text) == text


def test_a_problem_made_of_others_words(monkeypatch, tmp_path):
    (tmp_path / "headrace.yml").write_text("name: site\n")
    monkeypatch.setenv("THE_SECRET", SECRET)
    assert load(tmp_path).addresses.secret("THE_SECRET") == SECRET
    told = HeadraceError(Problem(f"driver: refused {SECRET!r}", hint=f"tried x://u:{quote(SECRET, '')}@h"))
    assert SECRET not in str(told) and "k3y" not in str(told) and "${THE_SECRET}" in str(told)


def test_logs_and_tracebacks(monkeypatch):
    monkeypatch.setattr(logging.Formatter, "format", logging.Formatter.format)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr("threading.excepthook", sys.__excepthook__)
    concealed.conceal(SECRET, "NAME")
    concealed.mask_output()
    said = StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.Logger("someone's")
    logger.addHandler(handler)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logger.exception("connecting as %s", SECRET)
    assert "ValueError" in said.getvalue() and "k3y" not in said.getvalue()


def test_an_unexpected_end_of_the_command_line(tmp_path):
    """Not a HeadraceError but a bug: the traceback that the interpreter prints."""
    (tmp_path / "headrace.yml").write_text("name: site\n")
    code = (
        "import sys; from headrace.cli import main; import headrace.cli.app as app\n"
        "def broken(*_):\n from pathlib import Path; from headrace.project import load\n"
        " raise RuntimeError(load(Path('.')).addresses.secret('THE_SECRET'))\n"
        "app.app = broken; main()"
    )
    variables = os.environ | {"THE_SECRET": SECRET}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.returncode == 1 and "RuntimeError: ${THE_SECRET}" in done.stderr and "k3y" not in done.stderr


@pytest.fixture
def closed(tmp_path: Path, monkeypatch):
    """A project of which nothing answers, and every part has the secret."""
    monkeypatch.setenv("THE_SECRET", SECRET)
    for role in ("READER", "WRITER"):
        monkeypatch.setenv(f"HEADRACE_{role}_PASSWORD", SECRET)
    bus = "bus_security: {security.protocol: SASL_PLAINTEXT, sasl.mechanism: PLAIN, sasl.username: me, "
    files = {
        "headrace.yml": "name: site\nbus: 127.0.0.1:9\nconnect: http://127.0.0.1:9\n"
        "serving: postgresql://me:${THE_SECRET}@127.0.0.1:9/site\n" + bus + "sasl.password: '${THE_SECRET}'}\n",
    }
    for name, (kind, url, table) in SOURCES.items():
        more = ", endpoint: 'http://127.0.0.1:9'" if kind == "files" else ""
        files[f"lake/sources/{name}.yml"] = (
            f"kind: {kind}\nconnection: {{url: '{url}'{more}}}\ntables: {{{name}_rows: {table}}}\n"
        )
        files[f"schemas/{name}_rows.yaml"] = CONTRACT.format(f"{name}_rows")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    project = load(tmp_path)
    assert not project.problems
    return project


def every_way_to_fail(project):
    """Calls that end in an error, by name."""
    from headrace.ingest import bus, connectors, database
    from headrace.pulls import kinds
    from headrace.serve import reading, schema
    from headrace.serve.database import connect

    def captured(name):
        with database.connect(project, project.source(name)):
            pass

    yield "serving, owner", lambda: schema.ensure(project)
    yield "serving, writer", lambda: connect(project)
    yield "serving, reader", lambda: reading.query(project, "SELECT 1")
    yield "bus", lambda: bus.partitions(project, timeout=1)
    yield "connect", lambda: connectors.states(project)
    for name in ("shop", "till"):
        yield name, lambda name=name: captured(name)
    for name in ("club", "card", "menu", "town", "list"):
        kind = project.source(name).kind
        yield name, lambda name=name, kind=kind: kinds.PULLED[kind].probe(project, project.source(name))


def test_no_error_says_a_secret(closed, capfd):
    for name, fails in every_way_to_fail(closed):
        with pytest.raises(HeadraceError) as error:
            fails()
        for form in (SECRET, quote(SECRET, ""), quote_plus(SECRET), "k3y"):
            assert form not in str(error.value), name
    said = capfd.readouterr()
    assert "k3y" not in said.out + said.err


def test_a_connector_is_told_where_the_secret_is_not_what_it_is(closed):
    from headrace.ingest import debezium

    for name in ("shop", "till"):
        text = json.dumps(debezium.config(closed, closed.source(name), 1))
        assert "k3y" not in text and "${env:THE_SECRET}" in text


def test_the_worker_is_told_where_the_secret_is_not_what_it_is(closed):
    from headrace.local.servers import connect

    server = connect.server(closed)
    assert "k3y" not in "".join(server.files.values()) + " ".join(server.command)
    assert 'password="${env:THE_SECRET}"' in "".join(server.files.values())
    assert server.environment["THE_SECRET"] == SECRET
