# SPDX-License-Identifier: Apache-2.0
"""The console's pages and calls, and what every step of a registration does alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response

from adapters.console.problems import status_of
from adapters.wizard.sessions import Visitor
from hub import pages
from hub.errors import AdapterError, HubError
from hub.identifiers import ServiceId, is_service_id

if TYPE_CHECKING:
    from adapters.wizard.drafts import Draft, KeptDraft
    from adapters.wizard.draftstore import DraftStore

MOUNTED_AT = "/console"
SESSION_COOKIE = "heliograph-console"

STEPS = ("source", "operation", "service", "question", "sample", "answer", "tests", "activation")
"""The steps of a registration, in their order; each is the last part of its page's address."""


@dataclass(frozen=True, kw_only=True)
class Call(pages.Call[Visitor]):
    """One request for a page of the console."""

    @property
    def service(self) -> ServiceId:
        """The service that the address names.

        Raises:
            AdapterError: `adapter.version_unknown`: it is the form of none.
        """
        text = self.request.path_params["service"]
        if not is_service_id(text):
            raise AdapterError("adapter.version_unknown", "not a service id")
        return ServiceId(text)

    def refuse(self, error: HubError, *, status: int | None = None) -> Response:
        """Answer with the page about an error."""
        return super().refuse(error, status=status or status_of(error))

    def lead_to(self, path: str) -> Response:
        """Have the browser open another page of the console."""
        return RedirectResponse(f"{self.site.mounted_at}{path}", 303)


@dataclass(frozen=True, kw_only=True)
class Page(pages.Page[Call]):
    """One address of the console; only administrators open pages, but for those around signing in."""

    is_open: bool = False

    @property
    def is_public(self) -> bool:
        """Whether it needs no sign-in."""
        return self.is_open


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where drafts are taken from and put back."""

    drafts: DraftStore

    def find(self, call: Call) -> KeptDraft:
        """Return the draft that the address names.

        Raises:
            AdapterError: `adapter.draft_unknown`.
        """
        return self.drafts.find(call.request.path_params["draft"])

    def find_as_seen(self, call: Call) -> KeptDraft:
        """Return the draft a form was made for.

        Raises:
            AdapterError: `adapter.draft_changed`: it has changed since; `adapter.draft_unknown`.
        """
        kept = self.find(call)
        if call.form.get("revision") != str(kept.revision):
            raise AdapterError("adapter.draft_changed", f"step {kept.revision}")
        return kept

    def keep(self, call: Call, kept: KeptDraft, draft: Draft, *, step: str) -> KeptDraft:
        """Keep what a step made of a draft."""
        return self.drafts.change(kept, draft, what=step, by=call.signed_in.name)

    @staticmethod
    def lead_to(call: Call, kept: KeptDraft, step: str, place: str = "") -> Response:
        """Have the browser open a step's page."""
        return call.lead_to(f"/drafts/{kept.id}/{step}{place}")
