# SPDX-License-Identifier: Apache-2.0
"""Access tokens from a token endpoint, fetched once and kept until shortly before they expire.

Source: RFC 6749 sections 2.3.1, 4.4, 5.1 and 5.2; RFC 6750 section 2.1; RFC 8705 section 2.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from adapters.bodies import read_json
from adapters.rest.authentication import basic
from adapters.web import Outgoing
from hub.errors import AdapterError

if TYPE_CHECKING:
    from adapters.ports import JsonObject
    from adapters.rest.authentication import OAuth2Auth
    from adapters.web import Reply, WebClient

_USUAL_LIFETIME_SECONDS = 300
_LONGEST_LIFETIME_SECONDS = 86_400
# Section 5.2; what else an endpoint says is not shown.
_ERRORS = ("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope")


@dataclass(frozen=True)
class _Token:
    text: str
    ends_at: float


class Tokens:
    """Keeps one client's token; any number of threads.

    Args:
        settings: of the client.
        client: speaks to the token endpoint, and to nothing else with what it is given here.
    """

    def __init__(self, settings: OAuth2Auth, client: WebClient) -> None:
        self._settings = settings
        self._client = client
        self._lock = threading.Lock()
        self._token: _Token | None = None

    def token(self, seconds: float) -> str:
        """Return a token that is valid now.

        Raises:
            AdapterError: `adapter.system_timeout`, `adapter.system_unreachable`; `adapter.system_fault` where
                the endpoint refuses the client; `adapter.answer_unreadable`.
        """
        started = time.monotonic()
        if not self._lock.acquire(timeout=seconds):
            raise AdapterError("adapter.system_timeout", "the token endpoint did not answer in time")
        try:
            if self._token is None or self._token.ends_at <= time.monotonic():
                self._token = self._fetch(max(seconds - (time.monotonic() - started), 0.001))
            return self._token.text
        finally:
            self._lock.release()

    def forget(self, token: str) -> None:
        """Fetch a new one the next time: this one was refused."""
        with self._lock:
            if self._token is not None and self._token.text == token:
                self._token = None

    def _fetch(self, seconds: float) -> _Token:
        settings = self._settings
        form = {"grant_type": "client_credentials", **settings.parameters}
        if settings.scope:
            form["scope"] = settings.scope
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if settings.secret is None:
            form["client_id"] = settings.client_id
        elif settings.send_as == "body":
            form |= {"client_id": settings.client_id, "client_secret": settings.secret.reveal()}
        else:
            # Both are form-encoded before they are put together (RFC 6749 section 2.3.1).
            pair = (quote(settings.client_id, safe=""), quote(settings.secret.reveal(), safe=""))
            headers["Authorization"] = basic(*pair)
        asked_at = time.monotonic()
        request = Outgoing(
            "POST", settings.token_url, headers=headers, content=urlencode(form).encode("ascii")
        )
        reply = self._client.send(request, seconds=seconds)
        return _read(reply, asked_at)


def _read(reply: Reply, asked_at: float) -> _Token:
    if reply.status_code in {429, 502, 503, 504}:
        raise AdapterError(
            "adapter.system_unreachable", f"the token endpoint answers HTTP {reply.status_code}"
        )
    try:
        said = read_json(reply.content)
    except AdapterError as exc:
        if reply.status_code == 200:
            raise AdapterError("adapter.answer_unreadable", "the token endpoint answers no JSON") from exc
        said = {}
    answer: JsonObject = said if isinstance(said, dict) else {}
    if reply.status_code != 200:
        error = answer.get("error")
        shown = f" ({error})" if error in _ERRORS else ""
        detail = f"the token endpoint refuses the sign-in: HTTP {reply.status_code}{shown}"
        raise AdapterError("adapter.system_fault", detail)
    token, kind = answer.get("access_token"), answer.get("token_type", "Bearer")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
        raise AdapterError("adapter.answer_unreadable", "the token endpoint hands out no token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise AdapterError("adapter.answer_unreadable", "the token is not a bearer token")
    return _Token(token, asked_at + _lifetime(answer.get("expires_in")))


def _lifetime(said: object) -> float:
    """Return how long a token is used: a tenth, at most half a minute, less than it is valid."""
    text = str(said)
    is_known = text.isascii() and text.isdigit() and len(text) < 10
    seconds = min(int(text), _LONGEST_LIFETIME_SECONDS) if is_known else _USUAL_LIFETIME_SECONDS
    return seconds - min(seconds / 10, 30)
