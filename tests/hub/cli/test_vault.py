# SPDX-License-Identifier: Apache-2.0
"""`heliograph vault` and `log renew` on a hub that kept something long ago."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from hub.app import build_hub
from hub.clock import FixedClock, SystemClock
from hub.demo.preparation import DemoFolder, Prepared, prepare
from hub.settings import load_settings
from hub.vault import KeyId, Vault
from tests.hub.cli.test_administration import Done, run
from tests.hub.vault.conftest import an_envelope
from tests.pki import PASSPHRASE, ServedPki

if TYPE_CHECKING:
    from pathlib import Path

    from hub.clock import Clock

KEY = KeyId.parse("2020-01_P1Y_1")
LONG_AGO = datetime(2020, 1, 15, 8, tzinfo=UTC)


@pytest.fixture
def prepared(pki: ServedPki, tmp_path: Path) -> Prepared:
    """A hub that kept three containers for a year, in January 2020; no process runs."""
    (tmp_path / "passphrase").write_bytes(PASSPHRASE)
    made = prepare(DemoFolder(tmp_path), pki)
    keep(made, FixedClock(LONG_AGO), 3)
    return made


def keep(made: Prepared, clock: Clock, count: int) -> None:
    """Keep containers for a year, as of the clock."""
    hub = build_hub(load_settings(made.folder.hub_config, dict(made.environment)))
    vault = Vault(hub.engine, hub.vault.folder, clock, default_retention="P1Y")
    for number in range(count):
        envelope = an_envelope(f"{clock.now()} {number}")
        hub.writer.run(lambda connection, each=envelope: vault.keep(connection, each))  # type: ignore[misc]
    hub.writer.close()
    hub.engine.dispose()


def answer(done: Done) -> Any:
    """Return what a command that went well printed as JSON."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(done: Done) -> str:
    assert done.returncode == 1
    code: str = json.loads(done.stdout)["code"]
    return code


def test_what_is_due_is_listed_looked_at_and_erased(prepared: Prepared) -> None:
    (due,) = answer(run(prepared, "vault", "due", "--json"))
    assert (due["key"], due["containers"], due["holds"]) == (str(KEY), 3, 0)
    assert str(KEY) in {each["key"] for each in answer(run(prepared, "vault", "keys", "--json"))}

    erase = ("vault", "erase", str(KEY), "--reason", "retention over", "--json")
    assert answer(run(prepared, *erase, "--dry-run"))["containers"] == 3
    assert answer(run(prepared, "vault", "due", "--json")) == [due], "looking erases nothing"

    erased = answer(run(prepared, *erase))
    assert len(erased["record_sha256"]) == 64
    assert answer(run(prepared, *erase)) == erased, "asked again, it says what was done"
    assert answer(run(prepared, "vault", "due", "--json")) == []
    assert str(KEY) not in {each["key"] for each in answer(run(prepared, "vault", "keys", "--json"))}


def test_a_hold_stops_erasure_until_it_is_released(prepared: Prepared) -> None:
    erase = ("vault", "erase", str(KEY), "--reason", "retention over", "--json")
    assert run(prepared, "vault", "hold", str(KEY), "--reason", "court order 2026-118").returncode == 0
    (held,) = answer(run(prepared, "vault", "holds", "--json"))
    assert (held["kind"], held["subject"], held["keys"]) == ("key", str(KEY), [str(KEY)])

    assert refused(run(prepared, *erase)) == "vault.held"

    assert run(prepared, "vault", "release", str(KEY), "--reason", "closed").returncode == 0
    assert answer(run(prepared, "vault", "holds", "--json")) == []
    again = run(prepared, "vault", "release", str(KEY), "--reason", "closed")
    assert (again.returncode, "vault.hold_unknown" in again.stderr) == (1, True)
    answer(run(prepared, *erase))


def test_a_key_nobody_knows_or_that_is_no_key_is_refused(prepared: Prepared) -> None:
    for key in ("2019-01_P1Y_1", "../../etc/passwd", "2020-13_P1Y_1"):
        assert refused(run(prepared, "vault", "erase", key, "--reason", "x", "--json")) == "vault.key_unknown"
    assert refused(run(prepared, "vault", "due", "--at", "tomorrow", "--json")) == "settings.invalid"


def test_a_month_in_use_is_not_erased_and_before_its_time_takes_an_administrator(prepared: Prepared) -> None:
    keep(prepared, SystemClock(), 1)
    keys = [each["key"] for each in answer(run(prepared, "vault", "keys", "--json"))]
    [current] = [key for key in keys if key != str(KEY)]
    early = ("vault", "erase", current, "--reason", "x", "--before-its-time", "--json")
    assert refused(run(prepared, *early)) == "access.not_authenticated"
    assert refused(run(prepared, "vault", "erase", current, "--reason", "x", "--json")) == "vault.key_in_use"


def test_a_month_is_archived_verified_and_still_erasable(prepared: Prepared, tmp_path: Path) -> None:
    place = tmp_path / "archives"
    (row,) = answer(run(prepared, "vault", "archive", "--month", "2020-01", "--to", str(place), "--json"))
    assert row["containers"] == 3
    (report,) = answer(run(prepared, "vault", "verify", "all", "--json"))
    assert report["is_valid"] is True
    answer(run(prepared, "vault", "erase", str(KEY), "--reason", "retention over", "--json"))
    (report,) = answer(run(prepared, "vault", "verify", "all", "--without-keys", "--json"))
    assert report["is_valid"] is True, "its digests and its signature stay"


def test_nothing_to_renew_is_said(prepared: Prepared) -> None:
    told = answer(run(prepared, "log", "renew", "--dry-run", "--json"))
    assert told == {"time_stamps_due": 0, "hash_trees_due": 0, "first_ends_at": None}
    done = answer(run(prepared, "log", "renew", "--json"))
    assert done["time_stamps_renewed"] == 0
    rehashed = answer(run(prepared, "log", "renew", "--hash-tree", "sha512", "--json"))
    assert (rehashed["rehashed"], rehashed["damaged"]) == (0, 0)
    assert run(prepared, "log", "renew", "--hash-tree", "md5").returncode == 2
