# SPDX-License-Identifier: Apache-2.0
"""What a description says about a table whose rows are sent: the front-end node's table with its flag."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from adapters.entry import ConnectionSettings
from adapters.tables.settings import Column, DatabaseSettings

FlagValue = str | int | bool
"""What stands in a flag's column."""


class FlagSettings(ConnectionSettings):
    """A column that says how far a row has come (是否同步).

    Attributes:
        waiting: the row shall be sent.
        taken: the gateway has it. Only one gateway may take from a table without `taken_by`.
        done: it was sent and its recipient has it.
        refused: it was not; why stands in the result's table and in the log.
        taken_by: a text column in which a gateway writes whose the row is; for several gateways at one table.
    """

    column: Column
    waiting: FlagValue = 0
    taken: FlagValue = 2
    done: FlagValue = 1
    refused: FlagValue = 9
    taken_by: Column | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        values = [self.waiting, self.taken, self.done, self.refused]
        if len({str(value) for value in values}) != len(values):
            raise ValueError("waiting, taken, done and refused are four values")
        return self


class WatermarkSettings(ConnectionSettings):
    """A column that only grows: a sequence, or when a row was changed. The table itself is left as it is.

    Attributes:
        start: rows with this value or less are left out; all are sent without it.
        overlap: how far back each look goes, in seconds for instants and in numbers for sequences: what was
            numbered early may be committed late. A row that was sent is not sent again for that.
    """

    column: Column
    start: str | int | None = None
    overlap: Annotated[int, Field(ge=0, le=86_400)] = 300


class ResultSettings(ConnectionSettings):
    """A table in which the gateway writes what became of each row; one row for each message.

    What the answer is in the department's words (`response`) goes into columns of the same names.

    Attributes:
        message_id: the column with the message's id, by which a result is written once.
        state: gets `processed` or `refused`; `code` and `detail` get why.
        at: gets the instant.
        key: the sent row's columns, by the result's columns that take them.
    """

    table: Column
    message_id: Column
    state: Column | None = None
    code: Column | None = None
    detail: Column | None = None
    at: Column | None = None
    key: dict[Column, Column] = Field(default={})


class CleanUpSettings(ConnectionSettings):
    """When rows that are done are deleted; rows that wait, are taken or were refused never are.

    Attributes:
        column: an instant of the row's.
        after_days: how long a row that is done stays.
        most_rows: of rows that are done; the oldest beyond it go earlier.
        batch_rows: at most so many at a look.
    """

    column: Column
    after_days: Annotated[int, Field(ge=1, le=3650)]
    most_rows: Annotated[int, Field(ge=0)] | None = None
    batch_rows: Annotated[int, Field(ge=1, le=10_000)] = 1_000


class TableIntakeSettings(DatabaseSettings):
    """A table whose rows are sent, each as a message.

    Attributes:
        key: the columns that tell rows apart; the primary key without it.
        batch_rows: how many are taken in one transaction.
        lifetime_hours: how long a message may wait for the hub and its recipient.
    """

    table: Column
    key: tuple[Column, ...] = Field(default=(), strict=False)
    flag: FlagSettings | None = None
    watermark: WatermarkSettings | None = None
    result: ResultSettings | None = None
    clean_up: CleanUpSettings | None = None
    batch_rows: Annotated[int, Field(ge=1, le=5_000)] = 200
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    lifetime_hours: Annotated[int, Field(ge=1, le=24 * 90)] = 72

    @model_validator(mode="after")
    def _check_mode(self) -> Self:
        if (self.flag is None) == (self.watermark is None):
            raise ValueError("rows are told apart by either a flag or a watermark")
        if self.clean_up is not None and self.flag is None:
            raise ValueError("only what a flag says is done is cleaned up")
        return self
