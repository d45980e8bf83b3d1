# SPDX-License-Identifier: Apache-2.0
"""What is known of a container that comes in piece by piece, and how much of that is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from hub.envelope import MOST_BYTES

if TYPE_CHECKING:
    from datetime import datetime

    from hub.identifiers import MemberId


@dataclass(frozen=True)
class TransferLimits:
    """How much may be under way.

    Attributes:
        container_bytes: how large one container may be.
        member_bytes: of all containers of one member that are coming in.
        member_uploads: how many of them there may be.
        idle: after how long without a byte an upload is removed.
    """

    container_bytes: int = MOST_BYTES
    member_bytes: int = 16 * 1024**3
    member_uploads: int = 20
    idle: timedelta = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A container that was announced.

    Attributes:
        id: names its place.
        member: who sends it.
        container_sha256: as announced, lower-case hex.
        length: of the container, octets.
        file: where the vault puts it.
        announcement: encrypted by the vault.
        created_at: when it was announced first, UTC.
        expires_at: when its message does, UTC.
    """

    id: str
    member: MemberId
    container_sha256: str
    length: int
    file: str
    announcement: bytes
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Position:
    """How far an upload has come.

    Attributes:
        upload_id: names its place.
        offset: how many bytes are there.
        length: of the container.
        is_new: whether the place was made just now.
    """

    upload_id: str
    offset: int
    length: int
    is_new: bool = False
