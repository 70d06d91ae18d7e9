"""The Dockerfile: hadolint has nothing to say, what it copies is there, and its versions are the project's."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "docker/Dockerfile"
IMAGES = ("platform", "airflow", "spark", "flink", "connect")


def instructions(text: str) -> list[tuple[str, str]]:
    """(instruction, its words) in order; continued lines are joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [(w[0].upper(), w[1]) for line in joined.splitlines() if len(w := line.strip().split(None, 1)) == 2]


def mistakes(text: str) -> list[str]:
    """What is wrong with the sources, bases, users and groups that a Dockerfile names."""
    found: list[str] = []
    stages: dict[str, str] = {}  # stage → the user it ends with
    stage, arguments = "", {}
    ignored = _ignored()
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    for word, rest in instructions(text):
        if word == "ARG":
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif word == "FROM":
            base, stage = re.fullmatch(r"(\S+) AS (\w+)", rest).groups()  # type: ignore[union-attr]
            base = re.sub(r"\$\{(\w+)\}", lambda m: arguments.get(m[1], ""), base)
            if base not in stages and not _pinned(base):
                found.append(f"{base} is not pinned")
            stages[stage] = stages.get(base, "0")
        elif word == "USER":
            stages[stage] = rest
        elif word == "COPY":
            origin = re.search(r"--from=(\S+)", rest)
            sources = [part for part in rest.split() if not part.startswith("--")][:-1]
            if origin:
                if origin[1] not in stages and not _pinned(origin[1]):
                    found.append(f"{origin[1]} is neither a stage nor pinned")
                continue
            found += [f"{source} is not in the repository" for source in sources if not (ROOT / source).exists()]
            found += [f"{source} is ignored by .dockerignore" for source in sources if ignored(source)]
        elif word == "RUN":
            named = re.findall(r"--group (\w+)", rest)
            named += [g for call in re.findall(r"bootstrap\.sh ([\w ]+)", rest) for g in call.split()]
            found += [f"there is no group {group}" for group in named if group not in groups]
    found += [f"{name} runs as root" for name in IMAGES if stages.get(name, "0").split(":")[0] in {"0", "root"}]
    return found


def _pinned(image: str) -> bool:
    return bool(re.fullmatch(r"[\w./-]+:(?!latest)\w*\d[\w.-]*", image))


def _ignored():
    """Whether .dockerignore, which lets in only what it names, leaves a path out."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [line[1:] for line in lines if line.startswith("!")]

    def ignored(path: str) -> bool:
        return not any(fnmatch.fnmatch(path, a) or path.startswith(f"{a}/") for a in allowed)

    return ignored


def lint(text: str) -> str:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, "--no-color", "-"], input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_the_dockerfile_is_sound():
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert mistakes(text) == []
    assert lint(text) == ""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("COPY schemas ", "COPY schemes ", "schemes is not in the repository"),
        ("COPY schemas ", "COPY demo ", "demo is ignored"),
        ("python:3.11.14-slim-bookworm", "python:latest", "not pinned"),
        ("python:3.11.14-slim-bookworm", "python", "not pinned"),
        ("--from=apache/spark:4.2.0-scala", "--from=apache/spark", "neither a stage nor pinned"),
        ("--group platform", "--group plattform", "no group plattform"),
        ("bootstrap.sh flink airflow", "bootstrap.sh flink airflew", "no group airflew"),
        ("USER 1001\n", "USER 0\n", "connect runs as root"),
        ("USER 10001:10001\nWORKDIR /project", "WORKDIR /project", "platform runs as root"),
    ],
)
def test_each_mistake_is_found(old: str, new: str, expected: str):
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert old in text
    found = mistakes(text.replace(old, new))
    assert any(expected in mistake for mistake in found), found


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("WORKDIR /project\n", "WORKDIR project\n", "DL3000"),
        ("--no-install-recommends openjdk-17-jre-headless", "openjdk-17-jre-headless", "DL3015"),
        ("&& rm -rf", "&& sudo rm -rf", "DL3004"),
        ("CMD [", "CMD{", "missing whitespace"),
    ],
)
def test_hadolint_finds_mistakes(old: str, new: str, rule: str):
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert old in text
    assert rule in lint(text.replace(old, new))


def test_versions_are_the_projects(versions: dict[str, str]):
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert f"CONNECT_BASE=apache/kafka:{versions['kafka_2.13']}" in text
    assert f"apache/spark:{versions['pyspark']}-" in text
    flink = set(re.findall(r"from=flink:([\d.]+)-", text))
    assert flink == {versions["apache-flink"]} == {versions["flink-sql-gateway"]}
    assert re.search(r"FROM python:(3\.\d+)", text)[1] == "3.11"  # type: ignore[index]
