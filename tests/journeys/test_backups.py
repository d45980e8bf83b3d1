# SPDX-License-Identifier: Apache-2.0
"""docs/operations.md on backing up and restoring, done as it is written there, on both kinds of database.

The commands are taken from the page and run by a shell; the hub they are run beside is one that serves.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, make_url, text

from hub.app import build_hub
from hub.envelope import Kind, open_envelope
from hub.errors import HubError
from hub.settings import load_settings
from tests.journeys.world import running_world
from tests.postgresql import programs_in_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.app import Hub
    from hub.envelope import Envelope
    from tests.journeys.world import World
    from tests.pki import ServedPki
    from tests.postgresql import PostgresServer

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
TITLES = {
    "sqlite": ("Back up SQLite 备份SQLite", "Restore SQLite 恢复SQLite"),
    "postgresql": ("Back up PostgreSQL 备份PostgreSQL", "Restore PostgreSQL 恢复PostgreSQL"),
}


def commands(title: str) -> str:
    """Return what a section of the page tells the operator to type."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"\n### {title}\n")
    blocks = _BLOCK.findall(re.split(r"^#{2,3} ", rest, maxsplit=1, flags=re.MULTILINE)[0])
    assert blocks, title
    return "".join(blocks)


@dataclass
class Town:
    """A hub that serves, a place for its backups, and the machine a restored one runs on.

    Attributes:
        folder: holds `data` (the hub's own, but for the database's URL), `backup` and `keys`.
        url: of the database, as its owner opens it.
        programs: where PostgreSQL's commands are.
    """

    world: World
    folder: Path
    url: str
    programs: Path | None
    environment: dict[str, str]
    sent: list[Envelope] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.world.prepared.folder.path / "data"

    def exchange(self, count: int) -> None:
        for _ in range(count):
            request = self.world.request()
            assert self.world.send(request.raw).envelope.header.kind is Kind.RESPONSE
            self.sent.append(request)
        self.world.hub.log.checkpoint()

    def run(self, title: str, *, data: Path, url: str) -> subprocess.CompletedProcess[str]:
        """Type what the page says."""
        path = [str(Path(sys.executable).parent), *([str(self.programs)] if self.programs else [])]
        libpq = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        variables = {
            "DATA": str(data),
            "BACKUP": str(self.folder / "backup"),
            "KEYS": str(self.folder / "keys"),
            "CONFIG": str(self.world.prepared.folder.hub_config),
            "DATABASE": url,
            "PGDATABASE_URL": libpq,
            "PATH": os.pathsep.join([*path, os.environ["PATH"]]),
        }
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands(title)],
            env={**os.environ, **self.environment, **self.settings(data, url), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    @staticmethod
    def settings(data: Path, url: str) -> dict[str, str]:
        return {"HELIOGRAPH_DATA_FOLDER": str(data), "HELIOGRAPH_DATABASE_URL": url}

    def restored(self, data: Path, url: str) -> Hub:
        environment = {**self.environment, **self.settings(data, url)}
        return build_hub(load_settings(self.world.prepared.folder.hub_config, environment))


@pytest.fixture
def town(database_url: str, pki: ServedPki, tmp_path: Path) -> Iterator[Town]:
    kind = database_url.partition(":")[0].partition("+")[0]
    programs = programs_in_wheel() if kind == "postgresql" else None
    if programs is None and shutil.which("sqlite3") is None:
        pytest.skip("sqlite3 is not installed")
    url = database_url if kind == "postgresql" else f"sqlite:///{tmp_path / 'world' / 'data' / 'hub.sqlite'}"
    settings = {} if kind == "sqlite" else {"HELIOGRAPH_DATABASE_URL": url}
    with running_world(tmp_path / "world", pki, environment=settings) as world:
        yield Town(world, tmp_path, url, programs, dict(world.prepared.environment))


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, town: Town, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """An empty machine: its data folder, and its database's URL."""
    data = tmp_path / "elsewhere"
    data.mkdir()
    if town.programs is None:
        yield data, f"sqlite:///{data / 'hub.sqlite'}"
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    with server.database() as url:
        yield data, url


def kind_of(town: Town) -> str:
    return "sqlite" if town.programs is None else "postgresql"


def back_up(town: Town) -> None:
    done = town.run(TITLES[kind_of(town)][0], data=town.data, url=town.url)
    assert done.returncode == 0, done.stderr


def restore(town: Town, data: Path, url: str) -> subprocess.CompletedProcess[str]:
    return town.run(TITLES[kind_of(town)][1], data=data, url=url)


def close(hub: Hub) -> None:
    hub.writer.close()
    hub.refresher.close()
    hub.engine.dispose()


def test_a_machine_that_was_lost_comes_back_from_its_backup(town: Town, elsewhere: tuple[Path, str]) -> None:
    town.exchange(3)
    back_up(town)
    data, url = elsewhere
    done = restore(town, data, url)
    assert done.returncode == 0, done.stdout + done.stderr
    hub = town.restored(data, url)
    try:
        hub.start()
        assert hub.log.check() == town.world.hub.log.size()
        for request in town.sent:
            assert open_envelope(hub.vault.read(request.container_sha256)).raw == request.raw
        # And it goes on where the old one stopped.
        signed = hub.log.checkpoint()
        assert signed.checkpoint.size == hub.log.size()
    finally:
        hub.claim.release()
        close(hub)


def test_a_restore_that_lost_entries_is_noticed_by_the_head(town: Town, elsewhere: tuple[Path, str]) -> None:
    town.exchange(2)
    back_up(town)
    town.exchange(2)
    data, url = elsewhere
    # The head survived the database, because it lies elsewhere or was copied more often.
    shutil.copy(town.data / "log-head.txt", data / "log-head.txt")
    done = restore(town, data, url)
    assert done.returncode != 0
    assert "rolled_back" in done.stdout + done.stderr or "older" in done.stdout + done.stderr, done
    hub = town.restored(data, url)
    try:
        with pytest.raises(HubError, match=r"log\.rolled_back"):
            hub.start()
        with pytest.raises(HubError, match=r"log\.rolled_back"):
            hub.log.checkpoint()
    finally:
        hub.claim.release()
        close(hub)


def test_a_restore_without_its_data_keys_does_not_serve(town: Town, elsewhere: tuple[Path, str]) -> None:
    town.exchange(1)
    back_up(town)
    for key in (town.folder / "keys").glob("*.key"):
        key.unlink()
    data, url = elsewhere
    restore(town, data, url)
    hub = town.restored(data, url)
    try:
        with pytest.raises(HubError, match=r"vault\.key_missing"):
            hub.start()
    finally:
        hub.claim.release()
        close(hub)


def test_a_restore_does_not_bring_a_destroyed_key_back(town: Town, elsewhere: tuple[Path, str]) -> None:
    town.exchange(1)
    back_up(town)
    data, url = elsewhere
    (data / "vault-keys").mkdir()
    key, *others = sorted((town.folder / "keys").glob("*.key"))
    # It was destroyed after the backup; the folder remembers it.
    (data / "vault-keys" / f"{key.stem}.erased").write_bytes(b"{}")
    restore(town, data, url)
    assert not (data / "vault-keys" / key.name).exists()
    assert all((data / "vault-keys" / other.name).exists() for other in others)


def test_a_restore_that_lost_a_guard_is_noticed(town: Town, elsewhere: tuple[Path, str]) -> None:
    town.exchange(1)
    back_up(town)
    data, url = elsewhere
    assert restore(town, data, url).returncode == 0
    engine = create_engine(url)
    with engine.begin() as connection:
        trigger = (
            "DROP TRIGGER log_entries_no_delete"
            if kind_of(town) == "sqlite"
            else "DROP TRIGGER log_entries_append_only ON log_entries"
        )
        connection.execute(text(trigger))
    engine.dispose()
    command = [sys.executable, "-m", "hub.cli", "database", "check", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "log_entries" in done.stderr
