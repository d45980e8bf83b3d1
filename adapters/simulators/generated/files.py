# SPDX-License-Identifier: Apache-2.0
"""A stand-in that exchanges files over SFTP: a server over a folder, and a batch job that watches it.

A request `<contract>_<message id>.json` in `inbox/`, its `.sha256` beside it, is answered by a file of the
same name in `outbox/`, with its `.sha256`; requests are moved to `done/`, what cannot be read to `error/`.
Both SFTP and the batch job are real; what is half-written is so on the disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from typing import TYPE_CHECKING

import asyncssh
import structlog

from adapters.simulators.generated.misconduct import Misbehaviour
from adapters.simulators.generated.offer import Offer, same_members
from adapters.simulators.generated.respondent import Outcome
from adapters.simulators.generated.web import broken

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.simulators.generated.misconduct import Misconduct
    from adapters.simulators.generated.respondent import Respondent, Said

_USERNAME = "qzj"
_FOLDERS = ("inbox", "outbox", "archive", "done", "error")
_POLL_SECONDS = 0.05
_HALF_WRITTEN_SECONDS = 0.6
_KEY_FILE = "client-key"
_logger = structlog.get_logger(__name__)


class _Watched(asyncssh.SSHServer):
    """Knows which connections are open."""

    def __init__(self, connections: set[asyncssh.SSHServerConnection]) -> None:
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connections.add(conn)
        self._connection = conn

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._connections.discard(self._connection)


class FileStandIn:
    """The server and its batch job.

    Args:
        respondent: knows the answers.
        misconduct: what goes wrong.
        root: the folder the server shows.
    """

    def __init__(self, respondent: Respondent, misconduct: Misconduct, root: Path) -> None:
        self._respondent = respondent
        self._misconduct = misconduct
        self._root = root
        self._prefix = respondent.contract.id.partition("/")[0]
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._client_key = asyncssh.generate_private_key("ssh-ed25519")
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._stopped = threading.Event()
        self._job = threading.Thread(target=self._run, name="stand-in-batch")

    async def listen(self, port: int) -> asyncssh.SSHAcceptor:
        """Start the SFTP server and the batch job; only the one key may sign in, and only for files."""
        for name in _FOLDERS:
            (self._root / name).mkdir(parents=True, exist_ok=True)
        authorized = asyncssh.import_authorized_keys(self._client_key.export_public_key().decode("ascii"))
        acceptor = await asyncssh.listen(
            "127.0.0.1",
            port,
            server_factory=lambda: _Watched(self._connections),
            server_host_keys=[self._host_key],
            authorized_client_keys=authorized,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(self._root).encode()),
            allow_scp=False,
        )
        self._job.start()
        return acceptor

    async def close(self, acceptor: asyncssh.SSHAcceptor) -> None:
        """End the server, its connections and the batch job."""
        self._stopped.set()
        acceptor.close()
        await acceptor.wait_closed()
        for connection in tuple(self._connections):
            connection.abort()
            await connection.wait_closed()
        await asyncio.to_thread(self._job.join, 20)

    def offer(self, port: int) -> Offer:
        """Return how an adapter reaches it."""
        contract = self._respondent.contract
        request = next((part.schema for part in contract.request if part.schema is not None), None)
        response = next((part.schema for part in contract.response if part.schema is not None), None)
        name = f"{self._prefix}_{{message_id}}.json"
        file = {"name": name, "format": "json", "encoding": "utf-8"}
        return Offer(
            kind="sftp",
            port=port,
            connection={
                "host": "127.0.0.1",
                "port": port,
                "host_keys": [self._host_key.export_public_key().decode("ascii").strip()],
                "username": _USERNAME,
                "private_key": f"file:{_KEY_FILE}",
                "inbox": "/inbox",
                "outbox": "/outbox",
                "archive": "/archive",
                "poll_seconds": 0.05,
                "request": dict(file),
                "answer": dict(file),
            },
            request=same_members(request, "request"),
            response=same_members(response, "answer.document"),
            outcomes=(
                {"when": 'answer.document.stand_in == "not-found"', "error": "record_not_found"},
                {"when": 'answer.document.stand_in == "invalid"', "error": "system_fault"},
            ),
            secrets={_KEY_FILE: self._client_key.export_private_key("openssh").decode("ascii")},
        )

    def _run(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            for request in sorted((self._root / "inbox").glob(f"{self._prefix}_*.json")):
                try:
                    self._process(request)
                except (OSError, ValueError) as exc:
                    # One file that cannot be read must not end the batch job.
                    _logger.warning("stand-in.file_refused", file=request.name, reason=str(exc))

    def _process(self, request: Path) -> None:
        how = self._misconduct.of_next_call()
        if how is Misbehaviour.SLOW:
            self._stopped.wait(self._misconduct.slow_seconds)
        said = self._take(request)
        if said is None or how is Misbehaviour.FAULT or not self._respondent.contract.response:
            return
        words = {"stand_in": said.outcome.value} if said.outcome is not Outcome.ANSWERED else said.data
        data = broken(words) if how is Misbehaviour.BREAKS_CONTRACT else words
        self._publish(request.name, json.dumps(data, ensure_ascii=False).encode(), how)

    def _take(self, request: Path) -> Said | None:
        """Read a request and put it away; None for one that was not sent as it should be."""
        content = request.read_bytes()
        sidecar = request.with_name(f"{request.name}.sha256")
        is_whole = sidecar.exists() and sidecar.read_text(encoding="ascii") == _sidecar(request.name, content)
        for each in (request, sidecar):
            if each.exists():
                each.replace(self._root / ("done" if is_whole else "error") / each.name)
        return self._respondent.answer(json.loads(content)) if is_whole else None

    def _publish(self, name: str, content: bytes, how: Misbehaviour | None) -> None:
        outbox = self._root / "outbox"
        if how is Misbehaviour.OVERSIZED:
            content += b" " * 100_000_000
        if how is Misbehaviour.HALF_WRITTEN:
            # Old batch jobs write under the final name, and some write the digest first.
            (outbox / f"{name}.sha256").write_text(_sidecar(name, content), encoding="ascii")
            (outbox / name).write_bytes(content[: len(content) // 2])
            time.sleep(_HALF_WRITTEN_SECONDS)
        partial = outbox / f".{name}"
        partial.write_bytes(content)
        partial.replace(outbox / name)
        stated = b"another content" if how is Misbehaviour.WRONG_DIGEST else content
        (outbox / f"{name}.sha256").write_text(_sidecar(name, stated), encoding="ascii")


def _sidecar(name: str, content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n"
