# SPDX-License-Identifier: Apache-2.0
"""From a trusted list of ETSI to rows of ours; nothing is dropped without a word.

A service that was ever approved becomes a row, with the last span of its approval, so that what it issued
then stays verifiable. Whether it shall be approved here is for the people who review the draft.

Source: TS 119 612 clauses 5.5.1 (types), 5.5.3 (identity), 5.5.4 (status) and 5.6.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from hub.clock import format_instant
from hub.trust import RevocationPolicy, Use, describe, key_problem, refusal, signature_problem
from hub.trustlist.document import AuthorityRow, ServiceRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hub.trustlist.etsi.reading import EtsiList, EtsiService, StatusPeriod

_TYPE = "http://uri.etsi.org/TrstSvc/Svctype/"
_CA_TYPES = frozenset({f"{_TYPE}CA/QC", f"{_TYPE}CA/PKC", f"{_TYPE}NationalRootCA-QC"})
_TSA_TYPES = frozenset(
    {f"{_TYPE}TSA/QTST", f"{_TYPE}TSA", f"{_TYPE}TSA/TSS-QC", f"{_TYPE}TSA/TSS-AdESQCandQES"}
)
_OCSP_TYPES = frozenset({f"{_TYPE}Certstatus/OCSP", f"{_TYPE}Certstatus/OCSP/QC"})
_KINDS = (_CA_TYPES, _TSA_TYPES, _OCSP_TYPES)

_APPROVED = frozenset(
    {
        # Since eIDAS.
        "granted",
        "recognisedatnationallevel",
        # Before it; they stand in histories.
        "undersupervision",
        "supervisionincessation",
        "accredited",
        "setbynationallaw",
    }
)
_STATUS_FOLDER = "/Svcstatus/"
_EXTENSIONS = "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/"
_FOR_SEALS = f"{_EXTENSIONS}ForeSeals"
_FOR_OTHERS = frozenset({f"{_EXTENSIONS}ForeSignatures", f"{_EXTENSIONS}ForWebSiteAuthentication"})


@dataclass(frozen=True)
class Unmapped:
    """Something the draft does not hold, or does not hold completely.

    Attributes:
        service: provider and service, as the list names them.
        reason: in English, for who reviews the draft.
        is_dropped: whether there is no row at all.
    """

    service: str
    reason: str
    is_dropped: bool


@dataclass(frozen=True)
class Import:
    """What came of a list.

    Attributes:
        source: the list's operator, territory and number.
        authorities: rows for a draft.
        time_stamping: rows for a draft.
        ocsp_responders: rows for a draft.
        unmapped: what is not, or not wholly, in them.
    """

    source: str
    authorities: tuple[AuthorityRow, ...]
    time_stamping: tuple[ServiceRow, ...]
    ocsp_responders: tuple[ServiceRow, ...]
    unmapped: tuple[Unmapped, ...]


def import_etsi(trusted: EtsiList, *, uses: Sequence[Use], now: datetime) -> Import:
    """Map a list whose signature was verified.

    Args:
        trusted: as `read_etsi_list` read it.
        uses: what certificates of its certification authorities may be used for here.
        now: UTC; the list must not be overdue.

    Raises:
        TrustError: `trust.trust_list_outdated`, a newer list is due.
    """
    if trusted.next_update is not None and now >= trusted.next_update:
        raise refusal("tsl_outdated", at=now, due=format_instant(trusted.next_update))
    mapper = _Mapper(tuple(uses))
    for service in trusted.services:
        mapper.take(service)
    if trusted.next_update is None:
        mapper.unmapped.append(Unmapped("", "the list is closed: it names no next update", is_dropped=False))
    return Import(
        source=f"{trusted.operator} {trusted.territory} no. {trusted.sequence}",
        authorities=tuple(mapper.authorities.values()),
        time_stamping=tuple(mapper.time_stamping.values()),
        ocsp_responders=tuple(mapper.ocsp_responders.values()),
        unmapped=tuple(mapper.unmapped),
    )


def write_import(made: Import) -> str:
    """Write what came of a list as a draft, JSON; who may sign is left for the people who review it."""
    draft = {
        "name": {"zh": made.source, "en": made.source},
        "signers": [],
        "authorities": [row.model_dump(mode="json") for row in made.authorities],
        "time_stamping_authorities": [row.model_dump(mode="json") for row in made.time_stamping],
        "ocsp_responders": [row.model_dump(mode="json") for row in made.ocsp_responders],
    }
    return json.dumps(draft, ensure_ascii=False, indent=2) + "\n"


class _Mapper:
    """Collects rows by certificate, and remarks."""

    def __init__(self, uses: tuple[Use, ...]) -> None:
        self._uses = uses
        self.authorities: dict[x509.Certificate, AuthorityRow] = {}
        self.time_stamping: dict[x509.Certificate, ServiceRow] = {}
        self.ocsp_responders: dict[x509.Certificate, ServiceRow] = {}
        self.unmapped: list[Unmapped] = []

    def take(self, service: EtsiService) -> None:
        """Map one service."""
        kind = next((each for each in _KINDS if service.periods[-1].service_type in each), None)
        problem = _whole_problem(service, kind)
        if kind is None or problem:
            self._drop(service, problem)
            return
        spans = _approved_spans(service.periods, kind)
        if not spans:
            self._drop(service, "it was never approved")
            return
        self._remark_history(service, spans)
        for certificate in service.certificates:
            weakness = key_problem(certificate) or signature_problem(certificate)
            if weakness:
                self._drop(service, f"{describe(certificate)}: {weakness}")
            else:
                self._add(service, kind, certificate, spans[-1])

    def _add(
        self,
        service: EtsiService,
        kind: frozenset[str],
        certificate: x509.Certificate,
        span: tuple[datetime, datetime | None],
    ) -> None:
        is_authority = _is_authority(certificate)
        if kind is _CA_TYPES or (kind is _TSA_TYPES and is_authority):
            if kind is _CA_TYPES and not is_authority:
                self._drop(service, f"{describe(certificate)} is no authority's certificate")
                return
            if certificate in self.authorities:
                self._drop(service, f"{describe(certificate)} has a row already")
                return
            uses = self._uses if kind is _CA_TYPES else (Use.TIMESTAMP,)
            self.authorities[certificate] = _authority(service, certificate, uses, span)
            if _may_issue_authorities(certificate):
                self._remark(service, "authorities below it are not approved with it; see reaches_below")
            return
        rows = self.time_stamping if kind is _TSA_TYPES else self.ocsp_responders
        if is_authority or certificate in rows:
            words = "is an authority's" if is_authority else "has a row already"
            self._drop(service, f"{describe(certificate)} {words}")
            return
        rows[certificate] = _service(service, certificate, span)

    def _remark_history(self, service: EtsiService, spans: list[tuple[datetime, datetime | None]]) -> None:
        for begin, end in spans[:-1]:
            until = format_instant(end) if end else ""
            self._remark(service, f"an earlier approval, {format_instant(begin)} to {until}, has no row")
        if spans[-1][1] is not None:
            self._remark(service, f"its approval ended at {format_instant(spans[-1][1])}")

    def _drop(self, service: EtsiService, reason: str) -> None:
        self.unmapped.append(Unmapped(_label(service), reason, is_dropped=True))

    def _remark(self, service: EtsiService, reason: str) -> None:
        self.unmapped.append(Unmapped(_label(service), reason, is_dropped=False))


def _whole_problem(service: EtsiService, kind: frozenset[str] | None) -> str:
    """Say why a service cannot be mapped at all, or nothing."""
    if kind is None:
        return f"services of type {service.periods[-1].service_type} have no place in a trust list of ours"
    if service.critical:
        return f"it has critical extensions that are not understood: {', '.join(service.critical)}"
    if not service.certificates:
        return "its identity names no certificate"
    if kind is _CA_TYPES and service.additional & _FOR_OTHERS and _FOR_SEALS not in service.additional:
        return "its certificates are for persons or web sites, not for organizations' seals"
    return ""


def _approved_spans(
    periods: Sequence[StatusPeriod], kind: frozenset[str]
) -> list[tuple[datetime, datetime | None]]:
    """Return the spans in which a service of this kind was approved, the oldest first."""
    spans: list[tuple[datetime, datetime | None]] = []
    for period, following in zip(periods, [*periods[1:], None], strict=True):
        end = following.starts_at if following else None
        if period.service_type not in kind or not _is_approved(period.status) or period.starts_at == end:
            continue
        if spans and spans[-1][1] == period.starts_at:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((period.starts_at, end))
    return spans


def _is_approved(status: str) -> bool:
    folder, _, name = status.rpartition(_STATUS_FOLDER)
    return folder.startswith("http://uri.etsi.org/TrstSvc/") and name in _APPROVED


def _is_authority(certificate: x509.Certificate) -> bool:
    constraints = _basic_constraints(certificate)
    return constraints is not None and constraints.ca


def _may_issue_authorities(certificate: x509.Certificate) -> bool:
    constraints = _basic_constraints(certificate)
    return constraints is not None and constraints.ca and constraints.path_length != 0


def _basic_constraints(certificate: x509.Certificate) -> x509.BasicConstraints | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def _authority(
    service: EtsiService,
    certificate: x509.Certificate,
    uses: tuple[Use, ...],
    span: tuple[datetime, datetime | None],
) -> AuthorityRow:
    return AuthorityRow(
        name=_label(service),
        certificate=certificate,
        # The certificate a trusted list names is where validation ends (TS 119 615 clause 4.4).
        is_anchor=True,
        uses=uses,
        approved_from=span[0],
        approved_until=span[1],
        revocation=RevocationPolicy.EITHER,
        reaches_below=False,
        longest_answer_age_seconds=None,
        unsafe_accept_unknown_revocation=False,
    )


def _service(
    service: EtsiService, certificate: x509.Certificate, span: tuple[datetime, datetime | None]
) -> ServiceRow:
    urls = [each for each in service.supply_points if each.startswith(("http://", "https://"))]
    return ServiceRow(
        name=_label(service),
        certificate=certificate,
        url=urls[0] if urls else None,
        approved_from=span[0],
        approved_until=span[1],
    )


def _label(service: EtsiService) -> str:
    return f"{service.provider}: {service.name}"[:200]
