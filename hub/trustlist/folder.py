# SPDX-License-Identifier: Apache-2.0
"""Versions of the trust list as files: `trust-list-000001.asice` and so on, and the signers that are pinned.

A gateway keeps its versions this way, an operator installs them this way, a verifier is handed them this way.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from cryptography import x509

from hub.trust import Bilingual, TrustList, refusal
from hub.trustlist.container import MOST_BYTES, SignedTrustList, open_trust_list
from hub.trustlist.document import TrustListDocument, decode_document
from hub.trustlist.history import TrustListHistory, check_history

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

_NAME = re.compile(r"trust-list-([0-9]{6})\.asice")


def file_name(sequence: int) -> str:
    """Return the file name of a version."""
    return f"trust-list-{sequence:06}.asice"


class FolderStore:
    """Keeps versions in a folder; each file is written whole or not at all, and never again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, after: int = 0) -> list[bytes]:
        """Return the containers whose numbers are higher than `after`, in their order."""
        return read_containers(self._folder, after=after) if self._folder.is_dir() else []

    def append(self, version: SignedTrustList, *, by: str, at: datetime) -> None:
        """Keep one version more.

        Raises:
            TrustError: `trust.trust_list_forked`.
        """
        del by, at
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / file_name(version.sequence)
        partial = target.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(version.raw)
            file.flush()
            os.fsync(file.fileno())
        try:
            # Unlike a renaming, a link never replaces what is there.
            target.hardlink_to(partial)
        except FileExistsError as exc:
            if target.read_bytes() != version.raw:
                sequence = str(version.sequence)
                at_fault = refusal(
                    "list_forked", version.signer, version.document.issued_at, sequence=sequence
                )
                raise at_fault from exc
        finally:
            partial.unlink()


def read_containers(path: Path, *, after: int = 0) -> list[bytes]:
    """Read the containers of a folder in the order of their numbers, or the one of a file.

    Raises:
        TrustError: `trust.trust_list_invalid` for a file that cannot be read or is too large,
            `trust.trust_list_untrusted` for an unsigned list.
    """
    if not path.is_dir():
        return [_read(path)]
    numbered = ((_NAME.fullmatch(file.name), file) for file in path.iterdir())
    files = sorted((int(match[1]), file) for match, file in numbered if match)
    return [_read(file) for number, file in files if number > after]


def read_trust_lists(path: Path, pinned: Sequence[x509.Certificate]) -> TrustListHistory:
    """Read what an offline verifier was handed: a folder of versions, or one version.

    A history may begin later than with the first version when a pinned signer signed where it begins; it then
    judges nothing from before.

    Raises:
        TrustError: it is no history of versions that may be believed.
    """
    return check_history([open_trust_list(raw) for raw in read_containers(path)], pinned)


def read_pinned(path: Path) -> tuple[x509.Certificate, ...]:
    """Read the certificates of the signers that are believed from the start, PEM.

    Raises:
        TrustError: `trust.trust_list_untrusted`, there are none.
    """
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError) as exc:
        problem = f"{path.name} holds no readable PEM certificate"
        raise refusal("list_signer_not_pinned", problem=problem) from exc


def read_unsafe_unsigned_list(path: Path) -> TrustList:
    """Read a `trust-list.json` that nobody signed; for development alone.

    Raises:
        TrustError: `trust.trust_list_invalid`.
    """
    return read_document(path).to_trust_list()


def read_document(path: Path) -> TrustListDocument:
    """Read a document that lies outside a container, in any JSON form.

    Raises:
        TrustError: `trust.trust_list_invalid`.
    """
    try:
        # People format what they edit; the canonical form is asked of what was signed.
        text = json.dumps(
            json.loads(_bytes_of(path)), ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )
    except ValueError as exc:
        raise refusal(
            "list_malformed", problem=Bilingual(f"{path.name} is not JSON", f"{path.name}不是JSON")
        ) from exc
    return decode_document(text.encode("utf-8"))


def _read(file: Path) -> bytes:
    content = _bytes_of(file)
    if not content.startswith(b"PK"):
        raise refusal("list_unsigned", name=file.name)
    return content


def _bytes_of(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as exc:
        raise refusal(
            "list_container_broken", problem=Bilingual(f"{file.name} cannot be read", f"{file.name}无法读取")
        ) from exc
    if len(content) > MOST_BYTES:
        raise refusal(
            "list_container_broken",
            problem=Bilingual(
                f"{file.name} has more than {MOST_BYTES} bytes", f"{file.name}超过{MOST_BYTES}字节"
            ),
        )
    return content
