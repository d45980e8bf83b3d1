# SPDX-License-Identifier: Apache-2.0
"""Find messages by their containers.

Erasure destroys the key of containers and has to find the messages whose business keys go with them. Rows
stay as they are; on a large database building the two indexes takes a minute. What was erased before this
step is forgotten by `heliograph messages reindex`.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Go to this revision."""
    op.create_index(
        "exchanges_by_answer_container",
        "exchanges",
        ["answer_sha256"],
        unique=False,
        sqlite_where=sa.text("answer_sha256 IS NOT NULL"),
        postgresql_where=sa.text("answer_sha256 IS NOT NULL"),
    )
    op.create_index("exchanges_by_request_container", "exchanges", ["request_sha256"], unique=False)


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_index("exchanges_by_request_container", table_name="exchanges")
    op.drop_index(
        "exchanges_by_answer_container",
        table_name="exchanges",
        sqlite_where=sa.text("answer_sha256 IS NOT NULL"),
        postgresql_where=sa.text("answer_sha256 IS NOT NULL"),
    )
