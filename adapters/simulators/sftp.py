# SPDX-License-Identifier: Apache-2.0
"""The social insurance bureau's file exchange: an SFTP server over a folder, and a batch job that watches it.

A request `JFCX_<id>.csv` in `inbox/`, its `.sha256` beside it, is answered by `JFMX_<id>.csv` in `outbox/`,
GB18030, with its `.sha256`: one row a person, month and insurance. Requests are moved to `done/`.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncssh

from adapters.simulators import misbehaviour
from adapters.simulators.misbehaviour import SLOW_SECONDS, Misbehaviour, StandIn
from adapters.simulators.population import INSURANCES, months_until, population

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.clock import Clock

USERNAME = "qzj"
"""The name the front-end node (前置机) signs in with."""

ENCODING = "gb18030"
_FOLDERS = ("inbox", "outbox", "archive", "done")
_HEADINGS = ("序号", "公民身份号码", "姓名", "费款所属期", "险种类型", "缴费基数", "到账标志", "实缴单位")
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class FileExchange:
    """The stand-in.

    Args:
        folder: where it is told to misbehave.
        root: the folder the SFTP server shows.
        clock: says which months have begun.
    """

    folder: Path
    root: Path
    clock: Clock

    def prepare(self) -> None:
        """Make the folders."""
        for name in _FOLDERS:
            (self.root / name).mkdir(parents=True, exist_ok=True)

    async def listen(
        self, port: int, *, host_key: asyncssh.SSHKey, client_key: asyncssh.SSHKey
    ) -> asyncssh.SSHAcceptor:
        """Start the SFTP server; only the one key may sign in, and only for files."""
        authorized = asyncssh.import_authorized_keys(client_key.export_public_key().decode("ascii"))
        return await asyncssh.listen(
            "127.0.0.1",
            port,
            server_host_keys=[host_key],
            authorized_client_keys=authorized,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(self.root).encode()),
            allow_scp=False,
        )

    async def watch(self) -> None:
        """Run the batch job until it is cancelled."""
        while True:
            await asyncio.to_thread(self.process_waiting)
            await asyncio.sleep(_POLL_SECONDS)

    def process_waiting(self) -> None:
        """Answer every request that lies in the inbox."""
        for request in sorted((self.root / "inbox").glob("JFCX_*.csv")):
            how = misbehaviour.current(self.folder, StandIn.SFTP)
            if how is Misbehaviour.SLOW:
                time.sleep(SLOW_SECONDS)
            self._publish(request.name.replace("JFCX_", "JFMX_"), self._take(request, how), how)

    def _take(self, request: Path, how: Misbehaviour | None) -> bytes:
        """Read a request, put it away, and return the answer's content."""
        content = request.read_bytes()
        sidecar = request.with_name(f"{request.name}.sha256")
        if sidecar.read_text(encoding="ascii") != _sidecar(request.name, content):
            raise ValueError(f"{request.name} does not match its digest")
        [question] = csv.DictReader(io.StringIO(content.decode(ENCODING), newline=""))
        for each in (request, sidecar):
            each.replace(self.root / "done" / each.name)
        return self._statement(question["单位代码"], int(question["年度"]), how)

    def _publish(self, name: str, content: bytes, how: Misbehaviour | None) -> None:
        outbox = self.root / "outbox"
        if how is Misbehaviour.FAULT:
            return
        if how is Misbehaviour.HALF_WRITTEN:
            # Old batch jobs write under the final name, and some write the digest first.
            (outbox / f"{name}.sha256").write_text(_sidecar(name, content), encoding="ascii")
            (outbox / name).write_bytes(content[: len(content) // 2])
            time.sleep(0.6)
        fresh = outbox / f".{name}"
        fresh.write_bytes(content)
        fresh.replace(outbox / name)
        stated = b"another content" if how is Misbehaviour.WRONG_DIGEST else content
        (outbox / f"{name}.sha256").write_text(_sidecar(name, stated), encoding="ascii")

    def _statement(self, employer: str, year: int, how: Misbehaviour | None) -> bytes:
        text = io.StringIO(newline="")
        lines = csv.writer(text)
        lines.writerow(_HEADINGS)
        rows = _rows(employer, year, self._months(year), how)
        lines.writerows((number, *row) for number, row in enumerate(rows, start=1))
        if how is Misbehaviour.OVERSIZED:
            text.write("x" * 1_000_000)
        return text.getvalue().encode(ENCODING)

    def _months(self, year: int) -> tuple[str, ...]:
        return months_until(year, self.clock.now().date())


def _rows(
    employer: str, year: int, months: tuple[str, ...], how: Misbehaviour | None
) -> Iterator[tuple[str, ...]]:
    for month in months:
        for one in population(year).staff(employer, year):
            if not one.covers(month):
                continue
            arrived = "0" if month in one.unpaid_months else "1"
            base = "-1" if how is Misbehaviour.BREAKS_CONTRACT else one.base_yuan
            for insurance in INSURANCES:
                code = "999" if how is Misbehaviour.UNKNOWN_CODE else insurance
                person = one.person
                yield (
                    person.person_id,
                    person.name,
                    month.replace("-", ""),
                    code,
                    base,
                    arrived,
                    one.paid_by or "",
                )


def _sidecar(name: str, content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n"
