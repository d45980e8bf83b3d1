# SPDX-License-Identifier: Apache-2.0
"""The page with one message's whole story, and what can be taken home from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse

from hub.bundles import Selection
from hub.errors import error_kinds
from hub.exchange import What, send_container
from hub.portal.pages import Call, Page
from hub.portal.visitors import AUDITORS
from hub.verifier import tell_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.bundles import EvidenceBundles
    from hub.clock import Clock
    from hub.exchange import Readings
    from hub.identifiers import MessageId
    from hub.portal.story import Storyteller

_MOST_READINGS = 20


@dataclass(frozen=True, kw_only=True)
class StoryPages:
    """The pages about one message."""

    storyteller: Storyteller
    bundles: EvidenceBundles
    readings: Readings
    clock: Clock

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        return (
            Page(path="/messages/{message_id}", answer=self.show, roles=AUDITORS),
            Page(path="/messages/{message_id}/containers/{part}", answer=self.download, roles=AUDITORS),
            Page(path="/messages/{message_id}/evidence", answer=self.export_message, roles=AUDITORS),
            Page(
                path="/conversations/{message_id}/evidence", answer=self.export_conversation, roles=AUDITORS
            ),
        )

    def show(self, call: Call) -> Response:
        """Show the whole story, once it is written down that somebody looks."""
        message_id = call.message_id
        story = self.storyteller.tell(message_id)
        self._record(call, What.STORY, [message_id])
        return call.render(
            "story.html",
            story=story,
            readings=self.readings.list(message_id=message_id, most=_MOST_READINGS),
            refusal=error_kinds().get(story.record.code or ""),
            told=lambda step: tell_step(step, call.language),
        )

    def download(self, call: Call) -> Response:
        """Hand out a container, byte for byte as it passed."""
        message_id, part = call.message_id, call.request.path_params["part"]
        digest = self.storyteller.digest(message_id, part)
        response = send_container(self.storyteller.archive.vault, digest, call.request.headers.get("range"))
        self._record(call, What.CONTAINER, [message_id], part)
        response.headers["Content-Disposition"] = f'attachment; filename="{message_id}-{part}.asice"'
        return response

    def export_message(self, call: Call) -> Response:
        """Hand out the evidence bundle of a message."""
        return self._send(call, Selection(message=call.message_id))

    def export_conversation(self, call: Call) -> Response:
        """Hand out one evidence bundle of a whole conversation."""
        return self._send(call, Selection(conversation=call.message_id))

    def _send(self, call: Call, selection: Selection) -> Response:
        prepared = self.bundles.prepare(selection)
        self._record(call, What.EVIDENCE, [record.message_id for record in prepared.records])
        return StreamingResponse(
            prepared.stream(),
            media_type="application/zip",
            headers={"Content-Disposition": f'attachment; filename="{prepared.file_name}"'},
        )

    def _record(self, call: Call, what: What, ids: Sequence[MessageId], detail: str = "") -> None:
        principal = call.signed_in.principal
        self.readings.record(principal, what, ids, at=self.clock.now(), detail=detail)
