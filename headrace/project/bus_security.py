"""`bus_security` of headrace.yml: TLS and SASL of the bus, in librdkafka's words, and the same for clients in Java.

One PEM file holds a client's certificates and its key: both kinds of client read it so (a key as PKCS #8).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Resolve = Callable[[str], str]  # puts secrets in where ${NAME} stands

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
# mechanism → the class of Kafka's that speaks it
MECHANISMS = {
    "PLAIN": "plain.PlainLoginModule",
    "SCRAM-SHA-256": "scram.ScramLoginModule",
    "SCRAM-SHA-512": "scram.ScramLoginModule",
}
CHECKS = ("https", "none")
SETTINGS = {
    "security.protocol": "one of " + ", ".join(PROTOCOLS),
    "sasl.mechanism": "one of " + ", ".join(MECHANISMS),
    "sasl.username": "a name",
    "sasl.password": "${NAME} of a secret in the environment",
    "ssl.ca.location": "a PEM file with the authorities that are trusted",
    "ssl.certificate.location": "a PEM file with this client's certificates and its key (PKCS #8)",
    "ssl.key.password": "${NAME} of a secret in the environment",
    "ssl.endpoint.identification.algorithm": "https (the default: the broker's name is checked) or none",
}
_SECRET = re.compile(r"\$\{(\w+)\}")


def problem(given: Mapping[str, str]) -> str:
    """What is wrong with the settings, "" when nothing is, as "message, hint"."""
    for name, value in given.items():
        if name not in SETTINGS:
            return f"no such setting {name!r}, there is: {'; '.join(SETTINGS)}"
        if not value.strip() or not value.isprintable():
            return f"{name} is empty or has more than one line, {SETTINGS[name]}"
        if name.endswith(".password") and not _SECRET.fullmatch(value):
            return f"a password must not stand in a project file, {name}: ${{NAME}}, and NAME in the environment"
    for name, allowed in (
        ("security.protocol", PROTOCOLS),
        ("sasl.mechanism", tuple(MECHANISMS)),
        ("ssl.endpoint.identification.algorithm", CHECKS),
    ):
        if name in given and given[name] not in allowed:
            return f"{name} is {given[name]!r}, {SETTINGS[name]}"
    protocol = given.get("security.protocol", "PLAINTEXT")
    wanted = {"sasl.mechanism", "sasl.username", "sasl.password"}
    if protocol.startswith("SASL") and (missing := wanted - set(given)):
        return f"{protocol} needs {', '.join(sorted(missing))}, {'; '.join(SETTINGS[m] for m in sorted(missing))}"
    for family, means in (("sasl.", "SASL"), ("ssl.", "SSL")):
        if means not in protocol and (idle := [n for n in given if n.startswith(family)]):
            return f"{idle[0]} has no effect with {protocol}, security.protocol: SASL_SSL"
    return ""


def librdkafka(given: Mapping[str, str], resolve: Resolve) -> dict[str, str]:
    """The settings as librdkafka takes them."""
    found = {name: resolve(value) for name, value in given.items()}
    if "ssl.certificate.location" in found:
        found["ssl.key.location"] = found["ssl.certificate.location"]
    return found


def java(given: Mapping[str, str], resolve: Resolve, shaded: str = "") -> dict[str, str]:
    """The settings as Kafka's own clients take them; `shaded` stands before the names of their classes."""
    found = {name: given[name] for name in ("security.protocol", "sasl.mechanism") if name in given}
    if "sasl.mechanism" in given:
        user, password = (_jaas(resolve(given[f"sasl.{part}"])) for part in ("username", "password"))
        module = f"{shaded}org.apache.kafka.common.security.{MECHANISMS[given['sasl.mechanism']]}"
        found["sasl.jaas.config"] = f'{module} required username="{user}" password="{password}";'
    if "ssl.ca.location" in given:
        found |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": resolve(given["ssl.ca.location"])}
    if "ssl.certificate.location" in given:
        found |= {"ssl.keystore.type": "PEM", "ssl.keystore.location": resolve(given["ssl.certificate.location"])}
    if "ssl.key.password" in given:
        found["ssl.key.password"] = resolve(given["ssl.key.password"])
    if given.get("ssl.endpoint.identification.algorithm") == "none":
        found["ssl.endpoint.identification.algorithm"] = ""
    return found


def secrets(given: Mapping[str, str]) -> set[str]:
    """The names of the secrets that the settings mention."""
    return {name for value in given.values() for name in _SECRET.findall(value)}


def late(text: str) -> str:
    """${NAME} as Kafka's EnvVarConfigProvider reads it: the process that uses it looks the secret up itself."""
    return _SECRET.sub(r"${env:\1}", text)


def _jaas(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
