"""A bus that speaks SASL over TLS, a real one: the project's own clients, Kafka's in Java, and Flink's in its jar."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from headrace.errors import HeadraceError
from headrace.ingest import bus
from headrace.local import probe
from headrace.local.install import JARS
from headrace.local.server import java, properties
from headrace.local.servers.kafka import PATH
from headrace.project import Project
from headrace.sql.flink import SHADED
from tests.engine.security.conftest import SECRET, Authority, security

# The consumer that is in Flink's connector, with the settings that Flink's tables get.
FLINK = """import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.KafkaConsumer;
import java.io.FileReader; import java.util.Properties; import java.time.Duration;
public class Main { public static void main(String[] given) throws Exception {
  var p = new Properties(); p.load(new FileReader(given[0]));
  var text = "org.apache.flink.kafka.shaded.org.apache.kafka.common.serialization.StringDeserializer";
  p.put("key.deserializer", text); p.put("value.deserializer", text);
  try (var c = new KafkaConsumer<String, String>(p)) {
    System.out.println(c.listTopics(Duration.ofSeconds(20)).keySet());
  }
}}"""


@pytest.fixture
def secured(broker: str, authority: Authority, make_project, monkeypatch) -> Callable[..., Project]:
    """A project on the broker; keyword arguments are settings of `bus_security` that differ."""

    def make(address: str = broker, **others: str) -> Project:
        monkeypatch.setenv("TLS_BUS_PASSWORD", SECRET)
        return make_project({}, bus=address, bus_security=security(authority, **others))

    return make


def send(project: Project, topic: str) -> None:
    client = bus.admin(project)
    client.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)
    producer = Producer(bus.producer_settings(project))
    producer.produce(topic, b"one", key=b"1")
    assert producer.flush(20) == 0


def test_the_projects_own_clients(secured):
    project = secured()
    send(project, "own_clients")
    assert bus.partitions(project)["own_clients"] == 1
    assert [m.value() for m in bus.read_to_end(project, "own_clients")] == [b"one"]
    assert bus.ends(project, {"own_clients": 1}) == {("own_clients", 0): 1}
    with pytest.raises(probe.NotReady):  # it was asked, and answered
        probe.group(project.addresses.bus_client(), "nobody")


def test_offsets_of_stream_jobs(secured):
    from headrace.stream import offsets

    assert offsets.of_group(secured(), "nobody", "job") == {}
    offsets._admin.cache_clear()


def test_a_wrong_password_is_refused_and_not_said(secured, monkeypatch):
    project = secured()
    monkeypatch.setenv("TLS_BUS_PASSWORD", "not the one it is")
    with pytest.raises(HeadraceError, match="does not answer") as error:
        bus.partitions(project, timeout=5)
    assert "not the one" not in str(error.value) and SECRET not in str(error.value)


@pytest.mark.parametrize("others", [{"ssl_ca_location": "OTHER"}, {"security_protocol": "SASL_PLAINTEXT"}])
def test_without_the_brokers_authority_nobody_speaks(secured, authority, others):
    others = {name: value.replace("OTHER", str(authority.other)) for name, value in others.items()}
    if "security_protocol" in others:
        with pytest.raises(HeadraceError, match=r"ssl\.ca\.location has no effect"):
            secured(**others)
        return
    with pytest.raises(HeadraceError, match="does not answer"):
        bus.partitions(secured(**others), timeout=5)


def test_the_brokers_name_is_checked_unless_told_otherwise(secured, broker):
    elsewhere = broker.replace("127.0.0.1", "localhost")  # which is not in its certificate
    with pytest.raises(HeadraceError, match="does not answer"):
        bus.partitions(secured(elsewhere), timeout=5)
    assert bus.partitions(secured(elsewhere, ssl_endpoint_identification_algorithm="none"), timeout=10) is not None


@pytest.mark.parametrize("late", [False, True], ids=["secret in place", "secret from the environment"])
def test_clients_in_java(secured, tmp_path: Path, late: bool):
    """As Connect's worker has them, `late`: its file says ${env:NAME}."""
    project = secured()
    send(project, f"java_{late}".lower())
    values: dict[str, object] = dict(project.addresses.bus_java(late=late))
    values |= {
        "config.providers": "env",
        "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
    }
    (tmp_path / "client.properties").write_text(properties(values))
    assert (SECRET in (tmp_path / "client.properties").read_text()) is not late
    tool = ("org.apache.kafka.tools.TopicCommand", "--list", "--bootstrap-server", project.addresses.bus)
    command = java(*tool, "--command-config", str(tmp_path / "client.properties"), heap=128, path=PATH)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert f"java_{late}".lower() in done.stdout, done.stderr[-2000:]


def test_flinks_client(secured, tmp_path: Path, run_java):
    project = secured()
    send(project, "flinks_client")
    (tmp_path / "client.properties").write_text(properties(dict(project.addresses.bus_java(SHADED))))
    jars = [*(JARS / "flink-home" / "lib").glob("flink-sql-connector-kafka*.jar"), *(JARS / "kafka").glob("slf4j*.jar")]
    assert "flinks_client" in run_java(FLINK, jars, str(tmp_path / "client.properties"))
