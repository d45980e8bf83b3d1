# SPDX-License-Identifier: Apache-2.0
"""A hub without HTTP whose one department lives in the test, on each kind of database."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub.app import build_hub
from hub.clock import SystemClock
from hub.demo.preparation import FUND, DemoFolder, prepare
from hub.envelope import (
    Fault,
    Kind,
    Party,
    Payload,
    Receipt,
    ReceiptStatus,
    refer_to,
    reply_to,
    seal_envelope,
    write_fault,
    write_receipt,
)
from hub.errors import Culprit, Language
from hub.identifiers import new_message_id
from hub.registry import load_registry_file
from hub.settings import Settings, load_settings
from tests.hub.envelope.signers import header_for
from tests.journeys.departments import ECHO, EMPLOYMENT, LABOUR_ECHO
from tests.journeys.world import echo_right, echo_service
from tests.pki import PASSPHRASE, ServedPki

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from hub.app import Hub
    from hub.envelope import Envelope
    from hub.exchange import Outcome, Pipeline
    from hub.identifiers import MessageId
    from hub.registry import Service


class Courier:
    """A department in this process: it answers, fails, or waits as a test tells it."""

    def __init__(self, pki: ServedPki) -> None:
        self.party = Party(EMPLOYMENT, pki.signer("labour-sign"))
        self.delivered: list[Envelope] = []
        self.failure: Exception | None = None
        self.pause_seconds = 0.0
        self.is_holding = False
        self.fault: tuple[Culprit, bool] | None = None
        self.expected_by: datetime | None = None
        self.receipts: list[Envelope] = []

    async def deliver(self, request: Envelope, receipt: Envelope, service: Service) -> bytes:
        assert receipt.header.in_reply_to == request.as_in_reply_to()
        assert service.id == LABOUR_ECHO
        self.delivered.append(request)
        self.receipts.append(receipt)
        await asyncio.sleep(self.pause_seconds)
        while self.is_holding:  # noqa: ASYNC110 - it is let go from another thread
            await asyncio.sleep(0.01)
        if self.failure is not None:
            raise self.failure
        if self.fault is not None:
            return self._fault(request, *self.fault).raw
        if self.expected_by is not None:
            return self._promise(request, self.expected_by).raw
        return self.response(request).raw

    def response(self, request: Envelope) -> Envelope:
        payload = Payload("response.json", "application/json", request.payloads["request.json"])
        return reply_to(request, Kind.RESPONSE, (payload,), party=self.party, now=SystemClock().now())

    def _promise(self, request: Envelope, expected_by: datetime) -> Envelope:
        now = SystemClock().now()
        receipt = Receipt(
            status=ReceiptStatus.DELIVERED, at=now, message=refer_to(request), expected_by=expected_by
        )
        return reply_to(request, Kind.RECEIPT, (write_receipt(receipt),), party=self.party, now=now)

    def _fault(self, request: Envelope, culprit: Culprit, is_retryable: bool) -> Envelope:  # noqa: FBT001 - as read
        fault = Fault(
            code="adapter.system_timeout",
            culprit=culprit,
            is_retryable=is_retryable,
            detail="the test says so",
            message=dict.fromkeys(Language, "fault"),
            cure=dict.fromkeys(Language, "none"),
        )
        payloads = (write_fault(fault),)
        return reply_to(request, Kind.FAULT, payloads, party=self.party, now=SystemClock().now())


@pytest.fixture
def courier(pki: ServedPki) -> Courier:
    return Courier(pki)


@pytest.fixture
def settings(pki: ServedPki, tmp_path: Path, database_url: str) -> Settings:
    (tmp_path / "passphrase").write_bytes(PASSPHRASE)
    prepared = prepare(DemoFolder(tmp_path), pki)
    environment = {**prepared.environment, "HELIOGRAPH_DATABASE_URL": database_url}
    return load_settings(prepared.folder.hub_config, environment)


@pytest.fixture
def hub(courier: Courier, settings: Settings, tmp_path: Path) -> Iterator[Hub]:
    hub = build_hub(settings, courier=courier)
    entries = load_registry_file(tmp_path / "registry.yaml")
    echo = (echo_service(LABOUR_ECHO, "http://127.0.0.1:9/"), echo_right("echo", FUND, LABOUR_ECHO))
    hub.registry.apply((*entries, *echo), by="tests")
    yield hub
    hub.writer.close()
    hub.claim.release()
    hub.engine.dispose()


@pytest.fixture
def request_(pki: ServedPki) -> Envelope:
    return signed(pki)


@pytest.fixture
def expiring(pki: ServedPki) -> Envelope:
    """A request that lives for two seconds."""
    return signed(pki, lifetime=timedelta(seconds=2))


def signed(
    pki: ServedPki, *, lifetime: timedelta = timedelta(minutes=5), conversation: MessageId | None = None
) -> Envelope:
    """Sign a request to the department, in a conversation of its own unless one is given."""
    now, payload = SystemClock().now(), Payload("request.json", "application/json", b'{"text":"a"}')
    message_id = new_message_id(now)
    header = header_for(
        (payload,),
        id=message_id,
        conversation=conversation or message_id,
        sent_at=now,
        expires_at=now + lifetime,
        service=LABOUR_ECHO,
        contract=ECHO,
    )
    return seal_envelope(header, (payload,), pki.signer("federation-sign"))


def sent(pipeline: Pipeline, *requests: Envelope) -> list[Outcome]:
    async def send() -> list[Outcome]:
        now = SystemClock().now()
        return await asyncio.gather(*(pipeline.exchange(each.raw, received_at=now) for each in requests))

    return asyncio.run(send())
