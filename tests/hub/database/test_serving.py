# SPDX-License-Identifier: Apache-2.0
"""A claim to serve ends with its process, and with nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from hub.database import ServingClaim, open_database
from hub.errors import SettingsError
from tests.journeys.serving import wait_for
from tests.postgresql import on_postgresql, on_sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

CLAIMING = """
import sys, time
from hub.database import ServingClaim, open_database
claim = ServingClaim(open_database(sys.argv[1]))
claim.take()
print(claim.number, flush=True)
time.sleep(60)
"""


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def claim(engine: Engine) -> Iterator[ServingClaim]:
    claim = ServingClaim(engine)
    yield claim
    claim.release()


def living(engine: Engine, claim: ServingClaim) -> set[int]:
    with engine.connect() as connection:
        return set(claim.living(connection))


def _locks(engine: Engine, claim: ServingClaim) -> int:
    counted = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint = :number")
    with engine.connect() as connection:
        return int(connection.execute(counted, {"number": claim.number}).scalar_one())


def a_process_that_claims(url: str) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIMING, url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def kill(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    process.stdout.close()


@on_sqlite
def test_on_sqlite_one_process_serves_until_it_is_killed(claim: ServingClaim, database_url: str) -> None:
    process, _number = a_process_that_claims(database_url)
    with pytest.raises(SettingsError, match=r"settings\.database_in_use"):
        claim.take()
    kill(process)
    claim.take()


@on_postgresql
def test_on_postgresql_a_killed_process_is_missed(
    engine: Engine, claim: ServingClaim, database_url: str
) -> None:
    claim.take()
    process, number = a_process_that_claims(database_url)
    assert living(engine, claim) == {claim.number, number}
    kill(process)
    wait_for(lambda: living(engine, claim) == {claim.number})


@on_postgresql
def test_a_claim_lost_with_its_connection_is_taken_again(engine: Engine, claim: ServingClaim) -> None:
    claim.take()
    with engine.connect() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE objid = :number AND objsubid = 2"),
            {"number": claim.number},
        )
    wait_for(lambda: living(engine, claim) == set())
    claim.keep()
    assert living(engine, claim) == {claim.number}
    claim.keep()
    assert living(engine, claim) == {claim.number}


@on_postgresql
def test_a_claim_taken_again_outlasts_the_lost_one_the_server_still_counts(
    engine: Engine, claim: ServingClaim
) -> None:
    again = ServingClaim(engine)
    again.number = claim.number
    claim.take()
    again.take()
    claim.release()
    wait_for(lambda: _locks(engine, claim) == 1)
    assert living(engine, again) == {again.number}
    again.release()
    wait_for(lambda: living(engine, again) == set())


def test_nobody_lives_who_did_not_claim_or_has_released(engine: Engine, claim: ServingClaim) -> None:
    assert living(engine, claim) == set()
    claim.keep()
    assert living(engine, claim) == set()
    claim.take()
    assert living(engine, claim) == {claim.number}
    claim.release()
    wait_for(lambda: living(engine, claim) == set())


@on_postgresql
def test_claims_on_other_databases_of_a_server_do_not_count(
    engine: Engine, claim: ServingClaim, request: pytest.FixtureRequest
) -> None:
    with request.getfixturevalue("postgresql").database() as url:
        elsewhere = open_database(url)
        stranger = ServingClaim(elsewhere)
        stranger.take()
        claim.take()
        assert living(engine, claim) == {claim.number}
        assert living(elsewhere, stranger) == {stranger.number}
        stranger.release()
        elsewhere.dispose()
