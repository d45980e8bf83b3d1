# SPDX-License-Identifier: Apache-2.0
"""The caseworkers' drafts: fetched from the hub, signed here, sent like any other message.

The hub never signs for a department; this is where its caseworkers' requests get their signature.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2
import structlog

from adapters.hubclient import Question
from hub.envelope import LargeEnvelope, Purpose, read_container
from hub.errors import ExchangeError, HubError
from hub.findings import logged
from hub.identifiers import ContractId, MessageId, ServiceId

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.hubclient import HubClient, VerifiedAnswer

_WAIT_SECONDS = 20
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 10.0
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class DraftRunner:
    """Turns one subsystem's drafts into messages until it is stopped.

    Attributes:
        token: of an account with the role gateway, bound to the subsystem.
        folder: where the containers of finished exchanges are put, one folder a message.
    """

    client: HubClient
    token: str = field(repr=False)
    folder: Path
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Work on drafts; a hub that cannot be reached is tried again.

        Whatever else goes wrong with one draft is logged and must not end the work on all others: nobody
        would notice, and a caseworker's request would wait for ever.
        """
        pause_seconds = _FIRST_PAUSE_SECONDS
        while not self.stopped.is_set():
            try:
                draft = self._claim()
                if draft is not None:
                    self._send(draft)
                pause_seconds = _FIRST_PAUSE_SECONDS
                continue
            except (HubError, httpx2.HTTPError) as error:
                _logger.warning("drafts.hub_unreachable", reason=str(error))
            except Exception:
                _logger.exception("drafts.failed_unforeseen")
            self.stopped.wait(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    def _claim(self) -> dict[str, Any] | None:
        response = self._post(f"claim?wait_seconds={_WAIT_SECONDS}")
        draft: dict[str, Any] | None = response.json()
        return draft

    def _send(self, draft: dict[str, Any]) -> None:
        question = Question(
            service=ServiceId(draft["service"]),
            contract=ContractId(draft["contract"]),
            data=draft["request"],
            purpose=Purpose(**draft["purpose"]),
            conversation=MessageId(draft["id"]),
            message_id=MessageId(draft["id"]),
        )
        try:
            answer = self.client.ask(question)
        except HubError as error:
            _logger.info("drafts.failed", message_id=draft["id"], code=error.code, **logged(error))
            self._post(f"{draft['id']}/failure", {"code": error.code, "detail": error.detail[:2000]})
            return
        # The hub hears first: a folder that cannot be written must not make the draft come back.
        self._post(f"{draft['id']}/settled")
        self._keep(answer)
        _logger.info("drafts.answered", message_id=draft["id"])

    def _keep(self, answer: VerifiedAnswer) -> None:
        folder = self.folder / answer.request.header.id
        folder.mkdir(parents=True, exist_ok=True)
        for name, envelope in (
            ("request", answer.request),
            ("response", answer.response),
            ("receipt", answer.receipt),
        ):
            partial = folder / f".{name}.asice.part"
            with partial.open("wb") as file:
                if isinstance(envelope, LargeEnvelope):
                    file.writelines(read_container(envelope, answer.files))
                else:
                    file.write(envelope.raw)
            partial.rename(folder / f"{name}.asice")
        for payload in answer.files.values():
            payload.unlink()

    def _post(self, path: str, body: dict[str, str] | None = None) -> httpx2.Response:
        response = self.client.http.post(
            f"{self.client.url}/api/v1/evidence/drafts/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=httpx2.Timeout(_WAIT_SECONDS + 10.0, connect=5.0),
        )
        if response.is_error:
            raise ExchangeError("exchange.undeliverable", f"the hub answered HTTP {response.status_code}")
        return response
