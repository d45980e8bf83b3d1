# SPDX-License-Identifier: Apache-2.0
"""The versions of an adapter: who made, approved and switched on which; what differs; and going back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.wizard.pages import Call, Page
from hub.errors import AdapterError

if TYPE_CHECKING:
    from starlette.responses import Response

    from adapters.register import AdapterRegister
    from hub.identifiers import ServiceId


@dataclass(frozen=True, kw_only=True)
class VersionPages:
    """The pages about the versions of one adapter."""

    register: AdapterRegister

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        return (
            Page(path="/adapters/{service:path}/versions", answer=self.show),
            Page(path="/adapters/{service:path}/versions/{number}", answer=self.show_one),
            Page(path="/adapters/{service:path}/difference", answer=self.compare),
            Page(path="/adapters/{service:path}/versions", answer=self.act, method="POST"),
        )

    def show(self, call: Call) -> Response:
        """Show every version, and the record of who did what."""
        service = self._known(call)
        versions = self.register.versions(service)
        return call.render(
            "versions.html",
            service=service,
            versions=versions[::-1],
            active=next((each for each in versions if each.state == "active"), None),
            events=self.register.events(service)[::-1],
            four_eyes=self.register.has_four_eyes,
            has_file=bool(self.register.running_text(service)) and not self._is_registered(service),
        )

    def show_one(self, call: Call) -> Response:
        """Show one version's description."""
        service = self._known(call)
        version = self.register.version(service, _number(call.request.path_params["number"]))
        return call.render("version.html", service=service, version=version)

    def compare(self, call: Call) -> Response:
        """Show what differs between two versions."""
        service = self._known(call)
        query = call.request.query_params
        a, b = _number(query.get("from", "")), _number(query.get("to", ""))
        diff = self.register.diff(service, a, b).splitlines()
        return call.render("difference.html", service=service, a=a, b=b, diff=diff)

    def act(self, call: Call) -> Response:
        """Approve, activate, go back or retire."""
        service, by = self._known(call), call.signed_in.name
        action, number = call.form.get("do", ""), call.form.get("number", "")
        if action == "approve":
            self.register.approve(service, _number(number), by)
        elif action == "activate":
            self.register.activate(service, _number(number), by)
        elif action == "roll-back":
            self.register.rollback(service, by)
        elif action == "retire":
            self.register.retire(service, by)
        else:
            raise AdapterError("adapter.version_unknown", "no such action")
        return call.lead_to(f"/adapters/{service}/versions")

    def _known(self, call: Call) -> ServiceId:
        service = call.service
        if service not in self.register.services():
            raise AdapterError("adapter.version_unknown", "no such service")
        return service

    def _is_registered(self, service: ServiceId) -> bool:
        return self.register.active_of(service) is not None


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise AdapterError("adapter.version_unknown", "not a version's number")
    return int(text)
