# SPDX-License-Identifier: Apache-2.0
"""Which names an authority may issue: the name constraints of its certificate, and names held to them.

    directoryName   the base is a beginning of the name
    rfc822Name      a mailbox, every mailbox of a host, or (with a dot in front) of the hosts in a domain
    dNSName         the name itself and all below it
    URI             one host, or (with a dot in front) every host in a domain
    iPAddress       an address of the network
    other forms     a name of a form that is constrained, but not understood here, is refused

Source: RFC 5280 section 4.2.1.10; RFC 9598 section 6 (mailboxes in UTF-8).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import asn1crypto.x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hub.trust.description import full_name
from hub.trust.distinguishednames import comparable, is_within_subtree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hub.trust.distinguishednames import ComparableName

MOST_COMPARISONS = 1 << 15
"""How many names are compared with how many bases; no real path needs a hundredth."""

_SMTP_UTF8_MAILBOX = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9")
_WILDCARD = "*."


class NameForm(StrEnum):
    """What kind of name it is; the values are those of RFC 5280 section 4.2.1.6."""

    DIRECTORY = "directoryName"
    MAILBOX = "rfc822Name"
    DNS = "dNSName"
    URI = "uniformResourceIdentifier"
    IP = "iPAddress"
    OTHER = "otherName"
    REGISTERED_ID = "registeredID"


@dataclass(frozen=True)
class ConstrainedName:
    """One name of a certificate, or the base of a subtree.

    Attributes:
        form: its kind.
        value: comparable; of a type that depends on the form.
        name: as it stands in the certificate.
    """

    form: NameForm
    value: Any
    name: x509.Name | x509.GeneralName | str

    @property
    def words(self) -> str:
        """The name for people; a mailbox without its owner."""
        match self.name:
            case x509.Name():
                return full_name(self.name)
            case str() | x509.RFC822Name():
                return f"…@{str(self.value).rpartition('@')[2]}"
            case x509.OtherName():
                return self.name.type_id.dotted_string
            case x509.RegisteredID():
                return self.name.value.dotted_string
            case _:
                return str(self.name.value)


@dataclass(frozen=True)
class NameConstraints:
    """What one authority's certificate says about the names below it.

    Attributes:
        permitted: for each form of which there is one, the subtrees names of the form have to be in.
        excluded: subtrees no name may be in.
    """

    permitted: tuple[ConstrainedName, ...]
    excluded: tuple[ConstrainedName, ...]


def names_in(
    subject: x509.Name, compared: ComparableName, alternative: Sequence[x509.GeneralName]
) -> tuple[ConstrainedName, ...]:
    """Return every name constraints can be about: the subject, mailboxes in it, the alternative names.

    Source: RFC 5280 section 4.2.1.10, which holds the subject's emailAddress to constraints on mailboxes.
    """
    names = [ConstrainedName(NameForm.DIRECTORY, compared, subject)] if compared else []
    mailboxes = [str(each.value) for each in subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS)]
    names += [ConstrainedName(NameForm.MAILBOX, mailbox, mailbox) for mailbox in mailboxes]
    return (*names, *map(_name, alternative))


def read_constraints(certificate: x509.Certificate, extension: x509.NameConstraints) -> NameConstraints:
    """Read a certificate's name constraints.

    Raises:
        ValueError: a subtree has a minimum or maximum, which nothing defines for any form of name, or there
            is none at all.
    """
    loaded = asn1crypto.x509.Certificate.load(certificate.public_bytes(Encoding.DER), strict=True)
    stated = loaded.name_constraints_value
    for kind in ("permitted_subtrees", "excluded_subtrees"):
        for subtree in stated[kind]:
            if subtree["minimum"].native or subtree["maximum"].native is not None:
                raise ValueError("a name constraint has a minimum or maximum")
    permitted, excluded = extension.permitted_subtrees or (), extension.excluded_subtrees or ()
    if not permitted and not excluded:
        raise ValueError("the name constraints constrain nothing")
    return NameConstraints(tuple(map(_name, permitted)), tuple(map(_name, excluded)))


def comparisons(names: Sequence[ConstrainedName], constraints: Sequence[NameConstraints]) -> int:
    """Return how many comparisons it takes to hold names to constraints."""
    return len(names) * sum(len(each.permitted) + len(each.excluded) for each in constraints)


def not_understood(
    names: Sequence[ConstrainedName], constraints: Sequence[NameConstraints]
) -> ConstrainedName | None:
    """Return the first name that is constrained in a way that is not understood here."""
    forms = {base.form for each in constraints for base in (*each.permitted, *each.excluded)}
    for name in names:
        if name.form in forms and name.form not in _IS_WITHIN:
            return name
        if name.form is NameForm.OTHER and name.value == _SMTP_UTF8_MAILBOX and NameForm.MAILBOX in forms:
            return name
    return None


def not_permitted(
    names: Sequence[ConstrainedName], constraints: Sequence[NameConstraints]
) -> ConstrainedName | None:
    """Return the first name that is in none of the subtrees permitted for its form.

    Source: RFC 5280 section 6.1.3 (b); meeting each authority's constraints is meeting their intersection.
    """
    for each in constraints:
        for name in names:
            is_within = _IS_WITHIN.get(name.form, _is_never_within)
            bases = [base.value for base in each.permitted if base.form is name.form]
            if bases and not any(is_within(name.value, base) for base in bases):
                return name
    return None


def excluded(
    names: Sequence[ConstrainedName], constraints: Sequence[NameConstraints]
) -> ConstrainedName | None:
    """Return the first name that is in an excluded subtree, or may be.

    Source: RFC 5280 section 6.1.3 (c).
    """
    for each in constraints:
        for name in names:
            for base in each.excluded:
                if base.form is name.form and _is_touched(name, base):
                    return name
    return None


def _is_touched(name: ConstrainedName, base: ConstrainedName) -> bool:
    if name.form not in _IS_WITHIN or not _is_well_formed(name):
        return True  # What cannot be read as a name of its form cannot be said to lie outside.
    if name.form is NameForm.DNS and name.value.startswith(_WILDCARD):
        # A wildcard stands for every name beside it, the excluded one among them.
        parent = name.value.removeprefix(_WILDCARD)
        return _is_in_domain(parent, base.value) or _is_in_domain(base.value.removeprefix("."), parent)
    return _IS_WITHIN[name.form](name.value, base.value)


def _name(name: x509.GeneralName) -> ConstrainedName:
    form = _FORMS.get(type(name))
    if form is None:
        raise ValueError(f"a name of the form {type(name).__name__}")
    match name:
        case x509.DirectoryName():
            return ConstrainedName(form, comparable(name.value), name.value)
        case x509.DNSName():
            return ConstrainedName(form, name.value.casefold().removesuffix("."), name)
        case x509.OtherName():
            return ConstrainedName(form, name.type_id, name)
        case _:
            return ConstrainedName(form, name.value, name)


def _is_well_formed(name: ConstrainedName) -> bool:
    match name.form:
        case NameForm.MAILBOX:
            return _mailbox(name.value) is not None
        case NameForm.URI:
            return _host(name.value) is not None
        case NameForm.DNS:
            return all(name.value.removeprefix(_WILDCARD).split("."))
        case _:
            return True


def _is_never_within(name: object, base: object) -> bool:
    del name, base
    return False


def _is_mailbox_within(name: str, base: str) -> bool:
    mailbox = _mailbox(name)
    if mailbox is None:
        return False
    local, host = mailbox
    if "@" in base:
        wanted = _mailbox(base)
        return wanted is not None and (local, host) == wanted
    base = base.casefold()
    if base.startswith("."):
        return host.endswith(base)
    return not base or host == base


def _is_dns_within(name: str, base: str) -> bool:
    return all(name.split(".")) and _is_in_domain(name, base)


def _is_uri_within(name: str, base: str) -> bool:
    host = _host(name)
    if host is None:
        return False
    base = base.casefold()
    return host.endswith(base) if base.startswith(".") else host == base


def _is_ip_within(name: object, base: object) -> bool:
    return (
        isinstance(name, ipaddress.IPv4Address | ipaddress.IPv6Address)
        and isinstance(base, ipaddress.IPv4Network | ipaddress.IPv6Network)
        and name in base
    )


def _is_in_domain(name: str, domain: str) -> bool:
    """Tell whether a host is a domain or in it; with a dot in front of the domain, only in it."""
    return not domain or name == domain or name.endswith(f".{domain.removeprefix('.')}")


def _mailbox(value: str) -> tuple[str, str] | None:
    """Take a mailbox apart; the part before the at sign keeps its capitals (RFC 5280 section 7.5)."""
    local, at, host = value.rpartition("@")
    is_mailbox = local and at and all(host.split(".")) and value.isascii()
    return (local, host.casefold()) if is_mailbox else None


_AUTHORITY = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@\\]*@)?([A-Za-z0-9._-]+)(?::[0-9]*)?(?:[/?#].*)?", re.DOTALL
)
"""Scheme, user, host, port and the rest (RFC 3986 section 3); the host is a name as it stands in the DNS."""


def _host(uri: str) -> str | None:
    """Return the host of a URI; None where there is none, or only an address (RFC 5280 section 4.2.1.10)."""
    parts = _AUTHORITY.fullmatch(uri)
    if parts is None:
        return None
    host = parts[1].casefold().removesuffix(".")
    is_name = bool(host) and all(host.split(".")) and not host.split(".")[-1].isdigit()
    return host if is_name else None


_FORMS: dict[type[x509.GeneralName], NameForm] = {
    x509.DirectoryName: NameForm.DIRECTORY,
    x509.RFC822Name: NameForm.MAILBOX,
    x509.DNSName: NameForm.DNS,
    x509.UniformResourceIdentifier: NameForm.URI,
    x509.IPAddress: NameForm.IP,
    x509.OtherName: NameForm.OTHER,
    x509.RegisteredID: NameForm.REGISTERED_ID,
}
_IS_WITHIN: dict[NameForm, Callable[[Any, Any], bool]] = {
    NameForm.DIRECTORY: is_within_subtree,
    NameForm.MAILBOX: _is_mailbox_within,
    NameForm.DNS: _is_dns_within,
    NameForm.URI: _is_uri_within,
    NameForm.IP: _is_ip_within,
}
