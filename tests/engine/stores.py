"""Servers that can hold a lake, each a process of its own on loopback: two with the API of S3, and HDFS."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path

from headrace.local.install import COPY, JARS, ROOT

POMS = Path(__file__).parent / "jars"
GATEWAY = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
KEYS = {"AWS_ACCESS_KEY_ID": "lake", "AWS_SECRET_ACCESS_KEY": "p4ss/word+"}
NOWHERE = "127.0.0.1:0"


def jars(name: str) -> Path:
    """The jars of one of the tests' poms, fetched once by Maven."""
    folder = JARS / f"tests-{name}"
    if not folder.exists():
        part = JARS / f".tests-{name}.{os.getpid()}"
        options = ["-DincludeScope=runtime", f"-DoutputDirectory={part}"]
        subprocess.run(["mvn", "-B", "-q", "-f", str(POMS / f"{name}.xml"), COPY, *options], check=True)
        part.rename(folder)
    return folder


def gateway() -> Path:
    """A store with the API of S3 that obeys conditions as Amazon's does; Go builds it once, in a minute."""
    folder = ROOT / ".tools" / "versitygw"
    if not (folder / "versitygw").exists():
        subprocess.run(["go", "install", GATEWAY], env=os.environ | {"GOBIN": str(folder)}, check=True)
    return folder / "versitygw"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Store(ABC):
    """One of the servers below; `environment` is what its clients need."""

    environment: dict[str, str]

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.environment = folder, free_port(), {}

    def start(self) -> None:
        command, environment = self.command()
        with (self.folder / "log").open("ab") as log:
            settings = {"stdout": log, "stderr": log, "start_new_session": True}
            self.process = subprocess.Popen(command, env=os.environ | environment, **settings)  # type: ignore[call-overload]

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @abstractmethod
    def command(self) -> tuple[list[str], dict[str, str]]:
        """The command that runs the server, and the variables that it needs."""

    def answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=2):
            return True


class Gateway(Store):
    """Versity's S3 gateway over a folder; its buckets are the folders in it."""

    def __init__(self, folder: Path, bucket: str) -> None:
        super().__init__(folder)
        (folder / "data" / bucket).mkdir(parents=True)
        address = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}", "AWS_ALLOW_HTTP": "true"}
        self.environment = KEYS | address | {"AWS_REGION": "us-east-1"}

    def command(self) -> tuple[list[str], dict[str, str]]:
        keys = {"ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]}
        return [str(gateway()), "--port", f"127.0.0.1:{self.port}", "posix", str(self.folder / "data")], keys


class Proxy(Gateway):
    """s3proxy over a folder: it looks whether an object is there, then creates it, so two writers may both be first."""

    def command(self) -> tuple[list[str], dict[str, str]]:
        settings = {
            "s3proxy.authorization": "aws-v2-or-v4", "s3proxy.endpoint": f"http://127.0.0.1:{self.port}",
            "s3proxy.identity": KEYS["AWS_ACCESS_KEY_ID"], "s3proxy.credential": KEYS["AWS_SECRET_ACCESS_KEY"],
            "jclouds.provider": "filesystem-nio2", "jclouds.filesystem.basedir": self.folder / "data",
        }  # fmt: skip
        (self.folder / "s3.conf").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        java = ["java", "-Xmx128m", "-cp", f"{jars('objects')}/*", "org.gaul.s3proxy.Main"]
        return [*java, "--properties", str(self.folder / "s3.conf")], {}


class Hdfs(Store):
    """A NameNode and a DataNode; they keep their blocks below the folder."""

    def answers(self) -> bool:
        return "Started MiniDFSCluster" in (self.folder / "log").read_text()  # with its DataNode

    @property
    def address(self) -> str:
        return f"hdfs://127.0.0.1:{self.port}"

    def command(self) -> tuple[list[str], dict[str, str]]:
        places = {f"dfs.datanode.{what}address": NOWHERE for what in ("", "http.", "ipc.")}
        places |= {"hdfs.minidfs.basedir": str(self.folder / "data"), "dfs.namenode.http-address": NOWHERE}
        options = [word for name, value in places.items() for word in ("-D", f"{name}={value}")]
        main = ["org.apache.hadoop.test.MiniDFSClusterManager", "-datanodes", "1", "-format"]
        java = ["java", "-Xmx384m", "-cp", f"{jars('hdfs')}/*", *main]
        return [*java, "-nnport", str(self.port), *options], {}
