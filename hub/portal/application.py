# SPDX-License-Identifier: Apache-2.0
"""The portal as one application, to be mounted under `/portal`, apart from the hub's interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from hub.errors import ExchangeError, PortalError
from hub.pages import Protected, SignInAttempts, Site, StaticFiles, Templates
from hub.portal.alarm_pages import AlarmPages
from hub.portal.checking import ContainerCheck
from hub.portal.dead_letter_pages import DeadLetterPages
from hub.portal.log_page import LogPage
from hub.portal.logproof import LogProver
from hub.portal.maintenance_pages import MaintenancePages
from hub.portal.now_page import NowPage
from hub.portal.pages import MOUNTED_AT, SESSION_COOKIE, Call, Page
from hub.portal.partner_pages import PartnerPages
from hub.portal.path_pages import PathPages
from hub.portal.searching import SearchPages
from hub.portal.sessions import Sessions
from hub.portal.signing_in import SignIn
from hub.portal.story import Storyteller
from hub.portal.story_pages import StoryPages
from hub.portal.verifications import Verifications

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine
    from starlette.requests import Request
    from starlette.responses import Response

    from hub.accounts import Accounts
    from hub.alarms import Alarms
    from hub.bundles import EvidenceBundles
    from hub.clock import Clock
    from hub.database import Writer
    from hub.exchange import Archive, DeadLetters, Readings, RevocationAnswers
    from hub.messagelog import CheckpointStamps, LogHealth, MessageLog, PublishedLog
    from hub.operations import Flows, Gateways, WeatherMap
    from hub.outbox import Outbox, Pauses
    from hub.portal.model import SessionLimits
    from hub.registry import Registry
    from hub.trust import TrustLists, Use, UsePolicy


@dataclass(frozen=True, kw_only=True)
class PortalParts:
    """What the pages show, and what they work with.

    Attributes:
        portal_url: the address browsers see, where it is not simply the hub's own.
    """

    engine: Engine
    writer: Writer
    clock: Clock
    accounts: Accounts
    alarms: Alarms
    registry: Registry
    archive: Archive
    log: MessageLog
    published: PublishedLog
    health: LogHealth
    stamps: CheckpointStamps
    trust_lists: TrustLists
    answers: RevocationAnswers
    policies: Mapping[Use, UsePolicy]
    bundles: EvidenceBundles
    readings: Readings
    outbox: Outbox
    pauses: Pauses
    dead_letters: DeadLetters
    weather: WeatherMap
    flows: Flows
    gateways: Gateways
    session_limits: SessionLimits
    portal_url: str | None = None


class Portal:
    """The pages, and what runs behind them."""

    def __init__(self, parts: PortalParts) -> None:
        check = ContainerCheck(parts.trust_lists, parts.answers, parts.policies)
        self._verifications = Verifications(check.verify, parts.clock)
        sessions = Sessions(parts.engine, parts.writer, parts.clock, parts.accounts, parts.session_limits)
        files = StaticFiles(MOUNTED_AT)
        self._site = Site(
            mounted_at=MOUNTED_AT,
            call_type=Call,
            find=sessions.find,
            templates=Templates("hub.portal", {"static": files.addresses, "at": MOUNTED_AT}),
            cookie=SESSION_COOKIE,
            public_url=parts.portal_url,
        )
        sign_in = SignIn(accounts=parts.accounts, sessions=sessions, attempts=SignInAttempts())
        self.pages: tuple[Page, ...] = (
            *sign_in.pages(),
            *SearchPages(
                archive=parts.archive, registry=parts.registry, readings=parts.readings, clock=parts.clock
            ).pages(),
            *StoryPages(
                storyteller=self._storyteller(parts),
                bundles=parts.bundles,
                readings=parts.readings,
                clock=parts.clock,
            ).pages(),
            *self._console(parts),
            *LogPage(health=parts.health, alarms=parts.alarms).pages(),
        )
        pages = Starlette(
            routes=[*self._site.routes(self.pages), *files.routes()],
            exception_handlers={HTTPException: self._on_no_page, Exception: self._on_failure},
        )
        # Around everything: a middleware of Starlette's would not see what answers a failure.
        self.app = Protected(pages)

    def close(self) -> None:
        """Stop what runs behind the pages."""
        self._verifications.close()

    @staticmethod
    def _console(parts: PortalParts) -> tuple[Page, ...]:
        return (
            *NowPage(
                alarms=parts.alarms,
                outbox=parts.outbox,
                pauses=parts.pauses,
                weather=parts.weather,
                flows=parts.flows,
                registry=parts.registry,
                clock=parts.clock,
            ).pages(),
            *DeadLetterPages(
                letters=parts.dead_letters,
                outbox=parts.outbox,
                pauses=parts.pauses,
                weather=parts.weather,
                registry=parts.registry,
                readings=parts.readings,
                clock=parts.clock,
            ).pages(),
            *PartnerPages(
                weather=parts.weather,
                flows=parts.flows,
                gateways=parts.gateways,
                registry=parts.registry,
                clock=parts.clock,
            ).pages(),
            *PathPages(
                archive=parts.archive,
                log=parts.log,
                deliveries=parts.outbox,
                registry=parts.registry,
                readings=parts.readings,
                clock=parts.clock,
            ).pages(),
            *MaintenancePages(
                pauses=parts.pauses, outbox=parts.outbox, registry=parts.registry, clock=parts.clock
            ).pages(),
            *AlarmPages(alarms=parts.alarms).pages(),
        )

    def _storyteller(self, parts: PortalParts) -> Storyteller:
        return Storyteller(
            archive=parts.archive,
            prover=LogProver(log=parts.log, published=parts.published, stamps=parts.stamps),
            registry=parts.registry,
            verifications=self._verifications,
        )

    def _on_no_page(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        return self._site.call(request, None).refuse(PortalError("portal.page_unknown"), status=status)

    def _on_failure(self, request: Request, error: Exception) -> Response:
        # The server logs the error itself, with its place; readers learn nothing of the hub's inside.
        del error
        return self._site.call(request, None).refuse(ExchangeError("exchange.internal"))
