# SPDX-License-Identifier: Apache-2.0
"""From a draft that people edit to the next version, and what that would change.

A draft is the document without what places it in the history, in JSON or YAML; certificates may stand in it
in PEM, and fields that are mostly the same may be left out.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError

from hub.clock import format_instant
from hub.trust import Bilingual, describe, refusal
from hub.trustlist.container import sign_trust_list
from hub.trustlist.document import Content, TrustListDocument, describe_problem
from hub.trustlist.history import check_history
from hub.trustlist.rules import check_certificates
from hub.yamlfile import YamlFileError, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hub.identifiers import SubsystemId
    from hub.trust import SigningKey
    from hub.trustlist.container import SignedTrustList
    from hub.trustlist.document import AuthorityRow, ServiceRow
    from hub.trustlist.history import TrustListHistory

_PEM = "-----BEGIN CERTIFICATE-----"
_PLACES = ("format", "sequence", "issued_at", "next_update", "previous_sha256")
_SERVICE_DEFAULTS: dict[str, Any] = {"approved_until": None, "url": None}
_AUTHORITY_DEFAULTS: dict[str, Any] = {
    "approved_until": None,
    "is_anchor": False,
    "uses": [],
    "revocation": "either",
    "reaches_below": False,
    "longest_answer_age_seconds": None,
    "unsafe_accept_unknown_revocation": False,
}


class Step(StrEnum):
    """What happens to an entry."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True)
class Difference:
    """What a version changes about one entry.

    Attributes:
        place: the field of the document.
        entry: the entry's name for people, with the certificate's digest where it has one.
        fields: what changes, each with its value before and after; empty unless an entry changes.
    """

    step: Step
    place: str
    entry: str
    fields: Mapping[str, tuple[Any, Any]]

    def __str__(self) -> str:
        changes = ", ".join(f"{name}: {was!r} -> {now!r}" for name, (was, now) in self.fields.items())
        return f"{self.step} {self.place}: {self.entry}" + (f" ({changes})" if changes else "")


def read_draft(path: Path) -> Content:
    """Read a draft, JSON or YAML.

    What places a version in the history may stand in it, as in a version that was shown; it is left aside.

    Raises:
        TrustError: `trust.trust_list_invalid`, naming the place.
    """
    try:
        value = read_yaml(path)
    except YamlFileError as exc:
        raise refusal("list_malformed", problem=f"{path.name} cannot be read: {exc}") from exc
    if not isinstance(value, dict):
        raise refusal(
            "list_malformed",
            problem=Bilingual(f"{path.name} is no table of fields", f"{path.name}不是字段表"),
        )
    draft = {name: each for name, each in value.items() if name not in _PLACES}
    draft.setdefault("time_stamping_authorities", [])
    draft.setdefault("ocsp_responders", [])
    _fill(draft, "authorities", _AUTHORITY_DEFAULTS)
    for place in ("time_stamping_authorities", "ocsp_responders"):
        _fill(draft, place, _SERVICE_DEFAULTS)
    try:
        return Content.model_validate_json(json.dumps(_as_json(draft)))
    except ValidationError as exc:
        raise refusal("list_malformed", problem=f"{path.name} {describe_problem(exc)}") from exc
    except (TypeError, ValueError) as exc:
        raise refusal("list_malformed", problem=f"{path.name}: {exc}") from exc


def write_draft(content: Content) -> str:
    """Write a draft as JSON for people to edit."""
    fields = {name: getattr(content, name) for name in Content.model_fields}
    values = Content(**fields).model_dump(mode="json")
    return json.dumps(values, ensure_ascii=False, indent=2) + "\n"


def compose(
    content: Content, previous: SignedTrustList | None, *, issued_at: datetime, next_update: datetime
) -> TrustListDocument:
    """Place a draft in the history.

    Args:
        content: who is approved from now on.
        previous: the newest version, or None for the first one ever.
        issued_at: UTC.
        next_update: UTC; by then the next version is due.

    Raises:
        TrustError: `trust.trust_list_invalid`.
    """
    try:
        return TrustListDocument(
            **{name: getattr(content, name) for name in Content.model_fields},
            format="heliograph-trust-list/2",
            sequence=previous.sequence + 1 if previous else 1,
            issued_at=issued_at,
            next_update=next_update,
            previous_sha256=previous.sha256 if previous else None,
        )
    except ValidationError as exc:
        raise refusal("list_malformed", problem=describe_problem(exc)) from exc


def sign_next(  # noqa: PLR0913 (what a version is made of, all named)
    content: Content,
    history: TrustListHistory | None,
    *,
    pinned: Sequence[x509.Certificate],
    operator: SubsystemId,
    key: SigningKey,
    issued_at: datetime,
    next_update: datetime,
) -> SignedTrustList:
    """Make the next version, as everybody will take it.

    Args:
        content: who is approved from now on.
        history: the versions there are, or None before the first.
        pinned: who may sign the first one.
        operator: the subsystem that publishes the list.
        key: who signs.
        issued_at: UTC; later than the newest version.
        next_update: UTC; by then the next version is due.

    Raises:
        TrustError: whatever a hub would refuse it for.
    """
    previous = history.current if history else None
    document = compose(content, previous, issued_at=issued_at, next_update=next_update)
    version = sign_trust_list(document, operator, key)
    if history is None:
        check_history([version], pinned)
    else:
        history.extended(version)
    check_certificates(version)
    return version


def differences(before: Content | None, after: Content) -> list[Difference]:
    """List what changes from one version to another; everything is added when there is none before."""
    found = []
    if before is None or before.name != after.name:
        names = (before.name.en if before else None, after.name.en)
        found.append(Difference(Step.CHANGE, "name", after.name.zh, {"en": names}))
    was_signers = {_digest(each): each for each in before.signers} if before else {}
    signers = {_digest(each): each for each in after.signers}
    for digest in [*signers, *was_signers]:
        if digest not in was_signers:
            found.append(Difference(Step.ADD, "signers", _label(signers[digest]), {}))
        elif digest not in signers:
            found.append(Difference(Step.REMOVE, "signers", _label(was_signers[digest]), {}))
    for place in ("authorities", "time_stamping_authorities", "ocsp_responders"):
        found += _row_differences(place, getattr(before, place) if before else (), getattr(after, place))
    return found


def _row_differences(
    place: str,
    before: tuple[AuthorityRow | ServiceRow, ...],
    after: tuple[AuthorityRow | ServiceRow, ...],
) -> list[Difference]:
    was = {_digest(row.certificate): row for row in before}
    now = {_digest(row.certificate): row for row in after}
    found = []
    for digest, row in now.items():
        label = f"{row.name} = {_label(row.certificate)}"
        if digest not in was:
            found.append(Difference(Step.ADD, place, label, {}))
            continue
        old, new = was[digest].model_dump(mode="json"), row.model_dump(mode="json")
        fields = {name: (old[name], new[name]) for name in new if old[name] != new[name]}
        if fields:
            found.append(Difference(Step.CHANGE, place, label, fields))
    found += [
        Difference(Step.REMOVE, place, f"{row.name} = {_label(row.certificate)}", {})
        for digest, row in was.items()
        if digest not in now
    ]
    kept_before = [digest for digest in was if digest in now]
    kept_after = [digest for digest in now if digest in was]
    if kept_before != kept_after:
        found.append(Difference(Step.CHANGE, place, "the order in which they are asked", {}))
    return found


def _fill(draft: dict[str, Any], place: str, defaults: Mapping[str, Any]) -> None:
    rows = draft.get(place)
    if isinstance(rows, list):
        draft[place] = [{**defaults, **row} if isinstance(row, dict) else row for row in rows]


def _as_json(value: Any) -> Any:
    match value:
        case dict():
            return {name: _as_json(each) for name, each in value.items()}
        case list():
            return [_as_json(each) for each in value]
        case str() if value.lstrip().startswith(_PEM):
            certificate = x509.load_pem_x509_certificate(value.encode("ascii"))
            return b64encode(certificate.public_bytes(Encoding.DER)).decode("ascii")
        case datetime():
            # YAML reads an instant that is not quoted as one.
            return format_instant(value)
        case _:
            return value


def _digest(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def _label(certificate: x509.Certificate) -> str:
    return f"{describe(certificate)}, SHA-256 {_digest(certificate)}"
