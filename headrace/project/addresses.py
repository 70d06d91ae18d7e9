"""Where every part of the platform answers: the embedded servers, unless headrace.yml names others."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from headrace.concealed import conceal
from headrace.errors import HeadraceError
from headrace.project import bus_security
from headrace.project.settings import PORTS, Settings, read_secrets
from headrace.project.source import Source

HOST = "127.0.0.1"
_SECRET = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Addresses:
    """Addresses and secrets of one project. Secrets are looked up late and never stored in a spec."""

    root: Path
    settings: Settings
    sources: tuple[Source, ...]

    def port(self, part: str) -> int:
        return self.settings.local.ports + PORTS[part]

    def source_port(self, source: str) -> int:
        """The port of a source on this machine; they are numbered in order of their source's name."""
        return self.port("source") + sorted(s.name for s in self.sources if s.local).index(source)

    @property
    def bus(self) -> str:
        return self.settings.bus or ",".join(f"{HOST}:{self.port(name)}" for name in self.settings.local.nodes)

    def bus_client(self) -> dict[str, str]:
        """What a client of librdkafka's needs to reach the bus: its address, and how it is secured."""
        return {"bootstrap.servers": self.bus} | bus_security.librdkafka(self.settings.bus_security, self.resolve)

    def bus_java(self, shaded: str = "", prefix: str = "", late: bool = False) -> dict[str, str]:
        """The same for a client in Java. `shaded` stands before the names of Kafka's classes, `prefix` before those of
        the settings; with `late` secrets stay as ${env:NAME}, for a process that resolves them itself."""
        resolve = bus_security.late if late else self.resolve
        found = {"bootstrap.servers": self.bus} | bus_security.java(self.settings.bus_security, resolve, shaded)
        return {f"{prefix}{name}": value for name, value in found.items()}

    @property
    def connect(self) -> str:
        return self.settings.connect or f"http://{HOST}:{self.port('connect')}"

    @property
    def spark(self) -> str:
        return self.settings.spark or f"sc://{HOST}:{self.port('spark')}"

    @property
    def flink_rest(self) -> str:
        return self.settings.flink.rest if self.settings.flink else f"http://{HOST}:{self.port('flink-rest')}"

    @property
    def flink_gateway(self) -> str:
        return self.settings.flink.gateway if self.settings.flink else f"http://{HOST}:{self.port('flink-gateway')}"

    @property
    def airflow(self) -> str:
        return f"http://{HOST}:{self.port('airflow')}"

    @property
    def lake(self) -> str:
        """A local folder as an absolute path, or an address such as s3://bucket/lake."""
        return self.settings.lake if "://" in self.settings.lake else str((self.root / self.settings.lake).resolve())

    def serving(self, role: str = "headrace") -> str:
        """The address of the serving database for a role: 'headrace' owns it, 'writer' fills it, 'reader' reads it."""
        if role == "headrace" and self.settings.serving:
            return self._url(self.settings.serving)
        secret = quote(self.secret(f"HEADRACE_{'SERVING' if role == 'headrace' else role.upper()}_PASSWORD"), "")
        if self.settings.serving:
            parts = urlsplit(self.settings.serving)
            return parts._replace(netloc=f"{role}:{secret}@{parts.netloc.rpartition('@')[2]}").geturl()
        return f"postgresql://{role}:{secret}@{HOST}:{self.port('postgres')}/headrace"

    def source(self, source: Source) -> str:
        """The address of a source's database, with its secret, as psql and SQLAlchemy read it."""
        if source.server:
            owner = next(s for s in self.sources if s.name == source.server)
            return urlsplit(self.source(owner))._replace(path=f"/{source.database}").geturl()
        if (
            source.local and source.kind == "rest"
        ):  # whoever runs the service here listens at the port that is kept for it
            return f"http://{HOST}:{self.source_port(source.name)}"
        if source.local:
            secret = quote(self.secret(f"{source.name.upper()}_PASSWORD"), "")
            scheme = "bolt" if source.kind == "neo4j" else source.kind
            return f"{scheme}://headrace:{secret}@{HOST}:{self.source_port(source.name)}/{source.database}"
        return self._url(source.url)

    def secret(self, name: str) -> str:
        """A secret from the environment, else from the file that `headrace up` made for its own servers."""
        file = self.root / ".headrace" / "secrets.env"
        value = os.environ.get(name) or read_secrets(file).get(name)
        if value is None:
            raise HeadraceError(
                f"the secret {name} is not set", hint=f"export {name}=…   (looked in the environment and in {file})"
            )
        conceal(value, name)
        return value

    def resolve(self, text: str) -> str:
        """`text` with each ${NAME} replaced by the secret of that name."""
        return _SECRET.sub(lambda match: self.secret(match[1]), text)

    def _url(self, text: str) -> str:
        """As resolve, for an address: a secret may hold characters that mean something in one."""
        return _SECRET.sub(lambda match: quote(self.secret(match[1]), ""), text)
