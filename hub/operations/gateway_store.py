# SPDX-License-Identifier: Apache-2.0
"""The latest report of each gateway; only this module touches this table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, String, Table, Text, delete, select, text

from hub.clock import format_instant, parse_instant
from hub.database import metadata
from hub.identifiers import SubsystemId
from hub.operations.model import GatewayReport

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

gateway_reports = Table(
    "gateway_reports",
    metadata,
    Column("gateway", String(60), primary_key=True),
    Column("received_at", String(24), nullable=False),
    Column("clock_ahead_ms", BigInteger, nullable=False),
    Column("report", Text, nullable=False),
)

# A report that was long on its way does not replace one that came later.
_KEEP = text(
    "INSERT INTO gateway_reports (gateway, received_at, clock_ahead_ms, report) "
    "VALUES (:gateway, :at, :ahead, :report) ON CONFLICT (gateway) DO UPDATE SET "
    "received_at = excluded.received_at, clock_ahead_ms = excluded.clock_ahead_ms, report = excluded.report "
    "WHERE gateway_reports.received_at <= excluded.received_at"
)


def keep(connection: Connection, report: GatewayReport) -> None:
    """Keep a report in the place of the gateway's earlier one."""
    values = {
        "gateway": report.gateway,
        "at": format_instant(report.received_at),
        "ahead": report.clock_ahead_ms,
        "report": json.dumps(dict(report.said), ensure_ascii=False),
    }
    connection.execute(_KEEP, values)


def read(connection: Connection) -> tuple[GatewayReport, ...]:
    """Return the latest report of every gateway."""
    rows = connection.execute(select(gateway_reports).order_by(gateway_reports.c.gateway))
    return tuple(
        GatewayReport(
            gateway=SubsystemId(row.gateway),
            received_at=parse_instant(row.received_at),
            clock_ahead_ms=row.clock_ahead_ms,
            said=json.loads(row.report),
        )
        for row in rows
    )


def forget(connection: Connection, before: datetime) -> None:
    """Forget gateways nobody has heard of for long."""
    connection.execute(delete(gateway_reports).where(gateway_reports.c.received_at < format_instant(before)))
