# SPDX-License-Identifier: Apache-2.0
"""Lay messages out for collection.

Gateways that nobody can call come for their messages. The tables begin empty, and what is laid out lives no
longer than an attempt to deliver it: going back loses nothing, since the outbox tries again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "collection_polls",
        sa.Column("message_id", sa.String(length=36), nullable=False),
        sa.Column("until", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_index("collection_polls_by_age", "collection_polls", ["until"], unique=False)
    op.create_table(
        "collections",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("laid_at", sa.String(length=24), nullable=False),
        sa.Column("recipient", sa.String(length=60), nullable=False),
        sa.Column("message_id", sa.String(length=36), nullable=False),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("handed_at", sa.String(length=24), nullable=True),
        sa.Column("answer_sha256", sa.String(length=64), nullable=True),
        sa.Column("until", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("collections_by_age", "collections", ["until"], unique=False)
    op.create_index("collections_by_recipient", "collections", ["recipient", "laid_at"], unique=False)
    op.create_table(
        "collectors",
        sa.Column("subsystem", sa.String(length=60), nullable=False),
        sa.Column("present_until", sa.String(length=24), nullable=False),
        sa.Column("missed_at", sa.String(length=24), nullable=True),
        sa.PrimaryKeyConstraint("subsystem"),
    )


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_table("collectors")
    op.drop_index("collections_by_recipient", table_name="collections")
    op.drop_index("collections_by_age", table_name="collections")
    op.drop_table("collections")
    op.drop_index("collection_polls_by_age", table_name="collection_polls")
    op.drop_table("collection_polls")
