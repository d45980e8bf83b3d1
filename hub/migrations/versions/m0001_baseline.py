# SPDX-License-Identifier: Apache-2.0
"""The tables as they were before databases knew their revision.

A database that was made then gets what it lacks of them, as opening it did; nothing in it is changed. Going
down from here leaves no table at all, which nobody gets without naming every one that holds something.
"""

import sqlalchemy as sa
from alembic import op

from hub.database import make_append_only

revision = "0001"
down_revision = None


_APPEND_ONLY = {
    "evidence_answers": ("sha256",),
    "evidence_batches": ("stamp",),
    "evidence_chains": ("batch", "ordinal"),
    "evidence_objects": ("number",),
    "evidence_rehashed": ("sha256", "ordinal"),
    "evidence_renewals": ("stamp",),
    "evidence_stamp_answers": ("stamp", "sha256"),
    "evidence_stamps": ("number",),
    "log_checkpoints": ("size",),
    "log_cosignatures": ("size", "witness"),
    "log_entries": ("leaf_index",),
    "log_nodes": ("position",),
    "readings": ("number",),
    "registry_changes": ("sequence",),
    "revocation_answers": ("sha256",),
    "revocation_beliefs": ("certificate_sha256", "used_at"),
    "trust_lists": ("sequence",),
    "vault_erasures": ("key_id",),
    "vault_holds": ("hold_id",),
    "witness_checkpoints": ("origin", "size"),
    "witness_evidence": ("origin", "size", "root"),
}


def upgrade() -> None:
    """Go to this revision."""
    connection = op.get_bind()
    before = set(sa.inspect(connection).get_table_names())
    op.create_table(
        "account_tokens",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=100), nullable=False),
        sa.Column("roles", sa.String(length=200), nullable=False),
        sa.Column("subsystem", sa.String(length=60), nullable=True),
        sa.Column("issued_at", sa.String(length=24), nullable=False),
        sa.Column("expires_at", sa.String(length=24), nullable=False),
        sa.Column("revoked_at", sa.String(length=24), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
        sa.UniqueConstraint("id"),
        if_not_exists=True,
    )
    op.create_table(
        "alarms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.Text(), nullable=False),
        sa.Column("last_raised_at", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("cleared_at", sa.Text(), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("acknowledged_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index(
        "alarms_open",
        "alarms",
        ["code", "subject"],
        unique=True,
        if_not_exists=True,
        sqlite_where=sa.text("cleared_at IS NULL"),
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.create_table(
        "containers",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("archive", sa.Integer(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("sha256"),
        if_not_exists=True,
    )
    op.create_index("containers_by_key", "containers", ["key_id", "sha256"], unique=False, if_not_exists=True)
    op.create_table(
        "evidence_answers",
        sa.Column("sha256", sa.String(length=64).with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    op.create_table(
        "evidence_batches",
        sa.Column(
            "stamp", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("first_object", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("last_object", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("note_sha256", sa.String(length=64).with_variant(sa.Text(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("stamp"),
        sa.UniqueConstraint("note_sha256"),
        sa.UniqueConstraint("size"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    op.create_index(
        "evidence_batches_by_object", "evidence_batches", ["last_object"], unique=False, if_not_exists=True
    )
    op.create_table(
        "evidence_chains",
        sa.Column(
            "batch", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stamp", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.Column("last_before", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("batch", "ordinal"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    op.create_table(
        "evidence_objects",
        sa.Column(
            "number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("sha256"),
        if_not_exists=True,
    )
    op.create_table(
        "evidence_rehashed",
        sa.Column("sha256", sa.String(length=64).with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("batch", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "ordinal"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    op.create_index(
        "evidence_rehashed_by_batch",
        "evidence_rehashed",
        ["batch", "ordinal"],
        unique=False,
        if_not_exists=True,
    )
    op.create_table(
        "evidence_renewals",
        sa.Column(
            "stamp", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("renewed_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("stamp"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    op.create_table(
        "evidence_requests",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("requester", sa.String(length=200), nullable=False),
        sa.Column("subsystem", sa.String(length=60), nullable=False),
        sa.Column("service", sa.String(length=101), nullable=False),
        sa.Column("contract", sa.String(length=70), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.String(length=24), nullable=False),
        sa.Column("claimed_at", sa.String(length=24), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index(
        "evidence_requests_by_state",
        "evidence_requests",
        ["subsystem", "state"],
        unique=False,
        if_not_exists=True,
    )
    op.create_table(
        "evidence_stamp_answers",
        sa.Column(
            "stamp", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("sha256", sa.String(length=64).with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("stamp", "sha256"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    op.create_table(
        "evidence_stamps",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("stamped_at", sa.Text(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("ends_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    op.create_index(
        "evidence_stamps_by_end", "evidence_stamps", ["ends_at"], unique=False, if_not_exists=True
    )
    op.create_table(
        "exchange_keys",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("received_at", sa.String(length=24), nullable=False),
        sa.Column("message_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("name", "digest", "received_at", "message_id"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index(
        "exchange_keys_by_message", "exchange_keys", ["message_id"], unique=False, if_not_exists=True
    )
    op.create_table(
        "exchanges",
        sa.Column("message_id", sa.String(length=36), nullable=False),
        sa.Column("conversation", sa.String(length=36), nullable=False),
        sa.Column("sender", sa.String(length=60), nullable=False),
        sa.Column("recipient", sa.String(length=60), nullable=False),
        sa.Column("service", sa.String(length=101), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=True),
        sa.Column("received_at", sa.String(length=24), nullable=False),
        sa.Column("concluded_at", sa.String(length=24), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker", sa.BigInteger(), nullable=True),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("answer_sha256", sa.String(length=64), nullable=True),
        sa.Column("receipt_sha256", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("message_id"),
        if_not_exists=True,
    )
    op.create_index(
        "exchanges_by_arrival", "exchanges", ["received_at", "message_id"], unique=False, if_not_exists=True
    )
    op.create_index(
        "exchanges_by_conversation",
        "exchanges",
        ["conversation", "received_at", "message_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        "exchanges_by_recipient",
        "exchanges",
        ["recipient", "received_at", "message_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        "exchanges_by_sender",
        "exchanges",
        ["sender", "received_at", "message_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        "exchanges_by_sender_and_service",
        "exchanges",
        ["sender", "service", "received_at", "message_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        "exchanges_by_service",
        "exchanges",
        ["service", "received_at", "message_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        "exchanges_in_progress",
        "exchanges",
        ["worker"],
        unique=False,
        if_not_exists=True,
        sqlite_where=sa.text("state = 'in_progress'"),
        postgresql_where=sa.text("state = 'in_progress'"),
    )
    op.create_index(
        "exchanges_unprocessed",
        "exchanges",
        ["state", "received_at", "message_id"],
        unique=False,
        if_not_exists=True,
        sqlite_where=sa.text("state <> 'processed'"),
        postgresql_where=sa.text("state <> 'processed'"),
    )
    op.create_table(
        "log_checkpoints",
        sa.Column(
            "size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("size"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    op.create_table(
        "log_cosignatures",
        sa.Column(
            "size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("witness", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("cosigned_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size", "witness"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    op.create_table(
        "log_entries",
        sa.Column(
            "leaf_index",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("leaf_index"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    op.create_index("log_entries_by_message", "log_entries", ["message_id"], unique=False, if_not_exists=True)
    op.create_table(
        "log_nodes",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    op.create_table(
        "log_stamps_waiting",
        sa.Column(
            "size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("since", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    op.create_table(
        "portal_sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("opened_at", sa.String(length=24), nullable=False),
        sa.Column("seen_at", sa.String(length=24), nullable=False),
        sa.Column("ends_at", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        if_not_exists=True,
    )
    op.create_index(
        "portal_sessions_by_token",
        "portal_sessions",
        ["token_id", "opened_at"],
        unique=False,
        if_not_exists=True,
    )
    op.create_table(
        "readings",
        sa.Column(
            "number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("at", sa.String(length=24), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("subsystem", sa.String(length=60), nullable=True),
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("message_id", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        if_not_exists=True,
    )
    op.create_index(
        "readings_by_account", "readings", ["account", "number"], unique=False, if_not_exists=True
    )
    op.create_index(
        "readings_by_message", "readings", ["message_id", "number"], unique=False, if_not_exists=True
    )
    op.create_table(
        "registry_changes",
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=24), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("id", sa.String(length=120), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("sequence"),
        if_not_exists=True,
    )
    op.create_index(
        op.f("ix_registry_changes_id"), "registry_changes", ["id"], unique=False, if_not_exists=True
    )
    op.create_table(
        "registry_entries",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("id", sa.String(length=120), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id"),
        if_not_exists=True,
    )
    op.create_table(
        "revocation_answers",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=4), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("this_update", sa.String(length=24), nullable=False),
        sa.Column("next_update", sa.String(length=24), nullable=True),
        sa.Column("first_used_at", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
        if_not_exists=True,
    )
    op.create_table(
        "revocation_beliefs",
        sa.Column("certificate_sha256", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.String(length=24), nullable=False),
        sa.Column("answers", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("certificate_sha256", "used_at"),
        if_not_exists=True,
    )
    op.create_table(
        "trust_lists",
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("at", sa.String(length=24), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("container", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        if_not_exists=True,
    )
    op.create_table(
        "vault_archives",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("containers", sa.Integer(), nullable=False),
        sa.Column("archived_at", sa.String(length=24), nullable=False),
        sa.Column("is_finished", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("sha256"),
        if_not_exists=True,
    )
    op.create_table(
        "vault_erasures",
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.Column("erased_at", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key_id"),
        if_not_exists=True,
    )
    op.create_table(
        "vault_holds",
        sa.Column("hold_id", sa.String(length=36), nullable=False),
        sa.Column("releases", sa.String(length=36), nullable=True),
        sa.Column("done_by", sa.String(length=200), nullable=False),
        sa.Column("done_at", sa.String(length=24), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("hold_id"),
        if_not_exists=True,
    )
    op.create_table(
        "vault_keys",
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("key_id"),
        if_not_exists=True,
    )
    op.create_table(
        "witness_checkpoints",
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("size", sa.Text(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("cosigned_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("origin", "size"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    op.create_table(
        "witness_evidence",
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("size", sa.Text(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("known_size", sa.Text(), nullable=False),
        sa.Column("submission", sa.LargeBinary(), nullable=False),
        sa.Column("shown_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("origin", "size", "root"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    for name, keys in _APPEND_ONLY.items():
        if name not in before:
            make_append_only(connection, name, *keys)


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_table("witness_evidence")
    op.drop_table("witness_checkpoints")
    op.drop_table("vault_keys")
    op.drop_table("vault_holds")
    op.drop_table("vault_erasures")
    op.drop_table("vault_archives")
    op.drop_table("trust_lists")
    op.drop_table("revocation_beliefs")
    op.drop_table("revocation_answers")
    op.drop_table("registry_entries")
    op.drop_table("registry_changes")
    op.drop_table("readings")
    op.drop_table("portal_sessions")
    op.drop_table("log_stamps_waiting")
    op.drop_table("log_nodes")
    op.drop_table("log_entries")
    op.drop_table("log_cosignatures")
    op.drop_table("log_checkpoints")
    op.drop_table("exchanges")
    op.drop_table("exchange_keys")
    op.drop_table("evidence_stamps")
    op.drop_table("evidence_stamp_answers")
    op.drop_table("evidence_requests")
    op.drop_table("evidence_renewals")
    op.drop_table("evidence_rehashed")
    op.drop_table("evidence_objects")
    op.drop_table("evidence_chains")
    op.drop_table("evidence_batches")
    op.drop_table("evidence_answers")
    op.drop_table("containers")
    op.drop_table("alarms")
    op.drop_table("account_tokens")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")
