# SPDX-License-Identifier: Apache-2.0
"""What a description says about an inbox: which files are taken, when they are finished, where they go."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from adapters.entry import ConnectionSettings
from adapters.layouts import LayoutSettings, known_encoding
from adapters.sftp.finishing import FinishSettings, NamePattern, SidecarRule
from adapters.sftp.settings import Folder, ServerSettings

_WEEK_SECONDS = 7 * 86_400


class Content(StrEnum):
    """What a file becomes."""

    MESSAGES = "messages"
    """Its rows, or the whole of it, in the contract's words."""
    PAYLOAD = "payload"
    """A payload beside `request.json`, as it stands, of any size."""
    CONTAINER = "container"
    """It is a message already, signed by the department: an `.asice` file."""


class PayloadSettings(ConnectionSettings):
    """What a file is called that travels beside `request.json`; its own name is `file.name` in mappings."""

    name: str
    media_type: str = "application/octet-stream"


class AnswerFormat(StrEnum):
    """How answers are written."""

    CSV = "csv"
    JSON_LINES = "json-lines"


class AnswerSettings(ConnectionSettings):
    """How answers to rows are written back; each answered row gives one."""

    format: Annotated[AnswerFormat, Field(strict=False)] = AnswerFormat.CSV
    encoding: Annotated[str, AfterValidator(known_encoding)] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","


class PickupSettings(ServerSettings):
    """An inbox that is emptied.

    Attributes:
        inbox: where files appear.
        archive: where files go that were taken; nothing is ever deleted there.
        errors: where files go that cannot be taken, each with a note that says why.
        reports: where acknowledgements, rejected rows and answers go; None for none.
        pattern: which names are taken.
        sidecar: whether `<name>.sha256` has to stand beside a file.
        layout: how rows stand in a file.
        settle_seconds: how long a file that is other than its digest says has to stay so before it is put
            away as damaged.
        unfinished_seconds: after how long an unfinished file is reported.
        most_bytes: of one file.
        lifetime_seconds: until when a message is of use.
        idle_seconds: how long the server may say nothing.
        clock_seconds: from which difference on the server's clock is reported as wrong.
    """

    inbox: Folder
    archive: Folder
    errors: Folder
    reports: Folder | None = None
    pattern: NamePattern = "*"
    finished: FinishSettings = FinishSettings()
    sidecar: Annotated[SidecarRule, Field(strict=False)] = SidecarRule.IF_THERE
    sidecar_suffix: Annotated[str, Field(pattern=r"^\.[^/]+$")] = ".sha256"
    content: Annotated[Content, Field(strict=False)] = Content.MESSAGES
    layout: LayoutSettings = LayoutSettings()
    payload: PayloadSettings | None = None
    answers: AnswerSettings = AnswerSettings()
    report_encoding: Annotated[str, AfterValidator(known_encoding)] = "utf-8-sig"
    settle_seconds: Annotated[float, Field(ge=0.1, le=86_400)] = 10.0
    unfinished_seconds: Annotated[float, Field(ge=0.1, le=864_000)] = 3600.0
    most_bytes: Annotated[int, Field(ge=1, le=1024**4)] = 10 * 1024**3
    lifetime_seconds: Annotated[float, Field(ge=60, le=90 * 86_400)] = float(_WEEK_SECONDS)
    idle_seconds: Annotated[float, Field(ge=1, le=600)] = 30.0
    clock_seconds: Annotated[float, Field(ge=1)] = 300.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        folders = [self.inbox, self.archive, self.errors, *([self.reports] if self.reports else [])]
        if len(set(folders)) != len(folders):
            raise ValueError("inbox, archive, errors and reports are different folders")
        if (self.content is Content.PAYLOAD) != (self.payload is not None):
            raise ValueError("payload says what the file is called where content is payload")
        return self
