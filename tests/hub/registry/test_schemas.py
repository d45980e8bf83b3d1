# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from hub.errors import RegistryError
from hub.registry import RegistryEntry, load_registry_file
from hub.registry.schemas import read_entry, schema_of, write_entry
from tests.hub.registry.conftest import ENTRIES, FILE, LABOUR_MEMBER, PROOF, PROOF_SERVICE, PURPOSE, RIGHT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_reads_back_as_it_was_written(entry: RegistryEntry) -> None:
    written = write_entry(entry)
    assert read_entry(type(entry), json.dumps(written)) == entry
    jsonschema.validate(written, schema_of(type(entry)))


@pytest.mark.parametrize(
    ("entry", "changes", "field"),
    [
        (LABOUR_MEMBER, {"owner": "x"}, "owner"),
        (LABOUR_MEMBER, {"names": {"zh": "a", "en": "b", "fr": "c"}}, "names.fr"),
        (LABOUR_MEMBER, {"names": {"zh": "a"}}, "names.en"),
        (LABOUR_MEMBER, {"status": "gone"}, "status"),
        (PROOF_SERVICE, {"timeout_seconds": "30"}, "timeout_seconds"),
        (PROOF_SERVICE, {"timeout_seconds": 30.5}, "timeout_seconds"),
        (PROOF_SERVICE, {"timeout_seconds": True}, "timeout_seconds"),
        (RIGHT, {"purposes": PURPOSE}, "purposes"),
        (RIGHT, {"purposes": [788002000]}, "purposes.0"),
        (RIGHT, {"valid_from": "2026-02-30"}, "valid_from"),
        (RIGHT, {"valid_from": "2026-01-01T00:00:00Z"}, "valid_from"),
    ],
)
def test_a_field_of_another_type_is_refused_by_its_name(
    entry: RegistryEntry, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(RegistryError, match=rf"registry\.entry_invalid: {field}:"):
        read_entry(type(entry), json.dumps(write_entry(entry) | changes))


@pytest.mark.parametrize("content", ["", "[]", "null", '{"id":', b"\xff"])
def test_what_is_no_entry_at_all_is_refused(content: str | bytes) -> None:
    with pytest.raises(RegistryError, match=r"registry\.entry_invalid: entry:"):
        read_entry(type(LABOUR_MEMBER), content)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "registry.yaml"


def test_a_registry_file_holds_its_entries(file: Path) -> None:
    file.write_text(FILE, encoding="utf-8")
    assert load_registry_file(file) == ENTRIES


def test_a_registry_file_may_leave_a_list_out(file: Path) -> None:
    file.write_text("members: []\n", encoding="utf-8")
    assert load_registry_file(file) == ()


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("timeout_seconds: 30", "timeout_seconds: soon", r"services\[0\]\.timeout_seconds"),
        ("gateway_url: http://127", "gateway_url: ftp://127", r"services\[0\]\.gateway_url"),
        ("13510108MB1A00003J\n    names", "13510108MB1A00003K\n    names", r"members\[1\]\.id"),
        ("titles: {zh: 就业系统,", "titles: {", r"subsystems\[1\]\.titles\.zh"),
        ('["000788002000"]', "[2026-01-01 08:00:00]", r"access_rights\[0\].*datetime"),
        ("valid_until: 2026-12-31", "valid_to: 2026-12-31", r"access_rights\[0\]\.valid_to"),
        ("    timeout_seconds: 30", "    timeout_seconds: 30\n    timeout_seconds: 31", "there twice"),
        (
            f"services:\n  - id: {PROOF}",
            f"services:\n  - text\n  - id: {PROOF}",
            r"services\[0\]: not a mapping",
        ),
        ("access_rights:", "rights:", "unknown list rights"),
        ("members:", "members: &x [*x]\nothers:", ""),
        ("members:", "members: !!python/object:os.system", ""),
        ("members:", "\tmembers:", ""),
    ],
)
def test_a_mistake_in_a_file_is_named_by_its_place(file: Path, old: str, new: str, place: str) -> None:
    assert old in FILE
    file.write_text(FILE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RegistryError, match=rf"registry\.file_invalid: registry\.yaml.*{place}"):
        load_registry_file(file)


@pytest.mark.parametrize("content", ["", "[]", "text", "members: {}", "members:"])
def test_a_file_of_another_shape_is_refused(file: Path, content: str) -> None:
    file.write_text(content, encoding="utf-8")
    with pytest.raises(RegistryError, match=r"registry\.file_invalid"):
        load_registry_file(file)


def test_an_entry_given_twice_is_refused(file: Path) -> None:
    twice = FILE.replace("subsystems:", FILE.split("\n", 1)[1].split("  - id: 135")[0] + "subsystems:", 1)
    file.write_text(twice, encoding="utf-8")
    with pytest.raises(RegistryError, match=r"members\[2\]\.id: .* is there twice"):
        load_registry_file(file)


def test_a_missing_file_is_refused(file: Path) -> None:
    with pytest.raises(RegistryError, match=r"registry\.file_invalid"):
        load_registry_file(file)
