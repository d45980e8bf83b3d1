# SPDX-License-Identifier: Apache-2.0
"""Certificates are changed on both sides while exchanges run, and nobody notices."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from adapters.configuration import ConfiguredAdapter
from adapters.hubclient import HubClient, Question, VerifiedAnswer
from adapters.server import GatewayProcess, build_gateway_app
from adapters.settings import GatewaySettings, load_gateway_settings
from hub.cli import main
from hub.clock import FixedClock, SystemClock
from hub.custody import RollOverState
from hub.demo.preparation import FUND, HUB_MEMBER, PROJECT
from hub.envelope import verify_signature
from hub.errors import HubError
from hub.exchange import ExchangeState
from hub.identifiers import MemberId
from hub.registry import RegisteredCertificate, fingerprint_of
from hub.trust import Use
from tests.journeys.certificates import fingerprint, withdrawal
from tests.journeys.departments import ECHO, EMPLOYMENT, LABOUR_ECHO, REGISTER, EchoAdapter
from tests.journeys.refusals import refused
from tests.journeys.serving import serving, wait_for
from tests.journeys.world import PURPOSE, World, echo_service, running_world
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.envelope import Envelope
    from hub.identifiers import SubsystemId
    from tests.pki import ServedPki

EXCHANGES = 1000
AT_ONCE = 12
LOOK_SECONDS = 0.05


@pytest.fixture
def world(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("rolling"), pki) as running:
        yield running


@dataclass(frozen=True)
class Site:
    """A department's gateway with its key files, into which the next ones may be put."""

    world: World
    label: str
    folder: Path
    subsystem: SubsystemId

    def put_next(self, label: str) -> None:
        """Put the next key and its chain where the gateway expects them."""
        shutil.copy(self.world.pki.key(label), self.folder / "next.key.pem")
        partial = self.folder / "next.chain.part"
        shutil.copyfile(self.world.pki.chain(label), partial)
        partial.rename(self.folder / "next.chain.pem")

    @property
    def config(self) -> Path:
        return self.folder / "gateway.yaml"

    def settings(self) -> GatewaySettings:
        pki = self.world.pki
        self.config.write_text(
            f"""\
member: {self.subsystem[:18]}
subsystems: [{self.subsystem}]
port: {free_port()}
hub_url: {self.world.url}
hub_member: {HUB_MEMBER}
signing: {{key: {pki.key(self.label)}, chain: {pki.chain(self.label)}, passphrase: env:P}}
next: {{key: next.key.pem, chain: next.chain.pem, passphrase: env:P}}
trust_list: {pki.trust_list}
trust_list_signer: {pki.trust_list_signer}
contracts: {PROJECT / "contracts"}
data_folder: data
""",
            encoding="utf-8",
        )
        return load_gateway_settings(self.config, {"P": pki.passphrase.decode()})

    @contextmanager
    def running(self) -> Iterator[GatewayProcess]:
        """Run the gateway, with the echo where it is the labour bureau's, entered in the registry."""
        settings = self.settings()
        echo = ConfiguredAdapter(LABOUR_ECHO, ECHO, "echo", 10.0, EchoAdapter())
        more = [echo] if self.subsystem == EMPLOYMENT else []
        process = GatewayProcess(settings, more=more, look_seconds=LOOK_SECONDS)
        with serving(build_gateway_app(process), settings.port) as address:
            if more:
                service = echo_service(LABOUR_ECHO, f"{address}/messages", timeout_seconds=20)
                self.world.hub.registry.put(service, by="tests")
            yield process

    def has_registered(self, label: str) -> bool:
        entry = self.world.hub.registry.snapshot.find(RegisteredCertificate, fingerprint(self.world, label))
        return entry is not None


def site(world: World, label: str, subsystem: SubsystemId, folder: Path) -> Site:
    folder.mkdir()
    return Site(world, label, folder, subsystem)


@pytest.fixture
def labour(world: World, tmp_path: Path) -> Site:
    return site(world, "labour-sign", EMPLOYMENT, tmp_path / "labour")


@pytest.fixture
def federation(world: World, tmp_path: Path) -> Site:
    return site(world, "federation-sign", FUND, tmp_path / "federation")


def signer(envelope: Envelope) -> str:
    """Return the fingerprint of the certificate that signed."""
    return fingerprint_of(verify_signature(envelope).chain[0])


def ask(client: HubClient, text: str) -> VerifiedAnswer:
    return client.ask(Question(service=LABOUR_ECHO, contract=ECHO, data={"text": text}, purpose=PURPOSE))


@dataclass
class Traffic:
    """Exchanges that run at the same time, counted when they begin and when they end."""

    client: HubClient
    answers: dict[str, VerifiedAnswer] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    under_way: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def exchange(self, text: str) -> None:
        with self.lock:
            self.under_way.add(text)
        try:
            answer = ask(self.client, text)
        except HubError as error:
            with self.lock:
                self.failures.append(f"{text}: {error}")
                self.under_way.discard(text)
            return
        with self.lock:
            self.answers[text] = answer
            self.under_way.discard(text)

    def wait_for(self, count: int) -> None:
        wait_for(lambda: len(self.answers) + len(self.failures) >= count)

    def let_those_under_way_finish(self) -> None:
        with self.lock:
            begun = set(self.under_way)
        wait_for(lambda: not begun & self.under_way)


def signs_with(process: GatewayProcess, label: str, world: World) -> bool:
    return fingerprint_of(process.gateway.key.certificate_chain[0]) == fingerprint(world, label)


def test_a_thousand_exchanges_run_while_both_sides_change_their_certificates_and_none_fails(
    world: World, labour: Site, federation: Site
) -> None:
    with labour.running() as provider, federation.running() as consumer:
        traffic = Traffic(consumer.client_for(FUND))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            done = [pool.submit(traffic.exchange, f"第{number}件") for number in range(EXCHANGES)]
            traffic.wait_for(EXCHANGES // 5)
            labour.put_next("labour-next")
            wait_for(lambda: signs_with(provider, "labour-next", world))
            traffic.wait_for(2 * EXCHANGES // 5)
            federation.put_next("federation-next")
            wait_for(lambda: signs_with(consumer, "federation-next", world))
            traffic.let_those_under_way_finish()
            assert len(traffic.answers) < EXCHANGES, "the traffic outlasts the overlap"
            for old, new, subsystem in (
                ("labour-sign", "labour-next", EMPLOYMENT),
                ("federation-sign", "federation-next", REGISTER),
            ):
                reply = world.send(withdrawal(world, old, signed_by=new, sender=subsystem).raw)
                assert reply.fault is None, reply.fault
            assert len(traffic.answers) < EXCHANGES, "the traffic outlasts the withdrawal"
            for each in done:
                each.result()

    assert traffic.failures == []
    assert len(traffic.answers) == EXCHANGES
    assert all(answer.data == {"text": text} for text, answer in traffic.answers.items())
    require_both_certificates_in_the_log(world, traffic)
    refused(world, world.request(signed_by="federation-sign"), "trust.certificate_not_registered")


def require_both_certificates_in_the_log(world: World, traffic: Traffic) -> None:
    """Hold the log to what was sent: every exchange is in it, and both certificates signed on each side."""
    find = world.hub.archive.find
    senders, answerers = set(), set()
    for answer in traffic.answers.values():
        record = find(answer.request.header.id)
        assert record is not None
        assert record.state is ExchangeState.PROCESSED
        assert record.attempts == 1, "nothing was tried twice"
        assert record.request_sha256 == answer.request.container_sha256
        assert record.answer_sha256 == answer.response.container_sha256
        senders.add(signer(answer.request))
        answerers.add(signer(answer.response))
    assert senders == {fingerprint(world, label) for label in ("federation-sign", "federation-next")}
    assert answerers == {fingerprint(world, label) for label in ("labour-sign", "labour-next")}


def wait_until_signs_with(process: GatewayProcess, label: str, world: World) -> None:
    wait_for(lambda: signs_with(process, label, world))


def test_a_gateway_that_starts_again_goes_on_with_the_next_certificate(world: World, labour: Site) -> None:
    with labour.running() as process:
        labour.put_next("labour-next")
        wait_until_signs_with(process, "labour-next", world)
        reply = world.send(withdrawal(world, "labour-sign", signed_by="labour-next").raw)
        assert reply.fault is None, reply.fault
    with labour.running() as again:
        assert signs_with(again, "labour-next", world), "from the first message on"
        assert world.send(world.request().raw).fault is None


def test_a_gateway_put_back_to_an_old_state_is_refused_and_finds_its_way_to_the_registered_certificate(
    world: World, labour: Site
) -> None:
    with labour.running() as process:
        labour.put_next("labour-next")
        wait_until_signs_with(process, "labour-next", world)
    reply = world.send(withdrawal(world, "labour-sign", signed_by="labour-next").raw)
    assert reply.fault is None, reply.fault
    shutil.rmtree(labour.folder / "data")
    for name in ("next.key.pem", "next.chain.pem"):
        (labour.folder / name).unlink()
    with labour.running() as old:
        assert signs_with(old, "labour-sign", world)
        refusal = world.send(world.request().raw)
        assert refusal.fault is not None
        assert refusal.fault.code == "exchange.answer_untrusted"
        labour.put_next("labour-next")
        wait_until_signs_with(old, "labour-next", world)
        assert world.send(world.request().raw).fault is None


@pytest.mark.parametrize("label", ["labour-expired", "labour-revoked", "labour-unlisted", "federation-next"])
def test_a_next_certificate_that_does_not_hold_leaves_the_old_one_in_use(
    world: World, labour: Site, label: str
) -> None:
    with labour.running() as process:
        labour.put_next(label)
        with pytest.raises(HubError):
            process.roll_over.step()
        assert signs_with(process, "labour-sign", world)
        assert not labour.has_registered(label)
        assert world.send(world.request().raw).fault is None
        labour.put_next("labour-next")
        process.roll_over.step()
        assert signs_with(process, "labour-next", world), "once the right files are there"


def test_a_key_and_a_chain_that_do_not_belong_together_leave_the_old_one_in_use(
    world: World, labour: Site
) -> None:
    with labour.running() as process:
        shutil.copy(world.pki.key("labour-rsa"), labour.folder / "next.key.pem")
        shutil.copyfile(world.pki.chain("labour-next"), labour.folder / "next.chain.pem")
        with pytest.raises(HubError, match=r"trust\.key_unusable"):
            process.roll_over.step()
        assert signs_with(process, "labour-sign", world)


def test_without_the_hub_nothing_is_switched(world: World, labour: Site) -> None:
    settings = labour.settings().model_copy(update={"hub_url": f"http://127.0.0.1:{free_port()}"})
    process = GatewayProcess(settings)
    labour.put_next("labour-next")
    with pytest.raises(HubError, match=r"exchange\.undeliverable"):
        process.roll_over.step()
    assert signs_with(process, "labour-sign", world)
    process.close()


def test_a_certificate_that_begins_later_is_registered_now_and_signs_from_its_first_instant(
    world: World, labour: Site
) -> None:
    clock = FixedClock(SystemClock().now())
    process = GatewayProcess(labour.settings(), clock=clock)
    labour.put_next("labour-not-yet-valid")
    assert process.roll_over.step() is RollOverState.REGISTERED
    assert labour.has_registered("labour-not-yet-valid")
    assert signs_with(process, "labour-sign", world)
    clock.move_to(world.pki.certificates("labour-not-yet-valid")[0].not_valid_before_utc)
    assert signs_with(process, "labour-not-yet-valid", world)
    assert process.roll_over.step() is RollOverState.SWITCHED
    process.close()


def command(site: Site, *options: str) -> dict[str, Any]:
    """Run `heliograph roll-over` as its own process would; returns what it says as JSON."""
    stdout = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout):
        patch.setenv("P", site.world.pki.passphrase.decode())
        patch.setattr(sys, "argv", ["heliograph", "roll-over", str(site.config), "--json", *options])
        with pytest.raises(SystemExit) as end:
            main()
    # The gateway and the hub run in this process too, and log to the same place.
    (document,) = re.findall(r"^\{\n.*?^\}$", stdout.getvalue(), re.MULTILINE | re.DOTALL)
    said: dict[str, Any] = json.loads(document)
    return said | {"exit": end.value.code}


def test_an_operator_looks_first_then_rolls_over_goes_back_and_forward_again(
    world: World, labour: Site
) -> None:
    labour.settings()
    labour.put_next("labour-next")
    old, new = fingerprint(world, "labour-sign"), fingerprint(world, "labour-next")
    seen = command(labour, "--dry-run")
    assert (seen["exit"], seen["state"]) == (0, "found")
    assert (seen["in_use"]["fingerprint"], seen["next"]["fingerprint"]) == (old, new)
    assert not labour.has_registered("labour-next")
    assert command(labour)["state"] == "switched"
    assert labour.has_registered("labour-next")

    with labour.running() as process:
        assert signs_with(process, "labour-next", world)
        assert command(labour, "--back")["state"] == "held"
        wait_until_signs_with(process, "labour-sign", world)
        assert world.send(world.request().raw).fault is None, "the way back is open while both count"
        assert command(labour)["state"] == "switched"
        wait_until_signs_with(process, "labour-next", world)
        reply = world.send(withdrawal(world, "labour-sign", signed_by="labour-next").raw)
        assert reply.fault is None, reply.fault
        refusal = command(labour, "--back")
        assert (refusal["exit"], refusal["code"]) == (1, "registry.certificate_retired")
        assert signs_with(process, "labour-next", world)


def test_the_hub_changes_its_own_certificate_and_its_receipts_are_believed_throughout(
    pki: ServedPki, tmp_path: Path
) -> None:
    key, chain = tmp_path / "hub.key.pem", tmp_path / "hub.chain.pem"
    with running_world(
        tmp_path / "world", pki, next_signing_key=str(key), next_signing_chain=str(chain)
    ) as world:

        def receipts_signer() -> str:
            answer = ask(asking, "收据")
            assert world.signer_of(answer.receipt) == HUB_MEMBER
            return signer(answer.receipt)

        with site(world, "federation-sign", FUND, tmp_path / "federation").running() as consumer:
            asking = consumer.client_for(FUND)
            hub_member = MemberId(HUB_MEMBER)
            world.hub.certificates.register(
                pki.certificates("hub-sign"), hub_member, Use.ENVELOPE, by="tests"
            )
            assert receipts_signer() == fingerprint(world, "hub-sign")
            shutil.copy(pki.key("hub-next"), key)
            shutil.copyfile(pki.chain("hub-next"), chain)
            wait_for(lambda: receipts_signer() == fingerprint(world, "hub-next"))
            new = world.hub.certificates.registration(fingerprint(world, "hub-next"))
            assert new.registered_by == "the hub"
            world.hub.certificates.retire(fingerprint(world, "hub-sign"), "superseded", by="tests")
            assert receipts_signer() == fingerprint(world, "hub-next")
