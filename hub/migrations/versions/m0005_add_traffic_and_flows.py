# SPDX-License-Identifier: Apache-2.0
"""Add traffic and flows.

How partners and flows fare is counted by the minute, so that nobody has to read the exchanges for it. The
tables begin empty: what passed before is not counted. Going back drops the counts, and nothing else.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "breaker_marks",
        sa.Column("lane", sa.String(length=162), nullable=False),
        sa.Column("worker", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("at", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("lane", "worker"),
    )
    op.create_table(
        "flow_marks",
        sa.Column("consumer", sa.String(length=60), nullable=False),
        sa.Column("service", sa.String(length=101), nullable=False),
        sa.Column("last_at", sa.String(length=24), nullable=True),
        sa.Column("watched_since", sa.String(length=24), nullable=True),
        sa.Column("silent_since", sa.String(length=24), nullable=True),
        sa.PrimaryKeyConstraint("consumer", "service"),
    )
    op.create_table(
        "operation_marks",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("at", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "partner_marks",
        sa.Column("lane", sa.String(length=162), nullable=False),
        sa.Column("last_contact_at", sa.String(length=24), nullable=True),
        sa.Column("last_failure_at", sa.String(length=24), nullable=True),
        sa.Column("last_failure_code", sa.String(length=80), nullable=True),
        sa.PrimaryKeyConstraint("lane"),
    )
    op.create_table(
        "traffic_minutes",
        sa.Column("minute", sa.String(length=17), nullable=False),
        sa.Column("lane", sa.String(length=162), nullable=False),
        sa.Column("limit_ms", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("minute", "lane", "limit_ms"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_table("traffic_minutes")
    op.drop_table("partner_marks")
    op.drop_table("operation_marks")
    op.drop_table("flow_marks")
    op.drop_table("breaker_marks")
