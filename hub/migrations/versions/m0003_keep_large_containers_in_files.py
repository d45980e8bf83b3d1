# SPDX-License-Identifier: Apache-2.0
"""Keep large containers in files.

Containers of more than 16 MiB do not belong into a database: their rows say which file holds them. Nothing of
what is there changes; going down forgets where such files lie.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("member", sa.String(length=18), nullable=False),
        sa.Column("container_sha256", sa.String(length=64), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("file", sa.String(length=80), nullable=False),
        sa.Column("announcement", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.String(length=24), nullable=False),
        sa.Column("expires_at", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("container_sha256"),
        sa.UniqueConstraint("file"),
    )
    op.create_index("uploads_by_member", "uploads", ["member"], unique=False)
    op.create_table(
        "vault_files",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("file", sa.String(length=80), nullable=False),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("announcement", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
        sa.UniqueConstraint("file"),
    )
    op.create_index("vault_files_by_key", "vault_files", ["key_id", "sha256"], unique=False)


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_index("vault_files_by_key", table_name="vault_files")
    op.drop_table("vault_files")
    op.drop_index("uploads_by_member", table_name="uploads")
    op.drop_table("uploads")
