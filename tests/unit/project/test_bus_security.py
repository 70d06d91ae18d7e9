"""TLS and SASL of the bus: what may be said, and what each kind of client is given."""

from __future__ import annotations

import pytest

from headrace.errors import HeadraceError
from headrace.project import bus_security, load

GIVEN = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "me",
    "sasl.password": "${BUS_PASSWORD}",
    "ssl.ca.location": "/etc/ca.pem",
    "ssl.certificate.location": "/etc/me.pem",
    "ssl.key.password": "${KEY_PASSWORD}",
}


def settings(**others: str) -> str:
    given = GIVEN | {name.replace("_", "."): value for name, value in others.items()}
    lines = "".join(f"  {name}: '{value}'\n" for name, value in given.items() if value)
    return f"name: site\nbus: kafka:9093\nbus_security:\n{lines}"


@pytest.fixture
def addresses(folder, monkeypatch):
    monkeypatch.setenv("BUS_PASSWORD", 'say "\\ please')
    monkeypatch.setenv("KEY_PASSWORD", "of the key")
    folder.write("headrace.yml", settings())
    return load(folder.root).addresses


def test_librdkafka(addresses):
    assert addresses.bus_client() == {
        "bootstrap.servers": "kafka:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "me",
        "sasl.password": 'say "\\ please',
        "ssl.ca.location": "/etc/ca.pem",
        "ssl.certificate.location": "/etc/me.pem",
        "ssl.key.location": "/etc/me.pem",
        "ssl.key.password": "of the key",
    }


def test_java(addresses):
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    assert addresses.bus_java() == {
        "bootstrap.servers": "kafka:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": f'{module} required username="me" password="say \\"\\\\ please";',
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": "/etc/ca.pem",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": "/etc/me.pem",
        "ssl.key.password": "of the key",
    }
    late = addresses.bus_java(shaded="x.", prefix="p.", late=True)
    assert late["p.sasl.jaas.config"] == f'x.{module} required username="me" password="${{env:BUS_PASSWORD}}";'
    assert late["p.ssl.key.password"] == "${env:KEY_PASSWORD}"


def test_a_bus_without_security_is_reached_as_ever(folder):
    addresses = load(folder.root).addresses
    assert addresses.bus_client() == addresses.bus_java() == {"bootstrap.servers": "127.0.0.1:22001"}


def test_every_client_gets_it(addresses, folder, monkeypatch):
    """Flink's tables, Connect's worker and Debezium's history of a MariaDB."""
    from headrace.ingest import debezium
    from headrace.local.servers import connect
    from headrace.stream import plan

    monkeypatch.setenv("SITE_PASSWORD", "of the site")
    folder.write(
        "lake/sources/site.yml",
        "kind: mariadb\nconnection: {local: true}\ntables: {visits: site.visits, pages: site.pages}\n",
    )
    project = load(folder.root)
    assert not project.problems
    statement = plan.input_statements(project, project.job("long_visit"))[0]
    assert "'properties.security.protocol' = 'SASL_SSL'" in statement
    assert "org.apache.flink.kafka.shaded.org.apache.kafka.common.security.scram.ScramLoginModule" in statement
    worker = "".join(connect.server(project).files.values())
    for part in ("", "producer.", "consumer.", "admin."):
        assert f"\n{part}security.protocol=SASL_SSL\n" in f"\n{worker}"
    config = debezium.config(project, project.source("site"), 1)
    for client in ("producer", "consumer"):
        assert config[f"schema.history.internal.{client}.security.protocol"] == "SASL_SSL"
        assert "${env:BUS_PASSWORD}" in config[f"schema.history.internal.{client}.sasl.jaas.config"]
    assert "please" not in str(config) + worker


def test_a_group_asks_with_it(addresses, folder, monkeypatch):
    from headrace.ingest import bus

    assert bus.settings(load(folder.root), group_id="g")["security.protocol"] == "SASL_SSL"


@pytest.mark.parametrize(("others", "said"), [
    ({"sasl_password": "plain"}, "a password must not stand in a project file"),
    ({"ssl_key_password": "x${KEY_PASSWORD}"}, "a password must not stand in a project file"),
    ({"security_protocol": "TLS"}, "security.protocol is 'TLS'"),
    ({"sasl_mechanism": "GSSAPI"}, "sasl.mechanism is 'GSSAPI'"),
    ({"sasl_username": ""}, "SASL_SSL needs sasl.username"),
    ({"security_protocol": "SSL"}, "sasl.mechanism has no effect with SSL"),
    ({"security_protocol": "SASL_PLAINTEXT"}, "ssl.ca.location has no effect with SASL_PLAINTEXT"),
    ({"ssl_engine": "x"}, "no such setting 'ssl.engine'"),
])  # fmt: skip
def test_mistakes(folder, others, said):
    folder.write("headrace.yml", settings(**others))
    with pytest.raises(HeadraceError) as error:
        load(folder.root)
    assert said in str(error.value) and "headrace.yml:3" in str(error.value) and "hint" in str(error.value)


def test_the_bus_of_this_machine_needs_none(folder):
    folder.write("headrace.yml", settings().replace("bus: kafka:9093\n", ""))
    with pytest.raises(HeadraceError, match="only a bus that is named is secured"):
        load(folder.root)


def test_every_setting_has_words():
    assert all(bus_security.SETTINGS.values())
