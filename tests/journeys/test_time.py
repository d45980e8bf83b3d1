# SPDX-License-Identifier: Apache-2.0
"""A hub whose time-stamping authorities all fail for a while: messages go on, and nothing is lost."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from hub.accounts import Role
from hub.cli import main
from hub.clock import SystemClock
from hub.messagelog import CheckpointStamper, CheckpointStamps
from hub.preservation import TimeStampJudge, digest_of, verify_record
from hub.trust import HeldRevocation, TimeStampAuthority, TimeStampClient
from tests.journeys.world import World, running_world
from tests.tsa import Authority, Behaviour, authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hub.app import Hub
    from tests.pki import ServedPki

MOST = 3
_PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Place:
    """A hub and the two authorities it knows."""

    world: World
    authorities: tuple[Authority, Authority]
    honest: Behaviour

    def send(self) -> int:
        """Exchange a message and sign a checkpoint over it; returns the log's size."""
        reply = self.world.send(self.world.request().raw)
        assert (reply.status, reply.fault) == (200, None)
        return self.world.hub.log.checkpoint().checkpoint.size

    def alarms(self) -> list[str]:
        headers = self.world.token(Role.OPERATOR)
        rows = self.world.http.get(f"{self.world.url}/api/v1/alarms", headers=headers).json()
        return sorted(row["code"] for row in rows)

    def stamped(self) -> list[int]:
        rows = self.world.http.get(f"{self.world.url}/log/stamps").json()
        return [row["size"] for row in rows]


@pytest.fixture(scope="module")
def place(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    honest = Behaviour(pki.signer("tsa"))
    with ExitStack() as stack:
        authorities = stack.enter_context(authority(honest)), stack.enter_context(authority(honest))
        change = knowing(authorities)
        world = stack.enter_context(running_world(tmp_path_factory.mktemp("time"), pki, change))
        yield Place(world, authorities, honest)


def knowing(authorities: tuple[Authority, Authority]) -> Callable[[Hub], Hub]:
    """Let a hub ask these authorities instead of those of the trust list."""

    def change(hub: Hub) -> Hub:
        clock = SystemClock()
        client = TimeStampClient(
            [TimeStampAuthority(each.url, each.url) for each in authorities],
            hub.pipeline.validator,
            clock,
            client=httpx2.Client(timeout=2, trust_env=False),
        )
        stamper = CheckpointStamper(
            engine=hub.engine,
            writer=hub.writer,
            authorities=client,
            alarms=hub.alarms,
            clock=clock,
            most_waiting=MOST,
        )
        return replace(hub, stamper=stamper)

    return change


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def test_no_outage_of_the_authorities_refuses_a_message_and_all_is_stamped_afterwards(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = place.send()
    wait_until(lambda: place.stamped() == [first])
    assert place.alarms() == []

    for each in place.authorities:
        each.behaviour = replace(place.honest, http_status=503)
    sizes = [place.send() for _ in range(8)]
    assert sizes == [first + 2 * (number + 1) for number in range(8)], "every message was logged"
    wait_until(lambda: place.alarms() == ["trust.stamps_waiting", "trust.tsa_unreachable"])
    stamps = CheckpointStamps(place.world.hub.engine)
    assert len(stamps.waiting()) <= MOST
    assert place.stamped() == [first]
    assert [alarm.count for alarm in place.world.hub.alarms.alarms(with_cleared=True)] == [1, 1]
    assert "trust.stamps_waiting" in command(place, monkeypatch, capsys, "alarms", "list")

    for each in place.authorities:
        each.behaviour = place.honest
    wait_until(lambda: place.alarms() == [])
    wait_until(lambda: stamps.waiting() == ())
    wait_until(lambda: place.world.hub.records.waiting() == 0)
    assert place.stamped()[-1] == sizes[-1]
    assert "No alarm is open" in command(place, monkeypatch, capsys, "alarms", "list")
    require_covered(place, sizes)


def require_covered(place: Place, sizes: list[int]) -> None:
    """Every entry lies below a checkpoint whose evidence record a stranger can check, offline."""
    get: Any = place.world.http.get
    judge = TimeStampJudge(place.world.pki.approved(), HeldRevocation((), ()))
    for size in sizes:
        [row] = get(f"{place.world.url}/log/stamps?first={size}&most=1").json()
        note = get(f"{place.world.url}/log/checkpoints/{row['size']}").content
        record = get(f"{place.world.url}/log/checkpoints/{row['size']}/record").content
        verified = verify_record(record, partial(hashes_of, note), judge, at=datetime.now(UTC))
        assert verified.existed_at <= datetime.now(UTC)
        assert row["size"] >= size


def hashes_of(content: bytes, digest: str) -> list[bytes]:
    return [digest_of(digest, content)]


def command(
    place: Place, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    patch.setenv("HELIOGRAPH_TOKEN", place.world.token(Role.OPERATOR)["Authorization"].split()[1])
    patch.setattr("sys.argv", ["heliograph", *arguments, "--hub", place.world.url])
    with pytest.raises(SystemExit):
        main()
    return capsys.readouterr().out


def test_an_operator_acknowledges_an_alarm_on_the_command_line(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alarms = place.world.hub.alarms
    alarms.raise_alarm("trust.trust_list_outdated", "a test", "due yesterday")
    place.world.hub.writer.run(lambda _connection: None)
    [alarm] = alarms.alarms()
    said = command(place, monkeypatch, capsys, "alarms", "acknowledge", str(alarm.id))
    assert "acknowledged by 李伟" in said
    assert "acknowledged" in command(place, monkeypatch, capsys, "alarms", "list")
    alarms.clear("trust.trust_list_outdated", "a test")
    assert '"alarm.unknown"' in command(place, monkeypatch, capsys, "alarms", "acknowledge", "4711", "--json")
