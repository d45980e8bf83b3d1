# SPDX-License-Identifier: Apache-2.0
"""Entries as JSON and as a YAML file, read strictly: unknown fields, wrong types and doubles are refused."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from cryptography import x509
from pydantic import ConfigDict, TypeAdapter, ValidationError

from hub.errors import HubError, RegistryError, TrustError
from hub.identifiers import MemberId
from hub.registry.certificates import RegisteredCertificate, registered
from hub.registry.model import ENTRY_TYPES, DeliveryPolicy, EntryType, Member, RegistryEntry, key_of
from hub.trust import Use
from hub.yamlfile import YamlFileError, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_STRICT = ConfigDict(extra="forbid", strict=True)

# The lists of a registry file, and what stands in them.
_LISTS: Mapping[str, EntryType] = {
    "members": ENTRY_TYPES["member"],
    "subsystems": ENTRY_TYPES["subsystem"],
    "services": ENTRY_TYPES["service"],
    "access_rights": ENTRY_TYPES["access-right"],
    "subscriptions": ENTRY_TYPES["subscription"],
}


def _adapter(kind: EntryType) -> TypeAdapter[RegistryEntry]:
    kind.__pydantic_config__ = _STRICT  # type: ignore[union-attr]  # pydantic's own name for it
    return TypeAdapter(kind)


# Where a service carries one, a field nobody knows is refused just as well.
DeliveryPolicy.__pydantic_config__ = _STRICT  # type: ignore[attr-defined]  # pydantic's own name for it
_ADAPTERS: Mapping[EntryType, TypeAdapter[RegistryEntry]] = {
    kind: _adapter(kind) for kind in ENTRY_TYPES.values()
}


def read_entry(kind: EntryType, content: bytes | str) -> RegistryEntry:
    """Read an entry from JSON.

    Raises:
        RegistryError: `registry.entry_invalid` or `registry.member_invalid`; the detail names the field.
    """
    try:
        return _ADAPTERS[kind].validate_json(content)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "entry"
        raise RegistryError("registry.entry_invalid", f"{place}: {first['msg']}") from exc


def write_entry(entry: RegistryEntry) -> dict[str, Any]:
    """Write an entry as JSON values."""
    written: dict[str, Any] = _ADAPTERS[type(entry)].dump_python(entry, mode="json")
    return written


def schema_of(kind: EntryType) -> dict[str, Any]:
    """Return the JSON Schema of an entry."""
    return _ADAPTERS[kind].json_schema()


def load_registry_file(path: Path) -> tuple[RegistryEntry, ...]:
    """Read the entries of a registry file.

    It holds the lists `members`, `subsystems`, `services`, `access_rights` and `subscriptions`. Under a
    member, `certificates` lists PEM files with the certificates that are registered for its envelopes; paths
    start at the file's folder.

    Raises:
        RegistryError: `registry.file_invalid`; the detail names the file and the place in it, for example
            `services[2].gateway_url`.
    """
    try:
        content = read_yaml(path)
    except YamlFileError as exc:
        raise RegistryError("registry.file_invalid", f"{path.name}: {exc}") from exc
    if not isinstance(content, dict) or not all(isinstance(rows, list) for rows in content.values()):
        raise RegistryError("registry.file_invalid", f"{path.name}: not a mapping of lists")
    unknown = sorted(str(name) for name in content if name not in _LISTS)
    if unknown:
        raise RegistryError("registry.file_invalid", f"{path.name}: unknown list {unknown[0]}")
    seen = set()
    entries = []
    for place, entry in _read_lists(path, content):
        if key_of(entry) in seen:
            raise RegistryError("registry.file_invalid", f"{place}.id: {entry.id} is there twice")
        seen.add(key_of(entry))
        entries.append(entry)
    return tuple(entries)


def _read_lists(file: Path, content: Mapping[str, list[object]]) -> Iterator[tuple[str, RegistryEntry]]:
    for name, kind in _LISTS.items():
        for number, row in enumerate(content.get(name, [])):
            place = f"{file.name}: {name}[{number}]"
            if not isinstance(row, dict):
                raise RegistryError("registry.file_invalid", f"{place}: not a mapping")
            fields = dict(row)
            pem_files = fields.pop("certificates", []) if kind is Member else []
            try:
                entry = read_entry(kind, json.dumps(fields, default=_write_date))
                yield place, entry
                for each in _read_certificates(file.parent, MemberId(entry.id), pem_files):
                    yield f"{place}.certificates", each
            except (RegistryError, TrustError, TypeError) as exc:
                detail = exc.detail if isinstance(exc, HubError) else str(exc)
                raise RegistryError("registry.file_invalid", f"{place}.{detail}") from exc


def _read_certificates(folder: Path, member: MemberId, names: object) -> Iterator[RegisteredCertificate]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RegistryError("registry.file_invalid", "certificates: not a list of PEM files")
    for name in names:
        try:
            # A chain's file will do: the member's own certificate is the first in it.
            first = x509.load_pem_x509_certificates((folder / name).read_bytes())[0]
        except (OSError, ValueError) as exc:
            detail = f"certificates: {name} holds no readable PEM certificate"
            raise RegistryError("registry.file_invalid", detail) from exc
        yield registered(first, member, Use.ENVELOPE)


def _write_date(value: object) -> str:
    # YAML knows dates; an instant is not one, and JSON has no other types a file could bring in.
    if type(value) is dt.date:
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} has no place here")
