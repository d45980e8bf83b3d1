# SPDX-License-Identifier: Apache-2.0
"""Add the outbox.

Messages that nobody waits for are delivered from these tables. Rows that are there are not touched: an
exchange from before has no delivery. Going back drops what is waiting; let the outbox run empty before.
"""

import sqlalchemy as sa
from alembic import op

from hub.database import make_append_only

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "deliveries",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("message_id", sa.String(length=36), nullable=False),
        sa.Column("conversation", sa.String(length=36), nullable=False),
        sa.Column("sender", sa.String(length=60), nullable=False),
        sa.Column("recipient", sa.String(length=60), nullable=False),
        sa.Column("service", sa.String(length=101), nullable=False),
        sa.Column("lane", sa.String(length=162), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("is_ordered", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("replays", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.String(length=24), nullable=False),
        sa.Column("expires_at", sa.String(length=24), nullable=False),
        sa.Column("expected_by", sa.String(length=24), nullable=True),
        sa.Column("claimed_by", sa.BigInteger(), nullable=True),
        sa.Column("claimed_at", sa.String(length=24), nullable=True),
        sa.Column("log_index", sa.BigInteger(), nullable=False),
        sa.Column("log_leaf", sa.String(length=64), nullable=False),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.String(length=24), nullable=False),
        sa.Column("ended_at", sa.String(length=24), nullable=True),
        sa.Column("code", sa.String(length=80), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("answer_sha256", sa.String(length=64), nullable=True),
        sa.Column("receipt_sha256", sa.String(length=64), nullable=True),
        sa.Column("replayed_by", sa.String(length=100), nullable=True),
        sa.Column("closed_by", sa.String(length=100), nullable=True),
        sa.Column("closed_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("deliveries_by_message", "deliveries", ["message_id", "recipient"], unique=True)
    op.create_index(
        "deliveries_claimed",
        "deliveries",
        ["lane"],
        unique=False,
        sqlite_where=sa.text("state = 'claimed'"),
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.create_index(
        "deliveries_dead",
        "deliveries",
        ["state", "number"],
        unique=False,
        sqlite_where=sa.text("state IN ('dead', 'closed')"),
        postgresql_where=sa.text("state IN ('dead', 'closed')"),
    )
    op.create_index(
        "deliveries_expiring",
        "deliveries",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting', 'deferred')"),
        postgresql_where=sa.text("state IN ('waiting', 'deferred')"),
    )
    op.create_index(
        "deliveries_in_order",
        "deliveries",
        ["conversation", "recipient", "number"],
        unique=False,
        sqlite_where=sa.text("is_ordered"),
        postgresql_where=sa.text("is_ordered"),
    )
    op.create_index(
        "deliveries_waiting",
        "deliveries",
        ["lane", "due_at", "number"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting', 'deferred')"),
        postgresql_where=sa.text("state IN ('waiting', 'deferred')"),
    )
    op.create_table(
        "delivery_attempts",
        sa.Column(
            "delivery",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.String(length=24), nullable=False),
        sa.Column("ended_at", sa.String(length=24), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("worker", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("delivery", "attempt"),
    )
    op.create_table(
        "service_pauses",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("service", sa.String(length=101), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.String(length=24), nullable=False),
        sa.Column("until", sa.String(length=24), nullable=False),
        sa.Column("ended_at", sa.String(length=24), nullable=True),
        sa.Column("ended_by", sa.String(length=100), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "service_pauses_lasting",
        "service_pauses",
        ["service"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    make_append_only(op.get_bind(), "delivery_attempts", "delivery", "attempt")


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_index(
        "service_pauses_lasting",
        table_name="service_pauses",
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.drop_table("service_pauses")
    op.drop_table("delivery_attempts")
    op.drop_index(
        "deliveries_waiting",
        table_name="deliveries",
        sqlite_where=sa.text("state IN ('waiting', 'deferred')"),
        postgresql_where=sa.text("state IN ('waiting', 'deferred')"),
    )
    op.drop_index(
        "deliveries_in_order",
        table_name="deliveries",
        sqlite_where=sa.text("is_ordered"),
        postgresql_where=sa.text("is_ordered"),
    )
    op.drop_index(
        "deliveries_expiring",
        table_name="deliveries",
        sqlite_where=sa.text("state IN ('waiting', 'deferred')"),
        postgresql_where=sa.text("state IN ('waiting', 'deferred')"),
    )
    op.drop_index(
        "deliveries_dead",
        table_name="deliveries",
        sqlite_where=sa.text("state IN ('dead', 'closed')"),
        postgresql_where=sa.text("state IN ('dead', 'closed')"),
    )
    op.drop_index(
        "deliveries_claimed",
        table_name="deliveries",
        sqlite_where=sa.text("state = 'claimed'"),
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.drop_index("deliveries_by_message", table_name="deliveries")
    op.drop_table("deliveries")
