# SPDX-License-Identifier: Apache-2.0
"""An archive file: a bounded part of what one data key encrypts; it verifies for itself.

    containers/<SHA-256>.sealed   the encrypted container (hub.vault.sealing), in the order of the digests
    evidence/<SHA-256>.ers        its evidence record (RFC 4998), where there was one
    archive.json                  RFC 8785: what is in it: digests, sizes, places; a checkpoint of the log
    archive.note                  C2SP signed note: the log's key vouches for SHA-256 of archive.json

It is a ZIP whose members are stored, so every container lies in it in one piece and unzip takes it out. Its
name is `<key id>/<part>-<SHA-256 of the file>.zip`. Nothing in it opens without the data key: destroying the
key erases every copy of the file.

Source: APPNOTE.TXT 6.3.10 (ZIP), C2SP signed-note.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.canonical import encode_canonical
from hub.errors import LogError, VaultError
from hub.tlog import open_note
from hub.vault.keyids import KeyId
from hub.vault.sealing import OVERHEAD_BYTES, container_subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hub.tlog import NoteSigner, VerifierKey
    from hub.vault.sealing import DataKey

FORMAT = "heliograph-archive/1"
_MANIFEST, _NOTE = "archive.json", "archive.note"
_NAME = re.compile(r"(?:.*/)?([^/]+)/([0-9]{4,8})-([0-9a-f]{64})\.zip")
_LOCAL_HEADER_BYTES = 30
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Archived:
    """Where a container lies in its archive.

    Attributes:
        sha256: of the container, lower-case hex.
        size: of the container, octets.
        position: of its encrypted form in the file, octets from the start.
    """

    sha256: str
    size: int
    position: int

    @property
    def sealed_size(self) -> int:
        """How long the encrypted form is, octets."""
        return self.size + OVERHEAD_BYTES


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What an archive says about itself beside its containers.

    Attributes:
        origin: the log's name.
        key_id: what its containers are encrypted under.
        part: its number among that key's archives, from 1.
        created_at: as in `hub.clock`.
        checkpoint: the log's last signed note; None while there is none.
    """

    origin: str
    key_id: KeyId
    part: int
    created_at: str
    checkpoint: str | None


class ArchiveWriter:
    """Writes an archive; `close` completes and names it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._zip = zipfile.ZipFile(file, "x", zipfile.ZIP_STORED)
        self._rows: list[dict[str, Any]] = []
        self.contents: list[Archived] = []
        self.size = 0

    def add(self, sha256: str, size: int, sealed: bytes, record: bytes | None) -> None:
        """Add an encrypted container, and its evidence record where there is one."""
        position = self._add(f"containers/{sha256}.sealed", sealed)
        row = {
            "bytes": size,
            "position": position,
            "sealed_sha256": hashlib.sha256(sealed).hexdigest(),
            "sha256": sha256,
        }
        if record is not None:
            self._add(f"evidence/{sha256}.ers", record)
            row["record_sha256"] = hashlib.sha256(record).hexdigest()
        self._rows.append(row)
        self.contents.append(Archived(sha256, size, position))
        self.size += len(sealed) + len(record or b"")

    def close(self, about: Circumstances, signer: NoteSigner) -> str:
        """Complete the file and return the path it is to have in a place."""
        manifest = encode_canonical(
            {
                "checkpoint": about.checkpoint,
                "containers": self._rows,
                "created_at": about.created_at,
                "format": FORMAT,
                "key": str(about.key_id),
                "log": about.origin,
                "part": about.part,
            }
        )
        self._add(_MANIFEST, manifest)
        self._add(_NOTE, signer.sign(_note_text(about.origin, about.key_id, about.part, manifest)).encode())
        self._zip.close()
        with self._file.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        return f"{about.key_id}/{about.part:04}-{digest}.zip"

    def _add(self, name: str, content: bytes) -> int:
        info = zipfile.ZipInfo(name, _DATE)
        self._zip.writestr(info, content)
        return info.header_offset + _LOCAL_HEADER_BYTES + len(name)


@dataclass(frozen=True)
class ReadArchive:
    """A file whose digest, members, manifest and signature hold.

    Attributes:
        sha256: of the file.
        key_id: what its containers are encrypted under.
        part: its number.
        contents: what it holds, in its order.
        raw: the file.
    """

    sha256: str
    key_id: KeyId
    part: int
    contents: tuple[Archived, ...]
    raw: bytes

    def sealed(self, each: Archived) -> bytes:
        """Return a container in its encrypted form."""
        return self.raw[each.position : each.position + each.sealed_size]


def verify_archive(path: str, raw: bytes, verifiers: Sequence[VerifierKey]) -> ReadArchive:
    """Check an archive without its data key: nothing is missing, added, moved or changed.

    Args:
        path: its name, with the folder it is in.
        raw: the file.
        verifiers: the log's keys.

    Raises:
        VaultError: `vault.archive_damaged`: what is wrong, and where.
    """
    found = _NAME.fullmatch(path)
    if found is None:
        raise _damaged(path, "is not named like an archive")
    digest = hashlib.sha256(raw).hexdigest()
    if digest != found[3]:
        raise _damaged(path, f"has the SHA-256 {digest}")
    try:
        members = dict(_members(raw))
        manifest = members.pop(_MANIFEST)[1]
        note = members.pop(_NOTE)[1].decode("utf-8")
        fields: dict[str, Any] = json.loads(manifest)
        origin, part = fields["log"], fields["part"]
        key_id = KeyId.parse(fields["key"])
        said = open_note(note, verifiers)
        contents = tuple(_checked(row, members) for row in fields["containers"])
        is_canonical = encode_canonical(fields) == manifest and fields["format"] == FORMAT
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError, NotImplementedError) as exc:
        raise _damaged(path, f"cannot be read: {exc}") from exc
    except LogError as exc:
        raise _damaged(path, f"is not signed by the log's key: {exc.detail}") from exc
    if not is_canonical or said != _note_text(origin, key_id, part, manifest):
        raise _damaged(path, "has a manifest that is not the one that was signed")
    if (found[1], int(found[2])) != (str(key_id), part):
        raise _damaged(path, f"is part {part} of {key_id}, under another name")
    if members:
        raise _damaged(path, f"holds {len(members)} members its manifest does not name")
    return ReadArchive(digest, key_id, part, contents, raw)


def open_all(archive: ReadArchive, key: DataKey) -> None:
    """Open every container of an archive, and compare it with its digest.

    Raises:
        VaultError: `vault.damaged`: one does not open, or is not what its digest says.
    """
    for each in archive.contents:
        plain = key.open(container_subject(each.sha256), archive.sealed(each))
        if hashlib.sha256(plain).hexdigest() != each.sha256:
            raise VaultError("vault.damaged", f"{each.sha256} is not what its digest says")


def _members(raw: bytes) -> Iterator[tuple[str, tuple[int, bytes]]]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        names = archive.namelist()
        if len(set(names)) != len(names):
            raise ValueError("a member is there twice")
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED or info.extra or info.flag_bits & 1:
                raise ValueError(f"{info.filename[:80]} is not simply stored")
            position = info.header_offset + _LOCAL_HEADER_BYTES + len(info.filename)
            yield info.filename, (position, archive.read(info))


def _checked(row: dict[str, Any], members: dict[str, tuple[int, bytes]]) -> Archived:
    """Take a container and its record out of the members, and hold them to the manifest's row."""
    each = Archived(row["sha256"], row["bytes"], row["position"])
    position, sealed = members.pop(f"containers/{each.sha256}.sealed")
    if (position, len(sealed)) != (each.position, each.sealed_size):
        raise ValueError(f"{each.sha256} does not lie where the manifest says")
    if hashlib.sha256(sealed).hexdigest() != row["sealed_sha256"]:
        raise ValueError(f"{each.sha256} was changed")
    if "record_sha256" in row:
        record = members.pop(f"evidence/{each.sha256}.ers")[1]
        if hashlib.sha256(record).hexdigest() != row["record_sha256"]:
            raise ValueError(f"the evidence record of {each.sha256} was changed")
    return each


def _note_text(origin: str, key_id: KeyId, part: int, manifest: bytes) -> str:
    # Its first line is no log's name, so nobody takes it for a checkpoint.
    digest = base64.b64encode(hashlib.sha256(manifest).digest()).decode("ascii")
    return f"{FORMAT} of {origin}\n{key_id} {part}\n{digest}\n"


def _damaged(path: str, what: str) -> VaultError:
    return VaultError("vault.archive_damaged", f"{path} {what}")
