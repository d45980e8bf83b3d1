# SPDX-License-Identifier: Apache-2.0
"""Maintenance: a service is paused while its department works on it, with a reason and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from starlette.responses import RedirectResponse, Response

from hub.clock import CHINA
from hub.errors import RegistryError
from hub.identifiers import ServiceId
from hub.portal.names import Names
from hub.portal.pages import Call, Page
from hub.portal.visitors import OPERATORS, WATCHERS
from hub.registry import Service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.clock import Clock
    from hub.outbox import Outbox, Pauses
    from hub.registry import Registry

CHOICES = (15, 30, 60, 120, 240, 480, 1440)
"""Minutes that are offered; another end is written as an instant."""

LONGEST_REASON = 300
_MOST_PAST = 10
_LONGEST = timedelta(days=31)
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A pause as the form asks for it.

    Attributes:
        reason: in the operator's words.
        until: UTC; None when it cannot be read.
        mistakes: fields that are not what they should be.
    """

    reason: str
    until: datetime | None
    mistakes: tuple[str, ...]

    @classmethod
    def of(cls, form: Mapping[str, str], now: datetime) -> Asked:
        """Read the form.

        Args:
            form: `reason`; `minutes`, one of the choices, or `until`, an instant of Beijing time.
            now: UTC.
        """
        reason, until = " ".join(form.get("reason", "").split()), _end_of(form, now)
        mistakes = [] if 0 < len(reason) <= LONGEST_REASON else ["reason"]
        if until is None or not now < until <= now + _LONGEST:
            mistakes.append("until")
        return cls(reason=reason, until=until, mistakes=tuple(mistakes))


@dataclass(frozen=True, kw_only=True)
class MaintenancePages:
    """The pages that pause services and let them go on."""

    pauses: Pauses
    outbox: Outbox
    registry: Registry
    clock: Clock

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        one = "/services/{service:path}"
        return (
            Page(path="/services", answer=self.show, roles=WATCHERS),
            Page(path=f"{one}/pause", answer=self.ask, roles=OPERATORS),
            Page(path=f"{one}/pause", answer=self.pause, roles=OPERATORS, method="POST"),
            Page(path=f"{one}/resumption", answer=self.resume, roles=OPERATORS, method="POST"),
        )

    def show(self, call: Call) -> Response:
        """List the services, the paused ones first."""
        snapshot, paused = self.registry.snapshot, {each.service: each for each in self.pauses.current()}
        services = sorted(snapshot.all_of(Service), key=lambda each: (each.id not in paused, each.id))
        return call.render(
            "services.html",
            services=services,
            paused=paused,
            past=self.pauses.past(_MOST_PAST),
            depth=self.outbox.depth(),
            names=Names(snapshot),
            now=self.clock.now(),
        )

    def ask(self, call: Call) -> Response:
        """Ask why and until when, and say what a pause does."""
        return self._form(call, self._service(call), {})

    def pause(self, call: Call) -> Response:
        """Pause a service, in the visitor's name."""
        service, now = self._service(call), self.clock.now()
        asked = Asked.of(call.form, now)
        if asked.mistakes or asked.until is None:
            return self._form(call, service, call.form, mistakes=asked.mistakes, status=422)
        subject = call.signed_in.principal.subject
        self.pauses.pause(service.id, by=subject, reason=asked.reason, until=asked.until)
        _logger.info("portal.acted", action="pause", service=service.id, by=subject)
        return RedirectResponse("/portal/services", 303)

    def resume(self, call: Call) -> Response:
        """Let a service go on before its pause ends, in the visitor's name."""
        service, subject = self._service(call), call.signed_in.principal.subject
        self.pauses.resume(service.id, by=subject)
        _logger.info("portal.acted", action="resume", service=service.id, by=subject)
        return RedirectResponse("/portal/services", 303)

    def _form(self, call: Call, service: Service, given: Mapping[str, str], **values: Any) -> Response:
        status = values.pop("status", 200)
        shown = {"mistakes": ()} | values
        return call.render(
            "pause.html",
            status=status,
            service=service,
            pause=self.pauses.find(service.id),
            given=given,
            choices=[(each, timedelta(minutes=each)) for each in CHOICES],
            names=Names(self.registry.snapshot),
            **shown,
        )

    def _service(self, call: Call) -> Service:
        wanted = ServiceId(call.request.path_params["service"])
        service = self.registry.snapshot.find(Service, wanted)
        if service is None:
            raise RegistryError("registry.service_unknown", "no service of this id is registered")
        return service


def _end_of(form: Mapping[str, str], now: datetime) -> datetime | None:
    """Return the end a form asks for; None when it is none."""
    written, minutes = form.get("until", "").strip(), form.get("minutes", "")
    if not written:
        return now + timedelta(minutes=int(minutes)) if minutes in map(str, CHOICES) else None
    try:
        # As browsers send <input type=datetime-local>: without a zone.
        local = datetime.strptime(written[:16], "%Y-%m-%dT%H:%M").replace(tzinfo=CHINA)
    except ValueError:
        return None
    return local.astimezone(UTC)
