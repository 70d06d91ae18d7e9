"""TLS of a captured database: parameters of its address, in the words of whoever connects.

A postgresql:// address takes libpq's own parameters. A mariadb:// address takes those of MARIADB: PyMySQL reads the
authorities from a PEM file (`ssl_ca`), the connector's JVM from a key store (`ssl_truststore`, PKCS #12 or JKS).
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

from headrace.errors import did_you_mean

POSTGRESQL = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword")
MARIADB = ("ssl_mode", "ssl_ca", "ssl_truststore", "ssl_truststore_password")
MODES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "ssl_mode": ("disable", "trust", "verify-ca", "verify-full"),
}
_CONNECTOR = {
    "ssl_mode": "database.ssl.mode",
    "ssl_truststore": "database.ssl.truststore",
    "ssl_truststore_password": "database.ssl.truststore.password",
} | {name: f"database.{name}" for name in POSTGRESQL}
_SECRET = re.compile(r"\$\{(\w+)\}")


def parameters(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def problem(kind: str, url: str) -> tuple[str, str] | None:
    """What is wrong with the parameters of a captured database's address, and a hint."""
    known = {"postgresql": POSTGRESQL, "mariadb": MARIADB}[kind]
    for name, value in parameters(url).items():
        if name not in known:
            return f"a {kind} address takes no parameter {name!r}", did_you_mean(name, known)
        if name.endswith("password") and not _SECRET.fullmatch(value):
            return "a password must not stand in a project file", "put it into the environment and say ${NAME} here"
        if name in MODES and value not in MODES[name]:
            return f"{name} is {value!r}", did_you_mean(value, MODES[name])
    given = parameters(url)
    if given.get("ssl_mode", "").startswith("verify") and "ssl_ca" not in given:
        return f"ssl_mode={given['ssl_mode']} needs ssl_ca", "ssl_ca=/path/of/authorities.pem"
    return None


def client(kind: str, url: str) -> dict[str, object]:
    """Arguments of psycopg.connect or of pymysql.connect."""
    given = parameters(url)
    if kind == "postgresql":
        return {name: value for name, value in given.items() if name in POSTGRESQL}
    mode = given.get("ssl_mode", "verify-full" if "ssl_ca" in given else "")
    if mode in ("", "disable"):
        return {"ssl_disabled": True} if mode else {}
    trusted = {"ca": given["ssl_ca"]} if "ssl_ca" in given else {}
    return {"ssl": {**trusted, "check_hostname": mode == "verify-full", "verify_mode": mode != "trust"}}


def apart(url: str) -> tuple[str, dict[str, object]]:
    """A mariadb:// address without the parameters of MARIADB, and what they mean to pymysql.connect."""
    parts = urlsplit(url)
    others = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in MARIADB]
    return parts._replace(query=urlencode(others)).geturl(), client("mariadb", url)


def connector(url: str) -> dict[str, str]:
    """Settings of Debezium's connector; secrets stay as ${env:NAME}, which Connect looks up."""
    given = parameters(url)
    if "ssl_ca" in given and "ssl_mode" not in given:
        given["ssl_mode"] = "verify-full"
    return {_CONNECTOR[name]: _SECRET.sub(r"${env:\1}", v) for name, v in given.items() if name in _CONNECTOR}
