# SPDX-License-Identifier: Apache-2.0
"""Two hubs on loopback witness each other's logs; then one is put back in time and takes another way."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from hub.app import build_app, build_hub
from hub.clock import SystemClock
from hub.custody import write_key_file
from hub.demo.preparation import DemoFolder, prepare
from hub.identifiers import new_message_id
from hub.messagelog import load_log_key
from hub.settings import load_settings
from hub.tlog import (
    Cosigner,
    Entry,
    EntryEvent,
    NoteSigner,
    ProofFile,
    TrustPolicy,
    VerifierKey,
    open_note,
    verify_proof,
)
from tests.journeys.serving import serving, wait_for
from tests.pki import PASSPHRASE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.app import Hub
    from hub.demo.preparation import Prepared
    from tests.pki import ServedPki


@dataclass(frozen=True)
class Town:
    """A hub that is prepared: its log, its key as a witness, and where it will answer."""

    prepared: Prepared
    log: VerifierKey
    witness: VerifierKey

    @property
    def folder(self) -> Path:
        return self.prepared.folder.path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.prepared.ports.hub}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def knows(self, other: Town) -> None:
        """Let the hub witness another one's log, and be witnessed by it."""
        (self.folder / "logs").write_text(f"logs/v0\n\nvkey {other.log.encode()}\n", encoding="utf-8")
        policy = f"witness neighbour {other.witness.encode()} {other.url}/witness\nquorum neighbour\n"
        (self.folder / "policy").write_text(policy, encoding="utf-8")
        with self.prepared.folder.hub_config.open("a", encoding="utf-8") as config:
            config.write(
                "witness_policy: policy\nwitness_key: witness.key.pem\nwitnessed_logs: logs\n"
                f"witness_name: {self.witness.name}\ncheckpoint_seconds: 1\n"
            )

    @contextmanager
    def running(self) -> Iterator[Hub]:
        environment = {**self.prepared.environment, "HELIOGRAPH_WITNESS_PASSPHRASE": PASSPHRASE.decode()}
        hub = build_hub(load_settings(self.prepared.folder.hub_config, environment))
        hub.start()
        with serving(build_app(hub), self.prepared.ports.hub):
            yield hub


def a_town(folder: Path, pki: ServedPki, name: str, key: Ed25519PrivateKey | MLDSA44PrivateKey) -> Town:
    folder.mkdir()
    (folder / "passphrase").write_bytes(PASSPHRASE)
    prepared = prepare(DemoFolder(folder), pki)
    # Both are prepared alike, and a log's name is its own.
    config = prepared.folder.hub_config
    text = config.read_text(encoding="utf-8")
    origin = f"{name}.example/log"
    settings = load_settings(config, dict(prepared.environment))
    config.write_text(text.replace(settings.log_origin, origin), encoding="utf-8")
    write_key_file(folder / "witness.key.pem", key, PASSPHRASE)
    log_key = load_log_key(settings.log_key, settings.log_passphrase.reveal().encode())
    witness = Cosigner(f"{name}.example/witness", key)
    return Town(prepared, NoteSigner(origin, log_key).verifier, witness.verifier)


def log_entries(hub: Hub, count: int, kind: str = "honest") -> None:
    now = SystemClock().now()
    for number in range(count):
        digest = sha256(f"{kind} {number}".encode()).hexdigest()
        entry = Entry(
            event=EntryEvent.ACCEPTED, at=now, container_sha256=digest, message_id=new_message_id(now)
        )
        hub.writer.run(lambda connection, entry=entry: hub.log.append(connection, entry))  # type: ignore[misc]  # a default


def alarms(hub: Hub) -> set[str]:
    return {alarm.kind.code for alarm in hub.alarms.alarms()}


def cosigned_size(hub: Hub) -> int | None:
    return hub.published.witnesses()[0].size


@pytest.fixture
def towns(pki: ServedPki, tmp_path: Path) -> tuple[Town, Town]:
    east = a_town(tmp_path / "east", pki, "east", Ed25519PrivateKey.generate())
    west = a_town(tmp_path / "west", pki, "west", MLDSA44PrivateKey.generate())
    east.knows(west)
    west.knows(east)
    return east, west


def test_two_hubs_witness_each_other_and_one_put_back_in_time_is_found_out(
    towns: tuple[Town, Town], tmp_path: Path
) -> None:
    east, west = towns
    with west.running() as other:
        with east.running() as hub, httpx2.Client() as http:
            log_entries(hub, 5)
            log_entries(other, 3)
            wait_for(lambda: cosigned_size(hub) == 5 and cosigned_size(other) == 3)
            require_witnessed_proofs(http, east, west)
            require_witnessed_proofs(http, west, east)
            keep_a_copy(east, tmp_path / "old")
            log_entries(hub, 5)
            wait_for(lambda: cosigned_size(hub) == 10)
            assert not alarms(hub) & {"log.witness_disagrees", "log.witness_unreachable"}
        # Somebody puts database and head file back to where they were, and other entries in their place.
        shutil.rmtree(east.data)
        shutil.copytree(tmp_path / "old", east.data)
        with east.running() as forked:
            # Before a single entry is written, the neighbour's answer gives it away.
            wait_for(lambda: "log.witness_disagrees" in alarms(forked))
            log_entries(forked, 9, "forged")
            wait_for(lambda: "log.witnessed_log_unproven" in alarms(other))
            wait_for(lambda: forked.log.checkpoint().checkpoint.size == 14)
            assert cosigned_size(forked) == 5
        assert other.witness is not None
        (state,) = other.witness.states()
        assert state.size == 10
        assert {each.kind.value for each in state.evidence} >= {"unproven"}
        # The neighbour still shows the history it cosigned, signed by the log itself.
        with httpx2.Client() as http:
            origin_hash = sha256(east.log.name.encode()).hexdigest()
            shown = http.get(f"{west.url}/witness/{origin_hash}/checkpoint").text
            assert open_note(shown, [east.log]).split("\n")[1] == "10"


def keep_a_copy(town: Town, folder: Path) -> None:
    folder.mkdir()
    for file in town.data.iterdir():
        if file.name.startswith("hub.sqlite"):
            continue
        (shutil.copytree if file.is_dir() else shutil.copy)(file, folder / file.name)
    with closing(sqlite3.connect(town.data / "hub.sqlite")) as database:
        database.execute("VACUUM INTO ?", (str(folder / "hub.sqlite"),))


def require_witnessed_proofs(http: httpx2.Client, town: Town, neighbour: Town) -> None:
    """Whoever knows both keys needs nobody's word: log, witness and proof are checked offline."""
    policy = TrustPolicy.decode(
        f"log {town.log.encode()}\nwitness neighbour {neighbour.witness.encode()}\nquorum neighbour\n"
    )
    assert http.get(f"{neighbour.url}/witness/key").text == f"{neighbour.witness.encode()}\n"
    for index in (0, 2):
        leaf = http.get(f"{town.url}/log/entries/{index}").content
        proof = ProofFile.decode(http.get(f"{town.url}/log/entries/{index}/proof").text)
        assert verify_proof(proof, leaf, policy).witnesses.keys() == {"neighbour"}
    witnessed = http.get(f"{town.url}/log/checkpoint?witnessed=true").text
    assert policy.open(witnessed).checkpoint.origin == town.log.name
