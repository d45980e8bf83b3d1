# SPDX-License-Identifier: Apache-2.0
"""What a description says about an SFTP server, its folders and the files in them."""

from __future__ import annotations

import codecs
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from adapters.entry import ConnectionSettings
from adapters.references import (
    ReferredPort,
    ReferredText,
    SecretReference,
)


class FileFormat(StrEnum):
    """How a file is written."""

    CSV = "csv"
    JSON = "json"
    CONTAINER = "container"
    """The message as its sender signed it, an `.asice` file; nothing is mapped."""


def _encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError as exc:
        raise ValueError("no such encoding") from exc
    return name


def _file_name(template: str) -> str:
    name = template.replace("{message_id}", "")
    if "/" in name or "{" in name or template.startswith(".") or template == name:
        raise ValueError("a file name holds {message_id}, no folder, and does not start with a dot")
    return template


class FileSettings(ConnectionSettings):
    """One kind of file.

    Attributes:
        name: with `{message_id}`, so that no two requests share a file.
        columns: of a CSV answer without a heading line.
        sidecar: whether a request is published with its `.sha256`; answers always need theirs.
    """

    name: Annotated[str, AfterValidator(_file_name)]
    format: Annotated[FileFormat, Field(strict=False)] = FileFormat.CSV
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    columns: tuple[str, ...] | None = Field(default=None, strict=False)
    sidecar: bool = True


def _folder(path: str) -> str:
    return path.rstrip("/") or "/"


Folder = Annotated[str, Field(min_length=1), AfterValidator(_folder)]
"""A folder at the server."""


class ServerSettings(ConnectionSettings):
    """An SFTP server and who signs in there.

    Attributes:
        host_keys: the server's public keys as `ssh-ed25519 AAAA…`; any other key is refused.
        private_key: OpenSSH or PEM text; with `passphrase` where it is encrypted.
        staging: where files are written before they get their names, on the same disk as where they go; by
            default that folder itself, under a name that starts with a dot.
    """

    host: ReferredText
    port: ReferredPort = 22
    host_keys: Annotated[tuple[ReferredText, ...], Field(min_length=1, strict=False)]
    username: ReferredText
    password: SecretReference | None = None
    private_key: SecretReference | None = None
    passphrase: SecretReference | None = None
    staging: Folder | None = None

    @model_validator(mode="after")
    def _check_sign_in(self) -> Self:
        if (self.password is None) == (self.private_key is None):
            raise ValueError("sign in with either a password or a private_key")
        return self


class SftpSettings(ServerSettings):
    """Request files and their answer files; without `answer`, files that nothing answers.

    Attributes:
        inbox: where requests go.
        outbox: where answers appear.
        archive: where processed answers go; files are never deleted.
        answer: None for one-way messages and events, which are put down and that is all.
        poll_seconds: how often the outbox is looked into.
        settle_seconds: how long a file that does not match its digest has to stay unchanged before it is
            called damaged and not merely unfinished.
    """

    inbox: Folder
    outbox: Folder = ""
    archive: Folder = ""
    request: FileSettings
    answer: FileSettings | None = None
    poll_seconds: Annotated[float, Field(ge=0.02, le=60)] = 0.2
    settle_seconds: Annotated[float, Field(ge=0.1, le=600)] = 2.0
    max_answer_bytes: Annotated[int, Field(ge=1024, le=500_000_000)] = 50_000_000

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.answer is None:
            if self.outbox or self.archive:
                raise ValueError("outbox and archive belong to answers")
            return self
        if self.answer.format is FileFormat.CONTAINER:
            raise ValueError("an answer is no container")
        if len({self.inbox, self.outbox, self.archive, ""}) != 4:
            raise ValueError("inbox, outbox and archive are three folders")
        return self
