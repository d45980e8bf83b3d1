# SPDX-License-Identifier: Apache-2.0
"""Finding messages: by a number somebody has in hand, or by who, what and when.

A number may be personal, such as a case number or the holder's, so it is sent by POST and stands in no
address, history or log; that somebody searched by it is written down. The filters are not personal, so their
results can be kept as a bookmark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import RedirectResponse, Response

from hub.errors import ExchangeError
from hub.exchange import ExchangeState, Search, What
from hub.identifiers import MessageId, is_message_id
from hub.portal.filters import Filters
from hub.portal.names import Names
from hub.portal.pages import Call, Page
from hub.portal.visitors import WATCHERS
from hub.registry import Service, Subsystem

if TYPE_CHECKING:
    from hub.clock import Clock
    from hub.exchange import Archive, Readings
    from hub.registry import Registry

ID_KIND = "id"
"""What a number is when it is the id of a message or a conversation, and no business key."""

_ON_A_PAGE = 50


@dataclass(frozen=True, kw_only=True)
class SearchPages:
    """The pages that find messages."""

    archive: Archive
    registry: Registry
    readings: Readings
    clock: Clock

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        return (
            Page(path="/messages", answer=self.start, roles=WATCHERS),
            Page(path="/messages", answer=self.find, roles=WATCHERS, method="POST"),
            Page(path="/conversations/{conversation}", answer=self.conversation, roles=WATCHERS),
        )

    def start(self, call: Call) -> Response:
        """Ask what to look for, and list what the filters let through; without any, what arrived last."""
        filters = Filters.of(call.request.query_params)
        if filters.mistakes:
            return self._show(call, filters=filters, status=422)
        found = self.archive.search(filters.to_search(_ON_A_PAGE))
        return self._show(call, filters=filters, found=found)

    def find(self, call: Call) -> Response:
        """Look up a number."""
        number, kind = call.form.get("number", "").strip(), call.form.get("kind", ID_KIND)
        if not number:
            return self._show(call, mistake="number_missing", status=422)
        if is_message_id(number.lower()):
            return self._find_by_id(call, MessageId(number.lower()))
        if kind == ID_KIND:
            return self._show(call, mistake="number_form", status=422)
        return self._find_by_key(call, kind, number)

    def conversation(self, call: Call) -> Response:
        """List the messages of a conversation, the latest first."""
        conversation = call.request.path_params["conversation"]
        if not is_message_id(conversation):
            raise ExchangeError("exchange.message_unknown", "not a conversation's id")
        cursor = call.request.query_params.get("cursor")
        found = self.archive.search(
            Search(conversation=MessageId(conversation), most=_ON_A_PAGE, cursor=cursor)
        )
        names = Names(self.registry.snapshot)
        return call.render("conversation.html", conversation=conversation, found=found, names=names)

    def _find_by_id(self, call: Call, number: MessageId) -> Response:
        if self.archive.find(number) is not None:
            return RedirectResponse(call.message_address(number), 303)
        if self.archive.search(Search(conversation=number, most=1)).records:
            return RedirectResponse(f"/portal/conversations/{number}", 303)
        return self._show(call, mistake="number_unknown", status=404)

    def _find_by_key(self, call: Call, kind: str, number: str) -> Response:
        search = Search(keys={kind: number}, most=_ON_A_PAGE, cursor=call.form.get("cursor") or None)
        found = self.archive.search(search)
        # Who looked for whom is written down before anything is shown; the value itself is not.
        ids = [record.message_id for record in found.records]
        principal = call.signed_in.principal
        self.readings.record(principal, What.SEARCH, ids, at=self.clock.now(), detail=kind)
        return self._show(call, found=found)

    def _show(self, call: Call, *, status: int = 200, **values: Any) -> Response:
        snapshot = self.registry.snapshot
        keys = self.archive.search_keys
        shown = {"filters": Filters(), "found": None, "mistake": None} | values
        return call.render(
            "search.html",
            status=status,
            kinds=() if keys is None else tuple(keys.kinds),
            subsystems=snapshot.all_of(Subsystem),
            services=snapshot.all_of(Service),
            states=tuple(ExchangeState),
            names=Names(snapshot),
            **shown,
        )
