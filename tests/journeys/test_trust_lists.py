# SPDX-License-Identifier: Apache-2.0
"""A running hub is given new trust lists: they count with the next message, and gateways follow."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hub.accounts import Role
from hub.alarms import LoggedAlarms
from hub.app import build_hub
from hub.clock import SystemClock
from hub.envelope import CONTAINER_MEDIA_TYPE
from hub.settings import load_settings
from hub.trust import Use
from hub.trustlist import (
    Content,
    FolderStore,
    SignedTrustList,
    TrustListArchive,
    TrustListFollower,
    compose,
    open_trust_list,
    read_containers,
    read_pinned,
    sign_trust_list,
)
from tests.hub.trustlist.versions import ListSigner
from tests.journeys.world import running_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

    from tests.journeys.world import World
    from tests.pki import ServedPki


@pytest.fixture
def world(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A hub of its own: its trust list changes."""
    with running_world(tmp_path_factory.mktemp("trust-lists"), pki) as running:
        yield running


def next_version(
    pki: ServedPki, previous: SignedTrustList, what: Content | None = None, key: Any = None
) -> SignedTrustList:
    """Sign a version that follows another, now."""
    now = max(SystemClock().now(), previous.document.issued_at + timedelta(milliseconds=1))
    document = compose(
        what or previous.document, previous, issued_at=now, next_update=now + timedelta(days=30)
    )
    return sign_trust_list(document, previous.operator, key or pki.signer("trust-list"))


def without_envelope_authority(pki: ServedPki, version: SignedTrustList) -> Content:
    authority = pki.certificates("envelope-ca")[0]
    left = tuple(row for row in version.document.authorities if row.certificate != authority)
    return version.document.model_copy(update={"authorities": left})


def submit(world: World, raw: bytes, role: Role = Role.ADMINISTRATOR) -> httpx2.Response:
    headers = {**world.token(role), "Content-Type": CONTAINER_MEDIA_TYPE, "Accept-Language": "en"}
    return world.http.post(f"{world.url}/api/v1/trust-lists", content=raw, headers=headers)


def test_a_version_counts_with_the_next_message_and_so_does_the_one_after_it(
    world: World, pki: ServedPki
) -> None:
    first = open_trust_list(world.http.get(f"{world.url}/api/v1/trust-lists/current").content)
    assert world.send(world.request().raw).status == 200

    second = next_version(pki, first, without_envelope_authority(pki, first))
    assert submit(world, second.raw).status_code == 201
    refused = world.send(world.request().raw)
    assert refused.fault is not None
    assert refused.fault.code == "trust.unknown_authority"

    third = next_version(pki, second, first.document)
    assert submit(world, third.raw).status_code == 201
    assert world.send(world.request().raw).status == 200
    assert submit(world, third.raw).status_code == 200, "once more changes nothing"


def test_anybody_reads_every_version_and_checks_it_alone(world: World, pki: ServedPki) -> None:
    base = f"{world.url}/api/v1/trust-lists"
    first = open_trust_list(world.http.get(f"{base}/1").content)
    second = next_version(pki, first)
    submit(world, second.raw)

    shown = world.http.get(base).json()
    assert [(row["sequence"], row["sha256"]) for row in shown] == [(1, first.sha256), (2, second.sha256)]
    assert world.http.get(f"{base}/current").content == second.raw == world.http.get(f"{base}/2").content
    response = world.http.get(f"{base}/1")
    assert (response.content, response.headers["content-type"]) == (first.raw, CONTAINER_MEDIA_TYPE)
    unknown = world.http.get(f"{base}/3")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "trust.trust_list_unknown")
    for wrong in ("0", "-1", "1000000", "latest"):
        assert world.http.get(f"{base}/{wrong}").status_code == 400


def test_an_administrator_cannot_put_into_force_what_the_operator_did_not_sign(
    world: World, pki: ServedPki
) -> None:
    first = world.hub.trust_lists.current
    second = next_version(pki, first)
    submit(world, second.raw)
    stranger = next_version(pki, second, key=ListSigner())
    fork, gap = next_version(pki, first), next_version(pki, next_version(pki, second))
    damaged = bytearray(next_version(pki, second).raw)
    damaged[len(damaged) // 2] ^= 1
    for raw, status, code in (
        (stranger.raw, 403, "trust.trust_list_untrusted"),
        (fork.raw, 409, "trust.trust_list_forked"),
        (first.raw, 409, "trust.trust_list_rolled_back"),
        (gap.raw, 409, "trust.trust_list_not_next"),
        (bytes(damaged), 400, "trust.trust_list_invalid"),
        (b"{}", 400, "trust.trust_list_invalid"),
        (b"", 400, "trust.trust_list_invalid"),
        (bytes(9_000_000), 400, "trust.trust_list_invalid"),
    ):
        answer = submit(world, raw)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json()["cure"]
        assert world.hub.trust_lists.current.raw == second.raw
    assert submit(world, next_version(pki, second).raw, Role.OPERATOR).status_code == 403


def test_a_restarted_hub_has_every_version_and_believes_none_it_was_not_given(
    world: World, pki: ServedPki
) -> None:
    second = next_version(pki, world.hub.trust_lists.current)
    submit(world, second.raw)
    settings = load_settings(world.prepared.folder.hub_config, dict(world.prepared.environment))
    again = build_hub(settings)
    try:
        assert again.trust_lists.current.raw == second.raw
        third = next_version(pki, second)
        assert again.trust_lists.add(third.raw, by="another process", now=SystemClock().now())
        world.hub.trust_lists.refresh()
        assert world.hub.trust_lists.current.raw == third.raw, "the first process follows"
    finally:
        again.writer.close()
        again.engine.dispose()


class Gateway:
    """What a gateway holds and how it follows."""

    def __init__(self, world: World, pki: ServedPki, folder: Any) -> None:
        self.alarms = RaisedAlarms()
        self.archive = TrustListArchive(
            FolderStore(folder),
            read_pinned(pki.trust_list_signer),
            seeds=read_containers(pki.trust_list),
            now=SystemClock().now(),
        )
        self.follower = TrustListFollower(self.archive, world.url, world.http, self.alarms, SystemClock())


class RaisedAlarms(LoggedAlarms):
    """Remembers what is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[str, str] = {}

    def raise_alarm(self, code: str, subject: str, detail: str) -> None:
        self.open[code] = detail
        super().raise_alarm(code, subject, detail)

    def clear(self, code: str, subject: str) -> None:
        self.open.pop(code, None)
        super().clear(code, subject)


def test_a_gateway_follows_and_keeps_what_it_was_given(
    world: World, pki: ServedPki, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("gateway")
    gateway = Gateway(world, pki, folder)
    second = next_version(pki, gateway.archive.current)
    third = next_version(pki, second)
    for each in (second, third):
        submit(world, each.raw)
    gateway.follower.follow()
    assert gateway.archive.current.raw == third.raw
    assert gateway.alarms.open == {}
    assert sorted(file.name for file in folder.iterdir()) == [
        f"trust-list-00000{number}.asice" for number in (1, 2, 3)
    ]
    assert Gateway(world, pki, folder).archive.current.raw == third.raw, "a restart asks nobody"


def test_a_gateway_does_not_go_back_with_a_hub_that_lost_versions(
    world: World, pki: ServedPki, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gateway = Gateway(world, pki, tmp_path_factory.mktemp("gateway"))
    ahead = next_version(pki, gateway.archive.current)
    gateway.archive.add(ahead.raw, by="test", now=SystemClock().now())
    gateway.follower.follow()
    assert gateway.archive.current.raw == ahead.raw
    assert gateway.alarms.open["trust.trust_list_refused"].startswith("trust.trust_list_rolled_back")

    submit(world, ahead.raw)
    gateway.follower.follow()
    assert gateway.alarms.open == {}


def test_a_gateway_sees_a_hub_with_another_history(
    world: World, pki: ServedPki, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gateway = Gateway(world, pki, tmp_path_factory.mktemp("gateway"))
    first = gateway.archive.current
    mine, theirs = next_version(pki, first), next_version(pki, first)
    gateway.archive.add(mine.raw, by="test", now=SystemClock().now())
    submit(world, theirs.raw)
    submit(world, next_version(pki, theirs).raw)
    gateway.follower.follow()
    assert gateway.archive.current.raw == mine.raw
    assert gateway.alarms.open["trust.trust_list_refused"].startswith("trust.trust_list_forked")


def test_a_hub_that_cannot_be_reached_leaves_everything_as_it_is(
    world: World, pki: ServedPki, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gateway = Gateway(world, pki, tmp_path_factory.mktemp("gateway"))
    nowhere = TrustListFollower(
        gateway.archive, "http://127.0.0.1:9", world.http, gateway.alarms, SystemClock()
    )
    nowhere.follow()
    assert gateway.archive.current.sequence == 1
    chain = pki.certificates("labour-sign")
    assert world.validator.validate(chain, use=Use.ENVELOPE, at=SystemClock().now()).member_id
