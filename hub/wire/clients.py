# SPDX-License-Identifier: Apache-2.0
"""Who calls, by the certificate of the connection: asked for every request, of the trust list.

Source: docs/protocols/exchange.md section 14.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from hub.errors import ExchangeError, HubError, Language, TrustError
from hub.wire.refusing import PROBLEM_MEDIA_TYPE, describe
from hub.wire.tls import ClientCertificates

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from starlette.types import ASGIApp, Receive, Scope, Send

    from hub.identifiers import MemberId
    from hub.wire.peers import PeerJudge

_MEMBER = "client_member"
_CHAIN = "client_chain"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def client_member(state: Mapping[str, Any]) -> MemberId | None:
    """Return the member that a request's connection belongs to, from `scope["state"]`, or None."""
    member: MemberId | None = state.get(_MEMBER)
    return member


class ClientsByCertificate:
    """An application that is called only by whom the trust list believes.

    A certificate that was shown is always judged, needed or not: whoever shows a revoked one is refused.

    Args:
        app: what is called.
        judge: of clients' certificates.
        clients: who has to show one; who needs one for the connection does not come here without.
        messages_at: the paths at and below which messages are sent.
        only: the one member that may show one; None lets every member.
    """

    def __init__(
        self,
        app: ASGIApp,
        judge: PeerJudge,
        *,
        clients: ClientCertificates,
        messages_at: tuple[str, ...],
        only: MemberId | None = None,
    ) -> None:
        self._app = app
        self._judge = judge
        self._messages_at = () if clients is ClientCertificates.NONE else messages_at
        self._only = only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; see ASGI."""
        if scope["type"] == "http":
            try:
                scope["state"][_MEMBER] = await self._member(scope)
            except HubError as exc:
                await _refuse(exc, scope, send)
                return
        await self._app(scope, receive, send)

    async def _member(self, scope: Scope) -> MemberId | None:
        chain = scope["state"].get(_CHAIN, ())
        if not chain:
            if self._is_message(scope["method"], scope["path"]):
                raise ExchangeError("exchange.client_certificate_missing")
            return None
        # Asking about revocation waits for the network, which the event loop must not.
        member = self._judge.known(chain) or await asyncio.to_thread(self._judge.judge, chain)
        if self._only is not None and member != self._only:
            raise ExchangeError("exchange.client_certificate_mismatch", f"{member} is not {self._only}")
        return member

    def _is_message(self, method: str, path: str) -> bool:
        return method not in _READS and any(
            path == each or path.startswith(f"{each}/") for each in self._messages_at
        )


async def _refuse(error: HubError, scope: Scope, send: Send) -> None:
    status = 503 if isinstance(error, TrustError) and error.is_retryable else 403
    accepted = dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1").lower()
    language = Language.EN if accepted.strip().startswith("en") else Language.ZH
    body = json.dumps(describe(error, language, status), ensure_ascii=False).encode("utf-8")
    headers = [
        (b"content-type", PROBLEM_MEDIA_TYPE.encode("ascii")),
        (b"content-language", language.value.encode("ascii")),
        (b"content-length", b"%d" % len(body)),
        # The client is to come back with another certificate, and so on another connection.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
