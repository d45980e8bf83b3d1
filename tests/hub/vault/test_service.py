# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from hub.errors import ExchangeError, HubError, VaultError
from hub.vault import ContainerState, KeyId
from tests.hub.vault.conftest import an_envelope
from tests.postgresql import on_sqlite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.hub.vault.conftest import OpenVault

MARCH = KeyId.parse("2026-03_P10Y_1")


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(HubError) as refused:
        work()
    return refused.value.code


def key_of(opened: OpenVault, sha256: str) -> str:
    with opened.engine.connect() as connection:
        query = text("SELECT key_id FROM containers WHERE sha256 = :wanted")
        return str(connection.execute(query, {"wanted": sha256}).scalar_one())


def test_a_container_comes_back_byte_for_byte_after_a_new_start_too(opened: OpenVault) -> None:
    envelope = an_envelope()
    opened.keep(envelope)
    assert opened.vault.read(envelope.container_sha256) == envelope.raw
    assert opened.again().read(envelope.container_sha256) == envelope.raw
    assert opened.vault.state(envelope.container_sha256) is ContainerState.KEPT


def test_what_was_never_here_is_unknown(opened: OpenVault) -> None:
    with pytest.raises(ExchangeError, match=r"exchange\.message_unknown"):
        opened.vault.read("0" * 64)
    assert opened.vault.state("0" * 64) is ContainerState.UNKNOWN


@on_sqlite
def test_a_stolen_database_shows_nothing_and_holds_no_key(opened: OpenVault, tmp_path: Path) -> None:
    envelope = an_envelope("510108199001011234")
    opened.keep(envelope)
    opened.writer.close()
    opened.engine.dispose()
    stolen = b"".join(file.read_bytes() for file in tmp_path.glob("hub.sqlite*"))
    assert envelope.container_sha256.encode() in stolen
    assert b"510108199001011234" not in stolen
    assert b"META-INF" not in stolen
    wrapped = (tmp_path / "keys" / f"{MARCH}.key").read_bytes()
    assert wrapped[-60:-20] not in stolen


def test_keeping_twice_changes_nothing_unless_it_is_kept_longer(opened: OpenVault) -> None:
    envelope = an_envelope()
    sha256 = envelope.container_sha256
    for retention, key_id in (
        ("P5Y", "2026-03_P5Y_1"),
        ("P5Y", "2026-03_P5Y_1"),
        ("P1Y", "2026-03_P5Y_1"),
        (None, "2026-03_P10Y_1"),
        ("permanent", "2026-03_permanent_1"),
        ("P10Y", "2026-03_permanent_1"),
    ):
        opened.keep(envelope, retention=retention)
        assert key_of(opened, sha256) == key_id
        assert opened.vault.read(sha256) == envelope.raw


def test_every_month_has_its_own_key(opened: OpenVault) -> None:
    march, april = an_envelope("1"), an_envelope("2")
    opened.keep(march)
    opened.clock.move_to(datetime(2026, 4, 1, tzinfo=UTC))
    opened.keep(april)
    assert [key_of(opened, each.container_sha256) for each in (march, april)] == [
        "2026-03_P10Y_1",
        "2026-04_P10Y_1",
    ]
    assert opened.vault.read(march.container_sha256) == march.raw
    assert opened.again().read(april.container_sha256) == april.raw


def test_a_row_that_was_changed_or_exchanged_for_another_is_noticed(opened: OpenVault) -> None:
    first, second = an_envelope("1"), an_envelope("2")
    opened.keep(first, second)
    swap = text(
        "UPDATE containers SET content = (SELECT content FROM containers WHERE sha256 = :b) WHERE sha256 = :a"
    )
    opened.writer.run(
        lambda connection: connection.execute(
            swap, {"a": first.container_sha256, "b": second.container_sha256}
        )
    )
    assert code_of(lambda: opened.vault.read(first.container_sha256)) == "vault.damaged"
    assert opened.vault.read(second.container_sha256) == second.raw


def test_a_key_that_is_missing_is_told_and_never_made_anew(opened: OpenVault, tmp_path: Path) -> None:
    envelope = an_envelope()
    opened.keep(envelope)
    (tmp_path / "keys" / f"{MARCH}.key").unlink()
    fresh = opened.again()
    assert code_of(lambda: fresh.read(envelope.container_sha256)) == "vault.key_missing"
    assert code_of(lambda: fresh.prepare(opened.writer, ())) == "vault.key_missing"
    assert not (tmp_path / "keys" / f"{MARCH}.key").exists()


def test_a_restored_database_that_forgot_the_key_uses_the_one_in_the_folder(opened: OpenVault) -> None:
    opened.keep(an_envelope("1"))
    opened.writer.run(lambda connection: connection.execute(text("DELETE FROM vault_keys")))
    fresh, second = opened.again(), an_envelope("2")
    opened.writer.run(lambda connection: fresh.keep(connection, second))
    assert opened.vault.read(second.container_sha256) == second.raw


def test_a_unit_that_is_rolled_back_leaves_no_trace_and_the_next_one_goes_well(opened: OpenVault) -> None:
    envelope = an_envelope()

    def fail(connection: object) -> None:
        opened.vault.keep(connection, envelope)  # type: ignore[arg-type]
        raise RuntimeError("something else went wrong")

    with pytest.raises(RuntimeError, match="something else"):
        opened.writer.run(fail)
    assert opened.vault.state(envelope.container_sha256) is ContainerState.UNKNOWN
    opened.keep(envelope)
    assert opened.again().read(envelope.container_sha256) == envelope.raw
    with opened.engine.connect() as connection:
        assert connection.execute(text("SELECT key_id FROM vault_keys")).scalars().all() == [str(MARCH)]


def test_other_slices_have_their_texts_encrypted_under_the_same_keys(opened: OpenVault) -> None:
    key_id, blob = opened.writer.run(
        lambda connection: opened.vault.seal(connection, "draft:1", b"a question", retention="P5Y")
    )
    assert str(key_id) == "2026-03_P5Y_1"
    assert b"question" not in blob
    with opened.engine.connect() as connection:
        assert opened.again().unseal(connection, "draft:1", key_id, blob) == b"a question"
        with pytest.raises(VaultError, match=r"vault\.damaged"):
            opened.vault.unseal(connection, "draft:2", key_id, blob)


def test_the_month_s_keys_are_made_before_a_message_waits_for_one(opened: OpenVault) -> None:
    opened.vault.prepare(opened.writer, ["P5Y", "permanent"])
    assert [str(each) for each in opened.folder.key_ids()] == [
        "2026-03_P10Y_1",
        "2026-03_P5Y_1",
        "2026-03_permanent_1",
    ]
