# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hub.alarms import Alarms
from hub.vault import KeyId, VaultUpkeep
from tests.hub.vault.conftest import an_envelope

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub.vault.conftest import OpenVault

MARCH = KeyId.parse("2026-03_P10Y_1")
LATER = datetime(2036, 4, 3, tzinfo=UTC)


def upkeep(opened: OpenVault, *, archives: Path | None = None, erases: bool = False) -> VaultUpkeep:
    return VaultUpkeep(
        vault=opened.vault,
        eraser=opened.eraser,
        archiver=opened.archiver,
        writer=opened.writer,
        alarms=Alarms(opened.engine, opened.writer, opened.clock),
        clock=opened.clock,
        retentions=frozenset({"P5Y"}),
        archives=str(archives) if archives else None,
        erases=erases,
    )


def alarms(looking: VaultUpkeep) -> list[tuple[str, str]]:
    assert isinstance(looking.alarms, Alarms)
    # Alarms are written in their turn; a unit that comes after them is done after them.
    looking.writer.run(lambda _connection: None)
    return [(each.kind.code, each.subject) for each in looking.alarms.alarms()]


def test_the_next_month_s_keys_are_there_a_day_before_it_begins(opened: OpenVault) -> None:
    looking = upkeep(opened)
    looking.look()
    assert {each.month for each in opened.folder.key_ids()} == {"2026-03"}
    opened.clock.move_to(datetime(2026, 3, 31, 12, tzinfo=UTC))
    looking.look()
    assert [str(each) for each in opened.folder.key_ids() if each.month == "2026-04"] == [
        "2026-04_P10Y_1",
        "2026-04_P5Y_1",
    ]


def test_what_is_due_is_told_and_stays_unless_the_settings_say_otherwise(opened: OpenVault) -> None:
    envelope = an_envelope()
    opened.keep(envelope)
    opened.clock.move_to(LATER)
    looking = upkeep(opened)
    looking.look()
    assert alarms(looking) == [("vault.erasure_due", str(MARCH))]
    assert opened.vault.read(envelope.container_sha256) == envelope.raw
    opened.eraser.holds.place(str(MARCH), reason="audit", by="operator")
    # After a new start too.
    looking = upkeep(opened)
    looking.look()
    assert alarms(looking) == []
    erasing = upkeep(opened, erases=True)
    erasing.look()
    assert MARCH in opened.folder.key_ids(), "held"
    opened.eraser.holds.release(str(MARCH), reason="closed", by="operator")
    erasing.look()
    assert MARCH not in opened.folder.key_ids()
    assert opened.log.size() == 1


def test_a_month_that_is_over_is_archived_where_the_settings_say_so(
    opened: OpenVault, tmp_path: Path
) -> None:
    envelope = an_envelope()
    opened.keep(envelope)
    looking = upkeep(opened, archives=tmp_path / "archives")
    looking.look()
    assert opened.archiver.rows() == ()
    opened.clock.move_to(datetime(2026, 4, 2, tzinfo=UTC))
    looking.look()
    [row] = opened.archiver.rows()
    assert (tmp_path / "archives" / row.path).exists()
    assert opened.vault.read(envelope.container_sha256) == envelope.raw


def test_an_alarm_tells_that_archiving_fails_until_it_goes_well(opened: OpenVault, tmp_path: Path) -> None:
    opened.keep(an_envelope())
    opened.clock.move_to(datetime(2026, 4, 2, tzinfo=UTC))
    (tmp_path / "archives").write_text("a file where the folder should be", encoding="utf-8")
    looking = upkeep(opened, archives=tmp_path / "archives")
    looking.look()
    assert alarms(looking) == [("vault.not_archived", "2026-03")]
    (tmp_path / "archives").unlink()
    looking.look()
    assert alarms(looking) == []
    assert len(opened.archiver.rows()) == 1
