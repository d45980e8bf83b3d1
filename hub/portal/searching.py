# SPDX-License-Identifier: Apache-2.0
"""Finding messages: by a number somebody has in hand, or by who, what and when.

A number may be personal, such as a case number or the holder's, so it is sent by POST and stands in no
address, history or log. The filters are not, so their results can be kept as a bookmark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response

from hub.identifiers import MessageId, is_message_id
from hub.portal.names import Names
from hub.portal.pages import Call, Page
from hub.portal.signing_in import AUDITORS

if TYPE_CHECKING:
    from hub.exchange import Archive
    from hub.registry import Registry

_MOST = 50


@dataclass(frozen=True, kw_only=True)
class SearchPages:
    """The pages that find messages."""

    archive: Archive
    registry: Registry

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        return (
            Page(path="/messages", answer=self.start, roles=AUDITORS),
            Page(path="/messages", answer=self.find, roles=AUDITORS, method="POST"),
            Page(path="/conversations/{conversation}", answer=self.conversation, roles=AUDITORS),
        )

    def start(self, call: Call) -> Response:
        """Ask what to look for, and list what arrived last."""
        return self._start(call, None)

    def find(self, call: Call) -> Response:
        """Look up a number."""
        number = call.form.get("number", "").strip().lower()
        if not is_message_id(number):
            return self._start(call, "number_form" if number else "number_missing", status=422)
        if self.archive.find(MessageId(number)) is not None:
            return RedirectResponse(f"/portal/messages/{number}", 303)
        if self.archive.conversation(MessageId(number)):
            return RedirectResponse(f"/portal/conversations/{number}", 303)
        return self._start(call, "number_unknown", status=404)

    def conversation(self, call: Call) -> Response:
        """List the messages of a conversation."""
        conversation = call.request.path_params["conversation"]
        records = self.archive.conversation(MessageId(conversation)) if is_message_id(conversation) else ()
        names = Names(self.registry.snapshot)
        return call.render("conversation.html", conversation=conversation, records=records, names=names)

    def _start(self, call: Call, mistake: str | None, *, status: int = 200) -> Response:
        latest = self.archive.latest(_MOST)
        names = Names(self.registry.snapshot)
        return call.render("search.html", status=status, mistake=mistake, records=latest, names=names)
