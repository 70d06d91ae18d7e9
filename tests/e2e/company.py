"""The example company on a platform of its own: a copy of the repository's project, driven by the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.project import Project, load

COPIED = ("lake/sources", "schemas", "jobs", "dags", "demo")
CHUNK = 2  # seconds, so that the cut of a live view can move often
WAIT = 420  # seconds; most of it for machines that are busy with other things


class Company:
    """The project's folder and what one does in it. Every verb is a process of its own, as for a person."""

    def __init__(self, repository: Path, root: Path, ports: int) -> None:
        self.repository, self.root = repository, root
        for folder in COPIED:
            shutil.copytree(repository / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
        settings = (repository / "headrace.yml").read_text()
        (root / "headrace.yml").write_text(f"{settings}\nchunk_seconds: {CHUNK}\nlocal: {{ports: {ports}}}\n")

    @property
    def project(self) -> Project:
        return load(self.root)

    def headrace(self, *arguments: str, timeout: float = 600, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs one verb; with `ok` it must succeed."""
        command = [str(Path(sys.executable).with_name("headrace")), "-C", str(self.root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        said = f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        assert not ok or done.returncode == 0, f"headrace {' '.join(arguments)} ended with {done.returncode}:\n{said}"
        return done

    def up(self) -> None:
        demo = f"{sys.executable} -m demo"
        self.headrace(
            "up", "--prepare", f"{demo} --prepare --history 600", "--keep", f"partner={demo} --serve", timeout=900
        )

    def down(self) -> None:
        self.headrace("down", timeout=300)

    def wait(self) -> None:
        """Until everything committed so far is in every view."""
        self.headrace("wait", "--timeout", str(WAIT), timeout=WAIT + 120)

    def status(self, *options: str) -> dict:  # type: ignore[type-arg]
        return json.loads(self.headrace("status", "--format", "json", *options).stdout)

    def servers(self) -> dict[str, dict]:  # type: ignore[type-arg]
        """name → state and pid of each server."""
        return {row["server"]: row for row in self.status("--servers")["servers"]}

    def generate(self, orders: int, rate: float, seed: int) -> dict:  # type: ignore[type-arg]
        """Runs the generator to its end; returns what it says it wrote."""
        return self.finish(self.start(orders, rate, seed))

    def start(self, orders: int | None, rate: float, seed: int) -> subprocess.Popen[str]:
        """Starts the generator, for so many orders or until it is stopped."""
        number = ["--forever"] if orders is None else ["--orders", str(orders)]
        options = [*number, "--rate", str(rate), "--seed", str(seed), "--format", "json"]
        command = [sys.executable, "-X", "faulthandler", "-m", "demo", "-C", str(self.root), *options]
        return subprocess.Popen(
            command,
            cwd=self.repository,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @contextmanager
    def busy(self, rate: float) -> Iterator[subprocess.Popen[str]]:
        """The generator, until the block stops it; it must survive what happens."""
        running = self.start(None, rate, seed=int(time.time()))
        try:
            yield running
        finally:
            # When the test failed, what was sent must still get into the ledger, for the next one.
            if running.poll() is None:
                running.send_signal(signal.SIGINT)
                try:
                    running.communicate(timeout=120)
                except subprocess.TimeoutExpired:
                    os.killpg(running.pid, signal.SIGKILL)
                    running.communicate()

    def finish(self, generator: subprocess.Popen[str], timeout: float = 300) -> dict:  # type: ignore[type-arg]
        """Waits for the generator's end; it must have survived whatever happened meanwhile."""
        try:
            out, err = generator.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            generator.send_signal(signal.SIGABRT)  # it says where each thread is, and ends
            out, err = generator.communicate()
            raise AssertionError(f"the generator did not end within {timeout:.0f} s:\n{err}") from None
        assert generator.returncode == 0, f"the generator ended with {generator.returncode}:\n{out}\n{err}"
        return json.loads(out.splitlines()[-1])
