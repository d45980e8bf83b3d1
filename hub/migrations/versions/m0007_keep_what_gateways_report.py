# SPDX-License-Identifier: Apache-2.0
"""Keep what gateways report.

Each gateway's latest report. The table begins empty and fills within a minute; going back loses nothing that
is not said again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "gateway_reports",
        sa.Column("gateway", sa.String(length=60), nullable=False),
        sa.Column("received_at", sa.String(length=24), nullable=False),
        sa.Column("clock_ahead_ms", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("gateway"),
    )


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_table("gateway_reports")
