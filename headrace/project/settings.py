"""`headrace.yml` as a frozen object, and the addresses of every part: the embedded ones unless the file names others."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class LocalSettings(BaseModel):
    """What `headrace up` starts on this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    ports: int = Field(42000, ge=1024, le=65000, description="first of the ports the embedded servers take")


class FlinkSettings(BaseModel):
    """An existing Flink cluster: the JobManager's REST address and the SQL Gateway's."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    rest: str
    gateway: str


class Settings(BaseModel):
    """The project's settings. A part that has an address here is not started by `headrace up`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    lake: str = "lake/data"
    bus: str | None = None
    connect: str | None = None
    spark: str | None = None
    flink: FlinkSettings | None = None
    serving: str | None = None
    partitions: int = Field(2, ge=1, description="partitions of each topic Headrace creates")
    replication: int = Field(1, ge=1, description="replicas of each topic Headrace creates")
    local: LocalSettings = Field(default_factory=LocalSettings)


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
    "source": 20,  # 20 to 39: the embedded source databases, in order of their source's name
}


def read_secrets(path: Path) -> dict[str, str]:
    """NAME=value lines of a secrets file; an absent file is an empty one."""
    if not path.exists():
        return {}
    pairs = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}
