"""`headrace.yml` as a frozen object, each value checked; and the ports of the embedded servers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from headrace.errors import HeadraceError, Place, Problem, did_you_mean
from headrace.project import bus_security
from headrace.project.located import Located, read


# Below 32768, from where on Linux hands out ports to outgoing connections: one of those could sit on ours.
class LocalSettings(BaseModel):
    """What `headrace up` starts on this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    ports: int = Field(
        22000, ge=1024, le=65000, strict=True, description="first of the ports the embedded servers take"
    )
    brokers: Literal[1, 3] = Field(1, description="Kafka nodes; three keep each record on three and may lose one")
    task_managers: int = Field(1, ge=1, le=8, strict=True, description="Flink's; a second takes over when one is lost")
    spark_workers: int = Field(0, ge=0, le=8, strict=True, description="of a Spark cluster; 0: all in one process")
    landing_workers: int = Field(1, ge=1, le=8, strict=True, description="they share the partitions of the topics")

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the bus's nodes, as servers and in PORTS."""
        return ("bus", "bus-2", "bus-3")[: self.brokers]


class FlinkSettings(BaseModel):
    """An existing Flink cluster: the JobManager's REST address and the SQL Gateway's."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    rest: str
    gateway: str

    @field_validator("rest", "gateway")
    @classmethod
    def _is_address(cls, value: str) -> str | None:
        return _address("flink", value)


class Settings(BaseModel):
    """The project's settings. A part that has an address here is not started by `headrace up`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    lake: str = "lake/data"
    bus: str | None = None
    bus_security: dict[str, str] = Field({}, description="TLS and SASL of the bus that `bus` names")
    connect: str | None = None
    spark: str | None = None
    flink: FlinkSettings | None = None
    serving: str | None = None
    partitions: int = Field(2, ge=1, description="partitions of each topic Headrace creates")
    replication: int | None = Field(None, ge=1, description="replicas of each topic; on this machine one per broker")
    retention_days: int | None = Field(None, ge=1, description="days the bus keeps changes; without it for ever")
    chunk_seconds: int = Field(10, ge=1, le=3600, description="stretch of the log by which live views are divided")
    webhook: str | None = Field(None, description="where Alertmanager posts what must be told to somebody")
    folders: tuple[str, ...] = Field((), description="folders outside the project that sources of files may read")
    local: LocalSettings = LocalSettings()  # type: ignore[call-arg]

    @property
    def replicas(self) -> int:
        """How many brokers keep each record of the topics that Headrace creates."""
        return self.replication or (1 if self.bus else self.local.brokers)

    @field_validator("bus_security")
    @classmethod
    def _is_secure(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        wrong = bus_security.problem(value)
        if not wrong and value and not info.data.get("bus"):
            wrong = "only a bus that is named is secured, bus: host:9093"
        if wrong:
            raise ValueError(wrong)
        return value

    @field_validator("folders")
    @classmethod
    def _are_whole_paths(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for folder in value:
            if not Path(folder).is_absolute() or ".." in Path(folder).parts or len(Path(folder).parts) < 2:
                raise ValueError(f"{folder!r} is not the whole path of a folder, such as /srv/price-lists")
        return value

    @field_validator("lake", "bus", "connect", "spark", "serving", "webhook")
    @classmethod
    def _is_address(cls, value: str | None, info: ValidationInfo) -> str | None:
        return _address(info.field_name or "", value)


# setting → what an address of it looks like, and an example
_ADDRESSES = {
    "bus": (re.compile(r"[\w.-]+:\d+(,[\w.-]+:\d+)*"), "host:9092"),
    "connect": (re.compile(r"https?://\S+"), "http://host:8083"),
    "spark": (re.compile(r"sc://\S+"), "sc://host:15002"),
    "flink": (re.compile(r"https?://\S+"), "http://host:8081"),
    "serving": (re.compile(r"postgres(ql)?://\S+"), "postgresql://headrace:${SERVING_PASSWORD}@host:5432/headrace"),
    "webhook": (re.compile(r"https?://\S+"), "https://chat.example/hooks/data"),
    "lake": (re.compile(r"\w+://\S+|(?!.*://).+", re.DOTALL), "lake/data, or s3://bucket/lake"),
}
_PLAIN_SECRET = re.compile(r"://[^:/@\s]+:(?!\$\{\w+\}@)[^@/\s]+@")


# Offsets from `local.ports`. One table, so that two projects on one machine differ in one number.
PORTS = {
    "postgres": 0,  # serving database and Airflow's metadata
    "bus": 1,
    "bus-controller": 2,
    "connect": 3,
    "flink-rest": 4,
    "flink-rpc": 5,
    "flink-gateway": 6,
    "flink-taskmanager": 7,
    "flink-data": 8,
    "flink-blob": 9,
    "spark": 10,
    "spark-ui": 11,
    "airflow": 12,
    "airflow-worker-log": 13,
    "superset": 14,
    "intake": 15,
    "flink-metrics": 16,
    "flink-taskmanager-metrics": 17,
    "spark-driver": 18,
    "spark-blocks": 19,
    "source": 20,  # 20 to 39: the embedded source databases, in order of their source's name
    "metrics": 40,
    "prometheus": 41,
    "alertmanager": 42,
    "bus-2": 43,
    "bus-2-controller": 44,
    "bus-3": 45,
    "bus-3-controller": 46,
    "spark-master": 47,
    "spark-master-ui": 48,
    "flink-zookeeper": 49,
}
SPAN = 50  # how many ports a project takes from `local.ports` on


def read_settings(path: Path) -> Settings:
    """Reads headrace.yml; raises HeadraceError with every mistake in it, each at its line."""
    doc = read(path)
    problems = list(doc.problems)
    try:
        settings = Settings.model_validate(doc.value)
    except ValidationError as error:
        problems += [_problem(doc, item["loc"], item["type"], item["msg"]) for item in error.errors()]
        raise HeadraceError(*problems) from None
    if problems:
        raise HeadraceError(*problems)
    return settings


def _address(setting: str, value: str | None) -> str | None:
    if value is None:
        return None
    pattern, example = _ADDRESSES[setting]
    if not pattern.fullmatch(value):
        raise ValueError(f"{value!r} is not an address, {example}")
    if setting == "lake" and "://" not in value and ".." in Path(value).parts:
        raise ValueError(f"{value!r} leads out of the project, a folder below it, or an absolute path")
    if _PLAIN_SECRET.search(value):
        raise ValueError(
            "a password must not stand in a project file, put it into the environment and say ${NAME} here"
        )
    return value


def _problem(doc: Located, keys: Sequence[int | str], kind: str, message: str) -> Problem:
    name, place = ".".join(str(key) for key in keys), doc.place(*keys)
    if kind == "extra_forbidden":
        fields = {"local": LocalSettings, "flink": FlinkSettings}.get(str(keys[0]) if len(keys) > 1 else "", Settings)
        return Problem(f"no such setting {str(keys[-1])!r}", place, did_you_mean(str(keys[-1]), fields.model_fields))
    if kind == "missing":
        return Problem(f"the setting {name!r} is missing", place, "name: my-project" if name == "name" else "")
    if kind == "model_type":
        hint = {"local": "local: {ports: 22000}"}.get(
            name, "flink: {rest: http://host:8081, gateway: http://host:8083}"
        )
        return Problem(f"the setting {name!r} must be a mapping", place, hint)
    if kind == "string_pattern_mismatch":
        return Problem(f"{name}: {doc.get(*keys)!r} can't name a project", place, "lower case letters, digits and -")
    if kind == "value_error":
        message, _, hint = message.removeprefix("Value error, ").partition(", ")
        return Problem(f"{name}: {message}", place, hint)
    return Problem(f"{name}: {message[0].lower()}{message[1:]}", place)


def read_secrets(path: Path) -> dict[str, str]:
    """NAME=value lines of a secrets file; an absent file is an empty one. Raises HeadraceError when others than its
    owner may read it."""
    if not path.exists():
        return {}
    if path.stat().st_mode & 0o077:
        hint = f"chmod 600 {path}   and change the secrets in it if somebody else was on this machine"
        raise HeadraceError("others than its owner can read this file of secrets", place=Place(path), hint=hint)
    pairs = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}
