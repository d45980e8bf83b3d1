# SPDX-License-Identifier: Apache-2.0
"""Asking one witness over HTTP, so that none, however slow, hostile or broken, does more than fail to answer.

Source: C2SP tlog-witness, "add-checkpoint".
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx2

from hub.errors import LogError
from hub.tlog import Note, instant_of, read_number

if TYPE_CHECKING:
    from datetime import datetime

    from hub.tlog import PolicyWitness

LONGEST_SECONDS = 15.0
"""How long one answer may take in all, however steadily it trickles in."""

_TIMEOUT = httpx2.Timeout(5.0)
_MOST_ANSWER_BYTES = 256 * 1024
_SIZE_MEDIA_TYPE = "text/x.tlog.size"


class OtherSizeError(Exception):
    """The witness knows the log at another size; it says which."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the witness knows {size} entries")
        self.size = size


class WitnessClient:
    """Submits checkpoints to one witness.

    Args:
        witness: with its URL.
        client: carries the requests; one with short timeouts, without redirects and without the
            environment's proxies when left out.
        longest_seconds: how long one answer may take in all.
    """

    def __init__(
        self,
        witness: PolicyWitness,
        client: httpx2.Client | None = None,
        *,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        if witness.url is None:
            raise ValueError("a witness without a URL cannot be asked")
        self._key = witness.key
        self._url = f"{witness.url.rstrip('/')}/add-checkpoint"
        self._client = client or httpx2.Client(
            timeout=_TIMEOUT,
            # Checkpoints are a minute apart, so no connection is kept open between them.
            limits=httpx2.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )
        self._longest_seconds = longest_seconds

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def submit(self, submission: bytes, note: str) -> tuple[str, datetime]:
        """Have a checkpoint cosigned.

        Args:
            submission: the request's body.
            note: the signed checkpoint in it, without cosignatures.

        Returns:
            The cosignature's line, found to hold, and the time it states.

        Raises:
            OtherSizeError: the witness wants a proof from another size.
            LogError: `log.witness_disagrees`: it says that the checkpoint does not follow the one it knows;
                `log.witness_unreachable`: it gave no usable answer.
        """
        status, media_type, body = self._post(submission)
        if status == 200:
            return self._read_cosignature(body, note)
        if status == 409 and media_type == _SIZE_MEDIA_TYPE:
            try:
                size = read_number(body.removesuffix("\n"))
            except ValueError as exc:
                raise _unreachable("HTTP 409 without a size") from exc
            raise OtherSizeError(size)
        if status == 422:
            raise LogError("log.witness_disagrees", "it says that the log does not grow out of what it knows")
        raise _unreachable(f"HTTP {status}")

    def _post(self, submission: bytes) -> tuple[int, str, str]:
        until = time.monotonic() + self._longest_seconds
        body = bytearray()
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        try:
            with self._client.stream("POST", self._url, content=submission, headers=headers) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > _MOST_ANSWER_BYTES or time.monotonic() > until:
                        raise _unreachable("its answer is too long or too slow")
                media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                return response.status_code, media_type, body.decode("utf-8")
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, RuntimeError) as exc:
            # A closed client raises RuntimeError: the hub is ending.
            raise _unreachable(type(exc).__name__) from exc

    def _read_cosignature(self, answer: str, note: str) -> tuple[str, datetime]:
        try:
            for each in Note.decode(note + answer).verify([self._key]):
                # An answer that states no time says nothing of the largest tree.
                if each.timestamp is not None and each.line in answer:
                    return each.line, instant_of(each.timestamp)
        except LogError as exc:
            raise _unreachable(f"no usable cosignature: {exc.detail}") from exc
        raise _unreachable("no cosignature by the key that is known of it")


def _unreachable(detail: str) -> LogError:
    return LogError("log.witness_unreachable", detail)
